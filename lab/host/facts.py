"""One look at a hypervisor: one connection, one script, plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Interface, IPv4Network, IPv6Interface
from xml.etree import ElementTree as ET

from lab.config import HypervisorSpec
from lab.errors import LabError, Problem
from lab.facts import DomainFact, HostFacts, NetworkFact, Taken
from lab.host.fact_script import FACT_SCRIPT, MARK
from lab.host.guard_facts import read_guards
from lab.host.ipv6_facts import read_ipv6
from lab.host.kvm_facts import read_inside, read_kvm, said
from lab.host.link_facts import read_links
from lab.host.shell import Shell, connect
from lab.lease import Lease, parse_lease
from lab.naming import OWNER_NAMESPACE

OWNER_TAG = f"{{{OWNER_NAMESPACE}}}owner"  # in <metadata> of what metalab makes
CODENAMES = ("UBUNTU_CODENAME", "DEBIAN_CODENAME", "VERSION_CODENAME")  # the base's come first
TIMEOUT_S = 90  # a host under load, with hundreds of domains
# A VPN's two halves of the default route, or multicast: true of every address, so of no use.
WIDEST_PREFIX = 8

Sections = dict[str, list[str]]  # by "os", "lease /path/foo.json", ...; networks: one text each


def read_facts(spec: HypervisorSpec) -> HostFacts:
    """Connect to a hypervisor and look at it, changing nothing.

    Raises:
        LabError: no connection, or what is there cannot be read, such as a foreign lease.
    """
    with connect(spec) as shell:
        return look(shell)


def look(shell: Shell) -> HostFacts:
    """Read the facts over a connection that is there already: one round trip.

    Raises:
        LabError: what is there cannot be read, such as a foreign lease.
    """
    outcome = shell.run(FACT_SCRIPT, timeout_s=TIMEOUT_S)
    if f"{MARK} end" not in outcome.stdout:
        raise LabError([_incomplete(shell.address, f"exit {outcome.exit_code}: {outcome.tail}")])
    return parse_facts(outcome.stdout, shell.address)


def parse_facts(text: str, where: str) -> HostFacts:
    """Turn what FACT_SCRIPT printed into facts.

    Args:
        text: the script's standard output.
        where: the host's address, for messages.

    Raises:
        LabError: a lease that is no lease, or a section that cannot be understood.
    """
    sections = _sections(text)
    leases = _leases(sections, where, "lease")
    reserved = _leases(sections, where, "reserved")
    if "silent" in sections and leases:  # on a host that nobody uses yet, libvirt may be half there
        raise LabError([_silent(where, ", ".join(sorted(leases)))])
    try:
        return _facts(sections, leases, reserved)
    except (ValueError, IndexError, KeyError, ET.ParseError) as error:
        raise LabError([_incomplete(where, f"{type(error).__name__}: {error}")]) from None


def parse_lease_texts(texts: dict[str, str], where: str) -> dict[str, Lease]:
    """Read leases by path of their files; see lab.host.leases.

    Raises:
        LabError: a problem for each file that cannot be understood.
    """
    leases: dict[str, Lease] = {}
    problems: list[Problem] = []
    for path, text in texts.items():
        try:
            lease = parse_lease(text)
            leases[lease.prefix] = lease
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(_broken_lease(f"{where}:{path}", str(error)))
    if problems:
        raise LabError(problems)
    return leases


def _facts(sections: Sections, leases: dict[str, Lease], reserved: dict[str, Lease]) -> HostFacts:
    release = _os_release(sections["os"])
    hostname, arch, cpus = sections["machine"]
    cpu = " ".join(sections["cpu"])
    vendor = re.search(r"vendor_id\s*:\s*(\S+)", cpu)
    disk, kvm = sections["disk"], sections["kvm"]
    return HostFacts(
        hostname=hostname,
        login=(sections.get("login") or ["root"])[0],
        os_id=release.get("ID", ""),
        os_like=tuple(release.get("ID_LIKE", "").split()),
        os_version=release.get("VERSION_ID", ""),
        os_name=release.get("PRETTY_NAME", ""),
        os_platform=release.get("PLATFORM_ID", ""),
        os_codenames=tuple(release[key] for key in CODENAMES if release.get(key)),
        rom_version="".join(sections.get("rom", [])[:1]),
        arch=arch,
        cpu_vendor=vendor[1] if vendor else "",
        cpu_count=int(cpus),
        cpu_virtualization=bool({"vmx", "svm"} & set(cpu.split())),
        kvm="usable" in kvm,
        inside=read_inside(kvm, cpu.split()),
        around_kvm=read_kvm(kvm),
        memory_mib=int(sections["memory"][0].split()[1]) // 1024,
        disk_free_gib=int(disk[-1].split()[3]) // 1024**2,
        disk_total_gib=int(disk[-1].split()[1]) // 1024**2,
        disk_held_gib=int(next(said(disk, "held"), 0)) // 1024**2,
        taken=_taken(sections),
        ipv6=read_ipv6(sections),
        networks=_networks(sections),
        domains=_domains(sections),
        pools=tuple(sorted(sections.get("pools", []))),
        guards=read_guards(sections.get("guards", []), sections.get("rules", [])),
        wires=read_links(sections.get("links", []), sections["addr"], sections["route"]),
        leases=leases,
        reserved=reserved,
        leases_digest="".join(sections.get("digest", [])),
    )


def _sections(text: str) -> Sections:
    """Split at the marks, without blank lines; a name that comes again continues its section."""
    sections: Sections = {}
    name = ""
    for line in text.splitlines():
        if line.startswith(MARK):
            name = line.removeprefix(MARK).strip()
            if name == "network":
                sections.setdefault(name, []).append("")
            sections.setdefault(name, [])
        elif name == "network":
            sections[name][-1] += line + "\n"
        elif line.strip():
            sections.setdefault(name, []).append(line.strip())
    return sections


def _os_release(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {key: value.strip("\"'") for key, _, value in pairs}


def _taken(sections: Sections) -> tuple[Taken[IPv4Network], ...]:
    """Every subnet in use, once for each device; an address says more than its own route."""
    found: dict[tuple[IPv4Network, str], Taken[IPv4Network]] = {}
    for taken in (
        *_addresses(sections["addr"]),
        *_routes(sections["route"]),
        *_name_servers(sections["resolv"]),
        *_operator(sections["ssh"]),
    ):
        found.setdefault((taken.subnet, taken.device), taken)
    return tuple(sorted(found.values(), key=lambda taken: (taken.subnet, taken.by)))


def _addresses(lines: list[str]) -> Iterator[Taken[IPv4Network]]:
    for line in lines:  # 2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0
        if seen := re.match(r"\d+: (\S+)\s+inet (\S+)(?: peer (\S+))?", line):
            device, address = seen[1].partition("@")[0], seen[3] or seen[2]
            subnet = IPv4Interface(address).network
            if not subnet.is_loopback:
                yield Taken(subnet=subnet, by=f"address of {device}", device=device)


def _routes(lines: list[str]) -> Iterator[Taken[IPv4Network]]:
    kinds = r"(?:(?:unicast|local|broadcast|unreachable|prohibit|blackhole|throw|nat) )?"
    for line in lines:  # 10.8.0.0/16 via 192.0.2.1 dev eth0 proto static
        seen = re.match(kinds + r"(\d[\d./]*)", line)
        if seen and (subnet := IPv4Network(seen[1])).prefixlen >= WIDEST_PREFIX:
            by = re.search(r"\bdev (\S+)", line)
            device = by[1] if by else ""
            yield Taken(subnet=subnet, by=f"route via {device or 'nowhere'}", device=device)


def _name_servers(lines: list[str]) -> Iterator[Taken[IPv4Network]]:
    for line in lines:
        seen = re.match(r"nameserver\s+([\d.]+)$", line)
        if seen and not (subnet := IPv4Network(seen[1])).is_loopback:
            yield Taken(subnet=subnet, by="name server")


def _operator(lines: list[str]) -> Iterator[Taken[IPv4Network]]:
    address = lines[0].split()[0] if lines else ""
    try:
        yield Taken(subnet=IPv4Network(address), by="you, over SSH")
    except AddressValueError:
        return  # unknown, or IPv6


def _networks(sections: Sections) -> tuple[NetworkFact, ...]:
    # One that another run removed between listing and dumping is an empty text.
    facts = (_network(text) for text in sections.get("network", []) if text.strip())
    return tuple(sorted(facts, key=lambda fact: fact.name))


def _network(text: str) -> NetworkFact:
    xml = parse_xml(text)
    bridge, owner = xml.find("bridge"), xml.find(f"metadata/{OWNER_TAG}")
    return NetworkFact(
        name=xml.findtext("name", ""),
        uuid=xml.findtext("uuid", ""),
        bridge="" if bridge is None else bridge.get("name", ""),
        subnets=tuple(IPv4Interface(text).network for text in _addresses_of(xml, "ipv4")),
        owner="" if owner is None else owner.get("prefix", ""),
        subnets6=tuple(IPv6Interface(text).network for text in _addresses_of(xml, "ipv6")),
    )


def _addresses_of(network: ET.Element, family: str) -> Iterator[str]:
    for ip in network.findall("ip"):
        if ip.get("family", "ipv4") == family:
            yield f"{ip.get('address')}/{ip.get('prefix') or ip.get('netmask')}"


def parse_xml(text: str) -> ET.Element:
    """Parse what libvirt printed. Without a document type there are no entities to blow up."""
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):
        message = "a document type in libvirt's XML"
        raise ValueError(message)
    return ET.fromstring(text)  # noqa: S314 - no entities, see above


def _domains(sections: Sections) -> tuple[DomainFact, ...]:
    stats: dict[str, dict[str, int]] = {}
    name = ""
    for line in sections.get("domstats", []):  # Domain: 'foo-tiny-0' / balloon.maximum=131072
        if seen := re.match(r"Domain: '(.*)'$", line):
            name = seen[1]
        elif seen := re.match(r"(balloon\.maximum|vcpu\.maximum)=(\d+)$", line):
            stats.setdefault(name, {})[seen[1]] = int(seen[2])
    named = (line.split(maxsplit=1) for line in sections.get("domains", []))
    return tuple(
        DomainFact(
            name=name,
            uuid=uuid,
            memory_mib=stats.get(name, {}).get("balloon.maximum", 0) // 1024,
            vcpus=stats.get(name, {}).get("vcpu.maximum", 0),
        )
        for uuid, name in sorted(named, key=lambda pair: pair[1])
    )


def _leases(sections: Sections, where: str, kind: str) -> dict[str, Lease]:
    texts = {
        name.removeprefix(f"{kind} "): "\n".join(lines)
        for name, lines in sections.items()
        if name.startswith(f"{kind} ")
    }
    return parse_lease_texts(texts, where)


def _broken_lease(where: str, reason: str) -> Problem:
    return Problem(
        where=where,
        got=f"a file that cannot be read as a lease ({reason})",
        allowed="a lease of this metalab",
        rule="lease-file",
        next_step="Update metalab if a newer one wrote it; remove the file if its lab is gone",
    )


def _silent(where: str, prefixes: str) -> Problem:
    """Without an answer every name and all memory would look free."""
    return Problem(
        where=where,
        got=f"no answer from libvirt, on a host that {prefixes} uses",
        allowed="virsh -c qemu:///system list --all to work there",
        rule="host-libvirt",
        next_step="Look at `systemctl status libvirtd virtqemud` there",
    )


def _incomplete(where: str, reason: str) -> Problem:
    return Problem(
        where=where,
        got=f"facts that make no sense ({reason})",
        allowed="a Linux host with sh, ip and /proc",
        rule="host-facts",
        next_step="Log in and look whether the host works",
    )
