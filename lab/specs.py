"""Roles and networks as somebody described them, before any prefix or host."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

FIRST_NUMBER = 2  # of a host that is a node: 0 names the subnet, 1 is most gateways'
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
    host_number: int = 1  # of the hypervisor's own address there
    # "none": isolated; "nat": reaches what the host reaches; "route": the same under its own
    # addresses; "open": that, and libvirt leaves the firewall alone; "bridge": see `lan`.
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
    lan: LanSpec | None = None  # of a bridged network, which has neither subnet nor DHCP of ours


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A base image. Its checksum is its identity; the source only says where to get it."""

    sha256: str  # empty until somebody has looked, where a role names a file
    source: str  # a URL that the hypervisor fetches, or a path as written that is uploaded once
    place: str = field(default="", compare=False)  # where somebody wrote it


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskSpec:
    """One disk of a role. What is empty is for QEMU to choose."""

    size_gib: int  # thin, unless preallocation says otherwise
    bus: str = "virtio"  # or "scsi", "sata"
    cache: str = ""  # QEMU's mode, such as "none" or "unsafe"
    preallocation: str = "off"  # or "full": every block is claimed when the disk is made
    image: Image | None = None  # what is on it from the start; None: nothing, or the stack's image


@dataclass(frozen=True, kw_only=True, slots=True)
class NicSpec:
    """One network interface of a role."""

    network: str
    model: str = "virtio"  # or "e1000", "e1000e", "rtl8139"
    mac: str = ""  # fixed, for a role of one node; empty: from the network and the host number


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemSpec:
    """What cloud-init makes of the image at a node's first start, beyond names, keys and network.

    It does so once: an edit reaches nodes that are made later.
    """

    user: str = ""  # logs in with the lab's key, and may do everything with sudo
    timezone: str = ""  # such as "Europe/Prague"
    swap_mib: int = 0
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineSpec:
    """The machine around a role's CPUs and memory. What is empty is as metalab chooses it."""

    cpu_model: str = ""  # "host-passthrough", "host-model", "maximum", or QEMU's name of a model
    machine: str = ""  # "pc" or "q35"
    firmware: str = "bios"  # or "uefi", "uefi-secure"
    os_variant: str = ""  # osinfo's short name, such as "rhel9.2": for people and programs to read
    devices: tuple[str, ...] = ()  # XML of further devices


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeSpec:
    """One role: a domain for each index, all of one shape. The index is the node's identity."""

    role: str  # what its nodes are called: a domain is <prefix>-<role>-<index>
    indexes: tuple[int, ...]  # ascending; (0, 2) says that node 1 was removed and stays removed
    vcpus: int  # one thread each
    memory_mib: int  # inside the domain; QEMU's own overhead comes on top
    disks: tuple[DiskSpec, ...]  # none for a node that lives in memory
    deploy_os: bool  # True: the image on vda and SSH; False: blank disks, network boot first
    groups: tuple[str, ...]  # Ansible groups
    nics: tuple[NicSpec, ...]  # in order
    access: str  # the network that carries SSH; one that a NIC is on
    route: str  # the network of the default route; the same, unless somebody says otherwise
    system: SystemSpec = SystemSpec()
    machine: MachineSpec = MachineSpec()


@dataclass(frozen=True, kw_only=True, slots=True)
class Topology:
    """What an environment consists of."""

    networks: tuple[NetworkSpec, ...]
    roles: tuple[NodeSpec, ...]
    notes: tuple[str, ...] = ()  # what of its files has no effect
