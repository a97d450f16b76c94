"""One environment: the plan, declared room by room in the order in which it was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from components import libvirt
from components.hypervisor import Hypervisor
from components.keys_provider import CLIENT
from components.networks import Networks
from components.node_provider import Readiness
from components.orphans import Clearing
from components.vm_group import VmGroup
from lab.keys import derive_key
from lab.plans import LabPlan


class Environment(pulumi.ComponentResource):
    """One finished plan, declared. Nothing is decided here: every name and number is in `plan`."""

    def __init__(self, plan: LabPlan, steps: Sequence[dict[str, Any]], libvirt_uri: str) -> None:
        super().__init__("metalab:index:Environment", plan.prefix, {})  # state contract
        here = pulumi.ResourceOptions(parent=self)
        self._plan = plan
        self.hypervisor = Hypervisor(plan, (steps, libvirt_uri), here)
        self.pending = self.hypervisor.host.pending
        on_host = pulumi.ResourceOptions(
            provider=self.hypervisor.libvirt, depends_on=[self.hypervisor.host]
        )
        clearing = Clearing(plan)
        self.networks = Networks(plan, clearing, here, on_host)
        merge = pulumi.ResourceOptions.merge
        on_pool = merge(merge(here, on_host), clearing.of("pool", plan.pool))
        pool = libvirt.pool(plan.prefix, plan.pool, on_pool)
        place = (self.hypervisor, pool, self.networks.by_name, clearing)
        self.groups = {
            group.role: VmGroup(plan, group, place, here, on_host) for group in plan.groups
        }
        self._here = here
        seed = self.hypervisor.keys.seed
        self.private_key = seed.apply(lambda secret: derive_key(secret, CLIENT).private)
        self.host_keys = pulumi.Output.unsecret(seed.apply(self._host_keys))

    async def fill(self) -> None:
        """Declare the nodes, and what waits for them, in turns with what is declared already."""
        for group in self.groups.values():
            await group.fill()
        self.readiness = self._readiness(self._here)
        on_lan = any(node.deploy_os and node.access_bridge for node in self._plan.nodes.values())
        self.found = self.readiness.found if on_lan else None
        self.register_outputs({"nodes": sorted(self._plan.nodes)})

    def _host_keys(self, secret: str) -> dict[str, str]:
        """The public halves, by node."""
        return {
            name: derive_key(secret, f"host/{name}").public
            for name, node in self._plan.nodes.items()
            if node.deploy_os
        }

    def _readiness(self, opts: pulumi.ResourceOptions) -> Readiness:
        nodes = {
            name: {
                "name": node.name,
                "address": node.address,
                "mac": node.access_mac,
                "network": f"{self._plan.prefix}-{node.access}",
                "host_key": self.host_keys[name],
                "power": self.groups[node.role].powers[name].id,
                **({"bridge": node.access_bridge} if node.access_bridge else {}),
            }
            for name, node in self._plan.nodes.items()
            if node.deploy_os
        }
        # After everything, so that the engine deletes it first: where it is protected, a destroy
        # ends there. It is never replaced, so no edit meets the protection.
        last = pulumi.ResourceOptions(
            depends_on=[
                *self.networks.by_name.values(),
                *(power for group in self.groups.values() for power in group.powers.values()),
            ],
            protect=self._plan.config.protect,
        )
        opts = pulumi.ResourceOptions.merge(opts, last)
        return Readiness("ready", self._plan, nodes, self.private_key, opts)
