"""The rules, asked about resources as they are declared: type tokens and plain properties.

Numbers come from the engine as floats, and what was None is absent. A property that is not known
yet raises when it is read; the pack's host turns that into an advice, so nothing here catches it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.capacity import OVERHEAD_MIB, domain_memory_mib
from lab.errors import Problem
from lab.rules import check_bridge, check_memory, check_name

DOMAIN = "libvirt:index/domain:Domain"
NETWORK = "libvirt:index/network:Network"
LEASE = "pulumi-python:dynamic/metalab:Lease"
KINDS = {  # what has a name on the hypervisor
    DOMAIN: "domain",
    NETWORK: "network",
    "libvirt:index/pool:Pool": "pool",
    "libvirt:index/volume:Volume": "volume",
    "libvirt:index/cloudInitDisk:CloudInitDisk": "seed disk",
}
_PROVIDER_S_MIB, _PROVIDER_S_TYPE = 512, "kvm"  # of a domain that does not say


@dataclass(frozen=True, slots=True)
class Declared:
    """One resource of a stack."""

    resource_type: str
    urn: str
    props: Mapping[str, Any]


def stack_of(urn: str) -> str:
    """The stack of a resource, which is its prefix; empty when this is no URN."""
    match = re.match(r"urn:pulumi:([^:]+)::", urn)
    return match[1] if match else ""


def check_declared_name(resource: Declared) -> list[Problem]:
    """`naming`, of one resource. A name left out is refused: the provider would draw one."""
    kind = KINDS.get(resource.resource_type)
    if kind is None:
        return []
    name = str(resource.props.get("name") or "")
    problems = check_name(stack_of(resource.urn), kind, name)
    if kind == "network":
        problems += check_bridge(str(resource.props.get("bridge") or ""))
    return problems


def check_declared_lease(resource: Declared) -> list[Problem]:
    """`memory-overcommit`, of one lease: it does not claim more than its host has."""
    if resource.resource_type != LEASE:
        return []
    claimed_mib = int(resource.props.get("memory_mib") or 0)
    return check_memory(_host(resource), claimed_mib, _limit_mib(resource))


def check_declared_memory(resources: Iterable[Declared]) -> list[Problem]:
    """`memory-overcommit`, of a stack: its domains together fit into what its lease may claim.

    This also sees domains that were declared beside the plan.
    """
    resources = tuple(resources)
    claimed_mib = sum(_domain_mib(each.props) for each in resources if each.resource_type == DOMAIN)
    leases = [each for each in resources if each.resource_type == LEASE]
    if claimed_mib and not leases:
        got, step = f"{claimed_mib} MiB of domains and no lease", "Declare them as an Environment"
        return [Problem("stack", got, "a lease for them", "memory-overcommit", step)]
    return [
        problem
        for lease in leases
        for problem in check_memory(_host(lease), claimed_mib, _limit_mib(lease))
    ]


def _domain_mib(props: Mapping[str, Any]) -> int:
    virt_type = str(props.get("type") or _PROVIDER_S_TYPE)
    known = virt_type if virt_type in OVERHEAD_MIB else _PROVIDER_S_TYPE
    return domain_memory_mib(int(props.get("memory") or _PROVIDER_S_MIB), known)


def _limit_mib(lease: Declared) -> int | None:
    limit = lease.props.get("memory_limit_mib")
    return None if limit is None else int(limit)


def _host(lease: Declared) -> str:
    return str(lease.props.get("address") or "hypervisor")
