from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab import limits, rules
from lab.facts import (
    DomainFact,
    HostFacts,
    KvmFacts,
    LinkFact,
    LinkFacts,
    NetworkFact,
    Taken,
)
from lab.plan import LabPlan, plan_lab
from lab.plans import OnHost
from lab.specs import DiskSpec, NicSpec, NodeSpec, Topology
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, holding, plan, role, topology

PLAN = plan()


def verdict(made: LabPlan = PLAN, facts: HostFacts = FACTS) -> list[str]:
    return [str(problem) for problem in rules.check_plan(made, facts)]


def test_a_clean_verdict() -> None:
    assert verdict() == []


def domain(name: str, uuid: str = "u") -> DomainFact:
    return DomainFact(name=name, uuid=uuid, memory_mib=1, vcpus=1)


def network(name: str, bridge: str, owner: str = "") -> NetworkFact:
    return NetworkFact(name=name, uuid="u", bridge=bridge, subnets=(), owner=owner)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        pytest.param(
            replace(FACTS, domains=(domain("foo-tiny-0"),)), "a domain foo-tiny-0", id="a domain"
        ),
        pytest.param(
            replace(FACTS, networks=(network("foo-data", "x"),)),
            "a network foo-data",
            id="a network",
        ),
        pytest.param(
            replace(FACTS, networks=(network("foo-data", "x", "other"),)),
            "a network foo-data",
            id="a network of another environment",
        ),
        pytest.param(
            replace(FACTS, networks=(network("x", "foo-data"),)),
            "an interface foo-data, which foo-data needs",
            id="a bridge",
        ),
        pytest.param(
            replace(FACTS, taken=(Taken(subnet=NETWORKS[0].subnet, by="x", device="foo-data"),)),
            "an interface foo-data",
            id="a device",
        ),
    ],
)
def test_what_is_somebody_else_s_is_never_touched(facts: HostFacts, says: str) -> None:
    (line,) = verdict(facts=facts)
    assert says in line
    assert "Choose another prefix" in line
    assert line.endswith("[name-taken]")


def test_what_a_killed_libvirtd_left_is_cleared_and_not_refused() -> None:
    taken = (Taken(subnet=NETWORKS[0].subnet, by="x", device="foo-data"),)
    links = {"foo-data": LinkFact(name="foo-data", bridge=True)}
    facts = replace(FACTS, taken=taken, wires=LinkFacts(links=links), leases={"foo": PLAN.lease})
    assert verdict(facts=facts) == []
    found = plan(facts=facts).on_host["network", "foo-data"]
    assert found.bridge == "foo-data"


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(
            replace(FACTS, domains=(domain("foo-tiny-0", PLAN.nodes["tiny-0"].uuid),)), id="domain"
        ),
        pytest.param(
            replace(
                FACTS,
                networks=(network("foo-data", "foo-data", "foo"),),
                taken=(Taken(subnet=NETWORKS[0].subnet, by="x", device="foo-data"),),
            ),
            id="network and bridge",
        ),
        pytest.param(
            replace(FACTS, domains=(domain("foo2-tiny-0"), domain("foo-compute-9"))),
            id="neighbours that begin alike",
        ),
    ],
)
def test_what_is_ours_is_fine(facts: HostFacts) -> None:
    assert verdict(facts=facts) == []


def test_not_enough_memory_says_numbers_and_the_way_out() -> None:
    roles = (
        role("controller", range(3), memory_mib=32_768, deploy_os=False),
        role("compute", range(2), memory_mib=8_192, deploy_os=False),
    )
    wanted = Topology(networks=NETWORKS, roles=roles)
    made = plan_lab(config(), wanted, None, FACTS)
    (line,) = verdict(made)
    assert line == (
        "lab42: got 115488 MiB of nodes (3 controller of 32768, 2 compute of 8192; QEMU's overhead "
        "included), expected at most 61440 MiB (65536 installed, 4096 reserved, 0 used by others). "
        "Shrink memory or counts, or set host-memory-overcommit to true. [memory-overcommit]"
    )
    allowed = plan_lab(config(memory_overcommit=True), wanted, None, FACTS)
    assert verdict(allowed) == []


def test_memory_of_shut_off_domains_and_other_leases_counts() -> None:
    tight = replace(FACTS, memory_mib=1_024 + PLAN.lease.memory_mib)
    assert verdict(facts=tight) == []
    assert verdict(facts=replace(tight, domains=(domain("other"),)))
    assert verdict(facts=holding(tight, plan("bar", tiny=[0]).lease))


LACKING = replace(FACTS, inside="vmware")


def with_kvm(wish: str, facts: HostFacts) -> list[str]:
    """The verdict on an environment that has a node with KVM already."""
    facts = holding(facts, replace(plan(tiny=[0]).lease, virt_type="kvm"))
    facts = replace(facts, domains=(domain("foo-tiny-0", PLAN.nodes["tiny-0"].uuid),))
    return verdict(plan_lab(config(virt_type=wish), topology(tiny=[0]), IMAGE, facts), facts)


@pytest.mark.parametrize(
    ("wish", "facts", "says"),
    [
        pytest.param("kvm", LACKING, "got virt-type kvm on a host without KVM", id="a wish"),
        pytest.param("auto", LACKING, "meant kvm when its nodes were made", id="what auto meant"),
        pytest.param("qemu", LACKING, "", id="the way on"),
        pytest.param("kvm", replace(FACTS, cpu_virtualization=True, kvm=True), "", id="KVM works"),
        pytest.param(
            "kvm",
            replace(
                FACTS, cpu_virtualization=True, around_kvm=KvmFacts(loadable=frozenset({"kvm_amd"}))
            ),
            "",
            id="a step loads it",
        ),
        pytest.param(
            "kvm", replace(LACKING, kvm=True), "", id="no flag, yet a node that opens: one may try"
        ),
    ],
)
def test_kvm_where_there_is_none(wish: str, facts: HostFacts, says: str) -> None:
    lines = with_kvm(wish, facts)
    assert len(lines) == (1 if says else 0)
    for line in lines:
        assert says in line
        assert "a virtual machine (vmware) whose CPU does not show svm" in line
        assert line.endswith("that runs it, or set virt-type: qemu (emulation). [kvm]")


def reshaped(**fields: Any) -> list[str]:
    """The verdict when tiny:2 exists and its node file changes."""
    facts = holding(FACTS, plan(tiny=[0, 1]).lease)
    wanted = Topology(networks=NETWORKS, roles=(role("tiny", [0, 1], **fields),))
    return verdict(plan_lab(config(), wanted, IMAGE, facts), facts)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param(
            {"disks_gib": (2,)}, "got 2 GiB for vda of tiny-0, expected 1 GiB", id="grown"
        ),
        pytest.param({"disks_gib": (1, 5)}, "got 5 GiB for vdb", id="one more"),
        pytest.param({"deploy_os": False}, "deploy_os: got false for tiny-0", id="made blank"),
    ],
)
def test_disks_that_exist_are_not_made_anew(fields: dict[str, Any], says: str) -> None:
    found = reshaped(**fields)
    assert len(found) == 2  # tiny-0 and tiny-1
    assert says in found[0]
    assert "remove-nodes: tiny-0" in found[0]


@pytest.mark.parametrize(
    ("had", "wanted", "says"),
    [
        pytest.param("off", "full", "full for vdb of tiny-0, expected off", id="full"),
        pytest.param("full", "off", "off for vdb of tiny-0, expected full", id="off"),
        pytest.param("full", "full", "", id="as it was"),
    ],
)
def test_a_disk_that_exists_keeps_its_kind(had: str, wanted: str, says: str) -> None:
    before, after = (
        replace(
            topology(),
            roles=(
                role(
                    "tiny",
                    [0],
                    disks=(DiskSpec(size_gib=1), DiskSpec(size_gib=5, preallocation=kind)),
                ),
            ),
        )
        for kind in (had, wanted)
    )
    facts = holding(FACTS, plan_lab(config(), before, IMAGE, FACTS).lease)
    found = verdict(plan_lab(config(), after, IMAGE, facts), facts)
    assert len(found) == bool(says)
    assert [line for line in found if says not in line or "[disk-kind]" not in line] == []


def test_nodes_without_their_lease_are_left_alone() -> None:
    there = {
        (kind, "foo-tiny-0"): OnHost(kind=kind, name="foo-tiny-0") for kind in ("domain", "network")
    }
    network = dict(list(there.items())[1:])
    assert verdict(replace(PLAN, on_host=there), holding(FACTS, PLAN.lease)) == []
    assert verdict(replace(PLAN, on_host=network)) == []
    (line,) = verdict(replace(PLAN, on_host=there))
    assert "got foo-tiny-0, but no /var/lib/metalab/leases/foo.json" in line
    assert line.endswith("[lease-lost]")


def test_a_blank_node_is_not_overwritten_by_an_image() -> None:
    facts = holding(FACTS, plan(compute=[0]).lease)
    wanted = Topology(networks=NETWORKS, roles=(role("compute", [0], deploy_os=True),))
    (line,) = verdict(plan_lab(config(), wanted, IMAGE, facts), facts)
    assert "deploy_os: got true for compute-0" in line


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"vcpus": 2}, id="vCPUs"),
        pytest.param({"memory_mib": 256}, id="memory"),
        pytest.param({"interfaces": ("management",)}, id="NICs"),
    ],
)
def test_other_shapes_may_change(fields: dict[str, Any]) -> None:
    assert reshaped(**fields) == []


def test_a_removed_node_s_disks_may_go() -> None:
    facts = holding(FACTS, plan(tiny=[0, 1]).lease)
    assert verdict(plan(facts=facts, tiny=[0]), facts) == []


def test_two_nics_with_one_mac() -> None:
    group = PLAN.groups[0]
    twins = replace(PLAN, groups=(replace(group, nodes=(group.nodes[0],)),))
    first = twins.groups[0].nodes[0]
    twin = replace(first, nics=(first.nics[0], first.nics[0]))
    (line,) = verdict(replace(twins, groups=(replace(group, nodes=(twin,)),)))
    assert line.endswith("[mac]")


def test_a_plan_s_own_names_are_judged() -> None:
    group = PLAN.groups[0]
    alien = replace(group.nodes[0], name="bar-tiny-0")
    long = replace(PLAN.networks[0], bridge="a-bridge-of-17-ch")
    made = replace(PLAN, groups=(replace(group, nodes=(alien,)),), networks=(long,))
    assert [line.rpartition(" ")[2] for line in verdict(made)] == ["[naming]", "[naming]"]


@pytest.mark.parametrize(
    ("kind", "name", "ok"),
    [
        pytest.param("domain", "foo-tiny-0", True, id="a domain"),
        pytest.param("domain", "foo2-tiny-0", False, id="a prefix that begins alike"),
        pytest.param("domain", "foo", False, id="the bare prefix"),
        pytest.param("domain", "", False, id="no name: the provider would draw one"),
        pytest.param("pool", "metalab.foo", True, id="the pool"),
        pytest.param("pool", "metalab.foo2", False, id="another pool"),
        pytest.param("network", "metalab.foo", False, id="a pool's name for a network"),
    ],
)
def test_check_name(kind: str, name: str, ok: bool) -> None:
    assert (rules.check_name("foo", kind, name) == []) is ok


@pytest.mark.parametrize(
    ("name", "ok"),
    [
        pytest.param("a" * 15, True, id="15"),
        pytest.param("a" * 16, False, id="16"),
        pytest.param("", False, id="none: the provider would draw one"),
    ],
)
def test_check_bridge(name: str, ok: bool) -> None:
    assert (rules.check_bridge(name) == []) is ok


@pytest.mark.parametrize(
    ("claimed", "limit", "ok"),
    [
        pytest.param(10, 10, True, id="to the last MiB"),
        pytest.param(11, 10, False, id="one more"),
        pytest.param(11, None, True, id="overcommit is allowed"),
        pytest.param(11, 0, False, id="a limit of nothing is a limit"),
    ],
)
def test_check_memory(claimed: int, limit: int | None, ok: bool) -> None:
    assert (limits.check_memory("lab42", claimed, limit) == []) is ok


def test_a_mac_of_its_own_is_not_for_a_network_with_dhcp() -> None:
    """The network's table of MACs stays as it is: an edit of it would cut off every other node."""
    nics = (NicSpec(network="data", mac="52:54:00:00:00:01"), NicSpec(network="management"))
    spec = role("tiny", [0], nics=nics)
    assert verdict(_of(spec)) == []
    nics = (nics[0], NicSpec(network="management", mac="52:54:00:00:00:02"))
    (line,) = verdict(_of(replace(spec, nics=nics)))
    assert "expected a network without dhcp" in line


def _of(spec: NodeSpec) -> LabPlan:
    return plan_lab(config(), replace(topology(), roles=(spec,)), IMAGE, FACTS)
