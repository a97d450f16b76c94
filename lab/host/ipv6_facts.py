"""What a hypervisor says about IPv6: the part of the fact script that asks, and its reading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv6Interface, IPv6Network

from lab.facts import Ipv6Facts, Taken

# libvirt refuses to forward where the kernel itself learns routes from a router (RTF_ADDRCONF,
# 0x40000, among a route's flags), as it would forget them: unless accept_ra is 2.
IPV6_SCRIPT = """s ipv6; c=/proc/sys/net/ipv6/conf
if [ "$(cat $c/all/disable_ipv6)" = 0 ]; then echo usable; fi
sed -nE 's/^([^ ]+ ){8}...[4-7c-f].{4} +//p' /proc/net/ipv6_route | sort -u | while read -r d; do
  echo "learned $d $(cat $c/$d/accept_ra) $(cat $c/all/accept_ra)"; done
s addr6; ip -o -6 addr show
s route6; ip -o -6 route show"""

WIDEST_PREFIX = 16  # a wider route says where the world is, not who lives there
_FORGETS = (["1"], ["0", "1"])  # accept_ra of the interface, and of all where it is 0


def read_ipv6(sections: Mapping[str, Sequence[str]]) -> Ipv6Facts:
    """Read what IPV6_SCRIPT printed, and who else uses IPv6: name servers and the operator."""
    lines = sections.get("ipv6", [])
    learned = [line.split()[1:] for line in lines if line.startswith("learned ")]
    found: dict[tuple[IPv6Network, str], Taken[IPv6Network]] = {}
    for taken in (
        *_addresses(sections.get("addr6", [])),
        *_routes(sections.get("route6", [])),
        *_others(sections["resolv"], r"nameserver\s+([\da-f:]+)$", "name server"),
        *_others(sections["ssh"], r"([\da-f:]+) ", "you, over SSH"),
    ):
        if taken.subnet.prefixlen >= WIDEST_PREFIX and not _everywhere(taken.subnet):
            found.setdefault((taken.subnet, taken.device), taken)
    return Ipv6Facts(
        usable="usable" in lines,
        taken=tuple(sorted(found.values(), key=lambda taken: (taken.subnet, taken.by))),
        advertised=tuple(
            device for device, *how in learned if how[:1] in _FORGETS or how in _FORGETS
        ),
    )


def _addresses(lines: Iterable[str]) -> Iterator[Taken[IPv6Network]]:
    for line in lines:  # 2: eth0    inet6 fd13:1::2/64 scope global \       valid_lft forever
        if seen := re.match(r"\d+: (\S+)\s+inet6 (\S+)", line):
            device = seen[1].partition("@")[0]
            subnet = IPv6Interface(seen[2]).network
            yield Taken(subnet=subnet, by=f"address of {device}", device=device)


def _routes(lines: Iterable[str]) -> Iterator[Taken[IPv6Network]]:
    for line in lines:  # fd13:2::/64 via fe80::1 dev eth0 proto ra metric 1024
        if seen := re.match(r"(?:[a-z]+ )?([\da-f]*:[\da-f:]*(?:/\d+)?) ", f"{line} "):
            by = re.search(r"\bdev (\S+)", line)
            device = by[1] if by else ""
            subnet = IPv6Network(seen[1])
            yield Taken(subnet=subnet, by=f"route via {device or 'nowhere'}", device=device)


def _others(lines: Iterable[str], form: str, by: str) -> Iterator[Taken[IPv6Network]]:
    for line in lines:
        with suppress(ValueError):  # such as an IPv4 address
            if seen := re.match(form, line):
                yield Taken(subnet=IPv6Network(seen[1]), by=by)


def _everywhere(subnet: IPv6Network) -> bool:
    """Each link has these, and they are nobody's."""
    return subnet.is_link_local or subnet.is_multicast or subnet.is_loopback
