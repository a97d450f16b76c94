"""The predecessor's long form of roles and layouts, told in the short one.

Its files load as they are. What had no effect there has none here, and a note says so; what metalab
does not do is refused by name. Whatever else is wrong is for the parsers to find: problems name
the place that somebody wrote, in the words that stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from lab.errors import Problem
from lab.files import Document, KeyPath
from lab.longnet import network_words
from lab.naming import ROLE
from lab.sheet import Place, Sheet, children, mapping_of, number_of

_VSWITCH = "Virtual switches are not supported"
_BGP = "BGP topologies are not supported"
_APPLIANCE = "Appliances are not supported: cloud-init sets up every image"
_ROLE_REFUSED = {
    "image": _APPLIANCE,
    "ips": _BGP,
    "introspection_nets": _BGP,
    "introspection_macs": _BGP,
}
_ROLE_DEAD = {
    "prefix": "the stack's name is the prefix",
    "flavor": "of another provisioner",
    "flavor_id": "of another provisioner",
}
_DISK_DEAD = {
    "dev": "disks come in the order of their names",
    "force_image_download": "images are known by their checksum",
}
_DISK_REFUSED = {"path": "The disks of an environment are in one pool"}
_NIC_REFUSED = {
    "connect_to": _VSWITCH,
    "src_model": _VSWITCH,
    "hub": _VSWITCH,
    "portgroup": _VSWITCH,
}
_NIC_DEAD = {"bridged": "that a network is a bridge is said by its forward"}
_LAYOUT_REFUSED = {
    "l3appliance_config": _APPLIANCE,
    "cidrs": _BGP,
}


@dataclass(frozen=True, slots=True)
class Told:
    """A document in the short form."""

    document: Document
    notes: tuple[str, ...]  # what has no effect, with its place
    problems: tuple[Problem, ...]


_Words = Iterator[tuple[str, Any]]


def tell(document: Document) -> Told:
    """A role or a layout in the short form; one that is short already comes back as it is."""
    sheet = Sheet(document.source)
    read = _layout if "networks" in document.raw else _role
    raw = dict(read(sheet, document.raw))
    places = {**document.source.places, **sheet.places}
    source = replace(document.source, places=places)
    return Told(Document(raw, source), tuple(sheet.notes), tuple(sheet.problems))


def _role(sheet: Sheet, raw: Mapping[str, Any]) -> _Words:
    for key, value in raw.items():
        if not sheet.sift(Place().at(key), _ROLE_DEAD, _ROLE_REFUSED):
            yield from _ROLE.get(key, _same)(sheet, Place(), key, value)


def _layout(sheet: Sheet, raw: Mapping[str, Any]) -> _Words:
    for key, value in raw.items():
        entries = mapping_of(value)
        if sheet.sift(Place().at(key), {}, _LAYOUT_REFUSED):
            continue
        if entries is None or key not in ("networks", "nodes"):
            yield key, value
            continue
        entry = _network if key == "networks" else _role_nics
        told: dict[str, Any] = {}
        for inner, words in entries.items():
            name, short = entry(sheet, (key, inner), words)
            if name in told:
                place = Place(old=(key, inner))
                sheet.wrong(place, name, "each name once", "duplicate-key")
            told[name] = short
        yield key, told


def _network(sheet: Sheet, old: KeyPath, words: object) -> tuple[str, object]:
    entry = mapping_of(words)
    if entry is None:
        return str(old[-1]), words
    name = str(entry.get("name") or old[-1])
    place = Place(("networks", name), old)
    sheet.keep(place, {})
    told: dict[str, Any] = {}
    for word in network_words(entry):
        here = Place((*place.new, word.key), (*old, *word.path))
        if word.kind == "dead":
            sheet.dead(here, word.why)
        elif word.kind == "refused":
            sheet.refuse(here, word.why)
        elif word.kind == "wrong":
            sheet.wrong(here, word.value, word.why, word.rule)
        elif word.key in told:
            sheet.wrong(here, word.path[0], f"one of the two that say {word.key}", "duplicate-key")
        else:
            told[word.key] = sheet.keep(here, word.value)
    return name, told


def _role_nics(sheet: Sheet, old: KeyPath, words: object) -> tuple[str, object]:
    name = _hyphens(sheet, old, str(old[-1]))
    place = Place(("nodes", name), old)
    sheet.keep(place, {})
    entry = mapping_of(words)
    if entry is None:
        return name, words
    told: dict[str, Any] = {}
    for key, value in entry.items():
        told.update(_NICS.get(key, _same)(sheet, place, key, value))
    return name, told


def _same(sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    yield key, sheet.keep(place.at(key), value)


def _moved(to: str, sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    if value is not None:
        yield to, sheet.keep(place.at(key, to), value)


def _name(sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    old = place.at(key).old
    yield key, _hyphens(sheet, old, value) if isinstance(value, str) else value


def _hyphens(sheet: Sheet, old: KeyPath, name: str) -> str:
    """Host names have no underscores."""
    hyphens = name.replace("_", "-")
    if hyphens == name or not ROLE.fullmatch(hyphens):
        return name
    sheet.notes.append(f"{sheet.source.where(old)}: {name} is called {hyphens}")
    return hyphens


def _swap(sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    if value not in (None, "0", 0):
        yield from _same(sheet, place, key, value)


def _os(sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    words, here = mapping_of(value), place.at(key)
    if words is None:
        sheet.wrong(here, value, "a mapping, or os_variant", "mapping")
    for word, inner in (words or {}).items():
        if word == "type":
            sheet.dead(here.at(word), "cloud-init finds out")
        elif word == "variant":
            told = Place((*place.new, "os_variant"), here.at(word).old)
            yield "os_variant", sheet.keep(told, inner)
        else:
            sheet.wrong(here.at(word), word, "only type, variant", "unknown-key")


def _libguestfs(sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    if value is False:
        sheet.refuse(place.at(key), _APPLIANCE)
    else:
        sheet.dead(place.at(key), "no image is changed before it starts")
    yield from ()


def _disks(sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    named = mapping_of(value)
    if named is None:
        yield key, value
    else:
        yield key, _row(sheet, place.at(key), sorted(named.items(), key=_natural), _disk)


def _disk(sheet: Sheet, place: Place, disk: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for key, value in disk.items():
        if key == "image_url":
            sheet.wrong(place.at(key), key, "import_url", "unknown-key")
        elif value is not None and not sheet.sift(place.at(key), _DISK_DEAD, _DISK_REFUSED):
            to = _IMAGE.get(key, key)
            told[to] = sheet.keep(place.at(key, to), value)
    return told


def _interfaces(sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    inner = tuple(children(value))
    if mapping_of(value) and any(isinstance(each, list) for _, each in inner):
        sheet.refuse(place.at(key), _BGP)
    elif isinstance(value, dict | list):
        row = sorted(inner, key=_natural) if mapping_of(cast("object", value)) else inner
        yield key, _row(sheet, place.at(key), row, _nic)
    elif value is not None:
        yield key, value


def _nic(sheet: Sheet, place: Place, nic: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: sheet.keep(place.at(key), value)
        for key, value in nic.items()
        if not sheet.sift(place.at(key), _NIC_DEAD, _NIC_REFUSED)
    }


def _row(
    sheet: Sheet,
    place: Place,
    items: Iterable[tuple[str | int, object]],
    one: Callable[[Sheet, Place, Mapping[str, Any]], object],
) -> list[object]:
    """Items in order, whatever they were called."""
    told: list[object] = []
    for key, value in items:
        here, words = place.at(key, len(told)), mapping_of(value)
        sheet.keep(here, {})
        told.append(value if words is None else one(sheet, here, words))
    return told


def _way(sheet: Sheet, place: Place, key: str, value: object) -> _Words:
    """`external_network: {network: management}`, which the documents show as a text."""
    words, here = mapping_of(value), place.at(key)
    if words is None:
        yield from _moved(key, sheet, place, key, value)
        return
    told = _nic(sheet, here, words)
    for word in sorted(told.keys() - {"network"}):
        sheet.wrong(here.at(word), word, "only network", "unknown-key")
    yield key, sheet.keep(here, told.get("network"))


_IMAGE = {"import_url": "image_url", "import_sha256": "image_sha256"}
_Handler = Callable[[Sheet, Place, str, Any], _Words]
_NICS: dict[str, _Handler] = {
    "interfaces": _interfaces,
    "external_network": _way,
    "provision_network": _way,
}
_ROLE: dict[str, _Handler] = {
    **_NICS,
    "name": _name,
    "disks": _disks,
    "swap": _swap,
    "os": _os,
    "supports_libguestfs": _libguestfs,
    **{old: partial(_moved, new) for old, new in _IMAGE.items()},
}


def _natural(item: tuple[str | int, object]) -> tuple[int, str]:
    """Sorts `disk2` before `disk10`."""
    name = str(item[0])
    return number_of(name), name
