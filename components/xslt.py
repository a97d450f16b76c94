"""Stylesheets for what the libvirt provider has no argument for.

A stylesheet is part of the resource's inputs, whitespace included: the same plan must give the
same text, and a change of text here replaces every domain or network that exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from ipaddress import IPv4Network
from string import ascii_lowercase
from xml.sax.saxutils import escape, quoteattr

from lab.naming import OWNER_NAMESPACE
from lab.osinfo import os_id
from lab.plans import DiskPlan, NetworkPlan, NodePlan
from lab.specs import SrvSpec

_HEAD = (
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    '<xsl:output omit-xml-declaration="yes"/>'
    '<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/>'
    "</xsl:copy></xsl:template>"
)


def domain_xslt(prefix: str, node: NodePlan, pool_path: str, vnc_password: str = "") -> str:
    """UUID, owner, disks by path, the console in a file, and what else a role asks for.

    Disks by pool and volume name are refused by AppArmor on hosts whose libvirt cannot resolve
    them for its helper (provider issues 126, 920, 1163); by path they work everywhere.
    """
    identity = f"<uuid>{node.uuid}</uuid>{_owner(prefix, node.node, node.machine.os_variant)}"
    serial = f'<serial type="file"><source path={quoteattr(node.console)} append="on"/></serial>'
    rules = [
        ("/domain/name", f'<xsl:copy-of select="."/>{identity}'),
        ("/domain/devices/console", serial),
    ]
    for letter, disk in zip(ascii_lowercase, node.disks, strict=False):
        rules += _disk(f"vd{letter}", disk, pool_path)
    for nic in node.nics:
        if nic.filter:
            match = f"/domain/devices/interface[mac/@address='{nic.mac.upper()}']"
            rules.append((match, _with(f"<filterref filter={quoteattr(nic.filter)}/>")))
    if not node.deploy_os and node.machine.firmware == "bios":
        # The firmware's own words are all there is to see of a blank node.
        rules.append(("/domain/os/type", '<xsl:copy-of select="."/><bios useserial="yes"/>'))
    rules += _machine(node)
    if vnc_password:
        word = f'<xsl:attribute name="passwd">{escape(vnc_password)}</xsl:attribute>'
        rules.append(("/domain/devices/graphics/@type", f'<xsl:copy-of select="."/>{word}'))
    return _stylesheet(rules)


def _disk(place: str, disk: DiskPlan, pool_path: str) -> Iterator[tuple[str, str]]:
    # The provider knows SCSI, which it counts by itself, and virtio, by the place in the list.
    there = disk.device if disk.bus == "scsi" else place
    here = f"/domain/devices/disk[target/@dev='{there}']"
    yield f"{here}/@type", _TYPE_FILE
    yield f"{here}/source", f"<source file={quoteattr(f'{pool_path}/{disk.volume}')}/>"
    if disk.cache:
        yield f"{here}/driver", f'<driver name="qemu" type="{disk.kind}" cache="{disk.cache}"/>'
    if disk.device != there:
        yield f"{here}/target", f'<target dev="{disk.device}" bus="{disk.bus}"/>'


def _machine(node: NodePlan) -> Iterator[tuple[str, str]]:
    mode, model = node.cpu
    if model:
        named = f'<model fallback="forbid">{escape(model)}</model>'
        yield "/domain/cpu", f'<cpu mode="{mode}" match="exact">{named}</cpu>'
    for nic in node.nics:
        if nic.model != "virtio":
            here = f"/domain/devices/interface[mac/@address='{nic.mac.upper()}']/model"
            yield here, f'<model type="{nic.model}"/>'
    if "q35" in node.machine.machine:  # which has no IDE for the seed
        yield "/domain/devices/disk[@device='cdrom']/target", '<target dev="sdz" bus="sata"/>'
    if node.machine.firmware != "bios":
        yield from _uefi(secure=node.machine.firmware == "uefi-secure")
    if node.machine.devices:
        yield "/domain/devices", _with("".join(node.machine.devices))


def _uefi(*, secure: bool) -> Iterator[tuple[str, str]]:
    """Firmware that libvirt finds itself: its files are called otherwise on each distribution."""
    words = ("secure-boot", "enrolled-keys") if secure else ("secure-boot",)
    wish = "yes" if secure else "no"
    features = "".join(f'<feature enabled="{wish}" name="{word}"/>' for word in words)
    loader = '<loader secure="yes"/>' if secure else ""
    efi = f"<firmware>{features}</firmware>{loader}"
    yield "/domain/os", _with(efi, '<xsl:attribute name="firmware">efi</xsl:attribute>')
    if secure:
        yield "/domain/features", _with('<smm state="on"/>')


def _with(more: str, attributes: str = "") -> str:
    """An element as it is, and more in it."""
    return f'<xsl:copy>{attributes}<xsl:apply-templates select="@*|node()"/>{more}</xsl:copy>'


def network_xslt(prefix: str, network: NetworkPlan) -> str:
    """Owner, a reservation for every host number, and what the provider has no argument for.

    The table never changes while the network lives: nodes take and leave slots of it. Every other
    way edits the network with each node, and its VMs are cut off or stale entries stay.
    """
    # The provider leaves the element out, and so libvirt's dnsmasq runs, and advertises.
    quiet = '<dns enable="no"/>' if network.subnet6 and not network.dhcp else ""
    rules = [("/network/name", f'<xsl:copy-of select="."/>{_owner(prefix)}{quiet}')]
    if network.gateway and network.gateway != str(IPv4Network(network.subnet)[1]):
        own = f'<xsl:attribute name="address">{network.gateway}</xsl:attribute>'
        rules.append(("/network/ip[not(@family='ipv6')]/@address", own))  # the first otherwise
    if network.dhcp:
        pool = network.pool
        span = f'<range start="{pool[0]}" end="{pool[1]}"/>' if pool else ""
        hosts = "".join(f'<host mac="{mac}" ip="{ip}"/>' for mac, ip in network.reservations)
        ipv4 = "[not(@family='ipv6')]" if network.subnet6 else ""
        rules.append((f"/network/ip{ipv4}/dhcp", f"<dhcp>{span}{hosts}</dhcp>"))
    if network.subnet6:  # without DHCP libvirt's dnsmasq advertises the subnet instead
        rules.append(("/network/ip[@family='ipv6']/dhcp", ""))
        if network.forward == "nat":
            rules.append(("/network/forward", '<forward mode="nat"><nat ipv6="yes"/></forward>'))
    if network.srvs:  # the provider forgets them when it reads a network with a domain
        rules.append(("/network/dns", _with("".join(map(_srv, network.srvs)))))
    return _stylesheet(rules)


_TYPE_FILE = '<xsl:attribute name="type">file</xsl:attribute>'


def _owner(prefix: str, node: str = "", os_variant: str = "") -> str:
    of_node = f" node={quoteattr(node)}" if node else ""
    return (
        f'<metadata><metalab:owner xmlns:metalab="{OWNER_NAMESPACE}" project="metalab" '
        f'prefix="{escape(prefix)}"{of_node}/>{_osinfo(os_variant)}</metadata>'
    )


def _osinfo(variant: str) -> str:
    """What virt-manager and its kin read of a guest's system."""
    if not variant:
        return ""
    system = f"<libosinfo:os id={quoteattr(os_id(variant))}/>"
    space = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
    return f'<libosinfo:libosinfo xmlns:libosinfo="{space}">{system}</libosinfo:libosinfo>'


def _srv(srv: SrvSpec) -> str:
    fields = {**asdict(srv), "domain": srv.domain or None}
    words = (f"{key}={quoteattr(str(value))}" for key, value in fields.items() if value is not None)
    return f"<srv {' '.join(words)}/>"


def _stylesheet(rules: Iterable[tuple[str, str]]) -> str:
    templates = "".join(
        f'<xsl:template match="{match}">{body}</xsl:template>' for match, body in rules
    )
    return f"{_HEAD}{templates}</xsl:stylesheet>"
