"""What a run says, and what a stack answers."""

from __future__ import annotations

import pulumi

from components.environment import Environment
from lab.facts import HostFacts
from lab.guards import guard_notes
from lab.plans import LabPlan
from lab.verdict import still_pending
from lab.views.inventory import inventory
from lab.views.ssh_config import known_hosts, ssh_config
from lab.views.summary import nodes


def tell(plan: LabPlan, facts: HostFacts) -> None:
    """Say what a user should know: what needs no action, and what of the host is in the way."""
    for note in plan.notes:
        pulumi.log.info(note)
    for note in guard_notes(plan, facts):
        pulumi.log.warn(note)


def export_outputs(lab: Environment, plan: LabPlan, facts: HostFacts) -> None:
    """Export every view of the plan, and what exists only once the environment does."""
    if lab.found is None:
        pulumi.export("nodes", nodes(plan))
        pulumi.export("ssh_config", ssh_config(plan))
    else:
        pulumi.export("nodes", lab.found.apply(lambda found: nodes(plan, found)))
        pulumi.export("ssh_config", lab.found.apply(lambda found: ssh_config(plan, found)))
    pulumi.export("inventory", inventory(plan))
    pulumi.export("known_hosts", lab.host_keys.apply(lambda keys: known_hosts(plan, keys)))
    pulumi.export("private_key", lab.private_key)
    pulumi.export("pending", lab.pending.apply(lambda left: still_pending(left or (), facts)))
