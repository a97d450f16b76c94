"""Roles and networks as somebody described them, before any prefix or host."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

FIRST_NUMBER = 2  # of a host that is a node: 0 names the subnet, 1 is the hypervisor's own


@dataclass(frozen=True, kw_only=True, slots=True)
class LanSpec:
    """What a bridged network is part of, outside of the hypervisor."""

    nic: str = ""  # the host's NIC that goes into a bridge
    bridge: str = ""  # or one that the host has already; neither: the NIC of the default route
    dhcp_server: bool = False  # whether guests may serve DHCP there


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSpec:
    """One network of a layout."""

    name: str  # such as "management"; the libvirt network is called <prefix>-<name>
    subnet: IPv4Network | None  # the preferred one: taken when it is free; None: frames alone
    # "none": isolated; "nat": reaches what the host reaches; "route": the same under its own
    # addresses; "open": that, and libvirt leaves the firewall alone; "bridge": see `lan`.
    forward: str = "none"
    dhcp: bool = False
    span: tuple[int, int] | None = None  # host numbers that nodes get; None: all that there are
    lan: LanSpec | None = None  # of a bridged network, which has neither subnet nor DHCP of ours


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
