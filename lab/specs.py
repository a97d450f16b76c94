"""Roles and networks as somebody described them, before any prefix or host."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

FIRST_NUMBER = 2  # of a host that is a node: 0 names the subnet, 1 is the hypervisor's own
MOST_NUMBER = 65_534  # of the widest subnet


@dataclass(frozen=True, kw_only=True, slots=True)
class SrvSpec:
    """A service that a network's DNS names: where `_ldap._tcp` is to be had."""

    service: str  # without the underscore, such as "ldap"
    protocol: str  # "tcp" or "udp"
    target: str  # a name; one without a dot is in the network's own domain
    port: int
    domain: str = ""  # whose service it is; empty: the network's own
    priority: int = 0  # the lowest is asked first
    weight: int = 0  # among equal priorities


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSpec:
    """One network of a layout."""

    name: str  # such as "management"; the libvirt network is called <prefix>-<name>
    subnet: IPv4Network | None  # the preferred one: taken when it is free; None: frames alone
    # "none": isolated; "nat": reaches what the host reaches; "route": the same under its own
    # addresses; "open": that, and libvirt leaves the firewall alone.
    forward: str = "none"
    dhcp: bool = False
    span: tuple[int, int] | None = None  # host numbers that nodes get; None: all that there are
    pool: int | None = None  # addresses for guests that nobody planned; None: our choice
    ipv6: bool = False  # a /64 beside the IPv4 subnet, where the host can
    subnet6: IPv6Network | None = None  # the preferred /64; None: a unique local one
    mtu: int = 0  # bytes of one packet, from bridge to guest; 0: the kernel's 1500
    domain: str = ""  # of the names in its DNS
    hosts: tuple[tuple[str, str], ...] = ()  # (name, address) in its DNS, beside the nodes
    srvs: tuple[SrvSpec, ...] = ()
    autostart: bool = True  # with the host


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeSpec:
    """One role: a domain for each index, all of one shape. The index is the node's identity."""

    role: str  # what its nodes are called: a domain is <prefix>-<role>-<index>
    indexes: tuple[int, ...]  # ascending; (0, 2) says that node 1 was removed and stays removed
    vcpus: int  # one thread each
    memory_mib: int  # inside the domain; QEMU's own overhead comes on top
    disks_gib: tuple[int, ...]  # vda, vdb, ...; thin; none for a node that lives in memory
    deploy_os: bool  # True: the image on vda and SSH; False: blank disks, network boot first
    groups: tuple[str, ...]  # Ansible groups
    interfaces: tuple[str, ...]  # networks in NIC order
    access: str  # the network that carries SSH; one of `interfaces`


@dataclass(frozen=True, kw_only=True, slots=True)
class Topology:
    """What an environment consists of."""

    networks: tuple[NetworkSpec, ...]
    roles: tuple[NodeSpec, ...]
