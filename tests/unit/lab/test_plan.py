from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import LabError
from lab.facts import HostFacts, Taken
from lab.lease import Lease, parse_lease
from lab.naming import domain_uuid
from lab.plan import plan_lab
from lab.plans import LabPlan
from lab.rules import check_plan
from lab.specs import NetworkSpec, Topology
from lab.topology import catalogue, load_topology
from tests.unit.lab.samples import (
    FACTS,
    IMAGE,
    NETWORKS,
    OTHER_IMAGE,
    config,
    holding,
    lines,
    plan,
    role,
    topology,
)

INDEXES = st.sets(st.integers(0, 40), min_size=1, max_size=30)
TAKEN = replace(
    FACTS, taken=(Taken(subnet=IPv4Network("192.0.2.0/24"), by="route via eth0", device="eth0"),)
)


@given(before=INDEXES, after=INDEXES)
def test_survivors_keep_name_mac_and_address(before: set[int], after: set[int]) -> None:
    """Extend, shrink, leave holes, fill them: a node of both plans is the same node in both."""
    first = plan(facts=TAKEN, controller=[0], compute=before)
    held = holding(TAKEN, parse_lease(first.lease.to_json()))
    second = plan(facts=held, controller=[0], compute=after)
    old, new = first.nodes, second.nodes
    survivors = old.keys() & new.keys()
    assert survivors == {"controller-0"} | {f"compute-{i}" for i in before & after}
    assert all(old[key] == new[key] for key in survivors)


@given(before=INDEXES, after=INDEXES)
def test_networks_change_in_nothing_but_their_names(before: set[int], after: set[int]) -> None:
    """Everything but DNS names is replaced with the network, and cuts every node off."""
    first = plan(facts=TAKEN, compute=before)
    second = plan(facts=holding(TAKEN, first.lease), compute=after)
    assert [replace(network, names=()) for network in first.networks] == [
        replace(network, names=(), instead_of=was.instead_of)
        for network, was in zip(second.networks, first.networks, strict=True)
    ]


@given(INDEXES, INDEXES)
def test_addresses_and_macs_are_unique_and_reserved(tiny: set[int], compute: set[int]) -> None:
    made = plan(tiny=tiny, compute=compute)
    for network in made.networks:
        nics = [
            nic for n in made.nodes.values() for nic in n.nics if nic.network == network.network
        ]
        pairs = {(nic.mac, nic.address) for nic in nics}
        assert len({mac for mac, _ in pairs}) == len({ip for _, ip in pairs}) == len(nics)
        if network.dhcp:
            assert pairs <= set(network.reservations)


def test_equal_inputs_give_equal_bytes() -> None:
    a, b = plan(facts=TAKEN), plan(facts=TAKEN)
    assert repr(a).encode() == repr(b).encode()
    assert a.lease.to_json() == b.lease.to_json()


def test_planning_again_changes_nothing() -> None:
    """The second `up` sees the first one's lease, networks and routes, and decides the same."""
    first = plan(facts=TAKEN)
    seen = tuple(
        Taken(subnet=IPv4Network(n.subnet), by=f"route via {n.bridge}", device=n.bridge)
        for n in first.networks
    )
    second = plan(facts=holding(replace(TAKEN, taken=(*TAKEN.taken, *seen)), first.lease))
    assert second.lease == first.lease
    assert second.nodes == first.nodes


def test_one_node_in_full() -> None:
    node = plan().nodes["tiny-1"]
    assert (node.node, node.name, node.role) == ("tiny-1", "foo-tiny-1", "tiny")
    assert node.uuid == domain_uuid("foo", "tiny-1")
    assert [(nic.network, nic.address) for nic in node.nics] == [
        ("data", "192.0.2.3"),
        ("management", "172.16.0.3"),
        ("external", "10.0.0.3"),
    ]
    assert node.address == "172.16.0.3"
    assert node.access_mac == node.nics[1].mac
    assert [(d.target, d.volume, d.base) for d in node.disks] == [
        ("vda", "foo-tiny-1-vda.qcow2", f"{IMAGE.sha256}.qcow2")
    ]
    assert node.console == "/var/log/libvirt/qemu/foo-tiny-1.console"


def test_only_the_first_disk_of_a_deployed_node_is_an_overlay() -> None:
    roles = (role("tiny", [0], disks_gib=(1, 2)), role("compute", [0], deploy_os=False))
    made = plan_lab(config(), Topology(networks=NETWORKS, roles=roles), IMAGE, FACTS)
    disks = {(n.node, d.target): bool(d.base) for n in made.nodes.values() for d in n.disks}
    assert disks == {("tiny-0", "vda"): True, ("tiny-0", "vdb"): False, ("compute-0", "vda"): False}


def test_networks_in_full() -> None:
    data, management, _ = plan().networks
    assert (data.name, data.bridge, data.gateway) == ("foo-data", "foo-data", "192.0.2.1")
    assert (data.reservations, data.pool, data.names) == ((), None, ())
    assert len(management.reservations) == 249
    assert management.pool == ("172.16.0.251", "172.16.0.254")
    assert management.names[0] == ("172.16.0.2", "foo-tiny-0")


def test_a_taken_subnet_is_said_aloud() -> None:
    made = plan(facts=TAKEN)
    (note,) = (note for note in made.notes if note.startswith("network"))
    assert note.startswith("network data: ")
    assert note.endswith("instead, because 192.0.2.0/24 is taken by route via eth0")


def test_the_lease_sums_up() -> None:
    lease = plan(tiny=range(3)).lease
    assert (lease.memory_mib, lease.vcpus, lease.disk_gib) == (3 * (128 + 160), 3, 3)
    assert lease.nodes["tiny-2"].numbers == {"data": 4, "management": 4, "external": 4}
    assert lease.preferred["data"] == "192.0.2.0/24"


@pytest.mark.parametrize(
    ("wanted", "held", "kvm", "virt_type"),
    [
        pytest.param("auto", "", True, "kvm", id="auto with KVM"),
        pytest.param("auto", "", False, "qemu", id="auto without"),
        pytest.param("auto", "qemu", True, "qemu", id="a kvm node that appears moves nobody"),
        pytest.param("qemu", "kvm", True, "qemu", id="a wish wins"),
    ],
)
def test_virt_type(wanted: str, held: str, kvm: bool, virt_type: str) -> None:
    facts = replace(FACTS, cpu_virtualization=True, kvm=kvm)
    if held:
        facts = holding(facts, Lease(prefix="foo", virt_type=held))
    made = plan_lab(config(virt_type=wanted), topology(tiny=[0]), IMAGE, facts)
    assert (made.virt_type, made.lease.virt_type) == (virt_type, virt_type)


def test_a_node_keeps_its_image_and_new_ones_take_the_new() -> None:
    first = plan(tiny=[0])
    second = plan_lab(config(), topology(tiny=[0, 1]), OTHER_IMAGE, holding(FACTS, first.lease))
    assert {n.node: n.image for n in second.nodes.values()} == {
        "tiny-0": IMAGE.sha256,
        "tiny-1": OTHER_IMAGE.sha256,
    }
    assert {image.sha256 for image in second.images} == {IMAGE.sha256, OTHER_IMAGE.sha256}
    assert any("tiny-0 keep" in note for note in second.notes)


@pytest.mark.parametrize(
    ("limit", "overcommit"),
    [
        pytest.param(65_536 - 4_096, False, id="what is installed, less the reserve"),
        pytest.param(None, True, id="overcommit is allowed"),
    ],
)
def test_memory_limit(limit: int | None, overcommit: bool) -> None:
    made = plan_lab(config(memory_overcommit=overcommit), topology(tiny=[0]), IMAGE, FACTS)
    assert made.memory_limit_mib == limit


def test_a_deployed_node_needs_an_image() -> None:
    with pytest.raises(LabError, match=r"image-url: got nothing, for tiny-0, tiny-1.*\[image\]"):
        plan_lab(config(image_url=""), topology(tiny=[0, 1]), None, FACTS)


def test_a_node_that_has_one_needs_no_image() -> None:
    facts = holding(FACTS, plan(tiny=[0]).lease)
    made = plan_lab(config(image_url=""), topology(tiny=[0]), None, facts)
    assert made.nodes["tiny-0"].image == IMAGE.sha256


def test_blank_nodes_need_no_image() -> None:
    made = plan_lab(config(image_url=""), topology(compute=[0]), None, FACTS)
    assert (made.images, made.nodes["compute-0"].image) == ((), "")


def test_all_that_does_not_fit_comes_in_one_report() -> None:
    small = tuple(
        replace(network, subnet=IPv4Network((network.subnet.network_address, 29)))
        for network in NETWORKS
    )
    with pytest.raises(LabError) as caught:
        plan_lab(config(image_url=""), topology(small, tiny=range(6)), None, FACTS)
    assert [line.partition(":")[0] for line in lines(caught.value)] == [
        "network data",
        "network management",
        "network external",
        "stacks/Pulumi.foo.yaml",
    ]


def test_a_removed_node_s_neighbours_do_not_notice() -> None:
    first = plan(tiny=range(3))
    second = plan(facts=holding(FACTS, first.lease), tiny=[0, 2])
    third = plan(facts=holding(FACTS, second.lease), tiny=[0, 2, 3])
    assert second.nodes == {k: v for k, v in first.nodes.items() if k != "tiny-1"}
    assert third.nodes["tiny-3"].address == first.nodes["tiny-1"].address


def test_the_order_of_roles_moves_nobody() -> None:
    assert plan(tiny=[0, 1], compute=[0]).lease == plan(compute=[0], tiny=[0, 1]).lease


FAMILY = ("foo", "foo2", "foo-compute", "fo")


def test_prefixes_that_begin_alike_share_nothing() -> None:
    """Each plans after the ones before it leased, as concurrent labs of one host do."""
    facts, seen = FACTS, []
    for prefix in FAMILY:
        made = plan(prefix, facts, tiny=[0, 1], compute=[0])
        facts = holding(facts, made.lease)
        seen += [
            *(n.name for n in made.nodes.values()),
            *(n.uuid for n in made.nodes.values()),
            *(nic.mac for n in made.nodes.values() for nic in n.nics),
            *(nic.address for n in made.nodes.values() for nic in n.nics),
            *(network.bridge for network in made.networks),
            *(network.subnet for network in made.networks),
            made.pool,
        ]
    assert len(seen) == len(set(seen))


def test_a_thousand_nodes_plan_quickly() -> None:
    """The measured figure stands in bench/; this catches a lookup that grows with the square."""
    wide = tuple(
        replace(network, subnet=IPv4Network((network.subnet.network_address, 21), strict=False))
        for network in NETWORKS
    )
    wanted = topology(wide, tiny=range(1000))
    started = time.perf_counter()
    made = plan_lab(config(), wanted, IMAGE, FACTS)
    assert len(made.nodes) == 1000
    assert time.perf_counter() - started < 3


WIRED = (
    *NETWORKS,
    NetworkSpec(name="wire", subnet=None),
    NetworkSpec(name="few", subnet=IPv4Network("10.9.0.0/24"), dhcp=True, span=(100, 109)),
)
MANY = ("data", "wire", "external", "wire", "management", "external", "external")


def wired(**fields: object) -> Topology:
    """Two controllers with seven NICs, three of them on one network."""
    return Topology(
        networks=WIRED, roles=(role("controller", range(2), interfaces=MANY, **fields),)
    )


def test_several_nics_on_one_network_are_told_apart() -> None:
    made = plan_lab(config(), wired(), IMAGE, FACTS)
    first, second = made.nodes.values()
    assert [nic.slot for nic in first.nics] == [
        *("data", "wire", "external", "wire.2", "management", "external.2", "external.3")
    ]
    nics = [nic for node in (first, second) for nic in node.nics]
    assert len({nic.mac for nic in nics}) == len(nics)
    addresses = [nic.address for nic in nics if nic.address]
    assert len(set(addresses)) == len(addresses) == 10
    (network,) = (each for each in made.networks if each.network == "external")
    assert network.names == (
        (first.nics[2].address, first.name),
        (second.nics[2].address, second.name),
    )


def test_frames_alone_have_macs_and_no_addresses() -> None:
    made = plan_lab(config(), wired(), IMAGE, FACTS)
    wire = next(each for each in made.networks if each.network == "wire")
    assert (wire.subnet, wire.gateway, wire.reservations, wire.pool) == ("", "", (), None)
    assert {nic.address for nic in made.nodes["controller-0"].nics if nic.network == "wire"} == {""}
    assert "wire" not in made.lease.subnets


def test_nodes_get_the_host_numbers_that_dhcp_gives() -> None:
    few = Topology(
        networks=WIRED, roles=(role("tiny", range(10), interfaces=("few", "management")),)
    )
    made = plan_lab(config(), few, IMAGE, FACTS)
    assert {node.nics[0].number for node in made.nodes.values()} == set(range(100, 110))
    more = replace(few, roles=(role("tiny", range(11), interfaces=("few", "management")),))
    with pytest.raises(LabError, match=r"at most 10.*Widen the host numbers that its dhcp gives"):
        plan_lab(config(), more, IMAGE, FACTS)


def test_a_network_that_no_node_is_on_is_worth_a_note() -> None:
    lonely = topology((*NETWORKS, NetworkSpec(name="spare", subnet=None)), tiny=[0])
    made = plan_lab(config(), lonely, IMAGE, FACTS)
    assert "networks: no node is on spare" in made.notes
    assert [network.network for network in made.networks][-1] == "spare", "it is made all the same"
    empty = plan_lab(config(), topology(tiny=[]), IMAGE, FACTS)
    assert [note for note in empty.notes if note.startswith("networks")] == []


@given(before=INDEXES, after=INDEXES)
def test_survivors_with_many_nics_keep_every_one(before: set[int], after: set[int]) -> None:
    def made(indexes: set[int], facts: HostFacts) -> LabPlan:
        roles = (role("controller", indexes, interfaces=MANY),)
        return plan_lab(config(), Topology(networks=WIRED, roles=roles), IMAGE, facts)

    first = made(before, FACTS)
    second = made(after, holding(FACTS, first.lease))
    old, new = first.nodes, second.nodes
    assert all(old[key].nics == new[key].nics for key in old.keys() & new.keys())


@pytest.mark.parametrize("layout", sorted(catalogue("networks")))
def test_every_shipped_layout_plans(layout: str) -> None:
    """With each role that it has NICs for, on a host that has room for them."""
    roles = ["undercloud", "controller", "compute"]
    wanted = config(network=layout, nodes=dict.fromkeys(roles, 2))
    facts = replace(FACTS, memory_mib=1 << 20)
    made = plan_lab(wanted, load_topology(wanted), IMAGE, facts)
    assert check_plan(made, facts) == []
    assert {node.role for node in made.nodes.values()} == set(roles)
