"""The plan: every name, number and size of an environment, decided before anything is made.

A plan is a pure value. The same configuration, topology, image and facts give the same plan, byte
for byte; components declare it and make no choice of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lab import addressing, bridging, capacity, naming, storage
from lab.addressing import SubnetPlan
from lab.config import StackConfig
from lab.disks import images_used, own_image, plan_disks
from lab.errors import Problem, attempt, refuse
from lab.facts import HostFacts
from lab.ipv6 import plan_subnets6, preferred6
from lab.lease import HeldNode, Lease
from lab.leasing import numbers_held, plan_lease
from lab.naming import node_name, slot
from lab.network_plan import plan_network, room_of
from lab.plans import GroupPlan, LabPlan, LanPlan, NicPlan, NodePlan, OnHost
from lab.specs import Image, NicSpec, NodeSpec, Topology
from lab.verdict import plan_virt_type

HOST_CPUS = ("host-passthrough", "host-model")


def plan_lab(
    config: StackConfig, topology: Topology, image: Image | None, facts: HostFacts
) -> LabPlan:
    """Decide everything, in this order: subnets, host numbers, bridges, nodes, lease.

    Args:
        config: the stack's configuration.
        topology: its networks and roles.
        image: the base image for nodes that are new; None when there is none.
        facts: the hypervisor as it is; its lease of the prefix is what existing nodes keep.

    Raises:
        LabError: no room for a subnet or a node; a NIC that no bridge can have; a deployed role
            without an image.
    """
    held = facts.leases.get(config.prefix) or Lease(prefix=config.prefix, virt_type="")
    virt_type, *notes = plan_virt_type(config.virt_type, held, facts)
    notes += [*topology.notes, *_unused(topology)]
    subnets = addressing.plan_subnets(topology.networks, facts, config.prefix)
    subnets6, notes6 = plan_subnets6(topology.networks, facts, config.prefix)
    for name, subnet6 in subnets6.items():
        subnets[name] = replace(subnets[name], subnet6=subnet6)
    problems: list[Problem] = []
    numbers = _host_numbers(topology, subnets, held, facts, problems)
    lans = bridging.plan_lans(topology.networks, facts.wires, problems)
    refuse([*problems, *_image_missing(config, topology, image, held)])
    host = f"{facts.hostname}/{config.hypervisor.address}"
    maker = _NodeMaker(config, topology, subnets, numbers, lans, held, virt_type, image, host)
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
            subnets6={name: str(subnet) for name, subnet in subnets6.items()},
            preferred6=preferred6(topology.networks, subnets6),
        ),
        nodes,
        facts,
    )
    notes += [*_notes(config, topology, subnets, nodes, image), *notes6]
    overcommit = config.memory_overcommit
    notes += capacity.notes(lease, topology.roles, facts, overcommit=overcommit)
    return LabPlan(
        prefix=config.prefix,
        config=config,
        virt_type=virt_type,
        networks=tuple(
            plan_network(config.prefix, spec, (subnets.get(spec.name), lans.get(spec.name)), nodes)
            for spec in topology.networks
        ),
        groups=groups,
        images=tuple(images_used(nodes, topology, image)),
        lease=lease,
        lease_found=held.digest if config.prefix in facts.leases else "",
        memory_limit_mib=None if overcommit else capacity.limit_mib(facts),
        on_host={
            (found.kind, found.name): found for found in _on_host(config, topology, nodes, facts)
        },
        notes=tuple(filter(None, notes)),
    )


@dataclass(frozen=True, slots=True)
class _NodeMaker:
    config: StackConfig
    topology: Topology
    subnets: Mapping[str, SubnetPlan]
    numbers: Mapping[str, Mapping[str, int]]  # by network, then node
    lans: Mapping[str, LanPlan]
    held: Lease
    virt_type: str
    image: Image | None
    host: str  # whatever tells it from others on a LAN

    def node(self, spec: NodeSpec, index: int) -> NodePlan:
        node = node_name(spec.role, index)
        prefix = self.config.prefix
        name = naming.host_name(prefix, node)
        was = self.held.nodes.get(node)
        image = self._image(spec, was)
        return NodePlan(
            node=node,
            name=name,
            role=spec.role,
            uuid=naming.domain_uuid(prefix, node),
            vcpus=spec.vcpus,
            memory_mib=spec.memory_mib,
            deploy_os=spec.deploy_os,
            groups=spec.groups,
            nics=tuple(self._nic(spec, nic, nth, node) for nic, nth in _numbered(spec.nics)),
            access=spec.access,
            route=spec.route,
            disks=tuple(plan_disks(name, spec, image, was)),
            image=image,
            console=storage.console_log(name),
            # cloud-init makes users once: a node that exists keeps who logs in there.
            system=replace(spec.system, user=was.user) if was else spec.system,
            machine=spec.machine,
            cpu=_cpu(spec.machine.cpu_model, self.virt_type),
        )

    def _image(self, spec: NodeSpec, was: HeldNode | None) -> str:
        """A node keeps the image that its disk is an overlay on; only new nodes take a new one."""
        if not spec.deploy_os:
            return ""
        if was and was.image:
            return was.image
        image = own_image(spec) or self.image
        return image.sha256 if image else ""

    def _nic(self, role: NodeSpec, nic: NicSpec, nth: int, node: str) -> NicPlan:
        network = nic.network
        spec = next(spec for spec in self.topology.networks if spec.name == network)
        plan, lan = self.subnets.get(network), self.lans.get(network)
        subnet, subnet6 = (plan.subnet, plan.subnet6) if plan else (None, None)
        number = self.numbers[network][slot(node, nth)]
        gives_route = slot(network, nth) == role.route and spec.forward != "none"
        return NicPlan(
            network=network,
            slot=slot(network, nth),
            number=number,
            mac=nic.mac or self._mac(network, number, f"{node}/{slot(network, nth)}"),
            model=nic.model,
            address=str(subnet[number]) if subnet else "",
            prefix_length=subnet.prefixlen if subnet else 0,
            dhcp=spec.dhcp or lan is not None,
            address6=str(subnet6[number]) if subnet6 and role.deploy_os else "",
            gateway=str(plan.gateway) if plan and gives_route and not spec.dhcp else "",
            gateway6=str(subnet6[1]) if subnet6 and gives_route else "",
            mtu=spec.mtu,
            bridge=lan.bridge if lan else "",
            filter=bridging.FILTER if lan and not lan.dhcp_server else "",
        )

    def _mac(self, network: str, number: int, nic: str) -> str:
        prefix = self.config.prefix
        if network in self.lans:
            return naming.lan_mac(self.host, prefix, nic)
        return naming.mac(prefix, network, number)


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
        room = room_of(network, subnets.get(network.name))
        kept = numbers_held(held, network.name, facts)
        ask = partial(addressing.plan_host_numbers, room, attached[network.name], kept)
        numbers[network.name] = attempt(ask, problems) or {}
    return numbers


def _attached(topology: Topology) -> dict[str, list[str]]:
    """The nodes on each network, once for each NIC there."""
    attached: dict[str, list[str]] = {network.name: [] for network in topology.networks}
    for spec in topology.roles:
        nodes = [node_name(spec.role, index) for index in spec.indexes]
        for nic, nth in _numbered(spec.nics):
            attached[nic.network].extend(slot(node, nth) for node in nodes)
    return attached


def _unused(topology: Topology) -> Iterator[str]:
    attached = _attached(topology)
    unused = [name for name, nodes in attached.items() if not nodes]
    if unused and unused != list(attached):  # not of a lab that has no node at all
        yield f"networks: no node is on {', '.join(unused)}"


def _numbered(nics: Sequence[NicSpec]) -> Iterator[tuple[NicSpec, int]]:
    """Each NIC, and the how manieth of its node it is on its network."""
    for place, nic in enumerate(nics):
        yield nic, sum(other.network == nic.network for other in nics[: place + 1])


def _cpu(model: str, virt_type: str) -> tuple[str, str]:
    """Libvirt's mode of a CPU, and QEMU's name of a model where the mode asks for one.

    Emulation has no host's CPU to pass through: the most that it can do stands for it.
    """
    if virt_type != "kvm" and model in ("", *HOST_CPUS):
        return "maximum", ""
    if model in ("", "maximum", *HOST_CPUS):
        return model or HOST_CPUS[0], ""
    return "custom", model


def _image_missing(
    config: StackConfig, topology: Topology, image: Image | None, held: Lease
) -> list[Problem]:
    if image:
        return []
    new = [
        node_name(spec.role, index)
        for spec in topology.roles
        if spec.deploy_os and not own_image(spec)
        for index in spec.indexes
        if node_name(spec.role, index) not in held.nodes
    ]
    if not new:
        return []
    where = f"stacks/Pulumi.{config.prefix}.yaml: image-url"
    got = f"nothing, for {', '.join(new[:4])}{', ...' if len(new) > 4 else ''}"  # noqa: PLR2004
    return [Problem(where, got, "an image for the nodes that get a system", "image")]


def _on_host(
    config: StackConfig, topology: Topology, nodes: tuple[NodePlan, ...], facts: HostFacts
) -> Iterator[OnHost]:
    uuids = {domain.uuid for domain in facts.domains}
    for node in nodes:
        if node.uuid in uuids:
            yield OnHost(kind="domain", name=node.name, uuid=node.uuid)
    yield from _networks_on_host(config.prefix, topology, facts)
    pool = storage.pool_name(config.prefix)
    if pool not in facts.pools:
        return
    yield OnHost(kind="pool", name=pool)
    for node in nodes:  # facts list no volumes: any of its seeds may be there
        if node.deploy_os:
            yield OnHost(kind="seed", name=node.seed, pool=pool)


def _networks_on_host(prefix: str, topology: Topology, facts: HostFacts) -> Iterator[OnHost]:
    for network in facts.networks:
        if network.owner == prefix:
            yield OnHost(kind="network", name=network.name, bridge=network.bridge)
    own = [network.name for network in topology.networks if not network.lan]
    for name, device in addressing.stray_bridges(facts, prefix, own).items():
        yield OnHost(kind="network", name=naming.host_name(prefix, name), bridge=device)


def _notes(
    config: StackConfig,
    topology: Topology,
    subnets: Mapping[str, SubnetPlan],
    nodes: tuple[NodePlan, ...],
    image: Image | None,
) -> Iterator[str]:
    for name, plan in subnets.items():
        if plan.instead_of:
            yield f"network {name}: {plan.subnet} instead, because {plan.instead_of}"
    if image and config.image_url:
        own = {spec.role for spec in topology.roles if own_image(spec)}
        used = {node.node: node.image for node in nodes if node.image and node.role not in own}
        kept = [node for node, sha256 in used.items() if sha256 != image.sha256]
        if kept:
            yield f"{', '.join(kept)} keep their base image; nodes made from now on use image-url"
