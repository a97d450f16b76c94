"""What a layout may say of a network beyond its subnet: pool, IPv6, MTU, DNS, autostart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import cast

from lab.reader import Reader
from lab.specs import FIRST_NUMBER, MOST_NUMBER, NetworkSpec, SrvSpec

LEAST_MTU, LEAST_MTU_6, MOST_MTU = 68, 1280, 65_535  # the protocols', and the kernel's
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
_SERVICE = r"[A-Za-z0-9][A-Za-z0-9-]{0,61}"
_NAME_MEANS = "a DNS name, such as lab.example"
_SERVICE_MEANS = "a service's name without underscore, such as ldap"
_PORTS = 65_535
MOST_SRV = 100
_DNS = ("domain", "hosts", "srv")


def network_options(entry: Reader, spec: NetworkSpec) -> NetworkSpec:
    """Read them, for a network whose subnet, forward and dhcp are known."""
    ipv6, subnet6 = entry.subnet6("ipv6")
    mtu = entry.integer("mtu", at_least=LEAST_MTU, at_most=MOST_MTU) if entry.has("mtu") else 0
    if mtu and spec.lan:
        entry.refuse("mtu", mtu, "none, as packets are as large as on the LAN", "bridge")
    if ipv6 and 0 < mtu < LEAST_MTU_6:
        entry.refuse("mtu", mtu, f"at least {LEAST_MTU_6}, which IPv6 takes", "range")
    if ipv6 and spec.subnet is None:
        entry.refuse("cidr", None, "a cidr, which this takes (ipv6)", "subnet")
    if (pool := _pool(entry, spec)) is not None and not spec.dhcp:
        entry.note("pool", "no dhcp beside it", "dhcp, whose addresses they are", "dhcp-range")
    for key in _DNS:
        if entry.has(key) and not spec.dhcp:
            entry.note(key, "no dhcp beside it", "dhcp, which serves DNS, too", "network-dns")
    return replace(
        spec,
        pool=pool,
        ipv6=ipv6,
        subnet6=subnet6,
        mtu=mtu,
        domain=entry.text("domain", default="", pattern=_NAME, means=_NAME_MEANS),
        hosts=tuple(_hosts(entry.mapping("hosts", required=False))),
        srvs=_srvs(entry),
        autostart=entry.boolean("autostart", default=True),
    )


def _pool(entry: Reader, spec: NetworkSpec) -> int | None:
    """All but one address at most: what is left is for nodes."""
    if not entry.has("pool"):
        return None
    last = spec.subnet.num_addresses - 2 if spec.subnet else MOST_NUMBER
    first, last = spec.span or (FIRST_NUMBER, last)
    pool = entry.integer("pool", at_least=0, at_most=MOST_NUMBER)
    if pool > last - first:
        entry.refuse("pool", pool, f"at most {last - first}, as a node needs one, too", "range")
    return pool


def _hosts(entry: Reader) -> Iterator[tuple[str, str]]:
    for name in tuple(entry.keys()):
        if not re.fullmatch(_NAME, name):
            entry.refuse(name, name, _NAME_MEANS, "text")
        got = entry.raw(name)
        for each in cast("list[object]", got) if isinstance(got, list) else [got]:
            try:
                yield name, str(ip_address(str(each).replace("%", "!")))  # a zone is a link's
            except ValueError:
                entry.refuse(name, each, "an IPv4 or IPv6 address, or a list of them", "address")


def _srvs(entry: Reader) -> tuple[SrvSpec, ...]:
    if not entry.has("srv"):
        return ()
    items = entry.items("srv", short="service", fewest=0, most=MOST_SRV)
    return tuple(_srv(item) for item in items)


def _srv(entry: Reader) -> SrvSpec:
    srv = SrvSpec(
        service=entry.text("service", pattern=_SERVICE, means=_SERVICE_MEANS),
        protocol=entry.choice("protocol", ("tcp", "udp"), default="tcp"),
        target=entry.text("target", pattern=_NAME, means=_NAME_MEANS),
        port=entry.integer("port", at_least=1, at_most=_PORTS),
        domain=entry.text("domain", default="", pattern=_NAME, means=_NAME_MEANS),
        priority=entry.integer("priority", at_least=0, at_most=_PORTS, default=0),
        weight=entry.integer("weight", at_least=0, at_most=_PORTS, default=0),
    )
    entry.close()
    return srv
