"""The one door to files: YAML with line numbers in, YAML text out, checksums."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from lab.errors import LabError, Problem, shown

MAX_BYTES = 1_000_000  # of one topology file; the largest shipped one has a few kilobytes
MAX_NODES = 50_000  # of one YAML tree after aliases are followed: a bomb ends here
KeyPath = tuple[str | int, ...]
_KINDS: dict[type, str] = {
    yaml.ScalarNode: "scalar",
    yaml.MappingNode: "mapping",
    yaml.SequenceNode: "sequence",
}
_CORE = "tag:yaml.org,2002:"
_TAGS = {_CORE + tag for tag in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")}


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings came from, to name the place of a problem."""

    name: str  # as a user would type it, such as "topologies/nodes/tiny.yaml"
    lines: Mapping[KeyPath, int] = field(default_factory=dict[KeyPath, int])
    # Of what somebody else wrote, or wrote in other words: the place as `where` would name it.
    places: Mapping[KeyPath, str] = field(default_factory=dict[KeyPath, str])

    def where(self, path: KeyPath) -> str:
        """Name a key: `file:line: key`, or `file: key` where lines are unknown."""
        if path in self.places:
            return self.places[path]
        line = self.lines.get(path)
        place = self.name if line is None else f"{self.name}:{line}"
        key = ".".join(word if word.isprintable() else repr(word) for word in map(str, path))
        return f"{place}: {key}" if key else place


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain data, and where each key stands."""

    raw: Mapping[str, Any]
    source: Source


def load_yaml(path: Path, name: str) -> Document:
    """Read one YAML mapping.

    Args:
        path: the file.
        name: what to call it in messages.

    Raises:
        LabError: unreadable, too large, not YAML, not a mapping, a duplicate key, a tag.
    """
    try:
        with path.open("rb") as stream:  # no further: it may be a disk image, or have no end
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        got = getattr(error, "strerror", None) or str(error)
        raise _unreadable(name, got, "a readable file") from error
    if len(data) > MAX_BYTES:
        raise _unreadable(name, f"more than {MAX_BYTES} bytes", f"at most {MAX_BYTES} bytes")
    try:
        loader = yaml.SafeLoader(data)
        root = loader.get_single_node()
        tree = _Tree(loader, name)
        raw: object = {} if root is None else tree.plain(root, ())
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date, a number
        raise _unreadable(name, _first_line(error), "YAML") from error
    if tree.problems:
        raise LabError(tree.problems)
    if not isinstance(raw, dict):
        raise _unreadable(name, type(raw).__name__, "a mapping of keys")
    return Document(cast("dict[str, Any]", raw), Source(name, tree.lines))


@dataclass(frozen=True, slots=True)
class Span:
    """Where the value of a key stands in a YAML text."""

    key: int  # index of the key's first character, or of an item's
    column: int  # of that character
    begin: int  # of the value
    end: int  # behind it
    kind: str  # "scalar", "mapping" or "sequence"
    flow: bool  # a collection in braces or brackets
    style: str = ""  # of a scalar: its quotes, "|" or ">"; empty: plain


def spans(text: str) -> dict[KeyPath, Span]:
    """Find the place of every value in a YAML text that load_yaml has accepted."""
    found: dict[KeyPath, Span] = {}
    root = yaml.compose(text, Loader=yaml.SafeLoader)  # pyright: ignore[reportUnknownMemberType]
    if root is not None:
        _find(root, (), found)
    return found


def _find(node: yaml.Node, path: KeyPath, found: dict[KeyPath, Span]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _note(key, value, (*path, str(key.value)), found)
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            _note(item, item, (*path, place), found)


def _note(key: yaml.Node, value: yaml.Node, path: KeyPath, found: dict[KeyPath, Span]) -> None:
    found[path] = Span(
        key=key.start_mark.index,
        column=key.start_mark.column,
        begin=value.start_mark.index,
        end=value.end_mark.index,
        kind=_KINDS[type(value)],
        flow=bool(getattr(value, "flow_style", False)),
        style=str(getattr(value, "style", "") or ""),
    )
    _find(value, path, found)


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Render plain data as block-style YAML, key order kept, long texts as literal blocks."""
    return yaml.dump(data, Dumper=_BlockDumper, sort_keys=False, width=4096, allow_unicode=True)


def expand(path: str) -> Path:
    """Expand `~` and `$NAME`. A name that is not set stays as it is and is not found later."""
    return Path(os.path.expandvars(path)).expanduser()


def sha256_of(path: Path) -> str:
    """The checksum of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unset_names(path: str) -> list[str]:
    """The `$NAME`s of a path that the environment does not set."""
    names = re.findall(r"\$\{?(\w+)\}?", path)
    return [name for name in names if name not in os.environ]


class _Tree:
    """Turns YAML nodes into plain data and remembers the line of every key."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._loader = loader
        self._name = name
        self._seen = 0

    def plain(self, node: yaml.Node, path: KeyPath) -> object:
        self._seen += 1
        if self._seen > MAX_NODES:
            raise _unreadable(self._name, f"more than {MAX_NODES} values", "a smaller file")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag not in _TAGS:
            self._note(path, f"the tag {shown(node.tag.replace(_CORE, '!!'))}", "no tag", "file")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        raw: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                got = f"a {key_node.id} as a key in line {line}"
                self._note(path, got, "a word as a key", "file")
                continue
            key = str(self.plain(key_node, path))
            inner = (*path, key)
            self.lines[inner] = line
            if key in raw:
                self._note(inner, "the key twice", "each key once", "duplicate-key")
            raw[key] = self.plain(value_node, inner)
        return raw

    def _note(self, path: KeyPath, got: str, allowed: str, rule: str) -> None:
        where = Source(self._name, self.lines).where(path)
        self.problems.append(Problem(where, got, allowed, rule))


class _BlockDumper(yaml.SafeDumper):
    """Literal blocks for texts of several lines: what people and small parsers read easily."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = value.replace("\n", "").isprintable()  # PyYAML folds \x85 as if it were a line break
    style = ("|" if "\n" in value else None) if plain else '"'
    tag = f"{_CORE}str"
    return dumper.represent_scalar(tag, value, style=style)  # pyright: ignore[reportUnknownMemberType]


_BlockDumper.add_representer(str, _text)


def _unreadable(name: str, got: str, allowed: str) -> LabError:
    return LabError([Problem(name, got, allowed, "file")])


def _first_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f" in line {mark.line + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or type(error).__name__}{line}"
