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
        pytest.param("40G", (40,), id="one disk without a list"),
        pytest.param(["1024M"], (1,), id="M that is whole GiB"),
        pytest.param(["0.5T"], None, id="a fraction"),
        pytest.param(["512M"], None, id="less than one GiB"),
        pytest.param(None, None, id="nothing"),
        pytest.param([None], None, id="nothing in the list"),
        pytest.param([], None, id="no disk"),
        pytest.param([1] * 27, None, id="more disks than vda to vdz"),
    ],
)
def test_disk_sizes(written: object, gib: tuple[int, ...] | None) -> None:
    entry, problems = read({"disks": written})
    sizes = entry.sizes_gib("disks", at_least=1, at_most=65_536, most=26)
    assert bool(problems) is (gib is None)
    if gib is not None:
        assert sizes == gib


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
        pytest.param(["a", "x"], ("a",), ["reference"], id="an unknown name"),
        pytest.param(["a", "a"], ("a", "a"), [], id="a name twice"),
        pytest.param([], (), ["list"], id="an empty list"),
        pytest.param("", (), ["list"], id="an empty text"),
        pytest.param(None, (), ["list"], id="nothing"),
        pytest.param({"a": 1}, (), ["list"], id="a mapping"),
        pytest.param(5, (), ["list"], id="a number"),
    ],
)
def test_names_among_known_ones(written: object, answer: tuple[str, ...], rules: list[str]) -> None:
    entry, problems = read({"interfaces": written})
    assert entry.names("interfaces", among=["a", "b"]) == answer
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
    ("written", "ports", "refused"),
    [
        pytest.param(None, [], [], id="not written"),
        pytest.param([], [], [], id="none"),
        pytest.param([{"port": 1}, {"port": 2}], [1, 2], [], id="two"),
        pytest.param([{"port": 1}, 7], [1], ["f.yaml: srv: got [{'port': 1}"], id="one is none"),
        pytest.param({"port": 1}, [], ["f.yaml: srv: got {'port': 1}"], id="no list"),
        pytest.param([{"port": "a"}], [1], ["f.yaml: srv.0.port: got 'a'"], id="where it stands"),
    ],
)
def test_lists_of_mappings(written: object, ports: list[int], refused: list[str]) -> None:
    entry, problems = read({"srv": written})
    found = [item.integer("port", at_least=1, at_most=9) for item in entry.items("srv")]
    assert found == ports
    assert [str(problem).partition(",")[0] for problem in problems] == refused


@pytest.mark.parametrize(
    ("written", "ok"),
    [
        pytest.param("192.0.2.0/24", True, id="a /24"),
        pytest.param("10.0.0.0/16", True, id="the widest"),
        pytest.param("10.0.0.0/29", True, id="the narrowest"),
        pytest.param("10.0.0.0/15", False, id="too wide"),
        pytest.param("10.0.0.0/30", False, id="too narrow"),
        pytest.param("192.0.2.1/24", False, id="host bits"),
        pytest.param("2001:db8::/64", False, id="IPv6"),
        pytest.param("nonsense", False, id="a word"),
        pytest.param(24, False, id="a number"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_subnets(written: object, ok: bool) -> None:
    entry, problems = read({"cidr": written})
    subnet = entry.subnet("cidr")
    assert isinstance(subnet, IPv4Network)
    assert [problem.rule for problem in problems] == ([] if ok else ["subnet"])


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
    assert set(entry.sizes_gib("k", at_least=1, at_most=9)) <= set(range(1, 10))
    assert entry.boolean("k", default=True) in {True, False}
    assert isinstance(entry.text("k"), str)
    assert entry.choice("k", ("a", "b"), default="a") in {"a", "b"}
    assert entry.name("k", ["a", "b"], means="x") in {"a", "b"}
    assert set(entry.names("k", ["a", "b"])) <= {"a", "b"}
    assert entry.subnet("k").prefixlen >= 16
    assert (entry.subnet6("k")[1] or IPv6Network("::/64")).prefixlen == 64
    for item in entry.items("k"):
        item.close()
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
