from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.facts import HostFacts, Ipv6Facts, NetworkFact, Taken
from lab.ipv6 import plan_subnets6
from lab.lease import Lease
from lab.plan import LabPlan, plan_lab
from lab.specs import NetworkSpec
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, holding, topology

ABLE = replace(FACTS, ipv6=Ipv6Facts(usable=True))
FIXED = IPv6Network("2001:db8:1::/64")
ULA = IPv6Network("fd00::/8")


def wants(subnet: IPv6Network | None = None, forward: str = "nat") -> tuple[NetworkSpec, ...]:
    """The sample networks; `external` wants IPv6."""
    external = replace(NETWORKS[2], ipv6=True, subnet6=subnet, forward=forward)
    return (*NETWORKS[:2], external)


def made(
    networks: tuple[NetworkSpec, ...], facts: HostFacts = ABLE, prefix: str = "foo"
) -> LabPlan:
    return plan_lab(config(prefix), topology(networks, tiny=[0], compute=[0]), IMAGE, facts)


def with_taken(subnet: str, device: str = "eth0") -> HostFacts:
    taken = Taken(subnet=IPv6Network(subnet), by=f"address of {device}", device=device)
    return replace(FACTS, ipv6=Ipv6Facts(usable=True, taken=(taken,)))


def test_a_unique_local_64_from_the_names() -> None:
    plans, notes = plan_subnets6(wants(), ABLE, "foo")
    assert plans.keys() == {"external"}
    assert plans["external"].subnet_of(ULA)
    assert plans["external"].prefixlen == 64
    assert plan_subnets6(wants(), ABLE, "foo")[0] == plans
    assert notes == []


def test_two_networks_of_one_prefix_lie_in_one_48() -> None:
    networks = tuple(replace(each, ipv6=True) for each in NETWORKS)
    found = plan_subnets6(networks, ABLE, "foo")[0].values()
    assert len(set(found)) == 3
    assert len({subnet.supernet(new_prefix=48) for subnet in found}) == 1


@given(st.sets(st.from_regex(r"[a-z]{1,4}", fullmatch=True), min_size=2, max_size=6))
def test_prefixes_never_share_a_64(prefixes: set[str]) -> None:
    """Whatever they wish, one after the other on one host."""
    facts, seen = ABLE, set[str]()
    for nth, prefix in enumerate(sorted(prefixes)):
        plan = made(wants(FIXED if nth % 2 else None), facts, prefix)
        (subnet,) = plan.lease.subnets6.values()
        assert subnet not in seen
        seen.add(subnet)
        facts = holding(facts, plan.lease)


NETWORK = NetworkFact(name="x", uuid="u", bridge="x", subnets=(), subnets6=(FIXED,))


@pytest.mark.parametrize(
    ("facts", "by"),
    [
        pytest.param(with_taken("2001:db8:1::/64"), "address of eth0", id="an address"),
        pytest.param(with_taken("2001:db8::/32"), "address of eth0", id="a wide route"),
        pytest.param(replace(ABLE, networks=(NETWORK,)), "libvirt network x", id="a network"),
        pytest.param(
            holding(ABLE, Lease(prefix="bar", virt_type="kvm", subnets6={"a": str(FIXED)})),
            "the lease of bar (a)",
            id="a lease",
        ),
    ],
)
def test_a_taken_wish_becomes_a_unique_local_one(facts: HostFacts, by: str) -> None:
    plans, notes = plan_subnets6(wants(FIXED), facts, "foo")
    assert plans["external"].subnet_of(ULA)
    assert notes == [
        f"network external: {plans['external']} instead, because {FIXED} is taken by {by}"
    ]


def test_a_taken_unique_local_one_is_drawn_again() -> None:
    first = plan_subnets6(wants(), ABLE, "foo")[0]["external"]
    second = plan_subnets6(wants(), with_taken(str(first)), "foo")[0]["external"]
    assert not second.overlaps(first)
    assert second.subnet_of(ULA)


def test_our_own_bridge_is_not_in_the_way() -> None:
    plan = made(wants(FIXED))
    own = NetworkFact(
        name="foo-external",
        uuid="u",
        bridge="foo-external",
        subnets=(),
        owner="foo",
        subnets6=(FIXED,),
    )
    facts = replace(with_taken(str(FIXED), "foo-external"), networks=(own,))
    assert plan_subnets6(wants(FIXED), facts, "foo")[0] == {"external": FIXED}
    assert made(wants(FIXED), holding(facts, plan.lease)).networks == plan.networks


def test_what_is_leased_stays_whatever_the_host_shows_later() -> None:
    plan = made(wants())
    for later in (FACTS, with_taken("fd00::/16"), with_taken(plan.lease.subnets6["external"])):
        again = made(wants(), holding(later, plan.lease))
        assert again.lease == plan.lease
        assert not [note for note in again.notes if "IPv6" in note]


def test_another_wish_is_followed() -> None:
    held = holding(ABLE, made(wants()).lease)
    assert made(wants(FIXED), held).lease.subnets6 == {"external": str(FIXED)}
    assert made(NETWORKS, held).lease.subnets6 == {}


@pytest.mark.parametrize(
    ("facts", "forward", "note"),
    [
        pytest.param(FACTS, "nat", "no IPv6, because the host has none", id="no IPv6"),
        pytest.param(
            replace(FACTS, ipv6=Ipv6Facts(usable=True, advertised=("eth0",))),
            "nat",
            "no IPv6, because the host would forget the routes that eth0 learned from a router; "
            "set net.ipv6.conf.eth0.accept_ra to 2 there",
            id="routes that forwarding would end",
        ),
        pytest.param(
            replace(FACTS, ipv6=Ipv6Facts(usable=True, advertised=("eth0",))),
            "none",
            "",
            id="which an isolated network does not",
        ),
    ],
)
def test_a_host_that_cannot(facts: HostFacts, forward: str, note: str) -> None:
    plan = made(wants(FIXED, forward), facts)
    assert [each for each in plan.notes if "IPv6" in each] == (
        [f"network external: {note}"] if note else []
    )
    assert bool(plan.lease.subnets6) is not bool(note)
    # and once it can, it does
    assert made(wants(FIXED), holding(ABLE, plan.lease)).lease.subnets6


def test_nodes_with_a_system_have_static_addresses_of_their_host_numbers() -> None:
    plan = made(wants(FIXED))
    nics = {
        name: next(nic for nic in node.nics if nic.network == "external")
        for name, node in plan.nodes.items()
    }
    tiny, blank = nics["tiny-0"], nics["compute-0"]
    assert tiny.address6 == f"2001:db8:1::{tiny.number:x}"
    assert (blank.address6, tiny.gateway6) == ("", ""), "SSH comes by another network"
    names = plan.networks[2].names
    assert (tiny.address6, "foo-tiny-0") in names
    assert [name for _, name in names].count("foo-compute-0") == 1


def test_the_access_network_gives_the_default_route() -> None:
    networks = tuple(replace(each, ipv6=True) for each in NETWORKS)
    plan = made(networks)
    gateways = {nic.network: nic.gateway6 for nic in plan.nodes["tiny-0"].nics}
    management = IPv6Network(plan.lease.subnets6["management"])
    assert gateways == {"data": "", "management": str(management[1]), "external": ""}
