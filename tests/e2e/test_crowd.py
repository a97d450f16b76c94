"""Environments side by side, a random walk of edits, and runs that change nothing.

In full it is `make soak`: a hundred environments, a hundred sequences, fifty runs.
"""

from __future__ import annotations

from itertools import islice

import pytest

from tests.e2e.engine import Stack
from tests.e2e.hypervisors import Hypervisor
from tests.soak.crowd import Crowd, changed, everybody
from tests.soak.neighbours import ALIKE, Neighbours
from tests.soak.trials import KINDS, trials
from tests.soak.walk import Walk, walked

pytestmark = pytest.mark.e2e
COUNT = 4  # at once, on two cores


def test_a_crowd_comes_and_goes(neighbours: Neighbours, hypervisor: Hypervisor) -> None:
    """All first runs at once succeed; whoever goes takes nothing along; a hole is taken again."""
    before = hypervisor.inventory()
    crowd = Crowd(neighbours.project, hypervisor, at_once=COUNT, running=2)
    crowd.make(COUNT)
    leases = crowd.leases()
    assert len(leases) == COUNT + len(ALIKE)
    assert crowd.overlapping() == []
    there, gone = everybody(hypervisor), list(crowd.stacks)[-2:]
    crowd.each(gone, Stack.destroy)
    assert changed(there, everybody(hypervisor), gone) == []
    crowd.each(gone, crowd.up)
    assert crowd.leases() == leases
    crowd.each(crowd.stacks, Stack.destroy)
    assert hypervisor.inventory() == before


def test_whoever_stays_does_not_notice(neighbours: Neighbours, hypervisor: Hypervisor) -> None:
    walk = Walk(neighbours.project, hypervisor)
    for said in walked(walk, steps=4, seed=7):
        assert said
    for refresh in ([], ["--refresh"], []):
        walk.stack.pulumi("up", "--yes", "--expect-no-changes", *refresh).ok()
    walk.stack.destroy().ok()


def test_what_is_one_too_large_changes_nothing(
    neighbours: Neighbours, hypervisor: Hypervisor
) -> None:
    before, there = hypervisor.inventory(), everybody(hypervisor)
    stack = neighbours.project.stack("full", **hypervisor.settings)
    for trial in islice(trials(hypervisor, seed=3), len(KINDS)):
        trial.write(stack, fits=False)
        assert f"[{trial.rule}]" in stack.up().refused().out
        trial.write(stack, fits=True)
        stack.pulumi("preview").ok()
    assert (hypervisor.inventory(), everybody(hypervisor)) == (before, there)
