"""The hypervisor of an environment: its keys, its preparation, its lease, its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from components import libvirt
from components.host_provider import BaseImage, Host, HostLease
from components.keys_provider import Keys
from lab.plans import LabPlan


class Hypervisor(pulumi.ComponentResource):
    """A host that is ready to take what the plan says.

    The lease comes first: what it refuses is refused before anything on the host has changed.
    """

    def __init__(
        self,
        plan: LabPlan,
        host: tuple[Sequence[dict[str, Any]], str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("metalab:index:Hypervisor", "hypervisor", {}, opts)  # state contract
        here = pulumi.ResourceOptions(parent=self)
        steps, libvirt_uri = host
        spec = plan.config.hypervisor
        self.keys = Keys("keys", plan.prefix, here)
        self.lease = HostLease("lease", plan, self.keys.public, here)
        on_lease = pulumi.ResourceOptions(parent=self, depends_on=[self.lease])
        self.host = Host("host", spec, steps, (plan.prefix, self.keys.public), on_lease)
        on_host = pulumi.ResourceOptions(parent=self, depends_on=[self.host])
        self.images = {
            image.sha256: BaseImage(
                f"image-{image.sha256[:12]}", spec, (image.sha256, image.source), on_host
            )
            for image in plan.images
        }
        # Known as soon as the host's id is; the id itself keeps the login of its first day.
        uri = self.host.id.apply(lambda _id: libvirt_uri)
        self.libvirt = libvirt.provider("libvirt", uri, here)
        self.register_outputs({"address": spec.address, "memory_mib": plan.lease.memory_mib})
