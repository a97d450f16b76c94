"""Edits of an environment's set of nodes: what a stack asks for afterwards, and what that means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lab.config import MOST_NODES, StackConfig, counts_of
from lab.errors import Problem, refuse
from lab.files import Source
from lab.naming import node_name, node_order
from lab.reader import Reader
from lab.removal import check_emptied, check_removed, emptied, few
from lab.specs import NodeSpec, Topology


def extended(config: StackConfig, more: Mapping[str, int]) -> StackConfig:
    """Ask for more nodes of roles, perhaps of roles that are not there yet.

    Holes stay: of `compute:3` without compute-1, one more is compute-3.

    Args:
        config: of a stack.
        more: {"compute": 1} by role file.

    Raises:
        LabError: more than an environment can have.
    """
    counts = {**config.nodes}
    for role, count in more.items():
        counts[role] = counts.get(role, 0) + count
    where = f"stacks/Pulumi.{config.prefix}.yaml: topology-nodes"
    allowed = f"at most {MOST_NODES}"
    refuse(
        Problem(where, f"{role}:{count}", allowed, "node-count")
        for role, count in counts.items()
        if count > MOST_NODES
    )
    return replace(config, nodes=counts)


def shrunk(
    config: StackConfig, topology: Topology, names: Iterable[str], *, last: bool
) -> StackConfig:
    """Take nodes out for good.

    Args:
        config: of a stack.
        topology: what it comes to.
        names: of nodes, such as "compute-1".
        last: whether a role may lose its last node, and with it its place in the stack.

    Raises:
        LabError: a node that is not there (any more), or the last of a role without `last`.
    """
    out = tuple(dict.fromkeys(names))
    files = dict(zip(config.nodes, (role.role for role in topology.roles), strict=True))
    counts = {role: config.nodes[file] for file, role in files.items()}
    where = f"stacks/Pulumi.{config.prefix}.yaml: remove-nodes"
    problems = check_removed(counts, out, where)
    there = [name for role in topology.roles for name in names_of(role)]
    gone = set(config.removed)
    problems += [
        Problem(where, f"{name}, which is out already", few(there), "remove-nodes")
        for name in out
        if name in gone
    ]
    removed = (*config.removed, *out)
    empty = emptied(counts, removed)
    if not last:
        problems += check_emptied(counts, removed, where, "`--last` takes the role out")
    refuse(problems)
    if len(empty) == len(counts):
        step = f"`pulumi destroy -s {config.prefix}` removes the environment"
        refuse([Problem(where, "all of its nodes", "some that stay", "last-node", step)])
    of_empty = {node_name(role, index) for role in empty for index in range(counts[role])}
    return replace(
        config,
        nodes={file: n for file, n in config.nodes.items() if files[file] not in empty},
        removed=tuple(name for name in removed if name not in of_empty),
    )


def parse_more(words: str) -> dict[str, int]:
    """Read `compute:1,ceph:2`, as `topology-nodes` is read.

    Raises:
        LabError: another form, or a role twice.
    """
    problems: list[Problem] = []
    counts = counts_of(Reader({"topology-nodes": words}, Source("fab extend"), problems))
    refuse(problems)
    return counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """What an edit of the node set comes to."""

    come: tuple[str, ...]  # nodes that will be made
    go: tuple[str, ...]  # nodes that will be removed, with their disks
    nodes: tuple[int, int]  # before and after
    memory_mib: tuple[int, int]  # of all guests
    vcpus: tuple[int, int]
    disk_gib: tuple[int, int]  # virtual sizes


def shift(before: Topology, after: Topology) -> Shift:
    """Compare two topologies of one environment by their nodes."""
    was, now = _names(before), _names(after)
    return Shift(
        come=tuple(sorted(now - was, key=node_order)),
        go=tuple(sorted(was - now, key=node_order)),
        nodes=(len(was), len(now)),
        memory_mib=(_sum(before, "memory_mib"), _sum(after, "memory_mib")),
        vcpus=(_sum(before, "vcpus"), _sum(after, "vcpus")),
        disk_gib=(_disks(before), _disks(after)),
    )


def names_of(role: NodeSpec) -> Iterator[str]:
    """The nodes of a role, by ascending index."""
    return (node_name(role.role, index) for index in role.indexes)


def _names(topology: Topology) -> set[str]:
    return {name for role in topology.roles for name in names_of(role)}


def _sum(topology: Topology, field: str) -> int:
    return sum(int(getattr(role, field)) * len(role.indexes) for role in topology.roles)


def _disks(topology: Topology) -> int:
    return sum(
        sum(disk.size_gib for disk in role.disks) * len(role.indexes) for role in topology.roles
    )
