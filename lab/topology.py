"""The topology of an environment: the layout and the roles that its configuration names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lab.config import StackConfig
from lab.errors import Problem, attempt, refuse, shown
from lab.files import Document, expand, load_yaml
from lab.layout import Layout, parse_layout
from lab.longform import tell
from lab.override import NETWORKS, network_keys, overridden
from lab.reader import Reader, near
from lab.removal import check_emptied, check_removed, indexes_left
from lab.role import parse_role
from lab.sheet import mapping_of
from lab.specs import NodeSpec, Topology

SHOWN_NAMES = 8  # of the catalogue; a line's worth
_NO_ROLE = "Take the role out of topology-nodes, and its nodes out of remove-nodes, to have none"
CATALOGUE = Path(__file__).parent.parent / "topologies"


def load_topology(config: StackConfig, local: Path = Path("topologies")) -> Topology:
    """Read the layout and every role that a configuration names.

    A layout or role is looked up as a path, then in `local` (relative to the working directory),
    then in the catalogue that metalab ships.

    Raises:
        LabError: every problem of every file.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    where = f"stacks/Pulumi.{config.prefix}.yaml"
    document = _find("networks", config.network, local, f"{where}: topology-network", problems)
    shift = _Shift(config.override, f"{where}: override", problems, notes)
    layout = parse_layout(shift.layout(document)) if document else Layout()
    roles: dict[str, NodeSpec] = {}
    for file in config.nodes:
        found = _find("nodes", file, local, f"{where}: topology-nodes", problems)
        if found and document:
            roles[file] = parse_role(file, shift.role(file, found), layout)
    problems += _namesakes(roles, f"{where}: topology-nodes")
    counts = {role.role: config.nodes[file] for file, role in roles.items()}
    if len(counts) == len(config.nodes):  # else it is unknown what nodes are called, or how many
        problems += check_removed(counts, config.removed, f"{where}: remove-nodes")
        problems += check_emptied(counts, config.removed, f"{where}: remove-nodes", _NO_ROLE)
        problems += shift.unused({*counts, *config.nodes})
    refuse(problems)
    left = indexes_left(counts, config.removed)
    whole = tuple(replace(role, indexes=left[role.role]) for role in roles.values())
    return Topology(networks=layout.networks, roles=whole, notes=tuple(notes))


def catalogue(kind: str, local: Path = Path("topologies")) -> dict[str, Path]:
    """The files of a kind ("nodes" or "networks") by name; local ones hide shipped ones."""
    folders = (CATALOGUE / kind, local / kind)
    return {
        path.stem: path
        for folder in folders
        for suffix in ("yml", "yaml")  # of two that are called the same, the last one
        for path in sorted(folder.glob(f"*.{suffix}"))
    }


def _find(
    kind: str, name: str, local: Path, where: str, problems: list[Problem]
) -> Document | None:
    known = catalogue(kind, local)
    looks_like_path = "/" in name or name.endswith((".yaml", ".yml"))
    path = expand(name) if looks_like_path else known.get(name)
    if path is None:
        allowed = f"{_one_of(known)}, or a file topologies/{kind}/{name}.yaml"
        problems.append(Problem(where, shown(name), allowed, f"unknown-{kind}", near(name, known)))
        return None
    title = name if looks_like_path else f"topologies/{kind}/{path.name}"
    return attempt(partial(load_yaml, path, title), problems)


@dataclass(frozen=True, slots=True)
class _Shift:
    """From a file as it was found to the Reader of its short form."""

    override: Mapping[str, Any]
    where: str
    problems: list[Problem]
    notes: list[str]

    def layout(self, document: Document) -> Reader:
        keys = network_keys(document.raw)
        patch = self._patch(NETWORKS)
        self.problems.extend(self._unknown(f"{self.where}.{NETWORKS}", patch, keys))
        if patch := {keys[name]: value for name, value in patch.items() if name in keys}:
            document = overridden(document, {NETWORKS: patch}, self.where, self.problems)
        return self._reader(document)

    def role(self, file: str, document: Document) -> Reader:
        said = str(document.raw.get("name", file))
        for name in dict.fromkeys((file, said, said.replace("_", "-"))):
            if patch := self._patch(name):
                where = f"{self.where}.{name}"
                document = overridden(document, patch, where, self.problems)
        return self._reader(document)

    def unused(self, roles: Collection[str]) -> Iterator[Problem]:
        hyphens = {name for name in self.override if name.replace("_", "-") in roles}
        words = {name: value for name, value in self.override.items() if name not in hyphens}
        return self._unknown(self.where, words, {*roles, NETWORKS})

    def _unknown(
        self, where: str, words: Mapping[str, Any], known: Collection[str]
    ) -> Iterator[Problem]:
        for name in sorted(words.keys() - set(known)):
            allowed = f"one of {', '.join(sorted(known))}"
            yield Problem(f"{where}.{name}", shown(name), allowed, "override", near(name, known))

    def _patch(self, name: str) -> dict[str, Any]:
        got = self.override.get(name, {})
        patch = mapping_of(got)
        if patch is None:
            problem = Problem(f"{self.where}.{name}", shown(got), "a mapping of keys", "override")
            self.problems.append(problem)
        return patch or {}

    def _reader(self, document: Document) -> Reader:
        told = tell(document)
        self.problems.extend(told.problems)
        self.notes.extend(told.notes)
        return Reader(told.document.raw, told.document.source, self.problems)


def _one_of(known: Mapping[str, Path]) -> str:
    if len(known) > SHOWN_NAMES:
        return f"one of the {len(known)} that `fab topologies` lists"
    return f"one of {', '.join(sorted(known))}"


def _namesakes(roles: Mapping[str, NodeSpec], where: str) -> Iterable[Problem]:
    """Of two files for one kind of node, an environment takes one."""
    by_name: dict[str, list[str]] = {}
    for file, role in roles.items():
        by_name.setdefault(role.role, []).append(file)
    for name, files in by_name.items():
        if len(files) > 1:
            got = f"{' and '.join(files)}, whose nodes are all called {name}"
            yield Problem(where, got, "one of them", "role-name")
