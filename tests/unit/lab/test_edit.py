from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.config import StackConfig, parse_config
from lab.edit import extended, names_of, parse_more, shift, shrunk
from lab.errors import LabError
from lab.facts import HostFacts
from lab.lease import Lease
from lab.plan import plan_lab
from lab.plans import LabPlan, NodePlan
from lab.specs import Topology
from lab.topology import load_topology
from lab.views.edit import edit

ROLES = ("compute", "ironic", "ceph")  # blank, so that no image is needed
FACTS = HostFacts(hostname="h", os_id="debian", memory_mib=1 << 24, disk_free_gib=1 << 20)
TOPOLOGIES: dict[object, Topology] = {}
OVERRIDE = {role: {"deploy_os": False} for role in ROLES}


def stack(nodes: Mapping[str, int], *removed: str) -> StackConfig:
    words = {"host-address": "h", "topology-nodes": dict(nodes), "remove-nodes": list(removed)}
    override = {role: OVERRIDE[role] for role in nodes}
    return parse_config({**words, "override": override}, "foo")


def names(config: StackConfig) -> list[str]:
    return [name for role in loaded(config).roles for name in names_of(role)]


def loaded(config: StackConfig) -> Topology:
    """Each topology is read once: files are not what is tried here."""
    key = (tuple(config.nodes.items()), config.removed)
    if key not in TOPOLOGIES:
        TOPOLOGIES[key] = load_topology(config)
    return TOPOLOGIES[key]


@pytest.mark.parametrize(
    ("more", "now"),
    [
        pytest.param("compute:1", ["compute-0", "compute-2", "compute-3"], id="behind a hole"),
        pytest.param("ceph:1", ["compute-0", "compute-2", "ceph-0"], id="a new role"),
    ],
)
def test_extending_closes_no_hole(more: str, now: list[str]) -> None:
    asked = extended(stack({"compute": 3}, "compute-1"), parse_more(more))
    assert names(stack(asked.nodes, *asked.removed)) == now


@pytest.mark.parametrize(
    ("out", "rule"),
    [
        pytest.param(["compute-9"], "remove-nodes", id="nobody"),
        pytest.param(["compute1"], "remove-nodes", id="a slip"),
        pytest.param(["compute-1"], "remove-nodes", id="out already"),
        pytest.param(["ironic-0"], "last-node", id="the last of a role"),
        pytest.param(["compute-0", "compute-2"], "last-node", id="all that are left"),
    ],
)
def test_shrinking_refuses_slips(out: list[str], rule: str) -> None:
    config = stack({"compute": 3, "ironic": 1}, "compute-1")
    with pytest.raises(LabError) as refused:
        shrunk(config, load_topology(config), out, last=False)
    assert [problem.rule for problem in refused.value.problems] == [rule]


def test_the_last_of_a_role_takes_the_role_along() -> None:
    config = stack({"compute": 2, "ironic": 1}, "compute-1")
    left = shrunk(config, load_topology(config), ["compute-0"], last=True)
    assert (left.nodes, left.removed) == ({"ironic": 1}, ())
    with pytest.raises(LabError, match="pulumi destroy -s foo"):
        shrunk(config, load_topology(config), ["compute-0", "ironic-0"], last=True)


@pytest.mark.parametrize("words", ["compute", "compute:0", "Compute:1", "a:1,a:2", ""])
def test_what_is_no_role_and_count_is_refused(words: str) -> None:
    with pytest.raises(LabError):
        parse_more(words)


def test_more_than_any_host_can_have_is_refused() -> None:
    with pytest.raises(LabError, match=r"compute:10001"):
        extended(stack({"compute": 1}), {"compute": 10_000})


def test_an_edit_is_told_with_its_sums() -> None:
    before = stack({"compute": 2, "ironic": 1})
    after = stack({"compute": 3, "ironic": 1}, "compute-0")
    assert edit("foo", shift(load_topology(before), load_topology(after))) == (
        "come    compute-2\n"
        "go      compute-0, with their disks\n"
        "nodes   3 → 3\n"
        "memory  20480 → 20480 MiB\n"
        "vCPUs   12 → 12\n"
        "disks   170 → 170 GiB\n"
    )
    same = load_topology(before)
    assert edit("foo", shift(same, same)) == "foo: no node comes or goes\n"


@given(st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_survivors_of_any_sequence_of_edits_stay_who_they_are(dice: random.Random) -> None:
    """UUID, MACs, addresses, host numbers and disks, and no two nodes share any of them."""
    config, lease = stack({"compute": 2}), None
    plan = planned(config, lease)
    born: set[str] = set(plan.nodes)
    for _ in range(dice.randint(2, 6)):
        was, roles = dict(plan.nodes), set(config.nodes)
        config = one_edit(config, dice)
        plan = planned(config, plan.lease)
        for name in was.keys() & plan.nodes.keys():
            assert identity(plan.nodes[name]) == identity(was[name])
        of_old_roles = {n for n in plan.nodes.keys() - was.keys() if plan.nodes[n].role in roles}
        assert not of_old_roles & born, "a hole was closed"
        gone = {name for name in born if name.rpartition("-")[0] not in config.nodes}
        born = (born - gone) | set(plan.nodes)
        every = [mac for node in plan.nodes.values() for mac in identity(node)[1]]
        assert len(every) == len(set(every))
        assert names(config) == list(plan.nodes)


def one_edit(config: StackConfig, dice: random.Random) -> StackConfig:
    """Somebody adds some nodes, or takes some out."""
    there = names(config)
    if dice.random() < 0.5 or len(there) < 2:
        asked = extended(config, {dice.choice(ROLES): dice.randint(1, 3)})
    else:
        out = dice.sample(there, dice.randint(1, len(there) - 1))
        asked = shrunk(config, loaded(config), out, last=True)
    return stack(asked.nodes, *asked.removed)


def planned(config: StackConfig, lease: Lease | None) -> LabPlan:
    facts = replace(FACTS, leases={"foo": lease} if lease else {})
    return plan_lab(config, loaded(config), None, facts)


def identity(node: NodePlan) -> tuple[object, ...]:
    macs = tuple(nic.mac for nic in node.nics)
    numbers = tuple((nic.slot, nic.number, nic.address) for nic in node.nics)
    return node.uuid, macs, node.name, numbers, node.disks
