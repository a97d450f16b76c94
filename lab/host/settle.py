"""From facts to a plan that nobody else's plan contradicts."""

from __future__ import annotations

from collections.abc import Callable

from lab.config import HypervisorSpec
from lab.errors import LabError, Problem
from lab.facts import HostFacts
from lab.host.facts import look
from lab.host.hold import Hold
from lab.host.leases import reserve
from lab.host.lock import Progress
from lab.host.shell import Shell, connect
from lab.plans import LabPlan

ATTEMPTS = 20  # each lost one means that somebody else got what was planned in between


def settle(
    spec: HypervisorSpec,
    decide: Callable[[HostFacts], LabPlan],
    *,
    lasting: bool,
    progress: Progress,
) -> tuple[LabPlan, HostFacts, Hold | None]:
    """Connect to the host, and settle_on it.

    Raises:
        LabError: no connection, or as settle_on.
    """
    with connect(spec) as shell:
        plan, facts = settle_on(shell, decide, lasting=lasting, progress=progress)
    kept = lasting and not plan.lease_kept
    return plan, facts, Hold(spec, plan.lease) if kept else None


def settle_on(
    shell: Shell,
    decide: Callable[[HostFacts], LabPlan],
    *,
    lasting: bool,
    progress: Progress,
) -> tuple[LabPlan, HostFacts]:
    """Look at the host and plan; keep what is new in the plan from runs beside this one.

    Two first runs at the same moment see the same free subnets. The one that reserves later finds
    that the leases are not those it planned with, and plans once more.

    Args:
        shell: of the hypervisor.
        decide: plans from facts, or raises LabError; pure.
        lasting: whether the plan is about to be carried out; a preview reserves nothing.
        progress: told for whom this one waits, if it has to.

    Raises:
        LabError: what `decide` raises; no facts; or no end of other runs.
    """
    for _ in range(ATTEMPTS):
        facts = look(shell)
        plan = decide(facts)
        if not lasting or plan.lease_kept:
            return plan, facts
        if reserve(plan.lease, shell, digest=facts.leases_digest, progress=progress):
            return plan, facts
    message = f"leases that changed {ATTEMPTS} times while a plan was made"
    step = "Run the command again"
    raise LabError([Problem(shell.address, message, "a quiet moment", "lease-claim", step)])
