"""JSON schemas of every file people write, for editors: what the parsers ask may be written.

`Outline` stands in for a Reader and notes each question; nothing of a file's form is said twice.
What two keys have to do with each other is for the parsers alone to judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from lab.config import parse_settings
from lab.files import Source
from lab.layout import Layout, parse_layout
from lab.reader import Reader
from lab.role import parse_role
from lab.specs import NetworkSpec

Schema = dict[str, Any]
_DRAFT = "http://json-schema.org/draft-07/schema#"  # what editors know best
_ANY = "any"  # stands for the names that only a file has
_SUBNET = IPv4Network("192.0.2.0/24")
_NAME: Schema = {"type": "string"}
_SIZE = r"^\s*[0-9]+\s*[KMGTkmgt]?(i?[Bb])?\s*$"
_CIDR = r"^([0-9]{1,3}\.){3}[0-9]{1,3}/(1[6-9]|2[0-9])$"


def role_schema() -> str:
    """The schema of a file in topologies/nodes, as JSON text."""
    outline = Outline()
    networks = (NetworkSpec(name=_ANY, subnet=_SUBNET),)
    parse_role(_ANY, outline, Layout(networks))
    return _json("A role: the shape of its nodes", outline.schema())


def layout_schema() -> str:
    """The schema of a file in topologies/networks, as JSON text."""
    outline = Outline()
    parse_layout(outline)
    return _json("A layout: networks, and which of them each role is on", outline.schema())


def stack_schema() -> str:
    """The schema of a file in stacks/, as JSON text; Pulumi's own keys are let be."""
    outline = Outline()
    parse_settings(outline, _ANY)
    settings = outline.schema()
    config = {
        "type": "object",
        "properties": {f"metalab:{key}": each for key, each in settings["properties"].items()},
        "required": [f"metalab:{key}" for key in settings["required"]],
    }
    whole = {"type": "object", "properties": {"config": config}, "required": ["config"]}
    return _json("A stack: one environment", whole)


class Outline(Reader):
    """Answers every question with a legal stand-in, and notes it."""

    def __init__(self) -> None:
        super().__init__({}, Source(""), [])
        self._properties: Schema = {}
        self._patterns: dict[str, Outline] = {}
        self._inner: dict[str, Outline] = {}
        self._lists: dict[str, tuple[Outline, str, tuple[int, int]]] = {}  # item, short key, bounds
        self._optional: set[str] = set()
        self._texts: set[str] = set()
        self._open = True  # until it is closed

    def schema(self) -> Schema:
        """What was asked, as a schema of one mapping."""
        inner = {key: self._one(key, outline.schema()) for key, outline in self._inner.items()}
        lists = {key: _list(*parts) for key, parts in self._lists.items()}
        found: Schema = {"type": "object", "properties": {**self._properties, **lists, **inner}}
        found["required"] = [key for key in found["properties"] if key not in self._optional]
        if self._patterns:
            each = {f"^{form}$": outline.schema() for form, outline in self._patterns.items()}
            return {"type": "object", "patternProperties": each, "additionalProperties": False}
        return found if self._open else {**found, "additionalProperties": False}

    def _one(self, key: str, schema: Schema) -> Schema:
        return {"anyOf": [{"type": "string"}, schema]} if key in self._texts else schema

    def raw(self, key: str) -> object:
        """Nothing; whoever asks so understands a text, too."""
        self._texts.add(key)
        return None

    def keys(self) -> tuple[str, ...]:
        """None, as nothing is written."""
        return ()

    def has(self, key: str, *beside: str) -> bool:
        """Yes, and so none of them need be."""
        self._optional |= {key, *beside}
        return True

    def written(self, key: str) -> bool:
        """The same."""
        return self.has(key)

    def integer(self, key: str, *, at_least: int, at_most: int, default: int | None = None) -> int:
        """An integer."""
        schema = {"type": "integer", "minimum": at_least, "maximum": at_most}
        self._asked_for(key, schema, default)
        return at_least

    def size_mib(self, key: str, *, at_least: int, at_most: int, default: int | None = None) -> int:
        """A number of MiB, or a size with its unit."""
        self._asked_for(key, _size(at_least, at_most), default)
        return at_least

    def size_gib(self, key: str, *, at_least: int, at_most: int) -> int:
        """The same in GiB."""
        self._asked_for(key, _size(at_least, at_most))
        return at_least

    def items(self, key: str, *, short: str, fewest: int, most: int) -> tuple[Reader, ...]:
        """A list, each item a mapping or the value of its one key; or all of them in one text."""
        self._properties[key] = {}  # keeps its place
        self._lists[key] = (Outline(), short, (fewest, most))
        return (self._lists[key][0],)

    def boolean(self, key: str, *, default: bool) -> bool:
        """True or false."""
        self._asked_for(key, {"type": "boolean"}, default)
        return default

    def text(
        self, key: str, *, default: str | None = None, pattern: str = "", means: str = ""
    ) -> str:
        """A text of a form."""
        schema: Schema = {"type": "string", **({"pattern": f"^(?:{pattern})$"} if pattern else {})}
        if means:
            schema["description"] = means
        self._asked_for(key, schema, None)
        self._optional |= set() if default is None else {key}
        return default or _ANY

    def choice(self, key: str, among: Sequence[str], *, default: str) -> str:
        """One of a few words."""
        self._asked_for(key, {"enum": list(among)}, default)
        return default

    def name(self, key: str, among: Collection[str], *, means: str) -> str:
        """A name that the file itself, or another one, makes."""
        self._asked_for(key, _NAME)
        return next(iter(among), _ANY)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names, or one text."""
        listed = {"type": "array", "items": _NAME, "minItems": 0}
        self._asked_for(key, {"anyOf": [listed, {"type": "string"}]})
        self._optional.add(key)
        return ()

    def subnet(self, key: str) -> tuple[IPv4Network, int]:
        """A subnet."""
        self._asked_for(key, {"type": "string", "pattern": _CIDR})
        return _SUBNET, 1

    def subnet6(self, key: str) -> tuple[bool, IPv6Network | None]:
        """True, false, or a /64."""
        subnet = {"type": "string", "pattern": "^[0-9a-fA-F:]+/64$"}
        self._asked_for(key, {"anyOf": [{"type": "boolean"}, subnet], "default": False})
        self._optional.add(key)
        return False, None

    def host_numbers(
        self, key: str, *, at_least: int, at_most: int
    ) -> tuple[bool, tuple[int, int] | None]:
        """True, false, or host numbers."""
        span = {"type": "string", "pattern": "^[0-9]+-[0-9]+$"}
        self._asked_for(key, {"anyOf": [{"type": "boolean"}, span], "default": False})
        self._optional.add(key)
        return False, None

    def mapping(self, key: str, *, required: bool = True, means: str = "a mapping") -> Reader:
        """An inner mapping."""
        self._optional |= set() if required else {key}
        return self._inner.setdefault(key, Outline())

    def plain(self, key: str) -> dict[str, Any]:
        """Any mapping."""
        self._asked_for(key, {"type": "object"}, {})
        return {}

    def entries(self, form: re.Pattern[str], means: str) -> Iterator[tuple[str, Reader]]:
        """One entry, for all of that form."""
        yield _ANY, self._patterns.setdefault(form.pattern, Outline())

    def note(self, key: str, got: str, allowed: str, rule: str, next_step: str = "") -> None:
        """Stand-ins are legal one by one; together they need not be."""

    def close(self) -> None:
        """No other keys."""
        self._open = False

    def _asked_for(self, key: str, schema: Schema, default: object = None) -> None:
        known = {} if default in (None, "") else {"default": default}
        self._properties[key] = {**schema, **known}
        self._optional |= set() if default is None else {key}


def _list(item: Outline, short: str, bounds: tuple[int, int]) -> Schema:
    whole = item.schema()
    plain = whole["properties"][short]
    each = [*plain.get("anyOf", [plain]), whole]
    fewest, most = bounds
    listed = {"type": "array", "items": {"anyOf": each}, "minItems": fewest, "maxItems": most}
    return {"anyOf": [listed, *each[:-1]]}


def _size(at_least: int, at_most: int) -> Schema:
    number = {"type": "integer", "minimum": at_least, "maximum": at_most}
    return {"anyOf": [number, {"type": "string", "pattern": _SIZE}]}


def _json(title: str, schema: Schema) -> str:
    return json.dumps({"$schema": _DRAFT, "title": title, **schema}, indent=2) + "\n"


SCHEMAS: dict[str, Callable[[], str]] = {  # by file below topologies/schemas
    "role.json": role_schema,
    "layout.json": layout_schema,
    "stack.json": stack_schema,
}
