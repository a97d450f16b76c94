"""The networks of an environment."""

from __future__ import annotations

import pulumi

from components import libvirt
from components.orphans import Clearing
from lab.plans import LabPlan


class Networks(pulumi.ComponentResource):
    """One libvirt network for each of the layout's."""

    def __init__(
        self,
        plan: LabPlan,
        clearing: Clearing,
        opts: pulumi.ResourceOptions,
        on_host: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("metalab:index:Networks", "networks", {}, opts)  # state contract
        merge = pulumi.ResourceOptions.merge
        here = merge(on_host, pulumi.ResourceOptions(parent=self))
        self.by_name: dict[str, libvirt.Network] = {
            network.network: libvirt.network(
                plan.prefix, network, merge(here, clearing.of("network", network.name))
            )
            for network in plan.networks
        }
        self.register_outputs({network.network: network.subnet for network in plan.networks})
