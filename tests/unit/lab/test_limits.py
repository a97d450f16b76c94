"""What fits and what does not, on both sides of each limit; and that a broken rule would show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lab.capacity import OVERHEAD_MIB, disk_room, limit_mib
from lab.config import Quota
from lab.errors import Problem
from lab.lease import HeldNode, Lease
from lab.limits import check_disks, check_memory, check_quota, check_vcpus
from lab.plan import plan_lab
from lab.rules import check_plan
from lab.specs import DiskSpec
from tests.unit.lab.samples import FACTS, IMAGE, config, holding, role, topology

Check = Callable[..., list[Problem]]
TRIALS = 100
NODE = HeldNode(numbers={}, disks_gib={})


def leased(**sums: int) -> Lease:
    nodes = {f"a-{n}": NODE for n in range(sums.pop("nodes", 0))}
    return Lease(prefix="foo", virt_type="qemu", nodes=nodes, **sums)


# By rule: its function, and (arguments, whether they are refused).
CASES: dict[str, tuple[Check, list[tuple[tuple[Any, ...], bool]]]] = {
    "memory-overcommit": (check_memory, [
        (("h", 0, 0), False), (("h", 10, 10), False), (("h", 11, 10), True),
        (("h", 11, None), False), (("h", 1, 0), True),
    ]),
    "vcpu-overcommit": (check_vcpus, [
        (("h", (8, 0), 2, 4), False), (("h", (9, 0), 2, 4), True), (("h", (5, 4), 2, 4), True),
        (("h", (5, 3), 2, 4), False), (("h", (99, 99), 2, 0), False), (("h", (3, 0), 2, 1), True),
    ]),
    "disk-overcommit": (check_disks, [
        (("h", (10, 0), 10), False), (("h", (11, 0), 10), True), (("h", (6, 5), 10), True),
        (("h", (6, 4), 10), False),
    ]),
    "quota": (check_quota, [
        (("p", leased(nodes=9, memory_mib=9, vcpus=9, disk_gib=9), Quota()), False),
        (("p", leased(nodes=2), Quota(nodes=2)), False),
        (("p", leased(nodes=3), Quota(nodes=2)), True),
        (("p", leased(memory_mib=2), Quota(memory_mib=2)), False),
        (("p", leased(memory_mib=3), Quota(memory_mib=2)), True),
        (("p", leased(vcpus=2), Quota(vcpus=2)), False),
        (("p", leased(vcpus=3), Quota(vcpus=2)), True),
        (("p", leased(disk_gib=2), Quota(disk_gib=2)), False),
        (("p", leased(disk_gib=3), Quota(disk_gib=2)), True),
    ]),
}  # fmt: skip
RULES = list(CASES)


def noticed(rule: str, check: Check) -> bool:
    """Whether any of a rule's cases comes out otherwise by this function."""
    return any((check(*given) != []) is not refused for given, refused in CASES[rule][1])


@pytest.mark.parametrize("rule", RULES)
def test_each_case(rule: str) -> None:
    assert not noticed(rule, CASES[rule][0])


@pytest.mark.parametrize("rule", RULES)
def test_each_message_bears_its_rule_numbers_and_a_way_out(rule: str) -> None:
    check, cases = CASES[rule]
    for given, refused in cases:
        for problem in check(*given) if refused else ():
            assert problem.rule == rule
            assert problem.next_step
            assert any(char.isdigit() for char in problem.got + problem.allowed)


def less_by_one(values: object) -> object:
    """What a rule sees that is off by one: of each whole number, the one below."""
    if isinstance(values, tuple):
        return tuple(map(less_by_one, values))
    if isinstance(values, Lease):
        numbers = {k: max(0, getattr(values, k) - 1) for k in ("memory_mib", "vcpus", "disk_gib")}
        return replace(values, nodes=dict(list(values.nodes.items())[1:]), **numbers)
    return values - 1 if type(values) is int else values


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda _check: lambda *_: [], id="never refuses"),
        pytest.param(lambda _check: lambda *_: [Problem("", "", "", "")], id="always refuses"),
        pytest.param(
            lambda check: lambda where, claim, *rest: check(where, less_by_one(claim), *rest),
            id="one more is let pass",
        ),
        pytest.param(
            lambda check: lambda *given: [] if check(*given) else [Problem("", "", "", "")],
            id="the other way round",
        ),
    ],
)
def test_a_broken_rule_fails_its_cases(rule: str, broken: Callable[[Check], Check]) -> None:
    assert noticed(rule, broken(CASES[rule][0]))


@pytest.mark.parametrize("rule", ["vcpu-overcommit", "disk-overcommit"])
def test_a_rule_that_forgets_the_others_fails_its_cases(rule: str) -> None:
    check = CASES[rule][0]
    assert noticed(rule, lambda where, both, *rest: check(where, (both[0], 0), *rest))


@pytest.mark.parametrize("part", ["nodes", "memory_mib", "vcpus", "disk_gib"])
def test_a_quota_that_forgets_a_part_fails_its_cases(part: str) -> None:
    forgetful = lambda where, lease, quota: check_quota(where, lease, replace(quota, **{part: 0}))  # noqa: E731
    assert noticed("quota", forgetful)


def test_a_hundred_plans_on_each_side_of_the_host_s_memory() -> None:
    """At the limit one is accepted, a MiB beyond it is refused, whatever the nodes are."""
    random = Random(3)  # noqa: S311 - repeatable is what it has to be
    limit = limit_mib(FACTS)
    for _ in range(TRIALS):
        count = random.randint(1, 12)
        each = random.randint(64, limit // count - OVERHEAD_MIB["qemu"])
        rest = limit - count * (each + OVERHEAD_MIB["qemu"]) - OVERHEAD_MIB["qemu"]
        if rest < 64:
            count, each, rest = 1, 64, limit - 64 - 2 * OVERHEAD_MIB["qemu"]
        assert rules_of(memory=(count, each, rest)) == []
        assert rules_of(memory=(count, each, rest + 1)) == ["memory-overcommit"]


def rules_of(memory: tuple[int, int, int]) -> list[str]:
    count, each, rest = memory
    roles = (
        role("many", range(count), memory_mib=each, deploy_os=False),
        role("last", [0], memory_mib=rest, deploy_os=False),
    )
    plan = plan_lab(config(), replace(topology(), roles=roles), None, FACTS)
    return [problem.rule for problem in check_plan(plan, FACTS)]


@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_plans_on_each_side_of_what_is_configured(seed: int) -> None:
    """vCPUs by a ratio, disks in the worst case, and each part of a quota: 25 by each seed."""
    random = Random(seed)  # noqa: S311
    for _ in range(TRIALS // 4):
        count, cpus, size = random.randint(1, 9), random.randint(1, 8), random.randint(1, 40)
        shape = role("x", range(count), vcpus=cpus, deploy_os=False,
                     disks=(DiskSpec(size_gib=size),))  # fmt: skip
        wanted = replace(topology(), roles=(shape,))
        vcpus, disks = count * cpus, count * size
        room = replace(FACTS, disk_free_gib=disks, cpu_count=vcpus)
        for held, facts, settings, rule in (
            (True, room, {"vcpu_ratio": 1}, "vcpu-overcommit"),
            (False, replace(room, cpu_count=vcpus - 1), {"vcpu_ratio": 1}, "vcpu-overcommit"),
            (True, room, {"disk_overcommit": False}, "disk-overcommit"),
            (False, replace(room, disk_free_gib=disks - 1), {"disk_overcommit": False},
             "disk-overcommit"),
            (True, room, {"quota": Quota(nodes=count, vcpus=vcpus, disk_gib=disks)}, "quota"),
            (False, room, {"quota": Quota(nodes=count - 1 or 1, vcpus=vcpus - 1 or 1,
                                          disk_gib=disks - 1 or 1)}, "quota"),
        ):  # fmt: skip
            plan = plan_lab(config(**settings), wanted, None, facts)
            found = {problem.rule for problem in check_plan(plan, facts)}
            alone = count == cpus == size == 1 and rule == "quota"
            assert found == (set() if held or alone else {rule}), (count, cpus, size, settings)


@pytest.mark.parametrize(
    ("free_gib", "there", "said"),
    [
        pytest.param(5, False, "", id="to the last GiB"),
        pytest.param(4, False, "5 GiB of disks with preallocation", id="one too little"),
        pytest.param(0, True, "", id="it has its space already"),
    ],
)
def test_what_is_claimed_at_once_has_to_be_there(free_gib: int, there: bool, said: str) -> None:
    disks = (DiskSpec(size_gib=9), DiskSpec(size_gib=5, preallocation="full"))
    wanted = replace(topology(), roles=(role("x", [0], disks=disks),))
    facts = replace(FACTS, disk_free_gib=free_gib)
    plan = plan_lab(config(), wanted, IMAGE, facts)
    found = check_plan(plan, holding(facts, plan.lease) if there else facts)
    assert [problem.rule for problem in found] == (["disk-space"] if said else [])
    assert [problem for problem in found if said not in problem.got] == []


def test_the_message_about_vcpus_names_both_sums() -> None:
    (problem,) = check_vcpus("h", (9, 1), 2, 3)
    assert (problem.got, problem.allowed) == (
        "9 vCPUs of nodes and 1 of others on 2 threads",
        "at most 6, which is 3 a thread",
    )


def test_room_for_disks_is_what_is_free_and_what_they_occupy() -> None:
    assert disk_room(replace(FACTS, disk_free_gib=5, disk_held_gib=3), "foo").available == 8
