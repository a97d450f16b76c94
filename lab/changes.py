"""What an edit will do: an environment as it was made, and as its files have it now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from lab.fields import LAYOUT, REPLACE, RESTART, ROLE, STACK, Field
from lab.naming import node_order
from lab.plans import LabPlan

# By "node compute-0", "network data" or "stack", then by field: {"memory": "8192", "cpu": "2"}.
# What is empty is left out. The state remembers it, so it is of texts alone, and in no order.
Shape: TypeAlias = Mapping[str, Mapping[str, str]]
_STACK, _NODE, _NETWORK = "stack", "node ", "network "
_ON = "networks"  # of a node: which it is on, as it restarts with them
_Of = TypeVar("_Of")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One thing that an edit does, to one or more nodes or networks."""

    names: tuple[str, ...]  # "compute-0", "network data" or "the stack"
    effect: str  # a class of lab.fields, or what becomes of the whole
    field: str = ""  # empty: the whole
    was: str = ""
    now: str = ""
    unit: str = ""
    restarts: tuple[str, ...] = ()  # nodes, because of a network


def shape_of(plan: LabPlan) -> dict[str, dict[str, str]]:
    """What can be compared of a plan. It may hold a password: whoever keeps it keeps a secret."""
    networks = {_NETWORK + net.network: _said(LAYOUT, net) for net in plan.networks}
    nodes = {
        _NODE + name: {
            **_said(ROLE, node),
            _ON: " ".join(sorted({nic.network for nic in node.nics})),
        }
        for name, node in plan.nodes.items()
    }
    return {_STACK: _said(STACK, plan), **networks, **nodes}


def changes(was: Shape, now: Shape) -> list[Change]:
    """Tell two shapes of one environment apart; what several have in common is said once."""
    merged: dict[Change, list[str]] = {}
    for change in (*_whole(was, now), *_edits(was, now)):
        merged.setdefault(replace(change, names=()), []).extend(change.names)
    return [replace(change, names=tuple(names)) for change, names in merged.items()]


def _said(fields: Iterable[Field[_Of]], of: _Of) -> dict[str, str]:
    values = {field.name: field.shown(of) for field in fields if field.shown}
    return {name: _text(value) for name, value in values.items() if value not in ("", None)}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _whole(was: Shape, now: Shape) -> Iterator[Change]:
    for name in sorted(was.keys() - now.keys(), key=_order):
        disks = ", with its disks" if name.startswith(_NODE) else ""
        yield Change(names=(_short(name),), effect=f"removed{disks}")
    for name in sorted(now.keys() - was.keys(), key=_order):
        yield Change(names=(_short(name),), effect="new")


def _edits(was: Shape, now: Shape) -> Iterator[Change]:
    for name in sorted(was.keys() & now.keys(), key=_order):
        for field in _fields(name):
            before, after = was[name].get(field.name, ""), now[name].get(field.name, "")
            if before != after:
                told = _told(field, before, after)
                yield replace(told, names=(_short(name),), restarts=_restarted(name, field, now))


def _told(field: Field[Any], before: str, after: str) -> Change:
    if field.secret:
        before, after = (value and word for value, word in ((before, "one"), (after, "another")))
    return Change(
        names=(),
        effect=field.effect,
        field=field.name,
        was=before or "none",
        now=after or "none",
        unit=field.unit,
    )


def _restarted(name: str, field: Field[Any], now: Shape) -> tuple[str, ...]:
    if not name.startswith(_NETWORK) or field.effect not in (REPLACE, RESTART):
        return ()
    network = name.removeprefix(_NETWORK)
    hit = [_short(node) for node, words in now.items() if network in words.get(_ON, "").split()]
    return tuple(sorted(hit, key=node_order))


def _fields(name: str) -> tuple[Field[Any], ...]:
    if name.startswith(_NODE):
        return ROLE
    return LAYOUT if name.startswith(_NETWORK) else STACK


def _short(name: str) -> str:
    return "the stack" if name == _STACK else name.removeprefix(_NODE)


def _order(name: str) -> tuple[int, object]:
    """The stack, networks by name, nodes by role and number."""
    if name.startswith(_NODE):
        return 2, node_order(_short(name))
    return int(name != _STACK), name
