"""What of an environment is not as it was made: the plan against what is seen on the hypervisor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import chain

from lab.plans import DiskPlan, LabPlan, NetworkPlan, NodePlan
from lab.storage import LEASES_DIR, LOG_DIR, PREFIXES_DIR, pool_path

GIB = 1024**3
KIB_OF_MIB = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainSeen:
    """A domain as libvirt would start it the next time, and its state of now."""

    uuid: str
    state: str  # "running", "paused", "shut off"
    autostart: bool
    owner: str  # prefix of its metadata; empty: there is none
    kind: str  # "kvm" or "qemu"
    memory_kib: int
    vcpus: int
    cpu: str  # the mode
    boot: tuple[str, ...]  # ("network", "hd")
    nics: Mapping[str, tuple[str, str]]  # by MAC in lower case: network or bridge, filter
    disks: Mapping[str, str]  # {"vda": path}; seeds are among them
    console: str
    listen: str  # where VNC answers


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSeen:
    """A network as libvirt would start it the next time, and its state of now."""

    active: bool
    autostart: bool
    owner: str
    bridge: str
    forward: str  # "none" without the element
    address: str  # "172.16.0.1/24"; empty: frames alone
    hosts: frozenset[tuple[str, str]]  # (MAC, address)
    span: tuple[str, str] | None  # of DHCP
    names: frozenset[tuple[str, str]]  # (address, name)
    mtu: int
    domain: str
    up: bool  # its bridge, where it is active


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeSeen:
    """A file of the pool."""

    size: int  # virtual, in bytes
    kind: str  # "qcow2" or "raw"
    base: str  # the file's name that it is an overlay on; empty: on none


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One look at what belongs to an environment."""

    domains: Mapping[str, DomainSeen] = field(default_factory=dict[str, DomainSeen])
    networks: Mapping[str, NetworkSeen] = field(default_factory=dict[str, NetworkSeen])
    volumes: Mapping[str, VolumeSeen] = field(default_factory=dict[str, VolumeSeen])
    pool: str = ""  # its state: "running", "inactive"; empty: there is none
    logs_writable: bool = True  # consoles go there
    marker: bool = True
    lease: bool = True
    claimed: bool = True  # the lease is what the plan asks for
    untrue: Sequence[str] = ()  # steps of the preparation that do not hold


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as the plan has it."""

    where: str  # "domain foo-tiny-0"
    kind: str  # "memory": see docs/drift.md
    found: str
    expected: str
    repair: str  # a command, or a sentence where none will do
    mend: str = ""  # shell on the hypervisor that repairs it, which `fab drift --mend` runs


def drift(plan: LabPlan, seen: Seen) -> tuple[Drift, ...]:
    """Compare. A fresh environment has none; the power of a blank node is its lab's affair."""
    return tuple(
        chain(
            _host(plan, seen),
            chain.from_iterable(_network(plan, network, seen) for network in plan.networks),
            _pool(plan, seen),
            chain.from_iterable(_node(plan, node, seen) for node in plan.nodes.values()),
        )
    )


def _host(plan: LabPlan, seen: Seen) -> Iterator[Drift]:
    where, up = "host", _mend(plan)
    if not seen.lease:
        put_back = f"put {LEASES_DIR}/{plan.prefix}.json back: `pulumi stack export` has it"
        yield Drift(where, "lease", "none", f"{plan.prefix}.json", put_back)
    elif not seen.claimed:
        yield Drift(where, "lease", "another claim", "the plan's", up)
    if not seen.marker:
        yield Drift(where, "marker", "none", f"{PREFIXES_DIR}/{plan.prefix}", up)
    for step in seen.untrue:
        yield Drift(where, step, "not so", "so", up)
    if not seen.logs_writable:
        yield Drift(where, "console", f"no writing to {LOG_DIR}", "writing", f"see to {LOG_DIR}")


def _network(plan: LabPlan, wanted: NetworkPlan, seen: Seen) -> Iterator[Drift]:
    where, anew = f"network {wanted.name}", _again(plan, f"Network::{wanted.network}")
    found = seen.networks.get(wanted.name)
    if found is None:
        yield Drift(
            where, "undefined", "none", "a network", _first(plan, f"Network::{wanted.network}")
        )
        return
    if not found.active:
        start = f"virsh net-start {wanted.name}"
        yield Drift(where, "stopped", "inactive", "active", _mend(plan), start)
    elif not found.up:
        link = f"ip link set {wanted.bridge} up"
        yield Drift(where, "bridge down", "down", "up", _mend(plan), link)
    if found.autostart != wanted.autostart:
        flag = "" if wanted.autostart else " --disable"
        start = f"virsh net-autostart {wanted.name}{flag}"
        words = _word(found.autostart), _word(wanted.autostart)
        yield Drift(where, "autostart", *words, _mend(plan), start)
    address = f"{wanted.gateway}/{IPv4Network(wanted.subnet).prefixlen}" if wanted.subnet else ""
    pairs: list[tuple[str, object, object]] = [
        ("owner", found.owner, plan.prefix),
        ("bridge", found.bridge, wanted.bridge),
        ("forward", found.forward, wanted.forward),
        ("mtu", found.mtu, wanted.mtu),
        ("domain", found.domain, wanted.domain),
    ]
    if not wanted.lan:
        hosts = frozenset(wanted.reservations) if wanted.dhcp else frozenset[tuple[str, str]]()
        pairs += [
            ("address", found.address, address),
            ("DHCP range", found.span, wanted.pool if wanted.dhcp else None),
            ("names", *_apart(found.names, frozenset(wanted.names))),
            ("DHCP hosts", *_apart(found.hosts, hosts)),
        ]
    yield from _differences(where, pairs, anew)


def _pool(plan: LabPlan, seen: Seen) -> Iterator[Drift]:
    where, start = f"pool {plan.pool}", f"virsh pool-start {plan.pool}"
    if not seen.pool:
        yield Drift(where, "undefined", "none", "a pool", _first(plan, "Pool::pool"))
    elif seen.pool != "running":
        yield Drift(where, "stopped", seen.pool, "running", _mend(plan), start)


def _node(plan: LabPlan, node: NodePlan, seen: Seen) -> Iterator[Drift]:
    for disk in node.disks:
        yield from _volume(disk, seen)
    if node.deploy_os and node.seed not in seen.volumes:
        yield Drift(f"volume {node.seed}", "missing", "none", "a seed", _refresh(plan))
    where, anew = f"domain {node.name}", _again(plan, f"Domain::{node.node}")
    found = seen.domains.get(node.name)
    if found is None:
        yield Drift(where, "undefined", "none", "a domain", _refresh(plan))
        return
    start, resume = f"virsh autostart {node.name}", f"virsh resume {node.name}"
    if found.state == "paused":
        yield Drift(where, "paused", "paused", "running", _mend(plan), resume)
    elif node.deploy_os and found.state != "running":
        yield Drift(where, "off", found.state, "running", _refresh(plan))
    if not found.autostart:
        yield Drift(where, "autostart", "no", "yes", _mend(plan), start)
    nics = {
        nic.mac.lower(): (nic.bridge or f"{plan.prefix}-{nic.network}", nic.filter)
        for nic in node.nics
    }
    disks = {disk.device: f"{pool_path(plan.prefix)}/{disk.volume}" for disk in node.disks}
    theirs = {device: path for device, path in found.disks.items() if not path.endswith(".iso")}
    boot = ("hd",) if node.deploy_os else ("network", "hd")
    pairs: list[tuple[str, object, object]] = [
        ("UUID", found.uuid, node.uuid),
        ("owner", found.owner, plan.prefix),
        ("type", found.kind, plan.virt_type),
        ("memory", found.memory_kib, node.memory_mib * KIB_OF_MIB),
        ("vCPUs", found.vcpus, node.vcpus),
        ("CPU", found.cpu, node.cpu[0]),
        ("boot order", found.boot, boot),
        ("MACs", *_apart(frozenset(found.nics), frozenset(nics))),
        ("NICs", *_apart(_items(found.nics, nics), _items(nics, found.nics))),
        ("disks", *_apart(frozenset(theirs.items()), frozenset(disks.items()))),
        ("console", found.console, node.console),
        ("VNC", found.listen, plan.config.vnc_listen),
    ]
    yield from _differences(where, pairs, anew)


def _volume(disk: DiskPlan, seen: Seen) -> Iterator[Drift]:
    where, found = f"volume {disk.volume}", seen.volumes.get(disk.volume)
    lost = "its data is gone: `fab remove-nodes`, or put the file back"
    if found is None:
        yield Drift(where, "missing", "none", "a disk", lost)
        return
    pairs: list[tuple[str, object, object]] = [
        ("size", found.size, disk.size_gib * GIB),
        ("format", found.kind, disk.kind),
        ("base", found.base, disk.base),
    ]
    yield from _differences(where, pairs, lost)


def _differences(
    where: str, pairs: Sequence[tuple[str, object, object]], repair: str
) -> Iterator[Drift]:
    for kind, found, wanted in pairs:
        if found != wanted:
            yield Drift(where, kind, _told(found), _told(wanted), repair)


def _apart(found: frozenset[object], wanted: frozenset[object]) -> tuple[object, object]:
    """What only one of the two has: the rest of a long list says nothing."""
    return tuple(sorted(found - wanted, key=str)), tuple(sorted(wanted - found, key=str))


def _items(of: Mapping[str, object], other: Mapping[str, object]) -> frozenset[object]:
    """Pairs of the keys that both have: what only one has is said already."""
    return frozenset((key, value) for key, value in of.items() if key in other)


def _told(value: object) -> str:
    return str(value) if value not in ("", (), None) else "none"


def _word(yes: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if yes else "no"


def _refresh(plan: LabPlan) -> str:
    return f"pulumi up -s {plan.prefix} --refresh"


def _first(plan: LabPlan, urn: str) -> str:
    """Alone: the plugin cannot read a domain whose network is gone, nor a volume without pool."""
    target = f"--target '**:{urn}'"
    return f"{_refresh(plan)} {target}, twice: the second time without --target"


def _mend(plan: LabPlan) -> str:
    return f"uv run fab drift {plan.prefix} --mend"


def _again(plan: LabPlan, urn: str) -> str:
    return f"pulumi up -s {plan.prefix} --replace '**:{urn}'"
