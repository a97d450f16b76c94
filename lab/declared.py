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
from lab.config import SHA256, SHA256_FORM, parse_quota
from lab.errors import Problem
from lab.files import Source
from lab.lease import parse_lease
from lab.limits import check_memory, check_quota
from lab.reader import Reader
from lab.rules import check_bridge, check_name

DOMAIN = "libvirt:index/domain:Domain"
NETWORK = "libvirt:index/network:Network"
LEASE = "pulumi-python:dynamic/metalab:Lease"
IMAGE = "pulumi-python:dynamic/metalab:Image"
SEED = "libvirt:index/cloudInitDisk:CloudInitDisk"
KINDS = {  # what has a name on the hypervisor
    DOMAIN: "domain",
    NETWORK: "network",
    "libvirt:index/pool:Pool": "pool",
    "libvirt:index/volume:Volume": "volume",
    SEED: "seed disk",
}
_PASSWORDS = re.compile(
    r"^\s*-?\s*((?:plain_text_|hashed_)?passwd|password|chpasswd|ssh_pwauth)\s*:(?!\s*false\b)",
    re.MULTILINE,
)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_KEYS = "Leave passwords out: the stack's key logs in"
_SCREEN = "`pulumi config set --secret vnc-password`"
_LAN = "Leave dhcp out: the LAN has its own"
_FILTER = "Leave allow-dhcp-server out of the layout, unless its DHCP is meant for the LAN"
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


def check_declared_quota(resource: Declared, most: Mapping[str, Any]) -> list[Problem]:
    """`quota`, of one lease: as the pack's configuration has it, in the words of a stack.

    Args:
        resource: any.
        most: {"nodes": 20, "memory": "64G", "cpu": 32, "disks": "500G"}, or a part of it.
    """
    if resource.resource_type != LEASE:
        return []
    problems: list[Problem] = []
    words = {key: _whole(value) for key, value in most.items()}
    quota = parse_quota(Reader(words, Source("the policy quota"), problems))
    lease = parse_lease(str(resource.props["lease"]))
    return problems or check_quota(f"the policy quota of {lease.prefix}", lease, quota)


def check_declared_image(resource: Declared) -> list[Problem]:
    """`image-checksum`: an image is known by what it is, not by where it came from."""
    sha256 = str(resource.props.get("sha256") or "")
    if resource.resource_type != IMAGE or re.fullmatch(SHA256, sha256):
        return []
    step = "Give image-sha256"
    return [Problem("image", sha256 or "no checksum", SHA256_FORM, "image-checksum", step)]


def check_declared_secrets(resource: Declared) -> list[Problem]:
    """`secrets`: nobody gets in by a password that is written somewhere, or by none at all."""
    if resource.resource_type == SEED:
        found = sorted(set(_PASSWORDS.findall(str(resource.props.get("userData") or ""))))
        return [
            Problem(f"seed {resource.props.get('name')}", word, "keys alone", "secrets", _KEYS)
            for word in found
        ]
    if resource.resource_type != DOMAIN:
        return []
    screen = _inner(resource.props, "graphics")
    where = str(screen.get("listenAddress") or "127.0.0.1")
    xslt = str(_inner(resource.props, "xml").get("xslt") or "")
    if where in _LOOPBACK or 'name="passwd"' in xslt:
        return []
    got = f"VNC on {where} without a password"
    return [Problem(f"domain {resource.props.get('name')}", got, "one", "secrets", _SCREEN)]


def check_declared_dhcp(resource: Declared) -> list[Problem]:
    """`rogue-dhcp`: a network that is bridged to somebody's LAN serves no DHCP there."""
    props = resource.props
    bridged = resource.resource_type == NETWORK and str(props.get("mode") or "") == "bridge"
    if not bridged or not _inner(props, "dhcp").get("enabled"):
        return []
    where, got = f"network {props.get('name') or ''}", "DHCP on a bridge of the host"
    return [Problem(where, got, "that of the LAN", "rogue-dhcp", _LAN)]


def check_declared_filter(resource: Declared) -> list[Problem]:
    """`lan-filter`: what a domain sends to a LAN is looked at, so that it answers no DHCP there."""
    props = resource.props
    if resource.resource_type != DOMAIN:
        return []
    where, xslt = f"domain {props.get('name') or ''}", str(_inner(props, "xml").get("xslt") or "")
    return [
        Problem(where, f"NIC {mac} on a bridge unfiltered", "a filter", "lan-filter", _FILTER)
        for nic in props.get("networkInterfaces") or ()
        if nic.get("bridge") and f"mac/@address='{(mac := nic.get('mac'))}'" not in xslt
    ]


def _inner(props: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return props.get(key) or dict[str, Any]()


def _whole(value: object) -> object:
    """The engine's numbers are floats; a quota's are not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _domain_mib(props: Mapping[str, Any]) -> int:
    virt_type = str(props.get("type") or _PROVIDER_S_TYPE)
    known = virt_type if virt_type in OVERHEAD_MIB else _PROVIDER_S_TYPE
    return domain_memory_mib(int(props.get("memory") or _PROVIDER_S_MIB), known)


def _limit_mib(lease: Declared) -> int | None:
    limit = lease.props.get("memory_limit_mib")
    return None if limit is None else int(limit)


def _host(lease: Declared) -> str:
    return str(lease.props.get("address") or "hypervisor")
