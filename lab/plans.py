"""The shapes of a finished plan: every name, number and size, decided before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab import storage
from lab.config import StackConfig
from lab.images import Image
from lab.lease import Lease
from lab.specs import MachineSpec, SrvSpec, SystemSpec

SYSTEM_DISK = "vda"  # of a node that gets a system


@dataclass(frozen=True, kw_only=True, slots=True)
class NicPlan:
    """One network interface of a node."""

    network: str  # its name in the layout
    slot: str  # the same, and told apart where a node has several NICs there: "data.2"
    number: int  # the host number that address and MAC follow from
    mac: str
    address: str  # the node's own on that network, by reservation or static; empty: frames alone
    prefix_length: int
    dhcp: bool  # whether the node asks for its address; on a bridged network it asks the LAN
    model: str = "virtio"
    address6: str = ""  # a /64's, static; empty: none, or what the node makes of advertisements
    gateway: str = ""  # of the default route, where this NIC gives it and no DHCP does
    gateway6: str = ""  # of the default route, where this NIC gives it
    mtu: int = 0  # 0: the kernel's own
    bridge: str = ""  # of the host that it is on; empty: that of libvirt's network
    filter: str = ""  # of libvirt's, which looks at what the node sends; empty: none does


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskPlan:
    """One disk of a node: a volume in the environment's pool."""

    target: str  # "vda": its place, which leases and volumes are called after, whatever its bus
    device: str  # what libvirt calls it: "vda", or "sda" on another bus
    volume: str  # file name in the pool
    kind: str  # "qcow2", which is thin, or "raw", of which every block is claimed at once
    size_gib: int
    image: str = ""  # sha256 of the base image that it is an overlay on; empty: blank
    bus: str = "virtio"
    cache: str = ""  # empty: QEMU's default

    @property
    def base(self) -> str:
        """The volume of that image in BASE_POOL; empty: none."""
        return storage.base_volume(self.image) if self.image else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodePlan:
    """One domain."""

    node: str  # within the environment: "compute-2"
    name: str  # of the domain, and the guest's host name: "foo-compute-2"
    role: str
    uuid: str
    vcpus: int
    memory_mib: int
    deploy_os: bool
    groups: tuple[str, ...]
    nics: tuple[NicPlan, ...]  # in NIC order
    access: str  # the network that carries SSH
    route: str  # the network of the default route
    disks: tuple[DiskPlan, ...]
    image: str  # sha256 of its system's base image; empty for a blank node
    console: str  # the file on the hypervisor that takes its serial output
    system: SystemSpec
    machine: MachineSpec
    cpu: tuple[str, str]  # ("host-passthrough", ""), or ("custom", "Nehalem")

    @property
    def seed(self) -> str:
        """The volume of its NoCloud seed."""
        return f"{self.name}-seed.iso"

    @property
    def address(self) -> str:
        """Where SSH answers; empty: the LAN says."""
        return next(nic.address for nic in self.nics if nic.network == self.access)

    @property
    def access_mac(self) -> str:
        """The MAC of the NIC that SSH answers on."""
        return next(nic.mac for nic in self.nics if nic.network == self.access)

    @property
    def access_bridge(self) -> str:
        """The bridge to the LAN that this NIC is on; empty: it is on none."""
        return next(nic.bridge for nic in self.nics if nic.network == self.access)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupPlan:
    """The nodes of one role."""

    role: str
    nodes: tuple[NodePlan, ...]  # by ascending index


@dataclass(frozen=True, kw_only=True, slots=True)
class LanPlan:
    """How a network reaches the LAN."""

    bridge: str  # on the host
    nic: str = ""  # the host's NIC that metalab moves into it; empty: the bridge is the host's own
    manager: str = ""  # what has that NIC: "networkd", "NetworkManager" or "ifupdown"
    dhcp_server: bool = False  # whether guests may serve DHCP there


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkPlan:
    """One libvirt network."""

    network: str  # in the layout: "management"
    name: str  # on the host: "foo-management"
    bridge: str
    subnet: str  # empty: frames alone
    gateway: str  # the host's own address; empty without a subnet
    forward: str  # "none", "nat", "route", "open" or "bridge"
    dhcp: bool
    reservations: tuple[tuple[str, str], ...]  # (MAC, address) of every host number, used or not
    pool: tuple[str, str] | None  # first and last address for guests that DHCP does not know
    names: tuple[tuple[str, str], ...]  # (address, name) in its DNS: all that changes with nodes
    instead_of: str = ""  # why the subnet is not the preferred one
    subnet6: str = ""  # empty: no IPv6
    mtu: int = 0  # 0: the kernel's own
    domain: str = ""
    srvs: tuple[SrvSpec, ...] = ()
    autostart: bool = True
    lan: LanPlan | None = None  # of a bridged one


@dataclass(frozen=True, kw_only=True, slots=True)
class OnHost:
    """An object of the environment that the host has already: recorded, or left by a killed run."""

    kind: str  # "domain", "network", "pool" or "seed"
    name: str
    uuid: str = ""  # of a domain
    pool: str = ""  # of a seed
    bridge: str = ""  # of a network; libvirt may know of no such network any more


@dataclass(frozen=True, kw_only=True, slots=True)
class LabPlan:
    """One environment on one hypervisor."""

    prefix: str
    config: StackConfig
    virt_type: str  # "kvm" or "qemu"
    networks: tuple[NetworkPlan, ...]
    groups: tuple[GroupPlan, ...]  # in the order of topology-nodes
    images: tuple[Image, ...]  # that the host must hold; without a source: holds already
    lease: Lease
    lease_found: str  # what the host's file of it claims, as a digest; empty: there is none
    memory_limit_mib: int | None  # for all leases of the host together; None: overcommit allowed
    on_host: Mapping[tuple[str, str], OnHost]  # by kind and name: see components/orphans.py
    notes: tuple[str, ...]  # what a user should know and need not fix

    @property
    def nodes(self) -> Mapping[str, NodePlan]:
        """All nodes by name."""
        return {node.node: node for group in self.groups for node in group.nodes}

    @property
    def lease_kept(self) -> bool:
        """Whether the host has the lease already."""
        return self.lease_found == self.lease.digest

    @property
    def pool(self) -> str:
        """The libvirt pool of the environment's disks."""
        return storage.pool_name(self.prefix)
