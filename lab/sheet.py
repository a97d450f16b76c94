"""Words that are told anew: where they stand then, and where somebody wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from lab.errors import Problem, shown
from lab.files import KeyPath, Source


class Place(NamedTuple):
    """Where a mapping stands in the short form, and where it was written."""

    new: KeyPath = ()
    old: KeyPath = ()

    def at(self, key: str | int, to: str | int | None = None) -> Place:
        """The place of a value below."""
        return Place((*self.new, key if to is None else to), (*self.old, key))


@dataclass(slots=True)
class Sheet:
    """What was seen on the way, with the place that each word came from."""

    source: Source
    places: dict[KeyPath, str] = field(default_factory=dict[KeyPath, str])
    notes: list[str] = field(default_factory=list[str])
    problems: list[Problem] = field(default_factory=list[Problem])

    def keep(self, place: Place, value: object) -> object:
        """A value as it is, at another place."""
        if place.new != place.old:
            self.places[place.new] = self.source.where(place.old)
        for key, inner in children(value):
            self.keep(place.at(key), inner)
        return value

    def dead(self, place: Place, why: str) -> None:
        """Note what has no effect."""
        self.notes.append(f"{self.source.where(place.old)} has no effect: {why}")

    def refuse(self, place: Place, why: str) -> None:
        """Name what metalab does not do, and why."""
        where, key = self.source.where(place.old), str(place.old[-1])
        self.problems.append(Problem(where, key, "no such key", "unsupported", why))

    def wrong(self, place: Place, got: object, allowed: str, rule: str) -> None:
        """Note what cannot be told."""
        self.problems.append(Problem(self.source.where(place.old), shown(got), allowed, rule))

    def sift(self, place: Place, dead: Mapping[str, str], refused: Mapping[str, str]) -> bool:
        """Whether a word was dealt with by its name alone."""
        key = str(place.old[-1])
        if key in refused:
            self.refuse(place, refused[key])
        elif key in dead:
            self.dead(place, dead[key])
        return key in refused or key in dead


def mapping_of(value: object) -> dict[str, Any] | None:
    """A mapping, or None."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def number_of(name: str) -> int:
    """The number at the end of `disk2`; 0 where there is none."""
    digits = re.search(r"[0-9]{1,4}$", name)
    return int(digits[0]) if digits else 0


def children(value: object) -> Iterator[tuple[str | int, Any]]:
    """What is in a mapping or a list, with its key or place."""
    if isinstance(value, dict):
        yield from cast("dict[str, Any]", value).items()
    elif isinstance(value, list):
        yield from enumerate(cast("list[Any]", value))
