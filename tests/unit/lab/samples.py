"""Small topologies and hosts that the unit tests of lab share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from lab.config import HypervisorSpec, StackConfig
from lab.errors import LabError
from lab.facts import HostFacts, LinkFact, LinkFacts
from lab.images import Image
from lab.lease import Lease
from lab.plan import LabPlan, plan_lab
from lab.specs import DiskSpec, NetworkSpec, NicSpec, NodeSpec, Topology

IMAGE = Image(sha256="1" * 64, source="/images/tiny.qcow2")
OTHER_IMAGE = Image(sha256="2" * 64, source="https://example.org/other.qcow2")
FACTS = HostFacts(
    hostname="lab42",
    os_id="debian",
    os_version="12",
    cpu_count=8,
    memory_mib=65_536,
    disk_free_gib=500,
)
# Four NICs, of which bridged layouts take what they name.
WIRES = LinkFacts(
    links={name: LinkFact(name=name, manager="networkd") for name in map("eth{}".format, range(4))},
    main="eth0",
    managers=("networkd",),
    rollback=True,
)
WITH_NICS = replace(FACTS, wires=WIRES)
NETWORKS = (
    NetworkSpec(name="data", subnet=IPv4Network("192.0.2.0/24")),
    NetworkSpec(name="management", subnet=IPv4Network("172.16.0.0/24"), forward="nat", dhcp=True),
    NetworkSpec(name="external", subnet=IPv4Network("10.0.0.0/24"), forward="nat", dhcp=True),
)


def config(prefix: str = "foo", **fields: Any) -> StackConfig:
    return StackConfig(
        **{
            "prefix": prefix,
            "hypervisor": HypervisorSpec(address="lab42"),
            "nodes": {},
            "image_url": "tiny",
            **fields,
        }
    )


def role(
    name: str,
    indexes: Iterable[int],
    disks_gib: Iterable[int] = (1,),
    interfaces: Iterable[str] = ("data", "management", "external"),
    **fields: Any,
) -> NodeSpec:
    access = fields.setdefault("access", "management")
    return NodeSpec(
        **{
            "role": name,
            "indexes": tuple(sorted(indexes)),
            "vcpus": 1,
            "memory_mib": 128,
            "disks": tuple(DiskSpec(size_gib=size) for size in disks_gib),
            "deploy_os": True,
            "groups": (name,),
            "nics": tuple(NicSpec(network=network) for network in interfaces),
            "route": access,
            **fields,
        }
    )


def topology(networks: tuple[NetworkSpec, ...] = NETWORKS, **roles: Iterable[int]) -> Topology:
    """Roles by name with their indexes; `compute` is blank, all others are deployed."""
    return Topology(
        networks=networks,
        roles=tuple(
            role(name, indexes, deploy_os=name != "compute") for name, indexes in roles.items()
        ),
    )


def plan(prefix: str = "foo", facts: HostFacts = FACTS, **roles: Iterable[int]) -> LabPlan:
    return plan_lab(config(prefix), topology(**(roles or {"tiny": range(3)})), IMAGE, facts)


def holding(facts: HostFacts, *leases: Lease) -> HostFacts:
    """The host after these leases were claimed."""
    return replace(facts, leases={**facts.leases, **{lease.prefix: lease for lease in leases}})


def lines(error: LabError) -> list[str]:
    return str(error).splitlines()
