from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.lease import FORMAT, HeldNode, Lease, check_claim, parse_lease
from tests.unit.lab.samples import plan

WORDS = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
SMALL = st.integers(0, 10**6)
SUBNETS = st.builds(lambda i: f"10.{i // 256}.{i % 256}.0/24", st.integers(0, 65_535))
SUBNETS6 = st.builds(lambda i: f"fd00:{i:x}::/64", st.integers(0, 65_535))
NODES = st.builds(
    HeldNode,
    numbers=st.dictionaries(WORDS, SMALL, max_size=3),
    disks_gib=st.dictionaries(WORDS, SMALL, max_size=3),
    image=st.sampled_from(["", "a" * 64]),
    memory_mib=SMALL,
)
LEASES = st.builds(
    Lease,
    prefix=WORDS,
    virt_type=st.sampled_from(["kvm", "qemu"]),
    subnets=st.dictionaries(WORDS, SUBNETS, max_size=3),
    preferred=st.dictionaries(WORDS, SUBNETS, max_size=3),
    subnets6=st.dictionaries(WORDS, SUBNETS6, max_size=3),
    preferred6=st.dictionaries(WORDS, SUBNETS6 | st.just("any"), max_size=3),
    nodes=st.dictionaries(WORDS, NODES, max_size=3),
    memory_mib=SMALL,
    vcpus=SMALL,
    disk_gib=SMALL,
)


@given(LEASES)
def test_a_lease_survives_its_file(lease: Lease) -> None:
    text = lease.to_json()
    assert parse_lease(text) == lease
    assert parse_lease(text).to_json() == text
    assert text.endswith("\n")


def test_equal_leases_give_equal_bytes() -> None:
    a = Lease(prefix="foo", virt_type="kvm", subnets={"a": "10.0.0.0/24", "b": "10.0.1.0/24"})
    b = Lease(prefix="foo", virt_type="kvm", subnets={"b": "10.0.1.0/24", "a": "10.0.0.0/24"})
    assert a.to_json() == b.to_json()


GOOD: dict[str, Any] = json.loads(Lease(prefix="foo", virt_type="kvm").to_json())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="an empty file: the write was cut short"),
        pytest.param("{", id="half a file"),
        pytest.param("[]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param("{}", id="an empty mapping"),
        pytest.param(json.dumps(GOOD | {"format": FORMAT + 1}), id="of a newer metalab"),
        pytest.param(json.dumps(GOOD | {"colour": "red"}), id="an unknown field"),
        pytest.param(json.dumps({k: v for k, v in GOOD.items() if k != "prefix"}), id="no prefix"),
        pytest.param(json.dumps({k: v for k, v in GOOD.items() if k != "nodes"}), id="no nodes"),
        pytest.param(json.dumps(GOOD | {"nodes": []}), id="nodes as a list"),
        pytest.param(json.dumps(GOOD | {"nodes": {"a": 1}}), id="a node that is a number"),
        pytest.param(json.dumps(GOOD | {"subnets": {"a": "x"}}), id="a subnet that is none"),
        pytest.param(json.dumps(GOOD | {"memory_mib": "x"}), id="memory that is no number"),
        pytest.param(
            json.dumps(GOOD | {"nodes": {"a": {"numbers": {"data.x": 2}, "disks_gib": {}}}}),
            id="a NIC that is none",
        ),
    ],
)
def test_a_file_that_is_no_lease(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_lease(text)


def lease(prefix: str, subnet: str = "10.0.0.0/24", memory_mib: int = 100) -> Lease:
    return Lease(prefix=prefix, virt_type="kvm", subnets={"data": subnet}, memory_mib=memory_mib)


def subnets(lease: Lease) -> set[str]:
    return {*lease.subnets.values(), *lease.subnets6.values()}


@pytest.mark.parametrize(
    ("others", "limit", "rules"),
    [
        pytest.param({}, 100, [], id="an empty host, filled to the last MiB"),
        pytest.param({}, 99, ["memory-overcommit"], id="one MiB too much"),
        pytest.param({}, None, [], id="overcommit is allowed"),
        pytest.param({"foo": lease("foo")}, 100, [], id="our own older lease"),
        pytest.param({"bar": lease("bar", "10.0.1.0/24")}, 200, [], id="a neighbour beside"),
        pytest.param({"bar": lease("bar", "10.0.0.0/16")}, 200, ["lease-subnet"], id="in its way"),
        pytest.param(
            {"bar": lease("bar", "10.0.1.0/24")}, 199, ["memory-overcommit"], id="too much together"
        ),
        pytest.param(
            {"bar": lease("bar")}, 0, ["lease-subnet", "memory-overcommit"], id="both at once"
        ),
    ],
)
def test_claims(others: dict[str, Lease], limit: int | None, rules: list[str]) -> None:
    found = check_claim(lease("foo"), others, memory_limit_mib=limit, where="lab42")
    assert [problem.rule for problem in found] == rules
    assert all(problem.next_step for problem in found)


@given(st.lists(LEASES, max_size=4, unique_by=lambda each: each.prefix), LEASES)
def test_claims_that_pass_never_overlap(leases: list[Lease], claim: Lease) -> None:
    others = {each.prefix: each for each in leases if each.prefix != claim.prefix}
    if check_claim(claim, others, memory_limit_mib=None, where="lab42"):
        return
    assert not subnets(claim) & {subnet for each in others.values() for subnet in subnets(each)}


def test_a_claim_of_a_64_that_somebody_leased_meanwhile() -> None:
    """Two runs at once, with one wish: the lock lets the second one see what the first got."""
    mine, theirs = (
        replace(lease(prefix, f"10.0.{nth}.0/24"), subnets6={"data": "2001:db8:1::/64"})
        for nth, prefix in enumerate(("foo", "bar"))
    )
    (problem,) = check_claim(mine, {"bar": theirs}, memory_limit_mib=None, where="lab42")
    assert problem.rule == "lease-subnet"
    assert problem.got == "2001:db8:1::/64, which bar leased as data meanwhile"


def test_without_ipv6_a_lease_is_what_it_was() -> None:
    """An older metalab reads it, and the resource that writes it sees no change."""
    assert "6" not in "".join(json.loads(lease("foo").to_json()))


def test_a_plan_s_own_lease_is_a_lease() -> None:
    held = plan().lease
    assert parse_lease(held.to_json()) == held
    assert check_claim(held, {"foo": held}, memory_limit_mib=held.memory_mib, where="x") == []


@pytest.mark.parametrize(
    ("was", "rules"),
    [
        pytest.param("we", [], id="our own state"),
        pytest.param("", [], id="an owner that was not written yet"),
        pytest.param("they", ["prefix-owned"], id="another state of the same prefix"),
    ],
)
def test_a_prefix_belongs_to_one_state(was: str, rules: list[str]) -> None:
    """Two operators with one prefix would take each other's machines apart."""
    claim, held = (Lease(prefix="foo", virt_type="qemu", owner=owner) for owner in ("we", was))
    problems = check_claim(claim, {"foo": held}, memory_limit_mib=None, where="lab42")
    assert [problem.rule for problem in problems] == rules
