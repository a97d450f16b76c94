"""What was seen on a hypervisor: plain values, read by lab.host.facts, judged by lab.plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Generic, TypeVar

from lab.lease import Lease

Subnet = TypeVar("Subnet", IPv4Network, IPv6Network)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken(Generic[Subnet]):
    """A subnet that somebody on or behind the hypervisor already uses."""

    subnet: Subnet
    by: str  # for people, such as "route via eth0" or "name server"
    device: str = ""  # the interface it was seen on, to tell our own bridges from foreign ones


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkFact:
    """A libvirt network, active or not."""

    name: str
    uuid: str
    bridge: str
    subnets: tuple[IPv4Network, ...]
    owner: str = ""  # prefix, from metalab's metadata element; empty: not ours
    subnets6: tuple[IPv6Network, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Ipv6Facts:
    """What a hypervisor has of IPv6."""

    usable: bool = False  # the kernel has it, and it is not switched off
    taken: tuple[Taken[IPv6Network], ...] = ()
    # Interfaces that learn their routes from a router, and forget them once the host forwards.
    advertised: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainFact:
    """A libvirt domain, running or not."""

    name: str
    uuid: str
    memory_mib: int  # configured maximum, not what it happens to use
    vcpus: int


@dataclass(frozen=True, kw_only=True, slots=True)
class KvmFacts:
    """What was seen around the kvm node; most of it is asked only where the node does not open."""

    mode: str = ""  # of the node, in octal digits: "660"; empty: there is no node
    group: str = ""  # that the node belongs to: "kvm"
    error: str = ""  # why it does not open, in the host's words: "Permission denied"
    loaded: frozenset[str] = frozenset()  # of kvm_intel and kvm_amd
    loadable: frozenset[str] = frozenset()  # not loaded, and there for this kernel
    nested: frozenset[str] = frozenset()  # loaded, with nested virtualization in force
    kernel: str = ""  # "6.1.0-37-amd64"
    container: str = ""  # what contains the host: "systemd-nspawn"; empty: nothing
    firmware_off: bool = False  # the kernel's log says that the firmware has disabled it
    qemu_is_root: bool = False  # by libvirt's configuration, so any mode will do


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainFact:
    """A base chain of nftables that drops what none of its rules accepts."""

    table: str  # "inet filter"
    name: str  # "input"
    hook: str  # "input" or "forward"
    admits: tuple[str, ...] = ()  # interfaces, as in "foo-*", from which it accepts some packets


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardFacts:
    """Firewall, SELinux and AppArmor, as far as a lab meets them."""

    selinux: str = ""  # "enforcing", "permissive"; empty: there is none
    apparmor: bool = False
    images_path: str = ""  # where libvirt's image directory really is; empty: there is none yet
    images_type: str = ""  # its SELinux type, such as "virt_image_t"
    firewalld: bool = False  # it runs
    libvirt_zone: bool = False  # firewalld has libvirt's zone on disk
    ufw: bool = False  # it is enabled
    libvirt_nftables: bool = False  # libvirt keeps its rules in a table of its own
    dropping: tuple[ChainFact, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkFact:
    """A network interface of the host; taps of guests are not among them."""

    name: str
    bridge: bool = False
    wireless: bool = False
    addressed: bool = False  # has an address that others reach it by
    master: str = ""  # the bridge, bond or the like that it is a part of
    above: tuple[str, ...] = ()  # what stands on it: its master, VLANs, macvtaps
    manager: str = ""  # "networkd", "NetworkManager" or "ifupdown"; empty: none has it


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkFacts:
    """The host's own network, as far as a bridge is concerned."""

    links: Mapping[str, LinkFact] = field(default_factory=dict[str, LinkFact])  # by name
    main: str = ""  # the one with the default route
    managers: tuple[str, ...] = ()  # that are at work there, the likeliest first
    moved: frozenset[str] = frozenset()  # bridges that metalab moved a NIC into
    rollback: bool = False  # systemd can take back a change that cuts the host off
    filtered: bool = False  # bridged frames pass the chains that are for routed packets


@dataclass(frozen=True, kw_only=True, slots=True)
class HostFacts:
    """One look at one hypervisor. A host without libvirt has no networks and no domains."""

    hostname: str
    login: str = "root"  # who logged in: root, or who became root by sudo
    os_id: str  # os-release ID, such as "debian"
    os_like: tuple[str, ...] = ()  # os-release ID_LIKE
    os_version: str = ""  # os-release VERSION_ID, such as "12"
    os_name: str = ""  # os-release PRETTY_NAME
    os_platform: str = ""  # os-release PLATFORM_ID, such as "platform:el9"
    os_codenames: tuple[str, ...] = ()  # of the base, if it is told, and then its own: "jammy"
    rom_version: str = ""  # of the package with iPXE's boot ROMs; empty: not installed
    arch: str = "x86_64"
    cpu_vendor: str = ""  # "GenuineIntel", "AuthenticAMD"
    cpu_count: int = 1
    cpu_virtualization: bool = False  # vmx or svm among the flags
    kvm: bool = False  # the kvm node is there and opens for read and write
    inside: str = ""  # the kind of virtual machine that it is: "vmware", "unknown"; empty: none
    around_kvm: KvmFacts = KvmFacts()
    memory_mib: int = 0  # MemTotal
    disk_free_gib: int = 0  # where the pools are
    disk_total_gib: int = 0  # of that file system
    disk_held_gib: int = 0  # that the disks of all environments occupy there
    taken: tuple[Taken[IPv4Network], ...] = ()
    ipv6: Ipv6Facts = Ipv6Facts()
    networks: tuple[NetworkFact, ...] = ()
    domains: tuple[DomainFact, ...] = ()
    pools: tuple[str, ...] = ()  # names of libvirt storage pools
    guards: GuardFacts = GuardFacts()
    wires: LinkFacts = LinkFacts()
    leases: Mapping[str, Lease] = field(default_factory=dict[str, Lease])  # by prefix
    reserved: Mapping[str, Lease] = field(default_factory=dict[str, Lease])  # by running `up`s
    leases_digest: str = ""  # of the files of both, to tell whether they changed since

    def claims_of_others(self, prefix: str) -> tuple[Lease, ...]:
        """What other environments hold, or are about to: a reservation is newer than a lease."""
        claims = {**self.leases, **self.reserved}
        return tuple(lease for other, lease in sorted(claims.items()) if other != prefix)
