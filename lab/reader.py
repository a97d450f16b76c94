"""A mapping somebody wrote, read into typed answers.

A Reader never raises and never guesses: a bad value is noted as a Problem and answered with a
legal stand-in, so that reading goes on and the user sees every problem at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from ipaddress import IPv4Interface, IPv4Network, IPv6Network
from typing import Any, cast

from lab.errors import Problem, shown
from lab.files import KeyPath, Source

_INTEGER = re.compile(r"-?[0-9]{1,18}")  # longer ones are no answer, and slow to read
_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_MIB = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024 * 1024}
_SPAN = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_YES_NO = {"true": True, "yes": True, "false": False, "no": False}
_REQUIRED = object()


def near(word: str, known: Iterable[str]) -> str:
    """A next step that offers the nearest known word, or nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else ""


def _of_json(got: object, opening: str) -> object:
    """What JSON text stands for, as `pulumi config set` stores it; anything else as it is."""
    if isinstance(got, str) and got.lstrip().startswith(opening):
        with suppress(ValueError, RecursionError):  # then it is a text, and refused as such
            return json.loads(got)
    return got


def _listed(got: object) -> object:
    """The items of a list's JSON text, or of `a, b`; anything else as it is."""
    found = _of_json(got, "[")
    if isinstance(found, str):
        return [part.strip() for part in found.split(",") if part.strip()]
    return found


class Reader:
    """Questions to one mapping. The questions asked are its schema: `close` refuses other keys."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        source: Source,
        problems: list[Problem],
        path: KeyPath = (),
        *,
        sole: bool = False,  # one value stands for the mapping: problems are the path's own
    ) -> None:
        self._raw = raw
        self._source = source
        self._problems = problems
        self._path = path
        self._sole = sole
        self._asked: set[str] = set()

    def has(self, key: str, *beside: str) -> bool:
        """Whether the key was written, and not null; `beside` has no meaning without it."""
        self._asked.add(key)
        found = self._raw.get(key) is not None
        self._asked |= set(beside) if found else set()
        return found

    def written(self, key: str) -> bool:
        """Whether the key stands there, even with nothing behind it."""
        self._asked.add(key)
        return key in self._raw

    def integer(self, key: str, *, at_least: int, at_most: int, default: int | None = None) -> int:
        """Answer an integer within its bounds, both included; "5" is understood as 5."""
        got = self._ask(key, _REQUIRED if default is None else default)
        if isinstance(got, str) and _INTEGER.fullmatch(got):
            got = int(got)
        if type(got) is int and at_least <= got <= at_most:  # isinstance would let YAML's true in
            return got
        self.refuse(key, got, f"an integer from {at_least} to {at_most}", "range")
        return at_least

    def size_mib(self, key: str, *, at_least: int, at_most: int, default: int | None = None) -> int:
        """Answer a size in MiB from `8192`, `8192M` or `8G`."""
        got = self._ask(key, _REQUIRED if default is None else default)
        return self._size(key, got, 1, at_least, at_most)

    def size_gib(self, key: str, *, at_least: int, at_most: int) -> int:
        """Answer a size in GiB from `64` or `64G`."""
        return self._size(key, self._ask(key), 1024, at_least, at_most)

    def items(self, key: str, *, short: str, fewest: int, most: int) -> tuple[Reader, ...]:
        """Answer a Reader for each item of a list, of its JSON text, or of `a, b` in one text.

        An item that is no mapping stands for one with the key `short` alone: `64G` for `size: 64G`.
        """
        got = _listed(self._ask(key))
        found = cast("list[object]", got if isinstance(got, list) else [got])
        if not fewest <= len(found) <= most:
            self.refuse(key, found, f"a list of {fewest} to {most}", "list")
        return tuple(self._item((*self._path, key), i, item, short) for i, item in enumerate(found))

    def _item(self, path: KeyPath, index: int, item: object, short: str) -> Reader:
        if isinstance(item, dict):
            raw = cast("dict[str, Any]", item)
            return Reader(raw, self._source, self._problems, (*path, index))
        return Reader({short: item}, self._source, self._problems, path, sole=True)

    def boolean(self, key: str, *, default: bool) -> bool:
        """Answer true or false; `yes`, `no` and the same words in quotes are understood."""
        got = self._ask(key, default)
        if isinstance(got, bool):
            return got
        if isinstance(got, str) and got.lower() in _YES_NO:
            return _YES_NO[got.lower()]
        self.refuse(key, got, "true or false", "boolean")
        return default

    def text(
        self, key: str, *, default: str | None = None, pattern: str = "", means: str = ""
    ) -> str:
        """Answer a non-empty text, of the given form if there is one."""
        got = self._ask(key, _REQUIRED if default is None else default)
        if isinstance(got, str) and got == default:
            return got
        if isinstance(got, str) and got and re.fullmatch(pattern or "(?s).+", got):
            return got
        self.refuse(key, got, means or "a text", "text")
        return default or ""

    def choice(self, key: str, among: Sequence[str], *, default: str) -> str:
        """Answer one of a few words."""
        got = self._ask(key, default)
        if got in among or got == default:
            return str(got)
        self.refuse(key, got, f"one of {', '.join(among)}", "choice", near(str(got), among))
        return default

    def name(self, key: str, among: Collection[str], *, means: str) -> str:
        """Answer one of the names that exist, such as a network's; `means` says what they are."""
        got = self._ask(key)
        if isinstance(got, str) and got in among:
            return got
        allowed = f"one of {', '.join(among)}" if among else means
        self.refuse(key, got, allowed, "reference", near(str(got), among))
        return next(iter(among), "")

    def names(self, key: str) -> tuple[str, ...]:
        """Answer a list of names, or none: a list, its JSON text, or `a, b` in one text."""
        got = _listed(self._ask(key, ""))
        if not isinstance(got, list):
            self.refuse(key, got, "a list of names", "list")
            return ()
        return tuple(str(item) for item in cast("list[object]", got))

    def subnet(self, key: str) -> tuple[IPv4Network, int]:
        """Answer an IPv4 subnet of /16 to /29, and the host number of the hypervisor's address.

        That is the first, unless the address before the mask is a host's: 192.0.2.254/24.
        """
        got = self._ask(key)
        try:
            own = IPv4Interface(str(got))
        except ValueError:
            own = None
        if own is not None and 16 <= own.network.prefixlen <= 29:  # noqa: PLR2004 - said in the message
            number = int(own.ip) - int(own.network.network_address)
            if number < own.network.num_addresses - 1:  # the last one calls all of them
                return own.network, number or 1
        self.refuse(key, got, "an IPv4 subnet from /16 to /29, such as 192.0.2.0/24", "subnet")
        return IPv4Network("192.0.2.0/24"), 1

    def subnet6(self, key: str) -> tuple[bool, IPv6Network | None]:
        """Answer true or false, or true and an IPv6 /64: no guest takes an address of another."""
        got = self._ask(key, default=False)
        if isinstance(got, bool) or str(got).lower() in _YES_NO:
            return self.boolean(key, default=False), None
        with suppress(ValueError):
            subnet = IPv6Network(str(got).replace("%", "!"))  # a zone is a link's, and no guest's
            if subnet.prefixlen == 64 and not (subnet.is_link_local or subnet.is_multicast):  # noqa: PLR2004 - said in the message
                return True, subnet
        allowed = "true, false, or an IPv6 subnet of /64, such as 2001:db8:1::/64"
        self.refuse(key, got, allowed, "subnet")
        return True, None

    def host_numbers(
        self, key: str, *, at_least: int, at_most: int
    ) -> tuple[bool, tuple[int, int] | None]:
        """Answer true or false, or true and the bounds of `2-100`: host numbers of a subnet."""
        got = self._ask(key, default=False)
        if isinstance(got, bool) or str(got).lower() in _YES_NO:
            return self.boolean(key, default=False), None
        span = _SPAN.fullmatch(str(got))
        first, last = (int(span[1]), int(span[2])) if span else (0, 0)
        if at_least <= first <= last <= at_most:
            return True, (first, last)
        example = f"{at_least}-{at_most}"
        allowed = f"true, false, or host numbers from {at_least} to {at_most}, such as {example}"
        self.refuse(key, got, allowed, "dhcp-range")
        return True, None

    def mapping(self, key: str, *, required: bool = True, means: str = "a mapping") -> Reader:
        """Answer a Reader of an inner mapping, or of its JSON text. A required one is not empty."""
        got = _of_json(self._ask(key, _REQUIRED if required else {}), "{")
        if not isinstance(got, dict) or (required and not got):
            self.refuse(key, cast("object", got), means, "mapping")
            got = {}
        inner = cast("dict[str, object]", got)
        return Reader(inner, self._source, self._problems, (*self._path, key))

    def plain(self, key: str) -> dict[str, Any]:
        """Answer an inner mapping as it is, or its JSON text; for somebody else to read."""
        inner = self.mapping(key, required=False)
        words = inner.keys()
        return {word: inner.raw(word) for word in words}

    def entries(self, form: re.Pattern[str], means: str) -> Iterator[tuple[str, Reader]]:
        """Each key of this mapping with a Reader of its value: for mappings by name."""
        for key in self._raw:
            if form.fullmatch(key):
                yield key, self.mapping(key, required=False)
            else:
                self.refuse(key, key, means, "name")

    def keys(self) -> tuple[str, ...]:
        """The keys as written."""
        return tuple(self._raw)

    def raw(self, key: str) -> object:
        """The value as written, for a caller that knows several forms."""
        return self._ask(key)

    def refuse(self, key: str, got: object, allowed: str, rule: str, next_step: str = "") -> None:
        """Note a problem of one key's value."""
        self.note(key, shown(got), allowed, rule, next_step)

    def note(self, key: str, got: str, allowed: str, rule: str, next_step: str = "") -> None:
        """Note a problem of one key, with what was found in words."""
        self._problems.append(Problem(self.where(key), got, allowed, rule, next_step))

    def where(self, key: str) -> str:
        """Name the place of a key, for who finds out later that something is wrong there."""
        return self._source.where(self._path if self._sole else (*self._path, key))

    def close(self) -> None:
        """Refuse every key that nobody asked for: the questions are the schema, with no copy."""
        known = sorted(self._asked)
        for key in sorted(set(self._raw) - self._asked):
            self.refuse(key, key, f"only {', '.join(known)}", "unknown-key", near(key, known))

    def _ask(self, key: str, default: object = _REQUIRED) -> object:
        self._asked.add(key)
        got = self._raw.get(key)
        if got is not None:
            return got
        return None if default is _REQUIRED else default

    def _size(self, key: str, got: object, unit_mib: int, at_least: int, at_most: int) -> int:
        unit = "GiB" if unit_mib > 1 else "MiB"
        text = f"{got}G" if type(got) is int and unit_mib > 1 else str(got)
        match = _SIZE.fullmatch(text.strip())
        units = int(match[1]) * _MIB[match[2].upper()] / unit_mib if match else 0
        if match and units == int(units) and at_least <= units <= at_most:
            return int(units)
        allowed = f"a size from {at_least} to {at_most} {unit}, such as 8G"
        self.refuse(key, got, allowed, "size")
        return at_least
