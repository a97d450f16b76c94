"""How much an environment may claim: of its host, and by its own quota.

Each rule is a function of numbers. The program asks them about a plan, the policy pack about the
resources; what is claimed is what a lease says.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from lab.capacity import disk_room, memory_room, vcpus_of_others
from lab.config import Quota
from lab.errors import Problem
from lab.facts import HostFacts
from lab.lease import Lease
from lab.plans import LabPlan, NodePlan

_MEMORY_STEP = "Shrink memory or counts, or set host-memory-overcommit to true"
_SPACE_STEP = "Leave preallocation out: disks are thin then, or make them smaller"
_VCPU_STEP = "Shrink cpu or counts, or set another host-vcpu-ratio"
_DISK_STEP = "Shrink disks or counts, or set host-disk-overcommit to true"
_QUOTA_STEP = "Shrink it, or have quota changed"


def check_limits(plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    """Judge a plan by all of them."""
    return chain(
        _memory(plan, facts),
        _vcpus(plan, facts),
        _disks(plan, facts),
        _space(plan, facts),
        check_quota(f"stacks/Pulumi.{plan.prefix}.yaml", plan.lease, plan.config.quota),
    )


def check_memory(where: str, claimed_mib: int, limit_mib: int | None) -> list[Problem]:
    """`memory-overcommit`: what is configured fits, even when every guest fills its memory.

    Args:
        where: the host or environment, for the message.
        claimed_mib: MiB of all its nodes, QEMU's overhead included.
        limit_mib: MiB that may be claimed; None: overcommit is allowed.
    """
    if limit_mib is None or claimed_mib <= limit_mib:
        return []
    got, allowed = f"{claimed_mib} MiB of nodes", f"at most {limit_mib} MiB"
    return [Problem(where, got, allowed, "memory-overcommit", _MEMORY_STEP)]


def check_vcpus(where: str, vcpus: tuple[int, int], threads: int, ratio: int) -> list[Problem]:
    """`vcpu-overcommit`: no more vCPUs for each thread of the host than somebody allows.

    Args:
        where: the host.
        vcpus: of this environment's nodes, and of others.
        threads: of the host.
        ratio: vCPUs that may share a thread; 0: any number.
    """
    if not ratio or sum(vcpus) <= ratio * threads:
        return []
    own, others = vcpus
    got = f"{own} vCPUs of nodes and {others} of others on {threads} threads"
    allowed = f"at most {ratio * threads}, which is {ratio} a thread"
    return [Problem(where, got, allowed, "vcpu-overcommit", _VCPU_STEP)]


def check_disks(where: str, disks_gib: tuple[int, int], room_gib: int) -> list[Problem]:
    """`disk-overcommit`: all disks fit, even when every guest fills its own.

    Args:
        where: the host.
        disks_gib: virtual sizes of this environment's disks, and of others'.
        room_gib: what is free, and what such disks occupy by now.
    """
    if sum(disks_gib) <= room_gib:
        return []
    own, others = disks_gib
    got = f"{own} GiB of disks and {others} GiB of others"
    return [Problem(where, got, f"at most {room_gib} GiB", "disk-overcommit", _DISK_STEP)]


def check_quota(where: str, lease: Lease, quota: Quota) -> list[Problem]:
    """`quota`: an environment is no larger than somebody allows.

    Args:
        where: the environment.
        lease: what it claims.
        quota: 0 of a thing: any amount.
    """
    claims = (
        ("nodes", len(lease.nodes), quota.nodes),
        ("MiB of memory, QEMU's overhead included", lease.memory_mib, quota.memory_mib),
        ("vCPUs", lease.vcpus, quota.vcpus),
        ("GiB of disks", lease.disk_gib, quota.disk_gib),
    )
    return [
        Problem(
            f"{where}: quota",
            f"{claimed} {name}",
            f"at most {most}",
            "quota",
            _QUOTA_STEP,
        )
        for name, claimed, most in claims
        if most and claimed > most
    ]


def _memory(plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    room = memory_room(facts, plan.prefix)
    if plan.config.memory_overcommit or plan.lease.memory_mib <= room.available:
        return
    shape = ", ".join(_shape(group.role, group.nodes) for group in plan.groups if group.nodes)
    yield Problem(
        plan.config.hypervisor.address,
        f"{plan.lease.memory_mib} MiB of nodes ({shape}; QEMU's overhead included)",
        f"at most {room.available} MiB ({room.installed} installed, {room.reserve} reserved, "
        f"{room.used_by_others} used by others)",
        "memory-overcommit",
        _MEMORY_STEP,
    )


def _shape(role: str, nodes: tuple[NodePlan, ...]) -> str:
    return f"{len(nodes)} {role} of {nodes[0].memory_mib}"


def _vcpus(plan: LabPlan, facts: HostFacts) -> list[Problem]:
    vcpus = (plan.lease.vcpus, vcpus_of_others(facts, plan.prefix))
    where = plan.config.hypervisor.address
    return check_vcpus(where, vcpus, facts.cpu_count, plan.config.vcpu_ratio)


def _disks(plan: LabPlan, facts: HostFacts) -> list[Problem]:
    if plan.config.disk_overcommit:
        return []
    room = disk_room(facts, plan.prefix)
    sizes = (plan.lease.disk_gib, room.others)
    return check_disks(plan.config.hypervisor.address, sizes, room.available)


def _space(plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    """What is claimed at once has to be there; thin disks are a note."""
    lease = facts.leases.get(plan.prefix)
    there = {name: held.disks_gib for name, held in lease.nodes.items()} if lease else {}
    claimed = sum(
        disk.size_gib
        for name, node in plan.nodes.items()
        for disk in node.disks
        if disk.kind == "raw" and disk.target not in there.get(name, {})
    )
    if claimed > facts.disk_free_gib:
        got = f"{claimed} GiB of disks with preallocation"
        allowed = f"at most {facts.disk_free_gib} GiB, which are free"
        yield Problem(plan.config.hypervisor.address, got, allowed, "disk-space", _SPACE_STEP)
