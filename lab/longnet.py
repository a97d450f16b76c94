"""One network of the predecessor's long form: each of its words, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from typing import Any, Literal, cast

from lab.sheet import children, mapping_of

_VSWITCH = "Open vSwitch is not supported"
_REFUSED = {
    "virtualport_type": _VSWITCH,
    "portgroups": _VSWITCH,
    "ipv4_address": _VSWITCH,
    "ipv6_address": _VSWITCH,
}
_OTHERS = "it was kept for other programs, which read it elsewhere now"
_DEAD = {
    "external_connectivity": _OTHERS,
    "floating_ip": _OTHERS,
    "stp": "bridges of labs have no spanning tree",
}
_LAN = "a bridged network has what the LAN has, and the host keeps its own addresses"
_DHCP_DEAD = ("subnet_cidr", "subnet_gateway")
_THIRD_OCTETS = {"net": 0, "data_net": 24}  # of its networks without a prefix
_PLACEHOLDER = re.compile(
    r"\{\{\s*(net|data_net)\s*(?:\+\s*([0-9]{1,3}))?\s*(?:\|\s*string\s*)?\}\}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """What became of one word."""

    kind: Literal["kept", "dead", "refused", "wrong"]
    path: tuple[str, ...]  # below the network
    key: str = ""  # of the short form
    value: object = None
    why: str = ""  # it has no effect, or is refused; of what is wrong: what is allowed
    rule: str = ""


def network_words(entry: Mapping[str, Any]) -> Iterator[Word]:
    """Read one network, in either form; names are for somebody else.

    The third octets that the predecessor counted up for each prefix, `{{ net }}` and
    `{{ data_net }}`, are filled as for the first: where a subnet is taken, a free one stands in.
    """
    filled = {key: _filled(value) for key, value in entry.items()}
    for key, value in filled.items():
        if key == "name" or (value is None and key != "cidr"):
            continue
        if key in _REFUSED:
            yield Word(kind="refused", path=(key,), why=_REFUSED[key])
        elif key in _DEAD:
            yield Word(kind="dead", path=(key,), why=_DEAD[key])
        elif _mode(entry) == "bridge" and _is_of_ours(key, value):
            yield Word(kind="dead", path=(key,), why=_LAN)
        else:
            yield from _word(key, value, filled)


def _word(key: str, value: object, entry: Mapping[str, Any]) -> Iterator[Word]:
    inner = mapping_of(value)
    if key == "ip_address":
        yield _cidr(entry)
    elif key == "netmask":
        if "ip_address" not in entry:
            yield Word(kind="dead", path=(key,), why="there is no ip_address")
    elif key == "forward" and inner is not None:
        yield from _only(key, inner, "type")
        yield Word(kind="kept", path=(key, "type"), key=key, value=inner.get("type", ""))
    elif key == "dhcp" and inner is not None:
        yield from _dhcp(inner, entry)
    elif key == "ipv6" and inner is not None:
        yield from _ipv6(inner)
    elif key == "dns" and inner is not None and "srvs" in inner:
        yield from _only(key, inner, "srvs")
        yield Word(kind="kept", path=(key, "srvs"), key="srv", value=_srv(inner["srvs"]))
    else:
        yield Word(kind="kept", path=(key,), key=key, value=value)


def _mode(entry: Mapping[str, Any]) -> object:
    forward = entry.get("forward")
    inner = mapping_of(cast("object", forward))
    return inner.get("type") if inner else forward


def _only(key: str, inner: Mapping[str, Any], word: str) -> Iterator[Word]:
    for other in inner:
        if other != word:
            rule = "unknown-key"
            yield Word(kind="wrong", path=(key, other), value=other, why=f"only {word}", rule=rule)


def _is_of_ours(key: str, value: object) -> bool:
    return key in ("ip_address", "netmask") or (
        key in ("dhcp", "ipv6") and mapping_of(value) is not None
    )


def _cidr(entry: Mapping[str, Any]) -> Word:
    """The host's own address with its mask, which is what `cidr` takes as well."""
    address, mask = entry["ip_address"], entry.get("netmask", "255.255.255.0")
    try:
        own = IPv4Interface(f"{address}/{mask}")
    except ValueError:
        allowed = "an IPv4 address, with a netmask beside it"
        got = f"{address} and {mask}"
        return Word(kind="wrong", path=("ip_address",), value=got, why=allowed, rule="subnet")
    return Word(kind="kept", path=("ip_address",), key="cidr", value=str(own))


def _dhcp(dhcp: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[Word]:
    for key in dhcp:
        if key in _DHCP_DEAD:
            yield Word(kind="dead", path=("dhcp", key), why=_OTHERS)
        elif key != "range":
            only = "only range, subnet_cidr, subnet_gateway"
            rule = "unknown-key"
            yield Word(kind="wrong", path=("dhcp", key), value=key, why=only, rule=rule)
    span = dhcp.get("range")
    bounds = mapping_of(cast("object", span))
    value = _numbers(bounds, entry) if bounds else "true"
    if value is None:
        allowed = "start and end in the network's subnet"
        yield Word(kind="wrong", path=("dhcp", "range"), value=span, why=allowed, rule="dhcp-range")
    else:
        yield Word(kind="kept", path=("dhcp", "range"), key="dhcp", value=value)


def _numbers(span: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
    """`2-100` of a range's first and last address."""
    cidr = _cidr(entry) if "ip_address" in entry else None
    if cidr is None or cidr.kind == "wrong":
        return "2-100"  # said of the address
    subnet = IPv4Interface(str(cidr.value)).network
    try:
        first, last = (IPv4Address(span[key]) for key in ("start", "end"))
    except (KeyError, ValueError):
        return None
    if first not in subnet or last not in subnet:
        return None
    begin = int(subnet.network_address)
    return f"{int(first) - begin}-{int(last) - begin}"


def _ipv6(ipv6: Mapping[str, Any]) -> Iterator[Word]:
    try:
        subnet = IPv6Interface(f"{ipv6.get('ip_address')}/{ipv6.get('prefix', 64)}").network
    except ValueError:
        allowed = "ip_address and prefix"
        yield Word(kind="wrong", path=("ipv6",), value=dict(ipv6), why=allowed, rule="subnet")
        return
    yield Word(kind="kept", path=("ipv6", "ip_address"), key="ipv6", value=str(subnet))
    for key in sorted(ipv6.keys() - {"ip_address", "prefix"}):
        why = "every node has an address that follows from its host number"
        yield Word(kind="dead", path=("ipv6", key), why=why)


def _srv(srvs: object) -> object:
    """Service records in libvirt's own words."""
    rows = [mapping_of(row) for _, row in children(srvs)]
    if mapping_of(srvs) or None in rows:
        return srvs
    renamed = {"name": "service"}
    return [{renamed.get(key, key): value for key, value in row.items()} for row in rows if row]


def _filled(value: object) -> object:
    if isinstance(value, dict | list):
        inner = {key: _filled(each) for key, each in children(cast("object", value))}
        return inner if isinstance(value, dict) else list(inner.values())
    return _PLACEHOLDER.sub(_octet, value) if isinstance(value, str) else value


def _octet(match: re.Match[str]) -> str:
    return str(_THIRD_OCTETS[match[1]] + int(match[2] or 0))
