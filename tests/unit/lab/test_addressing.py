from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.addressing import (
    MOST_RESERVATIONS,
    PRIVATE,
    HostNumbers,
    SubnetPlan,
    plan_host_numbers,
    plan_subnets,
    stray_bridges,
)
from lab.errors import LabError, Problem, attempt
from lab.facts import LinkFact, LinkFacts, NetworkFact, Taken
from lab.lease import Lease
from lab.specs import NetworkSpec
from tests.unit.lab.samples import FACTS, NETWORKS, holding, plan

SUBNET = IPv4Network("192.0.2.0/24")


def taken(*subnets: str, device: str = "eth0") -> tuple[Taken, ...]:
    return tuple(
        Taken(subnet=IPv4Network(text), by=f"route via {device}", device=device) for text in subnets
    )


def network_fact(name: str, subnet: str, owner: str = "") -> NetworkFact:
    subnets = (IPv4Network(subnet),)
    return NetworkFact(name=name, uuid="u", bridge=name, subnets=subnets, owner=owner)


def subnets(plans: dict[str, SubnetPlan]) -> dict[str, str]:
    return {name: str(subnet_plan.subnet) for name, subnet_plan in plans.items()}


def test_a_free_preferred_subnet_is_taken() -> None:
    plans = plan_subnets(NETWORKS, FACTS, "foo")
    assert {name: p.subnet for name, p in plans.items()} == {n.name: n.subnet for n in NETWORKS}
    assert not any(p.instead_of for p in plans.values())
    assert str(plans["data"].gateway) == "192.0.2.1"


def test_a_taken_one_is_replaced_visibly_and_alone() -> None:
    facts = replace(FACTS, taken=taken("192.0.2.0/24"))
    plans = plan_subnets(NETWORKS, facts, "foo")
    assert not plans["data"].subnet.overlaps(SUBNET)
    assert plans["data"].subnet.is_private
    assert plans["data"].instead_of == "192.0.2.0/24 is taken by route via eth0"
    assert plans["management"].subnet == NETWORKS[1].subnet
    assert list(plans) == ["data", "management", "external"]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(
            replace(FACTS, taken=taken("172.16.0.0/16", device="docker0")), id="a wider route"
        ),
        pytest.param(replace(FACTS, taken=taken("172.16.0.7/32")), id="one address in it"),
        pytest.param(
            replace(FACTS, networks=(network_fact("default", "172.16.0.0/24"),)),
            id="a libvirt network of somebody else",
        ),
        pytest.param(
            replace(FACTS, networks=(network_fact("x", "172.16.0.0/24", "foo2"),)),
            id="a libvirt network of a prefix that begins alike",
        ),
        pytest.param(
            holding(FACTS, Lease(prefix="foo2", virt_type="kvm", subnets={"m": "172.16.0.0/24"})),
            id="a lease of another prefix",
        ),
        pytest.param(
            replace(
                FACTS,
                networks=(network_fact("foo-old", "172.16.0.0/24", "foo"),),
                taken=taken("172.16.0.0/24", device="foo-old"),
            ),
            id="our own network that the layout no longer has",
        ),
    ],
)
def test_what_counts_as_taken(facts: object) -> None:
    plans = plan_subnets(NETWORKS, facts, "foo")  # type: ignore[arg-type]
    assert plans["management"].subnet != NETWORKS[1].subnet
    assert plans["management"].instead_of


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(replace(FACTS, taken=taken("0.0.0.0/0")), id="the default route"),
        pytest.param(
            replace(FACTS, taken=taken("0.0.0.0/1", "128.0.0.0/1", device="tun0")),
            id="the two halves by which a VPN overrides it",
        ),
        pytest.param(
            replace(
                FACTS,
                networks=(network_fact("foo-management", "172.16.0.0/24", "foo"),),
                taken=taken("172.16.0.0/24", device="foo-management"),
            ),
            id="our own network without a lease",
        ),
    ],
)
def test_what_does_not(facts: object) -> None:
    plans = plan_subnets(NETWORKS, facts, "foo")  # type: ignore[arg-type]
    assert plans["management"].subnet == NETWORKS[1].subnet


def test_a_lease_holds_whatever_the_host_shows_later() -> None:
    first = plan("foo", replace(FACTS, taken=taken("192.0.2.0/24")))
    later = holding(replace(FACTS, taken=taken("10.0.0.0/16", device="vpn0")), first.lease)
    assert {n.network: n.subnet for n in plan("foo", later).networks} == first.lease.subnets


def test_another_wish_in_the_file_is_followed() -> None:
    lease = plan("foo").lease
    wish = replace(NETWORKS[0], subnet=IPv4Network("198.51.100.0/24"))
    plans = plan_subnets((wish, *NETWORKS[1:]), holding(FACTS, lease), "foo")
    assert subnets(plans)["data"] == "198.51.100.0/24"
    assert subnets(plans)["management"] == lease.subnets["management"]


def test_a_network_whose_lease_was_lost_keeps_its_subnet() -> None:
    facts = replace(FACTS, networks=(network_fact("foo-data", "10.9.9.0/24", "foo"),))
    assert subnets(plan_subnets(NETWORKS, facts, "foo"))["data"] == "10.9.9.0/24"


def test_prefixes_look_in_different_places() -> None:
    """Neighbours that both move away from a taken subnet do not meet again."""
    facts = replace(FACTS, taken=taken("192.0.2.0/24"))
    moved = [plan_subnets(NETWORKS, facts, f"foo{i}")["data"].subnet for i in range(20)]
    assert len(set(moved)) == 20


BLOCKS = st.builds(
    lambda address, size: IPv4Network((address >> (32 - size) << (32 - size), size)),
    st.integers(0, 2**32 - 1)
    | st.integers(10 << 24, 11 << 24)
    | st.integers(0xC0000200, 0xC00002FF),
    st.integers(2, 32),
)


@given(st.lists(BLOCKS, max_size=12), st.sampled_from([24, 20, 29]))
def test_subnets_overlap_nothing_taken_nor_each_other(blocks: list[IPv4Network], size: int) -> None:
    networks = tuple(
        NetworkSpec(
            name=spec.name, subnet=IPv4Network((spec.subnet.network_address, size), strict=False)
        )
        for spec in NETWORKS
    )
    facts = replace(FACTS, taken=taken(*map(str, blocks)))
    problems: list[Problem] = []
    plans = attempt(partial(plan_subnets, networks, facts, "foo"), problems)
    assert {problem.rule for problem in problems} <= {"subnet-free"}
    if plans is None:
        return
    found = [p.subnet for p in plans.values()]
    assert not [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])]
    assert not [(a, b) for a in found for b in blocks if a.overlaps(b)]
    assert {subnet.prefixlen for subnet in found} == {size}


def all_private_but(*free: str) -> tuple[Taken, ...]:
    """Takes the preferred subnets and all of RFC 1918 but these."""
    left = [IPv4Network("192.0.2.0/24"), *PRIVATE]
    for hole in map(IPv4Network, free):
        outer = next(subnet for subnet in left if hole.subnet_of(subnet))
        left.remove(outer)
        left += outer.address_exclude(hole)
    return taken(*map(str, left))


def test_the_last_free_subnets_are_found_and_shared_out() -> None:
    facts = replace(FACTS, taken=all_private_but("10.77.6.0/24", "172.20.9.0/24", "192.168.3.0/24"))
    found = subnets(plan_subnets(NETWORKS, facts, "foo"))
    assert set(found.values()) == {"10.77.6.0/24", "172.20.9.0/24", "192.168.3.0/24"}


def test_two_networks_do_not_share_the_last_free_one() -> None:
    facts = replace(FACTS, taken=all_private_but("10.77.6.0/24", "192.168.3.0/24"))
    with pytest.raises(LabError, match=r"\[subnet-free\]"):
        plan_subnets(NETWORKS, facts, "foo")


def test_a_network_that_moves_does_not_take_another_s_free_wish() -> None:
    facts = replace(FACTS, taken=all_private_but("10.0.0.0/24", "172.16.0.0/24", "10.77.6.0/24"))
    assert subnets(plan_subnets(NETWORKS, facts, "foo")) == {
        "data": "10.77.6.0/24",
        "management": "172.16.0.0/24",
        "external": "10.0.0.0/24",
    }


def test_a_host_with_every_private_subnet_taken_is_refused_at_once() -> None:
    facts = replace(
        FACTS, taken=taken("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "192.0.2.0/24")
    )
    started = time.perf_counter()
    with pytest.raises(LabError, match=r"every private /29.*\[subnet-free\]"):
        plan_subnets([NetworkSpec(name="data", subnet=IPv4Network("192.0.2.0/29"))], facts, "foo")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("subnet", "first", "last", "pool"),
    [
        pytest.param("192.0.2.0/29", 2, 6, None, id="/29 keeps all"),
        pytest.param("192.0.2.0/27", 2, 30, None, id="/27 keeps all"),
        pytest.param("192.0.2.0/26", 2, 58, ("192.0.2.59", "192.0.2.62"), id="/26 has a pool"),
        pytest.param("192.0.2.0/24", 2, 250, ("192.0.2.251", "192.0.2.254"), id="/24"),
        pytest.param("10.0.0.0/16", 2, 2001, ("10.0.255.251", "10.0.255.254"), id="/16 is capped"),
    ],
)
def test_numbers_and_pool(subnet: str, first: int, last: int, pool: tuple[str, str] | None) -> None:
    network = IPv4Network(subnet)
    numbers = HostNumbers("data", network).usable
    assert (numbers[0], numbers[-1]) == (first, last)
    found = HostNumbers("data", network).pool
    assert (tuple(map(str, found)) if found else None) == pool
    if found:
        assert network[numbers[-1]] < found[0] <= found[1] < network.broadcast_address


@given(st.integers(16, 29))
def test_numbers_are_addresses_of_the_subnet(size: int) -> None:
    subnet = IPv4Network((0xAC100000, size))
    numbers = HostNumbers("data", subnet).usable
    assert 1 not in numbers
    assert subnet[numbers[-1]] < subnet.broadcast_address
    assert len(numbers) <= MOST_RESERVATIONS


NAMES = st.sets(st.integers(0, 60).map(lambda i: f"compute-{i}"), max_size=40)
HELD = st.dictionaries(st.integers(0, 60).map(lambda i: f"compute-{i}"), st.integers(-3, 400))


@given(NAMES, HELD)
def test_host_numbers_are_unique_and_usable(nodes: set[str], held: dict[str, int]) -> None:
    numbers = plan_host_numbers(HostNumbers("data", SUBNET), nodes, held)
    assert numbers.keys() == nodes
    assert len(set(numbers.values())) == len(nodes)
    assert set(numbers.values()) <= set(HostNumbers("data", SUBNET).usable)


@given(NAMES, NAMES)
def test_survivors_keep_their_number(before: set[str], after: set[str]) -> None:
    first = plan_host_numbers(HostNumbers("data", SUBNET), before, {})
    second = plan_host_numbers(HostNumbers("data", SUBNET), after, first)
    assert {n: second[n] for n in before & after} == {n: first[n] for n in before & after}


def test_new_nodes_draw_the_lowest_free_number_in_natural_order() -> None:
    numbers = plan_host_numbers(HostNumbers("data", SUBNET), ["c-10", "c-2", "c-1"], {"c-1": 3})
    assert numbers == {"c-2": 2, "c-1": 3, "c-10": 4}
    assert list(numbers.values()) == [2, 3, 4]


@pytest.mark.parametrize(
    ("subnet", "wanted", "says"),
    [
        pytest.param("192.0.2.0/29", 6, "6 nodes on 192.0.2.0/29, expected at most 5", id="/29"),
        pytest.param("192.0.2.0/29", 6, "Give it a /28", id="the mask that would do"),
        pytest.param("192.0.2.0/24", 250, "Give it a /23", id="/24"),
        pytest.param("10.0.0.0/16", 2001, "A network takes 2000 at most", id="no mask does"),
    ],
)
def test_more_nodes_than_addresses(subnet: str, wanted: int, says: str) -> None:
    nodes = [f"c-{i}" for i in range(wanted)]
    with pytest.raises(LabError) as caught:
        plan_host_numbers(HostNumbers("data", IPv4Network(subnet)), nodes, {})
    assert says in str(caught.value)
    assert (
        len(plan_host_numbers(HostNumbers("data", IPv4Network(subnet)), nodes[1:], {}))
        == wanted - 1
    )


def test_a_span_keeps_its_last_four_for_machines_that_nobody_planned() -> None:
    numbers = HostNumbers("data", IPv4Network("10.9.0.0/24"), (100, 200))
    assert (numbers.usable[0], numbers.usable[-1]) == (100, 196)
    assert [str(address) for address in numbers.pool or ()] == ["10.9.0.197", "10.9.0.200"]


def test_several_nics_of_a_node_are_counted_as_such() -> None:
    nics = [f"c-{index}{nth}" for index in (0, 1) for nth in ("", ".2", ".3")]
    with pytest.raises(LabError, match=r"got 6 NICs on 192\.0\.2\.0/29, expected at most 5"):
        plan_host_numbers(HostNumbers("data", IPv4Network("192.0.2.0/29")), nics, {})


def test_a_short_span_is_all_for_nodes() -> None:
    numbers = HostNumbers("data", IPv4Network("10.9.0.0/24"), (100, 109))
    assert (list(numbers.usable), numbers.pool) == (list(range(100, 110)), None)


@pytest.mark.parametrize(
    ("size", "last", "pool"),
    [
        pytest.param(0, 50, [], id="none"),
        pytest.param(1, 49, ["10.9.0.50", "10.9.0.50"], id="one"),
        pytest.param(48, 2, ["10.9.0.3", "10.9.0.50"], id="all but one"),
    ],
)
def test_a_pool_of_the_layout_s_size(size: int, last: int, pool: list[str]) -> None:
    numbers = HostNumbers("data", IPv4Network("10.9.0.0/24"), (2, 50), size)
    assert (numbers.usable[0], numbers.usable[-1]) == (2, last)
    assert [str(address) for address in numbers.pool or ()] == pool


def test_a_bridge_of_ours_that_is_too_narrow_is_not_kept() -> None:
    """Its lease is lost, and the layout's host numbers count from a wider subnet."""
    ours = NetworkFact(
        name="foo-data",
        uuid="u",
        bridge="foo-data",
        owner="foo",
        subnets=(IPv4Network("192.0.2.0/29"),),
    )
    network = NetworkSpec(name="data", subnet=IPv4Network("192.0.2.0/24"), span=(100, 150))
    plans = plan_subnets([network], replace(FACTS, networks=(ours,)), "foo")
    assert plans["data"].subnet.prefixlen == 24


@pytest.mark.parametrize(
    ("span", "host", "pool", "nodes"),
    [
        pytest.param(None, 254, (250, 253), (2, 249), id="the last one"),
        pytest.param(None, 252, (250, 254), (2, 249), id="in the pool"),
        pytest.param((100, 150), 150, (146, 149), (100, 145), id="the last of the span"),
        pytest.param((100, 150), 1, None, (100, 150), id="beside the span"),
    ],
)
def test_the_host_s_own_number_is_nobody_else_s(
    span: tuple[int, int] | None,
    host: int,
    pool: tuple[int, int] | None,
    nodes: tuple[int, int],
) -> None:
    subnet = IPv4Network("192.0.2.0/24")
    size = 4 if span and host == 150 else None
    numbers = HostNumbers("data", subnet, span, size, host)
    assert host not in numbers.usable
    assert (numbers.usable[0], numbers.usable[-1]) == nodes
    assert numbers.pool == (pool and (subnet[pool[0]], subnet[pool[1]]))


def test_a_bridge_that_libvirt_forgot_is_ours_once_there_is_a_lease() -> None:
    links = {"foo-data": LinkFact(name="foo-data", bridge=True), "foo-wire": LinkFact(name="x")}
    wires = LinkFacts(links=links)
    names = ("data", "wire", "management")
    first = replace(FACTS, wires=wires)
    assert stray_bridges(first, "foo", names) == {}
    later = replace(first, leases={"foo": Lease(prefix="foo", virt_type="qemu")})
    assert stray_bridges(later, "foo", names) == {"data": "foo-data"}
    known = replace(
        later, networks=(NetworkFact(name="theirs", uuid="u", bridge="foo-data", subnets=()),)
    )
    assert stray_bridges(known, "foo", names) == {}
