"""The lease that a plan asks for, and what an older lease still keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lab import capacity, naming
from lab.facts import HostFacts
from lab.lease import HeldNode, Lease
from lab.naming import slot, split_slot
from lab.plans import SYSTEM_DISK, NodePlan


def numbers_held(held: Lease, network: str, facts: HostFacts) -> dict[str, int]:
    """The host numbers of one network that are nobody else's to take, by node and NIC there."""
    by_node = _lingering(held, facts) | {node: was.numbers for node, was in held.nodes.items()}
    return {
        slot(node, split_slot(name)[1]): number
        for node, numbers in by_node.items()
        for name, number in numbers.items()
        if split_slot(name)[0] == network
    }


def _lingering(held: Lease, facts: HostFacts) -> dict[str, Mapping[str, int]]:
    """The numbers of nodes that were removed and whose domains are still there."""
    there = {domain.name for domain in facts.domains}
    return {
        node: numbers
        for node, numbers in held.leaving.items()
        if naming.host_name(held.prefix, node) in there
    }


def _leaving(
    prefix: str, nodes: Mapping[str, NodePlan], facts: HostFacts
) -> dict[str, Mapping[str, int]]:
    """Numbers that stay taken.

    They change only when the set of nodes does: a second run of the same configuration must find
    nothing to do.
    """
    held = facts.leases.get(prefix)
    if held is None:
        return {}
    if nodes.keys() == held.nodes.keys():
        return dict(held.leaving)
    removed = {node: was.numbers for node, was in held.nodes.items()}
    gone = {**_lingering(held, facts), **removed}
    return {node: dict(numbers) for node, numbers in gone.items() if node not in nodes}


def plan_lease(
    lease: Lease,
    nodes: Iterable[NodePlan],
    facts: HostFacts,
) -> Lease:
    """Add the nodes, and the sums of what they claim, to a lease that has its subnets.

    Args:
        lease: prefix, virtualization type and subnets, as planned.
        nodes: all nodes of the plan.
        facts: the host; its lease of the same prefix is what was held before.
    """
    by_name = {node.node: node for node in nodes}
    memory = {
        name: capacity.domain_memory_mib(node.memory_mib, lease.virt_type)
        for name, node in by_name.items()
    }
    return replace(
        lease,
        nodes={
            name: HeldNode(
                numbers={nic.slot: nic.number for nic in node.nics},
                disks_gib={disk.target: disk.size_gib for disk in node.disks},
                image=node.image,
                memory_mib=memory[name],
                user=node.system.user,
                bases={
                    disk.target: disk.image
                    for disk in node.disks
                    if disk.image and not (node.deploy_os and disk.target == SYSTEM_DISK)
                },
                raw=tuple(disk.target for disk in node.disks if disk.kind == "raw"),
            )
            for name, node in by_name.items()
        },
        leaving=_leaving(lease.prefix, by_name, facts),
        memory_mib=sum(memory.values()),
        vcpus=sum(node.vcpus for node in by_name.values()),
        disk_gib=sum(disk.size_gib for node in by_name.values() for disk in node.disks),
    )
