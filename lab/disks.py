"""Disks: what each one is called, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from lab.lease import HeldNode
from lab.plans import SYSTEM_DISK, DiskPlan, NodePlan
from lab.specs import DiskSpec, Image, NodeSpec, Topology

BUS_ORDER = ("virtio", "scsi", "sata")  # in which their names are given


def plan_disks(name: str, spec: NodeSpec, image: str, was: HeldNode | None) -> Iterator[DiskPlan]:
    """A role's disks in the order in which libvirt keeps them: those of one bus together."""
    buses = list(dict.fromkeys(disk.bus for disk in spec.disks))
    placed = list(zip(ascii_lowercase, spec.disks, strict=False))
    rows = {"vd": iter(ascii_lowercase), "sd": iter(ascii_lowercase)}
    # The provider counts those on SCSI by themselves: SATA's names, in the same row, come after.
    named = {
        place: f"{row}{next(rows[row])}"
        for bus in BUS_ORDER
        for place, disk in placed
        if disk.bus == bus and (row := "vd" if bus == "virtio" else "sd")
    }
    for place, disk in sorted(placed, key=lambda item: buses.index(item[1].bus)):
        target, kind = f"vd{place}", "raw" if disk.preallocation == "full" else "qcow2"
        yield DiskPlan(
            target=target,
            device=named[place],
            volume=f"{name}-{target}.{kind}",
            kind=kind,
            size_gib=disk.size_gib,
            image=image if image and target == SYSTEM_DISK else _base(target, disk, was),
            bus=disk.bus,
            cache=disk.cache,
        )


def _base(target: str, disk: DiskSpec, was: HeldNode | None) -> str:
    """What is on a disk; one that is there already keeps what it was made with."""
    if was and target in was.disks_gib:
        return was.bases.get(target, "")
    return disk.image.sha256 if disk.image else ""


def own_image(spec: NodeSpec) -> Image | None:
    """What a role's system comes from, where that is not the stack's image."""
    return spec.disks[0].image if spec.disks and spec.deploy_os else None


def images_used(
    nodes: tuple[NodePlan, ...], topology: Topology, image: Image | None
) -> Iterator[Image]:
    """What the nodes' disks rest on. Where an older one came from is forgotten: the host has it."""
    named = [disk.image for role in topology.roles for disk in role.disks]
    known = {each.sha256: each for each in (*named, image) if each}
    used = (disk.image for node in nodes for disk in node.disks if disk.image)
    for sha256 in dict.fromkeys(used):
        yield known.get(sha256) or Image(sha256=sha256, source="")
