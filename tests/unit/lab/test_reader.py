from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import Problem
from lab.files import Source
from lab.reader import Reader, near


def read(raw: dict[str, Any]) -> tuple[Reader, list[Problem]]:
    problems: list[Problem] = []
    return Reader(raw, Source("f.yaml"), problems), problems


@pytest.mark.parametrize(
    ("written", "mib"),
    [
        pytest.param(8192, 8192, id="a number is MiB"),
        pytest.param("8192", 8192, id="a number in quotes"),
        pytest.param("8192M", 8192, id="M"),
        pytest.param("32G", 32768, id="32G as a string"),
        pytest.param("32GB", 32768, id="GB is GiB here"),
        pytest.param("32GiB", 32768, id="GiB"),
        pytest.param("32 gib", 32768, id="a blank and lower case"),
        pytest.param("1T", 1_048_576, id="T"),
        pytest.param("131072K", 128, id="K that is whole MiB"),
    ],
)
def test_sizes_are_understood(written: object, mib: int) -> None:
    entry, problems = read({"memory": written})
    assert entry.size_mib("memory", at_least=64, at_most=2_000_000) == mib
    assert problems == []


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("lots", id="a word"),
        pytest.param("", id="empty"),
        pytest.param(None, id="nothing"),
        pytest.param(True, id="yes is no number"),
        pytest.param(-1, id="negative"),
        pytest.param(63, id="too little"),
        pytest.param("2T", id="too much"),
        pytest.param(1.5, id="a fraction"),
        pytest.param("1.5G", id="a fraction with a unit"),
        pytest.param("100K", id="less than one MiB"),
        pytest.param("8 G G", id="two units"),
        pytest.param([8], id="a list"),
        pytest.param("9" * 5000, id="more digits than Python reads"),
    ],
)
def test_sizes_are_refused(written: object) -> None:
    entry, problems = read({"memory": written})
    assert entry.size_mib("memory", at_least=64, at_most=1_048_576) == 64
    (problem,) = problems
    assert problem.rule == "size"
    assert problem.where == "f.yaml: memory"
    assert "such as 8G" in problem.allowed


@given(st.integers(1, 4096))
def test_a_size_means_the_same_in_every_unit(gib: int) -> None:
    raw = {"a": f"{gib}G", "b": gib * 1024, "c": f"{gib * 1024}M", "d": f"{gib * 1024**2}K"}
    entry, problems = read(raw)
    sizes = {entry.size_mib(key, at_least=1, at_most=10**9) for key in raw}
    assert sizes == {gib * 1024}
    assert problems == []


@pytest.mark.parametrize(
    ("written", "gib"),
    [
        pytest.param([64], (64,), id="numbers are GiB"),
        pytest.param(["64G", 2], (64, 2), id="G and plain"),
        pytest.param("40G", (40,), id="one without a list"),
        pytest.param("40G, 1T", (40, 1024), id="a text"),
        pytest.param('["40G", {"size": 2}]', (40, 2), id="JSON, as the engine hands it over"),
        pytest.param(["1024M"], (1,), id="M that is whole GiB"),
        pytest.param(["2G", {"size": "3G"}], (2, 3), id="a mapping among them"),
        pytest.param([], (), id="none"),
        pytest.param(["0.5T"], None, id="a fraction"),
        pytest.param(["512M"], None, id="less than one GiB"),
        pytest.param(None, None, id="nothing"),
        pytest.param([None], None, id="nothing in the list"),
        pytest.param([{}], None, id="an empty mapping"),
        pytest.param([[2]], None, id="a list in the list"),
        pytest.param([1] * 27, None, id="too many"),
    ],
)
def test_items(written: object, gib: tuple[int, ...] | None) -> None:
    entry, problems = read({"disks": written})
    items = entry.items("disks", short="size", fewest=0, most=26)
    sizes = tuple(item.size_gib("size", at_least=1, at_most=65_536) for item in items)
    assert bool(problems) is (gib is None)
    if gib is not None:
        assert sizes == gib


def test_a_short_item_is_named_by_its_list_and_a_whole_one_by_its_key() -> None:
    entry, problems = read({"disks": ["x", {"size": "y", "bsu": 1}]})
    for item in entry.items("disks", short="size", fewest=0, most=26):
        item.size_gib("size", at_least=1, at_most=9)
        item.close()
    assert [problem.where for problem in problems] == [
        "f.yaml: disks",
        "f.yaml: disks.1.size",
        "f.yaml: disks.1.bsu",
    ]


@pytest.mark.parametrize(
    ("written", "ok"),
    [
        pytest.param(1, True, id="the lower bound"),
        pytest.param(512, True, id="the upper bound"),
        pytest.param("4", True, id="in quotes, as the engine hands it over"),
        pytest.param(0, False, id="too small"),
        pytest.param(513, False, id="too large"),
        pytest.param(-1, False, id="negative"),
        pytest.param("-1", False, id="negative in quotes"),
        pytest.param(True, False, id="a boolean is no number"),
        pytest.param(4.0, False, id="a float"),
        pytest.param("four", False, id="a word"),
        pytest.param("9" * 5000, False, id="more digits than Python reads"),
        pytest.param(None, False, id="nothing"),
        pytest.param([4], False, id="a list"),
    ],
)
def test_integers(written: object, ok: bool) -> None:
    entry, problems = read({"cpu": written})
    assert 1 <= entry.integer("cpu", at_least=1, at_most=512) <= 512
    assert [problem.rule for problem in problems] == ([] if ok else ["range"])


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        pytest.param(True, True, id="true"),
        pytest.param("false", False, id="text, as the engine hands it over"),
        pytest.param("Yes", True, id="Yes"),
        pytest.param(None, True, id="the default"),
        pytest.param("maybe", None, id="a word"),
        pytest.param(1, None, id="a number"),
    ],
)
def test_booleans(written: object, answer: bool | None) -> None:
    entry, problems = read({"dhcp": written})
    assert entry.boolean("dhcp", default=True) is (True if answer is None else answer)
    assert bool(problems) is (answer is None)


@pytest.mark.parametrize(
    ("written", "answer", "rules"),
    [
        pytest.param(["a", "b"], ("a", "b"), [], id="a list"),
        pytest.param("a, b", ("a", "b"), [], id="one text"),
        pytest.param('["a", "b"]', ("a", "b"), [], id="JSON, as the engine hands it over"),
        pytest.param(["a", "a"], ("a", "a"), [], id="a name twice"),
        pytest.param([], (), [], id="an empty list"),
        pytest.param("", (), [], id="an empty text"),
        pytest.param({"a": 1}, (), ["list"], id="a mapping"),
        pytest.param(5, (), ["list"], id="a number"),
    ],
)
def test_names(written: object, answer: tuple[str, ...], rules: list[str]) -> None:
    entry, problems = read({"groups": written})
    assert entry.names("groups") == answer
    assert [problem.rule for problem in problems] == rules


@pytest.mark.parametrize(
    ("written", "answer", "rules"),
    [
        pytest.param(["a", "b"], ("a", "b"), [], id="a list"),
        pytest.param("a, b", ("a", "b"), [], id="one text"),
        pytest.param(["a", "x"], ("a", "a"), ["reference"], id="an unknown name"),
        pytest.param(["a", "a"], ("a", "a"), [], id="a name twice"),
        pytest.param([], (), ["list"], id="an empty list"),
        pytest.param("", (), ["list"], id="an empty text"),
        pytest.param(None, ("a",), ["reference"], id="nothing"),
        pytest.param({"a": 1}, ("a",), ["reference"], id="a mapping"),
        pytest.param(5, ("a",), ["reference"], id="a number"),
    ],
)
def test_names_among_known_ones(written: object, answer: tuple[str, ...], rules: list[str]) -> None:
    """As `interfaces` are read: an item is a name, or a mapping that has one."""
    entry, problems = read({"interfaces": written})
    items = entry.items("interfaces", short="network", fewest=1, most=9)
    assert tuple(item.name("network", ["a", "b"], means="x") for item in items) == answer
    assert [problem.rule for problem in problems] == rules


def test_names_of_any_kind_may_be_missing() -> None:
    entry, problems = read({})
    assert entry.names("groups") == ()
    assert problems == []


@pytest.mark.parametrize(
    ("written", "answer", "ok"),
    [
        pytest.param(True, (True, None), True, id="any"),
        pytest.param("yes", (True, None), True, id="any in words"),
        pytest.param(None, (False, None), True, id="not written"),
        pytest.param("2001:db8::/64", (True, IPv6Network("2001:db8::/64")), True, id="a /64"),
        pytest.param("2001:db8::/48", (True, None), False, id="for many networks"),
        pytest.param("2001:db8::/65", (True, None), False, id="no room for a MAC"),
        pytest.param("2001:db8::1/64", (True, None), False, id="host bits"),
        pytest.param("fe80::/64", (True, None), False, id="link-local"),
        pytest.param("2001:db8::%1/64", (True, None), False, id="a zone"),
        pytest.param("192.0.2.0/24", (True, None), False, id="IPv4"),
        pytest.param(64, (True, None), False, id="a number"),
    ],
)
def test_subnets_of_ipv6(written: object, answer: object, ok: bool) -> None:
    entry, problems = read({"ipv6": written})
    assert entry.subnet6("ipv6") == answer
    assert [problem.rule for problem in problems] == ([] if ok else ["subnet"])


@pytest.mark.parametrize(
    ("written", "host"),
    [
        pytest.param("192.0.2.0/24", 1, id="a /24"),
        pytest.param("10.0.0.0/16", 1, id="the widest"),
        pytest.param("10.0.0.0/29", 1, id="the narrowest"),
        pytest.param("192.0.2.254/24", 254, id="the host's own address"),
        pytest.param("192.0.2.255/24", None, id="everybody's address"),
        pytest.param("10.0.0.0/15", None, id="too wide"),
        pytest.param("10.0.0.0/30", None, id="too narrow"),
        pytest.param("2001:db8::/64", None, id="IPv6"),
        pytest.param("nonsense", None, id="a word"),
        pytest.param(24, None, id="a number"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_subnets(written: object, host: int | None) -> None:
    entry, problems = read({"cidr": written})
    subnet, number = entry.subnet("cidr")
    assert isinstance(subnet, IPv4Network)
    assert [problem.rule for problem in problems] == ([] if host else ["subnet"])
    assert number == (host or 1)


@pytest.mark.parametrize(
    ("written", "keys", "refused"),
    [
        pytest.param({"a": 1}, ("a",), False, id="a mapping"),
        pytest.param('{"a": 1}', ("a",), False, id="JSON text, as the engine hands it over"),
        pytest.param('{"a": ', (), True, id="broken JSON text"),
        pytest.param('{"a":' * 100_000, (), True, id="JSON text without a floor"),
        pytest.param("a", (), True, id="a word"),
        pytest.param(["a"], (), True, id="a list"),
        pytest.param(None, (), True, id="nothing"),
    ],
)
def test_mappings(written: object, keys: tuple[str, ...], refused: bool) -> None:
    entry, problems = read({"nodes": written})
    assert entry.mapping("nodes").keys() == keys
    assert [problem.rule for problem in problems] == (["mapping"] if refused else [])


def test_an_optional_mapping_may_be_missing() -> None:
    entry, problems = read({})
    assert entry.mapping("nodes", required=False).keys() == ()
    assert problems == []


def test_close_refuses_what_nobody_asked_for_and_offers_the_nearest() -> None:
    entry, problems = read({"memory": 64, "memroy": 1, "zzz": 2})
    entry.size_mib("memory", at_least=1, at_most=64)
    entry.close()
    assert [(p.where, p.got, p.allowed, p.next_step) for p in problems] == [
        ("f.yaml: memroy", "'memroy'", "only memory", "Did you mean memory?"),
        ("f.yaml: zzz", "'zzz'", "only memory", ""),
    ]


def test_entries_refuse_names_of_another_form() -> None:
    entry, problems = read({"data": {}, "Data": {}, "data\n": {}})
    names = [name for name, _ in entry.entries(re.compile("[a-z]+"), "lower case")]
    assert names == ["data"]
    assert [problem.got for problem in problems] == ["'Data'", r"'data\n'"]


def test_a_long_value_is_shortened_in_the_message() -> None:
    entry, problems = read({"memory": "x" * 1_000_000})
    entry.size_mib("memory", at_least=1, at_most=2)
    assert len(str(problems[0])) < 300


def test_control_characters_do_not_reach_the_terminal() -> None:
    entry, problems = read({"memory": "\x1b[31m", "\x1b[32m": 1})
    entry.size_mib("memory", at_least=1, at_most=2)
    entry.close()
    assert "\x1b" not in "".join(map(str, problems))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(JUNK)
def test_no_question_raises_whatever_was_written(junk: Any) -> None:
    entry, _ = read({"k": junk})
    assert 1 <= entry.integer("k", at_least=1, at_most=9) <= 9
    assert 1 <= entry.size_mib("k", at_least=1, at_most=9) <= 9
    assert 1 <= entry.size_gib("k", at_least=1, at_most=9) <= 9
    for item in entry.items("k", short="s", fewest=1, most=2):
        assert isinstance(item.text("s"), str)
    assert entry.boolean("k", default=True) in {True, False}
    assert isinstance(entry.text("k"), str)
    assert entry.choice("k", ("a", "b"), default="a") in {"a", "b"}
    assert entry.name("k", ["a", "b"], means="x") in {"a", "b"}
    assert all(isinstance(name, str) for name in entry.names("k"))
    assert entry.subnet("k")[0].prefixlen >= 16
    assert (entry.subnet6("k")[1] or IPv6Network("::/64")).prefixlen == 64
    entry.mapping("k").close()
    entry.close()


@pytest.mark.parametrize(
    ("word", "step"),
    [
        pytest.param("contrller", "Did you mean controller?", id="one letter off"),
        pytest.param("xyz", "", id="nothing is near"),
    ],
)
def test_near(word: str, step: str) -> None:
    assert near(word, ["compute", "controller"]) == step
