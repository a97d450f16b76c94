"""Environments side by side, a random walk of edits, and runs that change nothing.

In full it is `make soak`: a hundred environments, a hundred sequences, fifty runs.
"""

from __future__ import annotations

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor
from tests.soak.crowd import ALIKE, FOREIGN, Crowd, changed
from tests.soak.walk import Walk, walked

pytestmark = pytest.mark.e2e
COUNT = 6  # at once, on two cores


def test_a_crowd_comes_and_goes(project: Project, hypervisor: Hypervisor) -> None:
    """All first runs at once succeed; whoever goes takes nothing along; a hole is taken again."""
    hypervisor.run(FOREIGN)
    project.add_blank()
    crowd = Crowd(project, hypervisor, at_once=COUNT, running=2)
    crowd.warm_up()
    before, foreign = hypervisor.inventory(), crowd.everybody()
    crowd.make(COUNT)
    leases = crowd.leases()
    assert len(leases) == COUNT
    assert crowd.overlapping() == []
    everybody, gone = crowd.everybody(), [ALIKE[0], *list(crowd.stacks)[-1:]]
    crowd.each(gone, Stack.destroy)
    assert changed(everybody, crowd.everybody(), gone) == []
    crowd.bring_back(gone, leases)
    assert crowd.leases() == leases
    crowd.each(crowd.stacks, Stack.destroy)
    assert hypervisor.inventory() == before
    assert crowd.everybody() == foreign


def test_whoever_stays_does_not_notice(project: Project, hypervisor: Hypervisor) -> None:
    walk = Walk(project, hypervisor, "walk")
    for said in walked(walk, steps=4, seed=7):
        assert said
    for refresh in ([], ["--refresh"], []):
        walk.stack.pulumi("up", "--yes", "--expect-no-changes", *refresh).ok()
    walk.stack.destroy().ok()
