"""One libvirt network, once subnets and nodes are known."""

from __future__ import annotations

from functools import lru_cache

from lab import naming
from lab.addressing import HostNumbers, SubnetPlan
from lab.dns import dns_names, services
from lab.plans import LanPlan, NetworkPlan, NodePlan
from lab.specs import NetworkSpec


def room_of(network: NetworkSpec, plan: SubnetPlan | None) -> HostNumbers:
    """The host numbers of a network."""
    subnet = plan.subnet if plan else None
    return HostNumbers(network.name, subnet, network.span, network.pool, network.host_number)


def plan_network(
    prefix: str,
    spec: NetworkSpec,
    place: tuple[SubnetPlan | None, LanPlan | None],
    nodes: tuple[NodePlan, ...],
) -> NetworkPlan:
    """Decide one network.

    Args:
        prefix: the environment.
        spec: the network as its layout has it.
        place: its subnet, or the bridge of the host that it is on; neither for frames alone.
        nodes: all of the environment.
    """
    plan, lan = place
    subnet = plan.subnet if plan else None
    room = room_of(spec, plan)
    pool = room.pool if spec.dhcp else None
    return NetworkPlan(
        network=spec.name,
        name=naming.host_name(prefix, spec.name),
        bridge=lan.bridge if lan else naming.bridge(prefix, spec.name),
        subnet=str(subnet or ""),
        gateway=str(plan.gateway) if plan else "",
        forward=spec.forward,
        dhcp=spec.dhcp,
        reservations=_reservations(prefix, room) if spec.dhcp else (),
        pool=(str(pool[0]), str(pool[1])) if pool else None,
        names=tuple(dns_names(spec, plan, nodes)),
        instead_of=plan.instead_of if plan else "",
        subnet6=str(plan.subnet6 or "") if plan else "",
        mtu=spec.mtu,
        domain=spec.domain,
        srvs=services(prefix, spec),
        autostart=spec.autostart,
        lan=lan,
    )


@lru_cache(maxsize=64)
def _reservations(prefix: str, room: HostNumbers) -> tuple[tuple[str, str], ...]:
    """MAC and address of each host number. They follow from names: an edit plans the same again."""
    subnet = room.subnet
    if subnet is None:
        return ()
    return tuple((naming.mac(prefix, room.network, n), str(subnet[n])) for n in room.usable)
