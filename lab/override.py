"""What a stack says otherwise than the files it names: merged in before anybody reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.errors import Problem, shown
from lab.files import Document, KeyPath
from lab.sheet import children, mapping_of, number_of

NETWORKS = "networks"  # beside the roles, by the names of their files or nodes
_SHORT = {"disks": "size", "interfaces": "network"}  # what an item in short stands for


def overridden(
    document: Document, patch: Mapping[str, Any], where: str, problems: list[Problem]
) -> Document:
    """A file with other values; each remembers that it came from `where`.

    Mappings are merged, everything else is replaced. Items of a list go by their number, as the
    predecessor counted them: `disks: {disk2: {size: 100G}}`.

    Args:
        document: the file.
        patch: {"memory": "16G", ...}: only what differs.
        where: what to call the patch, such as "stacks/Pulumi.foo.yaml: override.controller".
        problems: takes items that are not in their list, nor the next one.
    """
    places = dict(document.source.places)
    merge = _Merge(places, problems)
    raw = mapping_of(merge.merged(document.raw, patch, (), where)) or {}
    return Document(raw, replace(document.source, places=places))


def network_keys(layout: Mapping[str, Any]) -> dict[str, str]:
    """The key of each network of a layout, by its name and by that key."""
    entries = mapping_of(layout.get(NETWORKS)) or {}
    names = {str((mapping_of(entry) or {}).get("name", key)): key for key, entry in entries.items()}
    return {**{key: key for key in entries}, **names}


@dataclass(frozen=True, slots=True)
class _Merge:
    places: dict[KeyPath, str]
    problems: list[Problem]

    def merged(self, was: object, patch: object, path: KeyPath, where: str) -> object:
        self.places[path] = where
        words = mapping_of(patch)
        if words is None:
            return patch
        short = _SHORT.get(str(path[-1])) if path else None
        if short and mapping_of(was) is None and was:
            items = [item for _, item in children(was)]
            return self._listed(items, words, (path, where, short))
        told = dict(mapping_of(was) or {})
        for key, value in words.items():
            told[key] = self.merged(told.get(key), value, (*path, key), f"{where}.{key}")
        return told

    def _listed(
        self, items: list[Any], words: Mapping[str, Any], at: tuple[KeyPath, str, str]
    ) -> list[Any]:
        path, where, short = at
        for key, value in sorted(words.items(), key=lambda item: number_of(item[0])):
            index, most = number_of(key) - 1, len(items)
            if not 0 <= index <= most:
                allowed = f"a name with a number from 1 to {most + 1} at its end, such as disk2"
                self.problems.append(Problem(f"{where}.{key}", shown(key), allowed, "override"))
                continue
            was: Any = items[index] if index < most else {}
            whole = was if mapping_of(was) is not None else {short: was}
            items[index:] = [
                self.merged(whole, value, (*path, index), f"{where}.{key}"),
                *items[index + 1 :],
            ]
        return items
