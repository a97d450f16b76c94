"""Nothing is created over what a killed run left behind.

The engine records a resource when its creation ends. A run that is killed in between leaves
objects that nobody knows of, and the provider refuses to make them again. Facts know what is on
the host: for those objects, and only those, a hook clears the way should the engine create them.
"""

from __future__ import annotations

import pulumi

from lab.plans import LabPlan, OnHost

_KINDS = {
    "libvirt:index/cloudInitDisk:CloudInitDisk": "seed",
    "libvirt:index/domain:Domain": "domain",
    "libvirt:index/network:Network": "network",
    "libvirt:index/pool:Pool": "pool",
}


class Clearing:
    """The one hook of a plan: each that is registered is a call that the program waits for."""

    def __init__(self, plan: LabPlan) -> None:
        self._plan = plan
        self._hook = pulumi.ResourceHook("clear", self._clear) if plan.on_host else None

    def of(self, kind: str, name: str) -> pulumi.ResourceOptions:
        """Options for an object of that kind and name in libvirt; none if the host has none."""
        if self._hook is None or (kind, name) not in self._plan.on_host:
            return pulumi.ResourceOptions()
        return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[self._hook]))

    def _clear(self, args: pulumi.ResourceHookArgs) -> None:
        name = str((args.new_inputs or {})["name"])
        _remove(self._plan, self._plan.on_host[_KINDS[args.type], name])


def _remove(plan: LabPlan, found: OnHost) -> None:
    from lab.host.orphans import remove_orphan  # noqa: PLC0415 - rarely needed, dear to import
    from lab.host.shared import borrow  # noqa: PLC0415

    with borrow(plan.config.hypervisor) as shell:
        remove_orphan(shell, found)
