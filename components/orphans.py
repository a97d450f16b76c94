"""Nothing is created over what a killed run left behind.

The engine records a resource when its creation ends. A run that is killed in between leaves
objects that nobody knows of, and the provider refuses to make them again. Facts know what is on
the host: for those objects, and only those, a hook clears the way should the engine create them.
"""

from __future__ import annotations

import pulumi

from lab.plans import LabPlan, OnHost


def cleared(plan: LabPlan, kind: str, name: str) -> pulumi.ResourceOptions:
    """Options for an object of that kind and name in libvirt; none when the host has no such."""
    found = plan.on_host.get((kind, name))
    if found is None:
        return pulumi.ResourceOptions()

    def clear(_args: pulumi.ResourceHookArgs) -> None:
        _remove(plan, found)

    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[clear]))


def _remove(plan: LabPlan, found: OnHost) -> None:
    from lab.host.orphans import remove_orphan  # noqa: PLC0415 - rarely needed, dear to import
    from lab.host.shared import borrow  # noqa: PLC0415

    with borrow(plan.config.hypervisor) as shell:
        remove_orphan(shell, found)
