"""What the DNS of a network knows: its nodes, and what the layout adds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address

from lab.addressing import SubnetPlan
from lab.naming import host_name, split_node_name
from lab.plans import NodePlan
from lab.specs import NetworkSpec, SrvSpec


def dns_names(
    spec: NetworkSpec, plan: SubnetPlan | None, nodes: Iterable[NodePlan]
) -> Iterator[tuple[str, str]]:
    """(address, name) of every node with DHCP's address there, and of the layout's own hosts.

    Of a node's several NICs on the network the first one answers, with both of its addresses.
    """
    nics = [(node.name, nic) for node in nodes for nic in node.nics if nic.slot == spec.name]
    if spec.dhcp and plan:
        yield from ((nic.address, name) for name, nic in nics)
        yield from ((nic.address6, name) for name, nic in nics if nic.address6)
        yield from ((_moved(address, spec, plan), name) for name, address in spec.hosts)


def services(prefix: str, spec: NetworkSpec) -> tuple[SrvSpec, ...]:
    """The layout's services, with targets as the DNS knows them."""
    return tuple(replace(srv, target=_target(prefix, srv.target, spec)) for srv in spec.srvs)


def _target(prefix: str, target: str, spec: NetworkSpec) -> str:
    """A node's name stands for the node's host name, whether there is such a node yet or not."""
    if "." in target:
        return target
    is_node = split_node_name(target) and target not in dict(spec.hosts)
    name = host_name(prefix, target) if is_node else target
    return f"{name}.{spec.domain}" if spec.domain else name


def _moved(address: str, spec: NetworkSpec, plan: SubnetPlan) -> str:
    """An address of the preferred subnet is meant as one of the subnet that there is."""
    found = ip_address(address)
    for wish, got in ((spec.subnet, plan.subnet), (spec.subnet6, plan.subnet6)):
        if wish and got and found in wish:
            return str(got[int(found) - int(wish.network_address)])
    return address
