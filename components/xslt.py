"""Stylesheets for what the libvirt provider has no argument for.

A stylesheet is part of the resource's inputs, whitespace included: the same plan must give the
same text, and a change of text here replaces every domain or network that exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from xml.sax.saxutils import escape, quoteattr

from lab.naming import OWNER_NAMESPACE
from lab.plans import NetworkPlan, NodePlan
from lab.specs import SrvSpec

_HEAD = (
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    '<xsl:output omit-xml-declaration="yes"/>'
    '<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/>'
    "</xsl:copy></xsl:template>"
)


def domain_xslt(prefix: str, node: NodePlan, pool_path: str) -> str:
    """UUID, owner, disks by path, and the console in a file.

    Disks by pool and volume name are refused by AppArmor on hosts whose libvirt cannot resolve
    them for its helper (provider issues 126, 920, 1163); by path they work everywhere.
    """
    identity = f"<uuid>{node.uuid}</uuid>{_owner(prefix, node.node)}"
    serial = f'<serial type="file"><source path={quoteattr(node.console)} append="on"/></serial>'
    rules = [
        ("/domain/name", f'<xsl:copy-of select="."/>{identity}'),
        ("/domain/devices/console", serial),
    ]
    for disk in node.disks:
        path = quoteattr(f"{pool_path}/{disk.volume}")
        rules.append((f"/domain/devices/disk[target/@dev='{disk.target}']/@type", _TYPE_FILE))
        rules.append(
            (f"/domain/devices/disk[target/@dev='{disk.target}']/source", f"<source file={path}/>")
        )
    if not node.deploy_os:  # the firmware's own words are all there is to see of a blank node
        rules.append(("/domain/os/type", '<xsl:copy-of select="."/><bios useserial="yes"/>'))
    return _stylesheet(rules)


def network_xslt(prefix: str, network: NetworkPlan) -> str:
    """Owner, a reservation for every host number, and what the provider has no argument for.

    The table never changes while the network lives: nodes take and leave slots of it. Every other
    way edits the network with each node, and its VMs are cut off or stale entries stay.
    """
    # The provider leaves the element out, and so libvirt's dnsmasq runs, and advertises.
    quiet = '<dns enable="no"/>' if network.subnet6 and not network.dhcp else ""
    rules = [("/network/name", f'<xsl:copy-of select="."/>{_owner(prefix, "")}{quiet}')]
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
        body = '<xsl:copy><xsl:apply-templates select="@*|node()"/>{}</xsl:copy>'
        rules.append(("/network/dns", body.format("".join(map(_srv, network.srvs)))))
    return _stylesheet(rules)


_TYPE_FILE = '<xsl:attribute name="type">file</xsl:attribute>'


def _owner(prefix: str, node: str) -> str:
    of_node = f" node={quoteattr(node)}" if node else ""
    return (
        f'<metadata><metalab:owner xmlns:metalab="{OWNER_NAMESPACE}" project="metalab" '
        f'prefix="{escape(prefix)}"{of_node}/></metadata>'
    )


def _srv(srv: SrvSpec) -> str:
    fields = {**asdict(srv), "domain": srv.domain or None}
    words = (f"{key}={quoteattr(str(value))}" for key, value in fields.items() if value is not None)
    return f"<srv {' '.join(words)}/>"


def _stylesheet(rules: Iterable[tuple[str, str]]) -> str:
    templates = "".join(
        f'<xsl:template match="{match}">{body}</xsl:template>' for match, body in rules
    )
    return f"{_HEAD}{templates}</xsl:stylesheet>"
