"""Nodes that were taken out for good: a hole in a role's indexes, which never closes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from lab.errors import Problem, shown
from lab.naming import node_name, node_order, split_node_name
from lab.reader import near

SHOWN_NODES = 8  # a line's worth


def indexes_left(counts: Mapping[str, int], removed: Collection[str]) -> dict[str, tuple[int, ...]]:
    """The indexes of each role: {0..count-1} less those whose nodes were removed, ascending.

    Args:
        counts: {"compute": 3} by the name that a role's nodes bear.
        removed: ["compute-1"]; names that no node bears are check_removed's to refuse.
    """
    return {
        role: tuple(index for index in range(count) if node_name(role, index) not in removed)
        for role, count in counts.items()
    }


def check_removed(counts: Mapping[str, int], removed: Iterable[str], where: str) -> list[Problem]:
    """Refuse names in `remove-nodes` that no node bears, or has borne."""
    every = [node_name(role, index) for role, count in counts.items() for index in range(count)]
    every.sort(key=node_order)
    allowed = few(every)
    names = set(every)
    return [
        Problem(
            where,
            shown(word),
            allowed if every else "role-index, such as compute-1",
            "remove-nodes",
            near(_as_meant(word), every),
        )
        for word in removed
        if word not in names
    ]


def check_emptied(
    counts: Mapping[str, int], removed: Collection[str], where: str, next_step: str
) -> list[Problem]:
    """Refuse that a role loses its last node by name: more likely a slip than a wish."""
    return [
        Problem(where, f"all {role} nodes", "one that stays", "last-node", next_step)
        for role in emptied(counts, removed)
    ]


def emptied(counts: Mapping[str, int], removed: Collection[str]) -> list[str]:
    """The roles of which no node is left."""
    return [role for role, left in indexes_left(counts, removed).items() if not left]


def few(names: Sequence[str]) -> str:
    """Some of the names that are allowed."""
    more = ", ..." if len(names) > SHOWN_NODES else ""
    return f"nodes of topology-nodes: {', '.join(names[:SHOWN_NODES])}{more}"


def _as_meant(word: str) -> str:
    """`tiny-01` is tiny-1, though tiny-0 looks more like it."""
    form = split_node_name(word)
    return node_name(*form) if form else word
