"""Stylesheets for what the libvirt provider has no argument for.

A stylesheet is part of the resource's inputs, whitespace included: the same plan must give the
same text, and a change of text here replaces every domain or network that exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from lab.naming import OWNER_NAMESPACE
from lab.plans import NetworkPlan, NodePlan

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
    for nic in node.nics:
        if nic.filter:
            match = f"/domain/devices/interface[mac/@address='{nic.mac.upper()}']"
            rules.append((match, f"{_COPY}<filterref filter={quoteattr(nic.filter)}/></xsl:copy>"))
    if not node.deploy_os:  # the firmware's own words are all there is to see of a blank node
        rules.append(("/domain/os/type", '<xsl:copy-of select="."/><bios useserial="yes"/>'))
    return _stylesheet(rules)


def network_xslt(prefix: str, network: NetworkPlan) -> str:
    """Owner, and a reservation for every host number.

    The table never changes while the network lives: nodes take and leave slots of it. Every other
    way edits the network with each node, and its VMs are cut off or stale entries stay.
    """
    rules = [("/network/name", f'<xsl:copy-of select="."/>{_owner(prefix, "")}')]
    if network.dhcp:
        pool = network.pool
        span = f'<range start="{pool[0]}" end="{pool[1]}"/>' if pool else ""
        hosts = "".join(f'<host mac="{mac}" ip="{ip}"/>' for mac, ip in network.reservations)
        rules.append(("/network/ip/dhcp", f"<dhcp>{span}{hosts}</dhcp>"))
    return _stylesheet(rules)


_COPY = '<xsl:copy><xsl:apply-templates select="@*|node()"/>'
_TYPE_FILE = '<xsl:attribute name="type">file</xsl:attribute>'


def _owner(prefix: str, node: str) -> str:
    of_node = f" node={quoteattr(node)}" if node else ""
    return (
        f'<metadata><metalab:owner xmlns:metalab="{OWNER_NAMESPACE}" project="metalab" '
        f'prefix="{escape(prefix)}"{of_node}/></metadata>'
    )


def _stylesheet(rules: Iterable[tuple[str, str]]) -> str:
    templates = "".join(
        f'<xsl:template match="{match}">{body}</xsl:template>' for match, body in rules
    )
    return f"{_HEAD}{templates}</xsl:stylesheet>"
