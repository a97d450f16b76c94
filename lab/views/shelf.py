"""Roles, layouts and verdicts on files, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from lab.shelf import Judged
from lab.specs import NetworkSpec, NodeSpec

_ROLES = ("ROLE", "NODES", "VCPUS", "MEMORY", "DISKS", "SYSTEM", "GROUPS")
_LAYOUTS = ("LAYOUT", "NETWORKS")


def table_of(roles: Mapping[str, Judged], layouts: Mapping[str, Judged]) -> str:
    """Two tables: roles with their sizes, layouts with their networks."""
    nodes = [
        _role(name, judged.role) if judged.role and not judged.problems else _unfit(name, _ROLES)
        for name, judged in roles.items()
    ]
    networks = [
        (name, ", ".join(_network(each) for each in judged.layout.networks))
        if judged.layout and not judged.problems
        else _unfit(name, _LAYOUTS)
        for name, judged in layouts.items()
    ]
    return "\n\n".join((_table([_ROLES, *nodes]), _table([_LAYOUTS, *networks]))) + "\n"


def verdicts(judged: Iterable[Judged]) -> str:
    """A line for each file: `ok`, `ok with notes` or `error`, and what there is to say below it."""
    lines: list[str] = []
    for one in judged:
        good = "ok with notes" if one.notes else "ok"
        lines.append(f"{one.file}: {'error' if one.problems else good}")
        lines += [f"    {said}" for said in one.problems or one.notes]
    return "".join(f"{line}\n" for line in lines)


def _unfit(name: str, columns: Sequence[str]) -> Sequence[str]:
    """No stand-in of the parsers' is shown as if somebody had written it."""
    return (name, "unfit: see `fab check-topology`", *[""] * (len(columns) - 2))


def _role(name: str, role: NodeSpec) -> Sequence[str]:
    return (
        name,
        f"{role.role}-0",
        str(role.vcpus),
        f"{role.memory_mib / 1024:g} GiB" if role.memory_mib >= 1024 else f"{role.memory_mib} MiB",  # noqa: PLR2004
        " + ".join(_disks(role.disks_gib)) or "none",
        "yes" if role.deploy_os else "blank",
        ", ".join(role.groups),
    )


def _disks(sizes: Sequence[int]) -> Iterable[str]:
    for size, same in groupby(sizes):
        count = len(list(same))
        yield f"{count} x {size} GiB" if count > 1 else f"{size} GiB"


def _network(network: NetworkSpec) -> str:
    if network.subnet is None:
        return f"{network.name} (frames alone)"
    words = [str(network.subnet), *([network.forward] if network.forward != "none" else [])]
    return f"{network.name} ({' '.join([*words, *(['dhcp'] if network.dhcp else [])])})"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
