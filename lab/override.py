"""What a stack says otherwise than the files it names: merged in before anybody reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.files import Document, KeyPath, Source
from lab.sheet import children, mapping_of

NETWORKS = "networks"  # beside the roles, by the names of their files or nodes
_SHORT = {"disks": "size", "interfaces": "network"}  # what an item in short stands for


def overridden(document: Document, patch: Mapping[str, Any], where: str) -> Document:
    """A file with other values; each remembers that it came from `where`.

    Mappings are merged, everything else is replaced. Items of a list go by their number, as the
    predecessor counted them: `disks: {disk2: {size: 100G}}`.

    Args:
        document: the file.
        patch: {"memory": "16G", ...}: only what differs.
        where: what to call the patch, such as "stacks/Pulumi.foo.yaml: override.controller".
    """
    places = dict(document.source.places)
    raw = mapping_of(_merged(document.raw, patch, ((), where), places)) or {}
    return Document(raw, Source(document.source.name, document.source.lines, places))


def by_key(layout: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A patch of networks by their keys, of one that may call them by their names."""
    entries = mapping_of(layout.get(NETWORKS)) or {}
    keys = {str((mapping_of(entry) or {}).get("name", key)): key for key, entry in entries.items()}
    return {keys.get(name, name): value for name, value in patch.items()}


def _merged(
    was: object, patch: object, at: tuple[KeyPath, str], places: dict[KeyPath, str]
) -> object:
    path, where = at
    places[path] = where
    words = mapping_of(patch)
    if words is None:
        return patch
    short = _SHORT.get(str(path[-1])) if path else None
    if short and mapping_of(was) is None and was:
        return _in_list([item for _, item in children(was)], words, (at, short), places)
    told = dict(mapping_of(was) or {})
    for key, value in words.items():
        told[key] = _merged(told.get(key), value, ((*path, key), f"{where}.{key}"), places)
    return told


def _in_list(
    items: list[Any],
    words: Mapping[str, Any],
    place: tuple[tuple[KeyPath, str], str],
    places: dict[KeyPath, str],
) -> list[Any]:
    (path, where), short = place
    for key, value in sorted(words.items(), key=lambda item: _number(item[0])):
        index = min(max(_number(key) - 1, 0), len(items))
        items += [{}] * (index + 1 - len(items))
        was = items[index] if mapping_of(items[index]) is not None else {short: items[index]}
        items[index] = _merged(was, value, ((*path, index), f"{where}.{key}"), places)
    return items


def _number(key: str) -> int:
    digits = re.search(r"[0-9]{1,4}$", key)
    return int(digits[0]) if digits else 0
