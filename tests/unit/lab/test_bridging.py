from __future__ import annotations

from dataclasses import replace

import pytest

from lab.bridging import FILTER, plan_lans
from lab.errors import LabError, Problem
from lab.facts import ChainFact, GuardFacts, HostFacts, LinkFact, LinkFacts, NetworkFact
from lab.guards import guard_notes
from lab.naming import nic_bridge
from lab.plan import plan_lab
from lab.plans import LabPlan, LanPlan
from lab.rules import check_plan
from lab.specs import LanSpec, NetworkSpec
from lab.views.diagram import diagram
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, lines, role, topology

OTHERS = (
    LinkFact(name="wlan0", wireless=True, manager="NetworkManager"),
    LinkFact(name="br0", bridge=True),
    LinkFact(name="eth2", master="br0", above=("br0",)),
    LinkFact(name="eth3", master="bond0", above=("bond0",)),
    LinkFact(name="eth4", above=("eth4.7",), manager="networkd"),
    LinkFact(name="eth5", addressed=True),
)


def wires(*links: LinkFact, **fields: object) -> LinkFacts:
    """A host with its main NIC and one that nobody uses."""
    eth0 = LinkFact(name="eth0", addressed=True, manager="networkd")
    known = {link.name: link for link in (eth0, LinkFact(name="eth1"), *OTHERS, *links)}
    usual = {"links": known, "main": "eth0", "managers": ("networkd",), "rollback": True}
    return LinkFacts(**{**usual, **fields})  # type: ignore[arg-type]


def after(nic: str, seen: LinkFacts) -> LinkFacts:
    """The same host, once metalab has moved a NIC."""
    bridge = LinkFact(name=nic_bridge(nic), bridge=True, addressed=seen.links[nic].addressed)
    moved = replace(
        seen.links[nic],
        addressed=False,
        master=bridge.name,
        above=(bridge.name,),
        manager="networkd",
    )
    return replace(
        seen,
        links={**seen.links, nic: moved, bridge.name: bridge},
        main=bridge.name if nic == seen.main else seen.main,
        moved=frozenset({bridge.name}),
    )


def planned(*lans: LanSpec, on: LinkFacts) -> tuple[list[LanPlan], list[Problem]]:
    names = ("external", "tenant", "storage")
    specs = [
        NetworkSpec(name=name, subnet=None, forward="bridge", lan=lan)
        for name, lan in zip(names, lans, strict=False)
    ]
    problems: list[Problem] = []
    return list(plan_lans(specs, on, problems).values()), problems


@pytest.mark.parametrize(
    ("lan", "plan"),
    [
        pytest.param(
            LanSpec(nic="eth1"),
            LanPlan(bridge="br-eth1", nic="eth1", manager="networkd"),
            id="a NIC that nobody has goes to who is at work there",
        ),
        pytest.param(
            LanSpec(), LanPlan(bridge="br-eth0", nic="eth0", manager="networkd"), id="the main NIC"
        ),
        pytest.param(LanSpec(bridge="br0"), LanPlan(bridge="br0"), id="a bridge of the host's own"),
        pytest.param(
            LanSpec(nic="eth1", dhcp_server=True),
            LanPlan(bridge="br-eth1", nic="eth1", manager="networkd", dhcp_server=True),
            id="guests may serve DHCP",
        ),
    ],
)
def test_where_a_network_is_bridged_to(lan: LanSpec, plan: LanPlan) -> None:
    """The same before and after: what steps change is no reason to plan others."""
    before = wires()
    assert planned(lan, on=before) == ([plan], [])
    if plan.nic:
        moved = after(plan.nic, before)
        assert planned(lan, on=moved) == ([plan], [])
        by_bridge = LanSpec(bridge=plan.bridge, dhcp_server=lan.dhcp_server)
        assert planned(by_bridge, on=moved) == ([plan], [])


def test_a_host_whose_main_interface_is_a_bridge_already() -> None:
    assert planned(LanSpec(), on=wires(main="br0")) == ([LanPlan(bridge="br0")], [])


@pytest.mark.parametrize(
    ("lan", "on", "says"),
    [
        pytest.param(
            LanSpec(nic="eth9"), wires(), "got eth9, expected eth0, eth1, eth4, eth5.", id="none"
        ),
        pytest.param(LanSpec(bridge="br9"), wires(), "got br9, expected br0.", id="no bridge"),
        pytest.param(
            LanSpec(), wires(main=""), "no default route, and so no main NIC", id="no main NIC"
        ),
        pytest.param(
            LanSpec(nic="br0"), wires(), "br0, which is a bridge, .* Say `bridge: br0`", id="bridge"
        ),
        pytest.param(
            LanSpec(bridge="eth1"), wires(), "eth1, which is no bridge, .* Say `nic:", id="NIC"
        ),
        pytest.param(LanSpec(nic="wlan0"), wires(), "wlan0, which is wireless", id="wireless"),
        pytest.param(
            LanSpec(nic="eth2"), wires(), "a part of br0, .* Say `bridge: br0`.", id="in a bridge"
        ),
        pytest.param(LanSpec(nic="eth3"), wires(), "a part of bond0", id="in a bond"),
        pytest.param(LanSpec(nic="eth4"), wires(), "eth4, which eth4.7 stand on", id="VLANs"),
        pytest.param(
            LanSpec(nic="eth5"), wires(), "which neither NetworkManager nor", id="by hand"
        ),
        pytest.param(
            LanSpec(nic="eth1"), wires(managers=()), "which neither NetworkManager nor", id="nobody"
        ),
        pytest.param(
            LanSpec(nic="eth1"),
            wires(LinkFact(name="br-eth1", bridge=True)),
            "whose bridge would be br-eth1, which is there already",
            id="a name that is taken",
        ),
        pytest.param(
            LanSpec(),
            wires(rollback=False),
            r"eth0, on a host where nothing could take the change back.*\[bridge-rollback\]",
            id="no way back",
        ),
    ],
)
def test_what_is_refused(lan: LanSpec, on: LinkFacts, says: str) -> None:
    _, problems = planned(lan, on=on)
    with pytest.raises(LabError, match=rf"network external: .*{says}"):
        raise LabError(problems)
    assert len(problems) == 1


def test_two_networks_do_not_share_a_bridge() -> None:
    _, problems = planned(LanSpec(), LanSpec(nic="eth0"), LanSpec(nic="eth1"), on=wires())
    assert lines(LabError(problems)) == [
        "network tenant: got br-eth0, which external is on already, expected a bridge of its own. "
        "[bridge-shared]"
    ]


@pytest.mark.parametrize(
    ("nic", "bridge"), [("eth1", "br-eth1"), ("enp0s31f6", "br-enp0s31f6"), ("x" * 15, 15)]
)
def test_the_bridge_of_a_nic_fits_the_kernel(nic: str, bridge: str | int) -> None:
    assert bridge in (nic_bridge(nic), len(nic_bridge(nic)))
    assert nic_bridge(f"{'x' * 14}1") != nic_bridge(f"{'x' * 14}2")


def bridged(facts: HostFacts, *, dhcp_server: bool = False, address: str = "lab42") -> LabPlan:
    lan = LanSpec(nic="eth1", dhcp_server=dhcp_server)
    external = NetworkSpec(name="external", subnet=None, forward="bridge", lan=lan)
    names = ("data", "management", "external", "external")
    wanted = replace(
        topology((*NETWORKS[:2], external)), roles=(role("tiny", range(2), interfaces=names),)
    )
    spec = replace(config().hypervisor, address=address)
    return plan_lab(config(hypervisor=spec), wanted, IMAGE, facts)


ON_LAN = replace(FACTS, wires=wires())


def test_a_bridged_network_has_nothing_of_ours_but_a_name() -> None:
    plan = bridged(ON_LAN)
    (network,) = [each for each in plan.networks if each.lan]
    assert (network.name, network.bridge, network.forward) == ("foo-external", "br-eth1", "bridge")
    assert (network.subnet, network.dhcp, network.reservations, network.names) == (
        "",
        False,
        (),
        (),
    )
    assert "external" not in plan.lease.subnets


def test_nics_on_the_lan_ask_for_an_address_and_serve_none() -> None:
    nics = bridged(ON_LAN).nodes["tiny-0"].nics
    assert [(nic.dhcp, nic.address != "", nic.filter) for nic in nics] == [
        (False, True, ""),
        (True, True, ""),
        (True, False, FILTER),
        (True, False, FILTER),
    ]
    served = bridged(ON_LAN, dhcp_server=True).nodes["tiny-0"].nics
    assert {nic.filter for nic in served} == {""}


def test_macs_on_the_lan_are_of_node_and_host() -> None:
    """Two hypervisors of one LAN may have environments of one name."""
    here, there = bridged(ON_LAN), bridged(ON_LAN, address="lab43")
    macs = [
        nic.mac
        for plan in (here, there)
        for node in plan.nodes.values()
        for nic in node.nics
        if nic.network == "external"
    ]
    assert len(set(macs)) == len(macs) == 8
    assert all(mac.startswith("52:") for mac in macs)
    assert bridged(replace(FACTS, wires=after("eth1", wires()))).nodes == here.nodes


def test_environments_share_a_bridge() -> None:
    theirs = NetworkFact(name="bar-external", uuid="u", bridge="br-eth1", subnets=(), owner="bar")
    facts = replace(FACTS, wires=after("eth1", wires()), networks=(theirs,))
    assert check_plan(bridged(facts), facts) == []


def test_the_picture_shows_the_lan() -> None:
    assert ">LAN<" in diagram(bridged(ON_LAN))
    assert ">bridge br-eth1<" in diagram(bridged(ON_LAN))


@pytest.mark.parametrize("filtered", [True, False])
def test_a_firewall_that_sees_bridged_frames_is_named(filtered: bool) -> None:
    chain = ChainFact(table="ip filter", name="FORWARD", hook="forward")
    guards = GuardFacts(dropping=(chain,))
    facts = replace(FACTS, wires=replace(wires(), filtered=filtered), guards=guards)
    notes = guard_notes(bridged(facts), facts)
    assert ["drops what leaves br-eth1" in note for note in notes] == ([True] if filtered else [])
