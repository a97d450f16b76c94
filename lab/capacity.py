"""Arithmetic of memory, vCPUs and disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab.facts import HostFacts
from lab.lease import Lease
from lab.naming import host_name
from lab.specs import NodeSpec

# What QEMU takes beside the guest's own memory. Measured: a domain under emulation keeps a
# translation buffer of about 130 MiB; with KVM it is devices and page tables.
OVERHEAD_MIB = {"kvm": 64, "qemu": 160}
RESERVE_SHARE = 16  # one part of so many stays with the host ...
LEAST_RESERVE_MIB = 1_024  # ... and never less than this
# The predecessor's advice, which asks for 2, 4 or 8 vCPUs, 8 or 16 GB and 40 GB of disk a machine.
ADVISED_THREADS = 4
ADVISED_MEMORY_MIB = 8_192
ADVISED_DISK_GIB = 40
VCPUS_A_THREAD = 4  # past this, machines wait for each other more than they work


@dataclass(frozen=True, slots=True)
class MemoryRoom:
    """The memory of a host, in MiB."""

    installed: int
    reserve: int  # the host's own
    used_by_others: int  # other leases, and domains of nobody's lease, running or not

    @property
    def available(self) -> int:
        """What this environment may have."""
        return max(0, self.installed - self.reserve - self.used_by_others)


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """The space where the disks of all environments lie, in GiB."""

    free: int
    held: int  # what their disks occupy by now: thin volumes grow
    others: int  # what the disks of other leases can grow to

    @property
    def available(self) -> int:
        """What the disks of all environments together may come to occupy."""
        return self.free + self.held


def domain_memory_mib(memory_mib: int, virt_type: str) -> int:
    """What a domain costs its host."""
    return memory_mib + OVERHEAD_MIB[virt_type]


def memory_room(facts: HostFacts, prefix: str) -> MemoryRoom:
    """Count configured memory, not what happens to be used: guests fill theirs sooner or later."""
    return MemoryRoom(
        installed=facts.memory_mib,
        reserve=reserve_mib(facts.memory_mib),
        used_by_others=unleased_mib(facts)
        + sum(lease.memory_mib for lease in facts.claims_of_others(prefix)),
    )


def disk_room(facts: HostFacts, prefix: str) -> DiskRoom:
    """What disks may grow to, against what there is."""
    others = sum(lease.disk_gib for lease in facts.claims_of_others(prefix))
    return DiskRoom(free=facts.disk_free_gib, held=facts.disk_held_gib, others=others)


def vcpus_of_others(facts: HostFacts, prefix: str) -> int:
    """What other leases, and domains of nobody's lease, have of the host's threads."""
    leased = set(_leased_names(facts))
    alone = sum(domain.vcpus for domain in facts.domains if domain.name not in leased)
    return alone + sum(lease.vcpus for lease in facts.claims_of_others(prefix))


def notes(
    claim: Lease, roles: Iterable[NodeSpec], facts: HostFacts, *, overcommit: bool
) -> Iterator[str]:
    """What a user should know of what a plan claims; what fits well is not worth a word.

    Args:
        claim: the lease that the plan asks for.
        roles: the shapes of its nodes.
        facts: the host.
        overcommit: whether more memory than there is may be claimed; else a rule refuses that.
    """
    yield from _vcpu_notes(claim, tuple(role for role in roles if role.indexes), facts)
    disks = disk_room(facts, claim.prefix)
    if claim.disk_gib + disks.others > disks.available:
        other = f", and those of other environments to {disks.others} GiB" if disks.others else ""
        yield (
            f"disk: its disks can grow to {claim.disk_gib} GiB{other}, but there is room for "
            f"{disks.available} GiB ({disks.free} free, {disks.held} occupied by such disks now); "
            "they start thin, and nodes stop when no space is left"
        )
    room = memory_room(facts, claim.prefix)
    if overcommit and claim.memory_mib > room.available:
        yield (
            f"memory: {claim.memory_mib} MiB of nodes on a host with {room.available} MiB for them "
            f"({room.installed} installed, {room.reserve} reserved, {room.used_by_others} used by "
            "others), as host-memory-overcommit allows"
        )


def _vcpu_notes(claim: Lease, roles: tuple[NodeSpec, ...], facts: HostFacts) -> Iterator[str]:
    threads, others = facts.cpu_count, vcpus_of_others(facts, claim.prefix)
    wide = [f"{role.role} of {role.vcpus}" for role in roles if role.vcpus > threads]
    if wide:
        yield (
            f"CPU: {', '.join(wide)} vCPUs on a host of {threads} threads: a node with more of "
            "them than its host is slower than one with as many"
        )
    total = claim.vcpus + others
    small = threads < ADVISED_THREADS and total > 2 * threads
    if total <= VCPUS_A_THREAD * threads and not small:
        return
    also = f" ({others} of others)" if others else ""
    limit = f"fewer than {ADVISED_THREADS}" if small else f"more than {VCPUS_A_THREAD} a thread"
    yield f"CPU: {total} vCPUs{also} on {threads} threads, {limit}: nodes will wait for each other"


def reserve_mib(installed_mib: int) -> int:
    """What stays with the host."""
    return max(LEAST_RESERVE_MIB, installed_mib // RESERVE_SHARE)


def limit_mib(facts: HostFacts) -> int:
    """What all leases of a host together may claim."""
    return max(0, facts.memory_mib - reserve_mib(facts.memory_mib) - unleased_mib(facts))


def unleased_mib(facts: HostFacts) -> int:
    """Memory of domains that no environment's lease accounts for."""
    leased = set(_leased_names(facts))
    return sum(
        domain_memory_mib(domain.memory_mib, "kvm" if facts.kvm else "qemu")
        for domain in facts.domains
        if domain.name not in leased
    )


def _leased_names(facts: HostFacts) -> Iterable[str]:
    for lease in facts.leases.values():
        for node in lease.nodes:
            yield host_name(lease.prefix, node)
