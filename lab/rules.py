"""What must hold for any finished plan, whoever made it.

The program asks `check_plan` before it registers anything. The policy pack asks the smaller
functions about the resources themselves; each policy bears the name of its rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from lab import naming
from lab.addressing import stray_bridges
from lab.errors import Problem
from lab.facts import HostFacts
from lab.guards import check_guards
from lab.lease import HeldNode
from lab.limits import check_limits
from lab.plans import LabPlan, NicPlan, NodePlan
from lab.storage import LEASES_DIR, pool_name
from lab.verdict import judge_kvm


def check_plan(plan: LabPlan, facts: HostFacts) -> list[Problem]:
    """Judge a plan against the host that it is for. An empty list is a clean verdict."""
    return list(
        chain(
            _names(plan),
            _macs(plan),
            _foreign_objects(plan, facts),
            _virtualization(plan, facts),
            check_limits(plan, facts),
            _disks_kept(plan, facts),
            _lease_lost(plan, facts),
            _systems_kept(plan, facts),
            check_guards(plan, facts),
        )
    )


def check_name(prefix: str, kind: str, name: str) -> list[Problem]:
    """`naming`: everything on the host that is an environment's starts with its prefix."""
    own_pool = kind == "pool" and name == pool_name(prefix)
    if own_pool or name.startswith(f"{prefix}-"):
        return []
    return [Problem(f"{kind} {name}", name, f"a name that starts with {prefix}-", "naming")]


def check_bridge(name: str) -> list[Problem]:
    """`naming`: the kernel takes 15 characters for an interface."""
    if 0 < len(name) <= naming.BRIDGE_LENGTH:
        return []
    allowed = f"1 to {naming.BRIDGE_LENGTH} characters"
    return [Problem(f"bridge {name}", f"{len(name)} characters", allowed, "naming")]


def check_kvm(where: str, wish: str, facts: HostFacts) -> list[Problem]:
    """`kvm`: what is to run with KVM stands on a host that has it, or can be given it.

    Args:
        where: the host's address, for the message.
        wish: the setting `virt-type`; "auto" when nodes were made with KVM that is gone by now.
        facts: the host.
    """
    found = judge_kvm(facts)
    if found.works or found.opens:
        return []
    made = ", which meant kvm when its nodes were made," if wish == "auto" else ""
    got = f"virt-type {wish}{made} on a host without KVM: {found.seen}"
    step = f"{found.next_step}, or set virt-type: qemu (emulation)"
    return [Problem(where, got, "a host with KVM", "kvm", step)]


_MAC_STEP = "Take a mac out of a role of several nodes; else rename a network"


def _names(plan: LabPlan) -> Iterator[Problem]:
    for node in plan.nodes.values():
        yield from check_name(plan.prefix, "domain", node.name)
    for network in plan.networks:
        yield from check_name(plan.prefix, "network", network.name)
        yield from check_bridge(network.bridge)


def _macs(plan: LabPlan) -> Iterator[Problem]:
    counts = Counter(nic.mac for node in plan.nodes.values() for nic in node.nics)
    for mac, count in counts.items():
        if count > 1:
            yield Problem(f"MAC {mac}", f"{count} NICs", "one NIC", "mac", _MAC_STEP)
    for node in plan.nodes.values():
        for nic in node.nics:
            if nic.dhcp and not nic.bridge and not _slotted(plan.prefix, nic):
                # Its table of reservations is never edited: that would cut off every other node.
                got = f"{nic.mac} on {nic.network}, whose DHCP knows its nodes by other MACs"
                yield Problem(f"{node.role}: mac", got, "a network without dhcp", "mac")


def _slotted(prefix: str, nic: NicPlan) -> bool:
    return nic.mac == naming.mac(prefix, nic.network, nic.number)


def _foreign_objects(plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    """Names that somebody else's objects have already: nothing of theirs is touched."""
    where, step = plan.config.hypervisor.address, "Choose another prefix, or remove it there"
    uuids = {node.name: node.uuid for node in plan.nodes.values()}
    for domain in facts.domains:
        if uuids.get(domain.name, domain.uuid) != domain.uuid:
            got = f"a domain {domain.name} that is not metalab's"
            yield Problem(where, got, "a free name", "name-taken", step)
    names = {network.name for network in plan.networks}
    bridges = {network.bridge: network.name for network in plan.networks if not network.lan}
    ours = {fact.bridge for fact in facts.networks if fact.owner == plan.prefix}
    own = [network.network for network in plan.networks if not network.lan]
    ours |= set(stray_bridges(facts, plan.prefix, own).values())
    for fact in facts.networks:
        if fact.name in names and fact.owner != plan.prefix:
            got = f"a network {fact.name} that is not this environment's"
            yield Problem(where, got, "a free name", "name-taken", step)
    foreign = {fact.bridge for fact in facts.networks} | {taken.device for taken in facts.taken}
    for device in sorted(foreign - ours):
        if device in bridges:
            got = f"an interface {device}, which {bridges[device]} needs as its bridge"
            yield Problem(where, got, "a free name", "name-taken", step)


def _virtualization(plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    if plan.virt_type == "kvm":
        yield from check_kvm(plan.config.hypervisor.address, plan.config.virt_type, facts)


def _lease_lost(plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    """Without its lease a plan would give nodes that run other addresses, images and disks."""
    if plan.prefix in facts.leases:
        return
    there = sorted(found.name for found in plan.on_host.values() if found.kind == "domain")
    if there:
        yield Problem(
            plan.config.hypervisor.address,
            f"{', '.join(there)}, but no {LEASES_DIR}/{plan.prefix}.json",
            "the lease that they were made with",
            "lease-lost",
            "Put it back (`pulumi stack export` shows it as the input of the resource `lease`), "
            "or remove the domains there",
        )


def _disks_kept(plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    """A disk that exists is never made anew by an edit: its data would be gone."""
    for node, held in _survivors(plan, facts):
        sizes = {disk.target: disk.size_gib for disk in node.disks}
        for target in _changed(held.disks_gib, sizes):
            yield Problem(
                f"{node.role}: disks",
                f"{_gib(sizes.get(target))} for {target} of {node.node}",
                f"{_gib(held.disks_gib.get(target))}, which it has",
                "disk-size",
                _put_back(node),
            )
        raw = {disk.target for disk in node.disks if disk.kind == "raw"}
        for target in sorted((raw ^ set(held.raw)) & held.disks_gib.keys()):
            wish = ("off", "full")[target in raw]
            was = ("off", "full")[target in held.raw]
            yield Problem(
                f"{node.role}: disks",
                f"preallocation {wish} for {target} of {node.node}",
                f"{was}, as it was made",
                "disk-kind",
                _put_back(node),
            )


def _systems_kept(plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    """A blank disk and an overlay on an image are two disks: one does not become the other."""
    for node, held in _survivors(plan, facts):
        if node.deploy_os != bool(held.image):
            yield Problem(
                f"{node.role}: deploy_os",
                f"{str(node.deploy_os).lower()} for {node.node}",
                f"{str(bool(held.image)).lower()}, as its disk was made",
                "deploy-os",
                _put_back(node),
            )


def _survivors(plan: LabPlan, facts: HostFacts) -> Iterator[tuple[NodePlan, HeldNode]]:
    """Nodes that exist already, with what they got."""
    nodes, lease = plan.nodes, facts.leases.get(plan.prefix)
    for name, held in lease.nodes.items() if lease else ():
        if name in nodes:
            yield nodes[name], held


def _put_back(node: NodePlan) -> str:
    return f"Put it back, or remove the node: its data goes with it (remove-nodes: {node.node})"


def _changed(old: Mapping[str, int], new: Mapping[str, int]) -> Iterable[str]:
    return sorted(
        target for target in old.keys() | new.keys() if old.get(target) != new.get(target)
    )


def _gib(size: int | None) -> str:
    return f"{size} GiB" if size else "no disk"
