"""The domains of one role."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pulumi

from components import libvirt
from components.hypervisor import Hypervisor
from components.keys_provider import CLIENT
from components.node_provider import Power
from components.orphans import Clearing
from lab.cloudinit import seed
from lab.keys import derive_key
from lab.plans import GroupPlan, LabPlan, NodePlan


class VmGroup(pulumi.ComponentResource):
    """A role: for each node its disks, its seed, its domain and its power session.

    Children are called after their node, never after their position: removing one leaves the rest.
    """

    def __init__(
        self,
        plan: LabPlan,
        group: GroupPlan,
        place: tuple[Hypervisor, libvirt.Pool, Mapping[str, libvirt.Network], Clearing],
        opts: pulumi.ResourceOptions,
        on_host: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("metalab:index:VmGroup", group.role, {}, opts)  # state contract
        self._plan = plan
        self._hypervisor, self._pool, self._networks, self._clearing = place
        self._here = pulumi.ResourceOptions.merge(on_host, pulumi.ResourceOptions(parent=self))
        self._group = group
        self.powers: dict[str, Power] = {}

    async def fill(self) -> None:
        """Declare its nodes, one after the other; between them others have their turn."""
        for node in self._group.nodes:
            self.powers[node.node] = self._node(node)
            await asyncio.sleep(0)
        self.register_outputs(
            {
                "nodes": [node.node for node in self._group.nodes],
                "memory_mib": sum(node.memory_mib for node in self._group.nodes),
                "vcpus": sum(node.vcpus for node in self._group.nodes),
            }
        )

    def _node(self, node: NodePlan) -> Power:
        wanted = {disk.image for disk in node.disks}
        images = [image for sha, image in self._hypervisor.images.items() if sha in wanted]
        on_image = pulumi.ResourceOptions.merge(
            self._here, pulumi.ResourceOptions(depends_on=images)
        )
        volumes = [
            libvirt.volume(f"{node.node}-{disk.target}", disk, self._pool, on_image)
            for disk in node.disks
        ]
        networks = [self._networks[nic.network] for nic in node.nics]
        disk = self._seed(node) if node.deploy_os else None
        config = self._plan.config
        domain = libvirt.domain(
            self._plan, node, (volumes, networks, disk), self._cleared("domain", node.name)
        )
        return Power(
            node,
            (config.hypervisor, config.shutdown_timeout_s),
            domain.id,
            pulumi.ResourceOptions(parent=self),
        )

    def _seed(self, node: NodePlan) -> libvirt.CloudInitDisk:
        text = self._hypervisor.keys.seed.apply(
            lambda secret: seed(
                node,
                derive_key(secret, CLIENT).public,
                derive_key(secret, f"host/{node.node}"),
            )
        )
        return libvirt.seed_disk(node, text, self._pool, self._cleared("seed", node.seed))

    def _cleared(self, kind: str, name: str) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self._here, self._clearing.of(kind, name))
