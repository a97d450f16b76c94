"""From facts to a plan that may be carried out: every verdict that needs no resource."""

from __future__ import annotations

from collections.abc import Sequence

from lab.config import StackConfig
from lab.errors import Problem, refuse
from lab.facts import HostFacts
from lab.host.distributions import check_os
from lab.images import Image
from lab.plan import plan_lab
from lab.plans import LabPlan
from lab.rules import check_plan
from lab.specs import Topology


def decide(
    config: StackConfig,
    topology: Topology,
    image: Image | None,
    here: Sequence[Problem],
    facts: HostFacts,
) -> LabPlan:
    """Plan an environment, and judge the plan.

    Args:
        config: of one stack.
        topology: as it asks for.
        image: as it asks for; None when there is none.
        here: what is wrong with the operator's own machine.
        facts: of the hypervisor.

    Raises:
        LabError: every problem of the machines, else of the plan's making, else of the plan.
    """
    refuse([*here, *check_os(facts, config.hypervisor.address)])
    plan = plan_lab(config, topology, image, facts)
    refuse(check_plan(plan, facts))
    return plan
