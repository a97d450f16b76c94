"""IPv6 subnets: a /64 for each network that wants one, where the host can give it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Network
from itertools import count

from lab.addressing import own_bridges, taker_of
from lab.facts import HostFacts, Taken
from lab.specs import NetworkSpec

ANY = "any"  # what a lease says was preferred, where it was no certain subnet
_UNIQUE_LOCAL = 0xFD << 120  # RFC 4193


def plan_subnets6(
    networks: Iterable[NetworkSpec], facts: HostFacts, prefix: str
) -> tuple[dict[str, IPv6Network], list[str]]:
    """Give each network that wants IPv6 its /64: the leased one, the preferred, or a free one.

    What a lease holds stays, whatever the host shows later. What it could not give before, it
    gives as soon as it can.

    Args:
        networks: the layout's networks.
        facts: what the hypervisor uses, and its leases.
        prefix: the environment.

    Returns:
        {"external": IPv6Network("fd5c:..::/64")}, and notes: who got none, or another one, and why.
    """
    networks = tuple(networks)
    wanted = [network for network in networks if network.ipv6]
    plans = _held(wanted, facts, prefix)
    taken = [*_foreign(facts, prefix, networks), *(_mine(subnet) for subnet in plans.values())]
    notes: list[str] = []
    for spec in wanted:
        if spec.name in plans:
            continue
        if obstacle := _obstacle(spec, facts):
            notes.append(f"network {spec.name}: no IPv6, because {obstacle}")
            continue
        taker = taker_of(spec.subnet6, taken) if spec.subnet6 else None
        subnet = spec.subnet6 if spec.subnet6 and not taker else _free(prefix, spec.name, taken)
        if taker:
            because = f"{spec.subnet6} is taken by {taker.by}"
            notes.append(f"network {spec.name}: {subnet} instead, because {because}")
        plans[spec.name] = subnet
        taken.append(_mine(subnet))
    return {spec.name: plans[spec.name] for spec in wanted if spec.name in plans}, notes


def preferred6(networks: Iterable[NetworkSpec], plans: Mapping[str, IPv6Network]) -> dict[str, str]:
    """What the layout asked for, as a lease remembers it, by network."""
    return {spec.name: str(spec.subnet6 or ANY) for spec in networks if spec.name in plans}


def _held(wanted: Iterable[NetworkSpec], facts: HostFacts, prefix: str) -> dict[str, IPv6Network]:
    """What is leased already, as long as the layout prefers what it preferred then."""
    lease = facts.leases.get(prefix)
    if lease is None:
        return {}
    return {
        spec.name: IPv6Network(lease.subnets6[spec.name])
        for spec in wanted
        if spec.name in lease.subnets6
        and lease.preferred6.get(spec.name) == str(spec.subnet6 or ANY)
    }


def _obstacle(spec: NetworkSpec, facts: HostFacts) -> str:
    """Why the host cannot give a network IPv6; empty: it can."""
    if not facts.ipv6.usable:
        return "the host has none"
    if spec.forward != "none" and (devices := facts.ipv6.advertised):
        settings = " and ".join(f"net.ipv6.conf.{device}.accept_ra" for device in devices)
        return (
            f"the host would forget the routes that {' and '.join(devices)} learned from a router; "
            f"set {settings} to 2 there"
        )
    return ""


def _foreign(
    facts: HostFacts, prefix: str, networks: Iterable[NetworkSpec]
) -> Iterator[Taken[IPv6Network]]:
    ours = own_bridges(facts, prefix, networks)
    yield from (taken for taken in facts.ipv6.taken if taken.device not in ours)
    for fact in facts.networks:
        if fact.bridge not in ours:
            yield from (Taken(subnet=s, by=f"libvirt network {fact.name}") for s in fact.subnets6)
    for lease in facts.claims_of_others(prefix):
        for name, subnet in lease.subnets6.items():
            yield Taken(subnet=IPv6Network(subnet), by=f"the lease of {lease.prefix} ({name})")


def _mine(subnet: IPv6Network) -> Taken[IPv6Network]:
    return Taken(subnet=subnet, by="another network of this environment")


def _free(prefix: str, network: str, taken: list[Taken[IPv6Network]]) -> IPv6Network:
    """A unique local /64: 40 bits from the prefix, 16 from the network, drawn again if taken.

    Both follow from the names, so a lost lease changes nothing, and an environment's networks lie
    in one /48.
    """
    for attempt in count():
        again = f"/{attempt}" if attempt else ""
        bits = _bits(f"{prefix}{again}", 5) << 16 | _bits(f"{prefix}/{network}{again}", 2)
        subnet = IPv6Network((_UNIQUE_LOCAL | bits << 64, 64))
        if not taker_of(subnet, taken):
            return subnet
    raise AssertionError  # nobody has all 2 ** 56


def _bits(text: str, size: int) -> int:
    """The first bytes of a text's digest as a number."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big")
