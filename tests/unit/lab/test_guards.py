from __future__ import annotations

from dataclasses import replace

import pytest

from lab.facts import ChainFact, GuardFacts, NetworkFact
from lab.guards import check_guards, guard_notes, wants_label
from lab.plan import plan_lab
from lab.plans import LabPlan
from lab.specs import LanSpec, NetworkSpec
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, WITH_NICS, config, role, topology

INPUT = ChainFact(table="inet theirs", name="input", hook="input")
FORWARD = ChainFact(table="inet theirs", name="forward", hook="forward")
OURS = (
    ChainFact(table="ip filter", name="INPUT", hook="input"),
    ChainFact(table="ip filter", name="FORWARD", hook="forward"),
)
IMAGES = "/var/lib/libvirt/images"
LIBVIRT = (NetworkFact(name="default", uuid="u", bridge="virbr0", subnets=()),)
BOTH = "foo-management, foo-external"


def lab(*, deploy_os: bool = True) -> LabPlan:
    """One node on data (isolated, no DHCP), management and external (NAT, DHCP)."""
    names = tuple(network.name for network in NETWORKS)
    spec = role("tiny", [0], deploy_os=deploy_os, interfaces=names, access="management")
    return plan_lab(config(), replace(topology(), roles=(spec,)), IMAGE, FACTS)


def judged(guards: GuardFacts, *, deploy_os: bool = True) -> tuple[list[str], list[str]]:
    facts = replace(FACTS, guards=guards, networks=LIBVIRT)
    plan = lab(deploy_os=deploy_os)
    return [str(problem) for problem in check_guards(plan, facts)], guard_notes(plan, facts)


@pytest.mark.parametrize(
    "guards",
    [
        pytest.param(GuardFacts(), id="nothing"),
        pytest.param(GuardFacts(dropping=OURS), id="Docker: libvirt's rules come first"),
        pytest.param(GuardFacts(ufw=True, dropping=OURS), id="ufw: the same"),
        pytest.param(
            GuardFacts(dropping=(replace(INPUT, admits=("foo-*",)),)), id="the lab is let in"
        ),
        pytest.param(
            GuardFacts(dropping=(replace(INPUT, admits=("*",)),)), id="or may be for all we know"
        ),
        pytest.param(GuardFacts(firewalld=True, libvirt_zone=True), id="firewalld with the zone"),
        pytest.param(
            GuardFacts(selinux="enforcing", images_path=IMAGES, images_type="virt_image_t"),
            id="SELinux as EL installs it",
        ),
        pytest.param(GuardFacts(apparmor=True, images_path=IMAGES), id="AppArmor as on Ubuntu"),
    ],
)
def test_hosts_of_which_there_is_nothing_to_say(guards: GuardFacts) -> None:
    assert judged(guards) == ([], [])


@pytest.mark.parametrize(
    ("guards", "said"),
    [
        pytest.param(
            GuardFacts(dropping=(INPUT,)),
            [
                f"(table inet theirs, chain input) that drops DHCP and DNS on {BOTH}",
                'nft \'insert rule inet theirs input iifname { "foo-management", "foo-external" }',
                "accept'` there, and keep that in the host's own rules.",
                "[firewall]",
            ],
            id="nftables",
        ),
        pytest.param(
            GuardFacts(dropping=OURS[:1], libvirt_nftables=True, ufw=True),
            ["ufw allow in on foo-management to any port 67 proto udp", "` there. [firewall]"],
            id="ufw beside a libvirt with a table of its own",
        ),
        pytest.param(
            GuardFacts(dropping=OURS[:1], libvirt_nftables=True),
            ["nft 'insert rule ip filter INPUT iifname"],
            id="iptables beside the same",
        ),
        pytest.param(
            GuardFacts(dropping=(replace(INPUT, admits=("foo-external", "bar-*")),)),
            ["DHCP and DNS on foo-management.".replace(".", ",")],
            id="another of its networks, and another lab, are let in",
        ),
        pytest.param(
            GuardFacts(firewalld=True),
            ["firewall-cmd --reload", "[firewalld-zone]"],
            id="firewalld",
        ),
    ],
)
def test_what_no_lab_comes_up_on_is_refused(guards: GuardFacts, said: list[str]) -> None:
    (problem,), notes = judged(guards)
    assert [words for words in said if words not in problem] == [], problem
    assert notes == []


@pytest.mark.parametrize(
    ("guards", "said"),
    [
        pytest.param(
            GuardFacts(dropping=(FORWARD,)),
            [f"drops what leaves {BOTH}", "ct state established,related accept'` there"],
            id="no way out",
        ),
        pytest.param(
            GuardFacts(dropping=OURS[1:], libvirt_nftables=True, ufw=True),
            ["`ufw route allow in on foo-management; ufw route allow in on foo-external`"],
            id="no way out through ufw",
        ),
        pytest.param(
            GuardFacts(dropping=(replace(INPUT, admits=("foo-management",)),)),
            ["DHCP and DNS on foo-external"],
            id="no DHCP where nobody waits for it",
        ),
        pytest.param(
            GuardFacts(apparmor=True, images_path="/srv/images"),
            ["/srv/images/** rwk,", "abstractions/libvirt-qemu"],
            id="AppArmor, and images elsewhere",
        ),
    ],
)
def test_what_breaks_a_part_is_named(guards: GuardFacts, said: list[str]) -> None:
    problems, (note,) = judged(guards)
    assert [words for words in said if words not in note] == [], note
    assert problems == []


def test_blank_nodes_wait_for_nothing() -> None:
    problems, notes = judged(GuardFacts(dropping=(INPUT,)), deploy_os=False)
    assert problems == []
    assert len(notes) == 1


def test_a_host_without_libvirt_yet_gets_the_zone_with_it() -> None:
    facts = replace(FACTS, guards=GuardFacts(firewalld=True))
    assert check_guards(lab(), facts) == []


@pytest.mark.parametrize(
    ("selinux", "label", "wanted"),
    [
        pytest.param("enforcing", "default_t", True, id="a mount of its own"),
        pytest.param("enforcing", "virt_image_t", False, id="as the policy has it"),
        pytest.param("enforcing", "", False, id="no directory yet: libvirt's package makes it"),
        pytest.param("permissive", "default_t", False, id="permissive"),
        pytest.param("", "", False, id="no SELinux"),
    ],
)
def test_when_the_image_store_gets_a_label(selinux: str, label: str, wanted: bool) -> None:
    facts = replace(FACTS, guards=GuardFacts(selinux=selinux, images_type=label))
    assert wants_label(facts) is wanted


@pytest.mark.parametrize(
    ("forward", "chains", "said"),
    [
        pytest.param("none", OURS, 0, id="isolated: nothing is forwarded"),
        pytest.param("route", OURS, 0, id="routed: libvirt's rules come first"),
        pytest.param("route", (FORWARD,), 1, id="routed, past somebody else's chain"),
        pytest.param("open", OURS, 2, id="open: libvirt has no rules there"),
    ],
)
def test_what_a_network_lets_through_hangs_on_its_kind(
    forward: str, chains: tuple[ChainFact, ...], said: int
) -> None:
    """Blank nodes: nobody waits for them, so all that is found is a note."""
    networks = tuple(replace(network, forward=forward) for network in NETWORKS[2:])
    spec = role("tiny", [0], deploy_os=False, interfaces=["external"], access="external")
    wanted = replace(topology(networks), roles=(spec,))
    facts = replace(FACTS, guards=GuardFacts(dropping=chains), networks=LIBVIRT)
    plan = plan_lab(config(), wanted, IMAGE, facts)
    assert check_guards(plan, facts) == []
    assert len(guard_notes(plan, facts)) == said


@pytest.mark.parametrize(("chain", "said"), [(INPUT, 0), (FORWARD, 1)])
def test_where_nobody_asks_for_an_address_only_the_way_out_counts(
    chain: ChainFact, said: int
) -> None:
    network = replace(NETWORKS[2], dhcp=False)
    spec = role("tiny", [0], deploy_os=False, interfaces=["external"], access="external")
    facts = replace(FACTS, guards=GuardFacts(dropping=(chain,)), networks=LIBVIRT)
    plan = plan_lab(config(), replace(topology((network,)), roles=(spec,)), IMAGE, facts)
    assert len(guard_notes(plan, facts)) == said


@pytest.mark.parametrize(
    ("chains", "filtered", "said"),
    [
        pytest.param((INPUT, FORWARD), False, 0, id="frames pass below the firewall"),
        pytest.param((FORWARD,), True, 1, id="the kernel shows them to it"),
        pytest.param((INPUT,), True, 0, id="as what is forwarded, not as what comes in"),
        pytest.param(OURS[1:], True, 1, id="libvirt has no rules for them"),
    ],
)
def test_what_is_bridged_is_nobody_s_to_route(
    chains: tuple[ChainFact, ...], filtered: bool, said: int
) -> None:
    lan = NetworkSpec(name="lan", subnet=None, forward="bridge", lan=LanSpec(nic="eth1"))
    spec = role("tiny", [0], deploy_os=False, interfaces=["lan"], access="lan")
    wires = replace(WITH_NICS.wires, filtered=filtered)
    facts = replace(WITH_NICS, wires=wires, guards=GuardFacts(dropping=chains), networks=LIBVIRT)
    plan = plan_lab(config(), replace(topology((lan,)), roles=(spec,)), IMAGE, facts)
    assert check_guards(plan, facts) == []
    assert len(guard_notes(plan, facts)) == said
