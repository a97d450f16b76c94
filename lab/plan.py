"""The plan: every name, number and size of an environment, decided before anything is made.

A plan is a pure value. The same configuration, topology, image and facts give the same plan, byte
for byte; components declare it and make no choice of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from lab import addressing, capacity, naming, storage
from lab.addressing import HostNumbers, SubnetPlan
from lab.config import StackConfig
from lab.errors import Problem, attempt, refuse
from lab.facts import HostFacts
from lab.images import Image
from lab.lease import Lease
from lab.leasing import numbers_held, plan_lease
from lab.naming import node_name, slot
from lab.plans import DiskPlan, GroupPlan, LabPlan, NetworkPlan, NicPlan, NodePlan, OnHost
from lab.specs import NetworkSpec, NodeSpec, Topology
from lab.verdict import plan_virt_type

DISK_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def plan_lab(
    config: StackConfig, topology: Topology, image: Image | None, facts: HostFacts
) -> LabPlan:
    """Decide everything, in this order: subnets, host numbers, nodes, lease.

    Args:
        config: the stack's configuration.
        topology: its networks and roles.
        image: the base image for nodes that are new; None when there is none.
        facts: the hypervisor as it is; its lease of the prefix is what existing nodes keep.

    Raises:
        LabError: no room for a subnet or a node; a deployed role without an image.
    """
    held = facts.leases.get(config.prefix) or Lease(prefix=config.prefix, virt_type="")
    virt_type, *notes = plan_virt_type(config.virt_type, held, facts)
    notes += _unused(topology)
    subnets = addressing.plan_subnets(topology.networks, facts, config.prefix)
    problems: list[Problem] = []
    numbers = _host_numbers(topology, subnets, held, facts, problems)
    refuse([*problems, *_image_missing(config, topology, image, held)])
    maker = _NodeMaker(config.prefix, topology, subnets, numbers, held, image)
    groups = tuple(
        GroupPlan(role=spec.role, nodes=tuple(maker.node(spec, index) for index in spec.indexes))
        for spec in topology.roles
    )
    nodes = tuple(node for group in groups for node in group.nodes)
    lease = plan_lease(
        Lease(
            prefix=config.prefix,
            virt_type=virt_type,
            subnets={name: str(plan.subnet) for name, plan in subnets.items()},
            preferred={spec.name: str(spec.subnet) for spec in topology.networks if spec.subnet},
        ),
        nodes,
        facts,
    )
    notes += _notes(config, subnets, nodes, image)
    overcommit = config.memory_overcommit
    notes += capacity.notes(lease, topology.roles, facts, overcommit=overcommit)
    return LabPlan(
        prefix=config.prefix,
        config=config,
        virt_type=virt_type,
        networks=tuple(
            _network(config.prefix, spec, subnets.get(spec.name), nodes)
            for spec in topology.networks
        ),
        groups=groups,
        images=tuple(_images(nodes, image)),
        lease=lease,
        memory_limit_mib=None if overcommit else capacity.limit_mib(facts),
        on_host={(found.kind, found.name): found for found in _on_host(config, nodes, facts)},
        notes=tuple(filter(None, notes)),
    )


@dataclass(frozen=True, slots=True)
class _NodeMaker:
    prefix: str
    topology: Topology
    subnets: Mapping[str, SubnetPlan]
    numbers: Mapping[str, Mapping[str, int]]  # by network, then node
    held: Lease
    image: Image | None

    def node(self, spec: NodeSpec, index: int) -> NodePlan:
        node = node_name(spec.role, index)
        name = naming.host_name(self.prefix, node)
        image = self._image(spec, node)
        return NodePlan(
            node=node,
            name=name,
            role=spec.role,
            uuid=naming.domain_uuid(self.prefix, node),
            vcpus=spec.vcpus,
            memory_mib=spec.memory_mib,
            deploy_os=spec.deploy_os,
            groups=spec.groups,
            nics=tuple(
                self._nic(network, slot(network, nth), slot(node, nth))
                for network, nth in _numbered(spec.interfaces)
            ),
            access=spec.access,
            disks=tuple(_disks(name, spec, image)),
            image=image,
            console=storage.console_log(name),
        )

    def _image(self, spec: NodeSpec, node: str) -> str:
        """A node keeps the image that its disk is an overlay on; only new nodes take a new one."""
        if not spec.deploy_os:
            return ""
        if (was := self.held.nodes.get(node)) and was.image:
            return was.image
        return self.image.sha256 if self.image else ""

    def _nic(self, network: str, slot: str, holder: str) -> NicPlan:
        spec = next(spec for spec in self.topology.networks if spec.name == network)
        subnet = self.subnets[network].subnet if network in self.subnets else None
        number = self.numbers[network][holder]
        return NicPlan(
            network=network,
            slot=slot,
            number=number,
            mac=naming.mac(self.prefix, network, number),
            address=str(subnet[number]) if subnet else "",
            prefix_length=subnet.prefixlen if subnet else 0,
            dhcp=spec.dhcp,
        )


def _host_numbers(
    topology: Topology,
    subnets: Mapping[str, SubnetPlan],
    held: Lease,
    facts: HostFacts,
    problems: list[Problem],
) -> dict[str, Mapping[str, int]]:
    """By network, then node; a network that is too small is a problem, with no numbers."""
    numbers: dict[str, Mapping[str, int]] = {}
    attached = _attached(topology)
    for network in topology.networks:
        room = _room(network, subnets.get(network.name))
        kept = numbers_held(held, network.name, facts)
        ask = partial(addressing.plan_host_numbers, room, attached[network.name], kept)
        numbers[network.name] = attempt(ask, problems) or {}
    return numbers


def _room(network: NetworkSpec, plan: SubnetPlan | None) -> HostNumbers:
    return HostNumbers(network.name, plan.subnet if plan else None, network.span)


def _attached(topology: Topology) -> dict[str, list[str]]:
    """The nodes on each network, once for each NIC there."""
    attached: dict[str, list[str]] = {network.name: [] for network in topology.networks}
    for spec in topology.roles:
        nodes = [node_name(spec.role, index) for index in spec.indexes]
        for network, nth in _numbered(spec.interfaces):
            attached[network].extend(slot(node, nth) for node in nodes)
    return attached


def _unused(topology: Topology) -> Iterator[str]:
    attached = _attached(topology)
    unused = [name for name, nodes in attached.items() if not nodes]
    if unused and unused != list(attached):  # not of a lab that has no node at all
        yield f"networks: no node is on {', '.join(unused)}"


def _numbered(interfaces: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each NIC's network, and the how manieth it is there."""
    for place, network in enumerate(interfaces):
        yield network, interfaces[: place + 1].count(network)


def _disks(name: str, spec: NodeSpec, image: str) -> Iterator[DiskPlan]:
    for letter, size_gib in zip(DISK_LETTERS, spec.disks_gib, strict=False):
        target = f"vd{letter}"
        base = storage.base_volume(image) if image and target == "vda" else ""
        yield DiskPlan(target=target, volume=f"{name}-{target}.qcow2", size_gib=size_gib, base=base)


def _network(
    prefix: str, spec: NetworkSpec, plan: SubnetPlan | None, nodes: tuple[NodePlan, ...]
) -> NetworkPlan:
    subnet = plan.subnet if plan else None
    room = _room(spec, plan)
    pool = room.pool if spec.dhcp else None
    return NetworkPlan(
        network=spec.name,
        name=naming.host_name(prefix, spec.name),
        bridge=naming.bridge(prefix, spec.name),
        subnet=str(subnet or ""),
        gateway=str(plan.gateway) if plan else "",
        forward=spec.forward,
        dhcp=spec.dhcp,
        reservations=tuple(
            (naming.mac(prefix, spec.name, number), str(subnet[number])) for number in room.usable
        )
        if spec.dhcp and subnet
        else (),
        pool=(str(pool[0]), str(pool[1])) if pool else None,
        names=tuple(
            (nic.address, node.name)
            for node in nodes
            for nic in node.nics
            if spec.dhcp and nic.slot == spec.name  # of several there, the first answers
        ),
        instead_of=plan.instead_of if plan else "",
    )


def _image_missing(
    config: StackConfig, topology: Topology, image: Image | None, held: Lease
) -> list[Problem]:
    if image:
        return []
    new = [
        node_name(spec.role, index)
        for spec in topology.roles
        if spec.deploy_os
        for index in spec.indexes
        if node_name(spec.role, index) not in held.nodes
    ]
    if not new:
        return []
    where = f"stacks/Pulumi.{config.prefix}.yaml: image-url"
    got = f"nothing, for {', '.join(new[:4])}{', ...' if len(new) > 4 else ''}"  # noqa: PLR2004
    return [Problem(where, got, "an image for the nodes that get a system", "image")]


def _on_host(
    config: StackConfig, nodes: tuple[NodePlan, ...], facts: HostFacts
) -> Iterator[OnHost]:
    uuids = {domain.uuid for domain in facts.domains}
    for node in nodes:
        if node.uuid in uuids:
            yield OnHost(kind="domain", name=node.name, uuid=node.uuid)
    for network in facts.networks:
        if network.owner == config.prefix:
            yield OnHost(kind="network", name=network.name)
    pool = storage.pool_name(config.prefix)
    if pool not in facts.pools:
        return
    yield OnHost(kind="pool", name=pool)
    for node in nodes:  # facts list no volumes: any of its seeds may be there
        if node.deploy_os:
            yield OnHost(kind="seed", name=node.seed, pool=pool)


def _images(nodes: tuple[NodePlan, ...], image: Image | None) -> Iterator[Image]:
    """What the nodes' disks rest on. Where an older one came from is forgotten: the host has it."""
    for sha256 in dict.fromkeys(node.image for node in nodes if node.image):
        yield image if image and image.sha256 == sha256 else Image(sha256=sha256, source="")


def _notes(
    config: StackConfig,
    subnets: Mapping[str, SubnetPlan],
    nodes: tuple[NodePlan, ...],
    image: Image | None,
) -> Iterator[str]:
    for name, plan in subnets.items():
        if plan.instead_of:
            yield f"network {name}: {plan.subnet} instead, because {plan.instead_of}"
    if image and config.image_url:
        kept = [node.node for node in nodes if node.image not in ("", image.sha256)]
        if kept:
            yield f"{', '.join(kept)} keep their base image; nodes made from now on use image-url"
