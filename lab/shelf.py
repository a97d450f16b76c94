"""The shelf of roles and layouts: what there is, and whether somebody's files are fit for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from lab.errors import Problem, attempt, shown
from lab.files import Document, load_yaml
from lab.layout import Layout, parse_layout
from lab.naming import ROLE_FILE, ROLE_FILE_FORM
from lab.reader import Reader
from lab.role import parse_role
from lab.specs import NetworkSpec, NodeSpec
from lab.topology import catalogue

IMAGES = "images.yaml"  # beside them, and neither
ANY_SUBNET = IPv4Network("192.0.2.0/24")


@dataclass(frozen=True, slots=True)
class Judged:
    """One file, read by itself."""

    file: str  # as it was asked for
    problems: tuple[Problem, ...] = ()
    role: NodeSpec | None = None  # one of the two, where the file can be read at all
    layout: Layout | None = None
    notes: tuple[str, ...] = ()  # what somebody may have meant otherwise, and need not change


def shelf(kind: str, local: Path = Path("topologies")) -> dict[str, Judged]:
    """Every role ("nodes") or layout ("networks") that there is, by its file's name."""
    found = sorted(catalogue(kind, local).items())
    return {name: judge(path, f"topologies/{kind}/{path.name}") for name, path in found}


def judge_all(paths: Iterable[Path]) -> list[Judged]:
    """Judge files, and every YAML file below directories, in the order of their names."""
    return [
        judge(file, str(file))
        for path in paths
        for file in (sorted(_below(path)) if path.is_dir() else [path])
    ]


def judge(path: Path, title: str) -> Judged:
    """Read one role or layout by itself: a file with `networks` is a layout.

    Whether a role's networks exist is for a topology to say; here every name will do.
    """
    problems: list[Problem] = []
    document = attempt(partial(load_yaml, path, title), problems)
    if document is None:
        return Judged(title, tuple(problems))
    entry = Reader(document.raw, document.source, problems)
    if "networks" in document.raw:
        layout = parse_layout(entry)
        return Judged(title, tuple(problems), layout=layout, notes=tuple(_unused(layout)))
    role = parse_role(path.stem, entry, _of_any_network(document))
    problems += _unfindable(path, title)
    return Judged(title, tuple(problems), role=role)


def _unfindable(path: Path, title: str) -> Iterator[Problem]:
    """A file that no topology-nodes can name."""
    if path.suffix != ".yaml" or not ROLE_FILE.fullmatch(path.stem):
        allowed = f"{ROLE_FILE_FORM}, and .yaml"
        yield Problem(title, shown(path.name), allowed, "role", "Rename it")


def _unused(layout: Layout) -> Iterator[str]:
    used = {network for nics in layout.nics.values() for network in nics.interfaces}
    for name in layout.names:
        if name not in used:
            yield f"networks.{name}: no role of this file is on it"


def _below(folder: Path) -> Iterator[Path]:
    found = (path for suffix in ("yaml", "yml") for path in folder.rglob(f"*.{suffix}"))
    return (path for path in found if path.name != IMAGES)


def _of_any_network(document: Document) -> Layout:
    """A layout that has whatever networks a role's file names."""
    names = Reader(document.raw, document.source, []).names("interfaces")
    return Layout(tuple(NetworkSpec(name=name, subnet=ANY_SUBNET) for name in names))
