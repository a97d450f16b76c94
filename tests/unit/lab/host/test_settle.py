from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.facts import HostFacts
from lab.host.facts import look
from lab.host.leases import claim, read_leases, reserve, unreserve
from lab.host.settle import settle_on
from lab.plans import LabPlan
from lab.storage import HOST_DIR
from tests.unit.lab import samples
from tests.unit.lab.host.shells import LocalShell


def planner(prefix: str) -> Callable[[HostFacts], LabPlan]:
    """Plans on a sample host with the leases and reservations that were seen."""
    return lambda seen: samples.plan(
        prefix, replace(samples.FACTS, leases=seen.leases, reserved=seen.reserved)
    )


def subnets(plan: LabPlan) -> list[IPv4Network]:
    return [IPv4Network(subnet) for subnet in plan.lease.subnets.values()]


def test_plans_made_at_the_same_moment_do_not_overlap(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    waiting = ["b", "c", "d"]
    plans: list[LabPlan] = []

    def interrupted(seen: HostFacts) -> LabPlan:
        plan = planner("a")(seen)
        if waiting:  # another run looks, plans and reserves before this one reserves
            plans.append(settle_on(shell, planner(waiting.pop()), lasting=True, progress=print)[0])
        return plan

    plans.append(settle_on(shell, interrupted, lasting=True, progress=print)[0])
    assert len(plans) == 4
    every = [subnet for plan in plans for subnet in subnets(plan)]
    assert not [pair for pair in combinations(every, 2) if pair[0].overlaps(pair[1])]
    for plan in plans:
        claim(plan.lease, shell, memory_limit_mib=None, progress=print)
    assert sorted(read_leases(shell)) == ["a", "b", "c", "d"]
    left = [path.name for path in (tmp_path / "var/lib/metalab").iterdir()]
    assert sorted(left) == ["leases", "lock"], "a claim takes its reservation away"


def test_a_preview_reserves_nothing(tmp_path: Path) -> None:
    settle_on(LocalShell(tmp_path), planner("a"), lasting=False, progress=print)
    assert not list(tmp_path.iterdir())


def test_what_is_leased_already_costs_one_look(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    plan, _ = settle_on(shell, planner("a"), lasting=True, progress=print)
    claim(replace(plan.lease, owner="ssh-ed25519 A"), shell, memory_limit_mib=None, progress=print)
    shell.count = 0
    again, facts = settle_on(shell, planner("a"), lasting=True, progress=print)
    assert (again.lease.subnets, shell.count) == (plan.lease.subnets, 1)
    assert facts.reserved == {}


def test_the_reservation_of_a_killed_run_wears_off(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    plan, _ = settle_on(shell, planner("a"), lasting=True, progress=print)
    assert look(shell).reserved.keys() == {"a"}
    shell.run("touch -d '11 minutes ago' /var/lib/metalab/reserved/a.json")
    facts = look(shell)
    assert facts.reserved == {}
    assert reserve(
        replace(plan.lease, prefix="b"), shell, digest=facts.leases_digest, progress=print
    )
    assert [path.name for path in (tmp_path / "var/lib/metalab/reserved").iterdir()] == ["b.json"]


def test_leases_that_never_rest_end_in_an_error(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    rivals = iter(range(100))

    def outrun(seen: HostFacts) -> LabPlan:
        rival = samples.plan(f"r{next(rivals)}").lease
        claim(replace(rival, subnets={}), shell, memory_limit_mib=None, progress=print)
        return planner("a")(seen)

    with pytest.raises(LabError, match="changed 20 times"):
        settle_on(shell, outrun, lasting=True, progress=print)


def test_what_was_reserved_and_not_claimed_is_let_go_of(tmp_path: Path) -> None:
    """And a host that nobody else uses keeps nothing; what somebody reserved since stays."""
    shell = LocalShell(tmp_path)
    plan, _ = settle_on(shell, planner("a"), lasting=True, progress=print)
    other, _ = settle_on(shell, planner("b"), lasting=True, progress=print)
    unreserve(plan.lease, shell, progress=print)
    assert look(shell).reserved.keys() == {"b"}
    unreserve(replace(other.lease, memory_mib=1), shell, progress=print)
    assert look(shell).reserved.keys() == {"b"}
    unreserve(other.lease, shell, progress=print)
    assert shell.run(f"ls -d {HOST_DIR}").exit_code != 0
    unreserve(other.lease, shell, progress=print)
