from __future__ import annotations

from dataclasses import replace

import pytest

from lab.errors import LabError
from lab.facts import DomainFact, HostFacts
from lab.lease import Lease
from lab.leasing import numbers_held
from lab.plan import plan_lab
from lab.plans import LabPlan
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, holding, plan, topology


def running(made: LabPlan, facts: HostFacts = FACTS) -> HostFacts:
    """The host once this plan is built."""
    domains = tuple(
        DomainFact(name=node.name, uuid=node.uuid, memory_mib=node.memory_mib, vcpus=1)
        for node in made.nodes.values()
    )
    return holding(replace(facts, domains=domains), made.lease)


def number(made: LabPlan, node: str) -> int:
    return made.lease.nodes[node].numbers["management"]


def test_a_removed_node_s_number_is_not_given_away_in_the_same_breath() -> None:
    """Its domain still runs while the new one starts."""
    first = plan(tiny=[0, 1])
    second = plan(facts=running(first), tiny=[0, 2])
    assert number(second, "tiny-2") not in {number(first, n) for n in first.nodes}
    assert second.lease.leaving == {"tiny-1": first.lease.nodes["tiny-1"].numbers}


def test_it_is_free_once_the_domain_is_gone() -> None:
    first = plan(tiny=[0, 1])
    second = plan(facts=running(first), tiny=[0])
    third = plan(facts=running(second), tiny=[0, 2])
    assert number(third, "tiny-2") == number(first, "tiny-1")


def test_it_stays_taken_while_the_domain_lingers() -> None:
    """A run that was cut short left the removed domain behind."""
    first = plan(tiny=[0, 1])
    second = plan(facts=running(first), tiny=[0])
    third = plan(facts=holding(running(first), second.lease), tiny=[0, 2])
    assert number(third, "tiny-2") != number(first, "tiny-1")
    assert "tiny-1" in third.lease.leaving


def test_the_same_nodes_again_change_nothing() -> None:
    first = plan(tiny=[0, 1])
    second = plan(facts=running(first), tiny=[0])
    assert plan(facts=running(second), tiny=[0]).lease == second.lease


def test_a_node_that_comes_back_takes_its_number_or_another_but_not_both() -> None:
    first = plan(tiny=[0, 1])
    second = plan(facts=running(first), tiny=[0])
    back = plan(facts=holding(running(first), second.lease), tiny=[0, 1])
    assert number(back, "tiny-1") == number(first, "tiny-1")
    assert back.lease.leaving == {}


def test_a_full_subnet_lets_go_of_removed_nodes() -> None:
    """/29 has five numbers: one out and, with the next run, one in."""
    small = tuple(
        replace(network, subnet=next(network.subnet.subnets(new_prefix=29))) for network in NETWORKS
    )

    def build(facts: HostFacts, *indexes: int) -> LabPlan:
        return plan_lab(config(), topology(small, tiny=indexes), IMAGE, facts)

    full = build(FACTS, 0, 1, 2, 3, 4)
    with pytest.raises(LabError, match=r"6 nodes \(1 of removed ones that still run\) on"):
        build(running(full), 0, 1, 2, 3, 5)
    less = build(running(full), 0, 1, 2, 3)
    assert number(build(running(less), 0, 1, 2, 3, 5), "tiny-5") == number(full, "tiny-4")


def test_numbers_held_are_those_of_one_network() -> None:
    lease = plan(tiny=[0]).lease
    assert numbers_held(lease, "data", FACTS) == {"tiny-0": 2}
    assert numbers_held(lease, "nobody", FACTS) == {}
    assert numbers_held(Lease(prefix="foo", virt_type=""), "data", FACTS) == {}
