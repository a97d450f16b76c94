"""An edit of the node set, told before it is carried out."""

from __future__ import annotations

from collections.abc import Iterator

from lab.edit import Shift
from lab.views.hanging import hanging

_NAME = 8  # columns of the first field


def edit(prefix: str, found: Shift) -> str:
    """What the next `pulumi up` will do, with a line feed at the end."""
    if not (found.come or found.go):
        return f"{prefix}: no node comes or goes\n"
    return "\n".join([*_nodes("come", found.come), *_nodes("go", found.go), *_sums(found), ""])


def _nodes(verb: str, names: tuple[str, ...]) -> Iterator[str]:
    note = ", with their disks" if verb == "go" else ""
    if names:
        yield from hanging(f"{verb:{_NAME}}", f"{', '.join(names)}{note}", _NAME)


def _sums(found: Shift) -> Iterator[str]:
    for name, (before, after), unit in (
        ("nodes", found.nodes, ""),
        ("memory", found.memory_mib, " MiB"),
        ("vCPUs", found.vcpus, ""),
        ("disks", found.disk_gib, " GiB"),
    ):
        yield f"{name:{_NAME}}{before} → {after}{unit}"
