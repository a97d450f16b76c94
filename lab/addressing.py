"""Subnets, host numbers and addresses: held ones stay, new ones are chosen once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from operator import itemgetter

from lab.errors import LabError, Problem
from lab.facts import HostFacts, NetworkFact, Subnet, Taken
from lab.naming import bridge, node_order, split_slot
from lab.specs import FIRST_NUMBER, NetworkSpec

# Where a replacement is looked for, in this order: RFC 1918, widest first.
PRIVATE = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"))
WIDEST_DEFAULT_ROUTE = 1  # /0, or the two /1 by which a VPN overrides it: nobody lives there
MOST_RESERVATIONS = 2_000  # of one network: more than a host carries, short of a slow dnsmasq
POOL_FROM_SIZE = 64  # addresses; a smaller subnet keeps all of them for nodes
POOL_SIZE = 4  # addresses at a subnet's end that DHCP gives to guests it does not know


@dataclass(frozen=True, kw_only=True, slots=True)
class SubnetPlan:
    """The subnet that one network gets."""

    subnet: IPv4Network
    host_number: int = 1
    instead_of: str = ""  # why not the preferred one: "192.0.2.0/24 is taken by route via eth0"
    subnet6: IPv6Network | None = None  # a /64 beside it: lab.ipv6

    @property
    def gateway(self) -> IPv4Address:
        """The host's own address on the bridge."""
        return self.subnet[self.host_number]


def plan_subnets(
    networks: Iterable[NetworkSpec], facts: HostFacts, prefix: str
) -> dict[str, SubnetPlan]:
    """Give each network its subnet: the leased one, else the preferred, else a free one.

    A lease holds as long as the network file prefers what it preferred when the lease was made:
    an edit of the file is a wish for another subnet. A network of ours whose lease was lost keeps
    the subnet that its bridge has.

    Args:
        networks: the layout's networks, not overlapping each other.
        facts: what the hypervisor uses; its lease of `prefix` is what this environment holds.
        prefix: the environment.

    Returns:
        {"data": SubnetPlan(...), ...} in the order of `networks`, without those of frames alone.

    Raises:
        LabError: no free subnet of that size in any private range.
    """
    networks = tuple(networks)
    wishes = {network.name: network.subnet for network in networks if network.subnet}
    held = _held(wishes, facts, prefix)
    taken = [*_foreign(facts, prefix, networks), *(_mine(subnet) for subnet in held.values())]
    plans = {name: SubnetPlan(subnet=subnet) for name, subnet in held.items()}
    for name, wish in sorted(wishes.items(), key=lambda item: taker_of(item[1], taken) is not None):
        if name in held:
            continue
        taker = taker_of(wish, taken)
        subnet = _free(name, wish, taken, prefix) if taker else wish
        because = f"{wish} is taken by {taker.by}" if taker else ""
        plans[name] = SubnetPlan(subnet=subnet, instead_of=because)
        taken.append(_mine(subnet))
    numbers = {network.name: network.host_number for network in networks}
    return {name: replace(plans[name], host_number=numbers[name]) for name in wishes}


@dataclass(frozen=True, slots=True)
class HostNumbers:
    """The host numbers of one network: its addresses count from them, and its MACs do."""

    network: str
    subnet: IPv4Network | None  # None: frames alone, and numbers for MACs
    span: tuple[int, int] | None = None  # first and last that the layout gives to nodes
    pool_size: int | None = None  # at the end, for guests that DHCP does not know; None: our choice
    host: int = 1  # the hypervisor's own

    @property
    def usable(self) -> Sequence[int]:
        """Those that nodes may have, ascending."""
        free = self._free
        return free[: min(len(free) - self._pool_size, MOST_RESERVATIONS)]

    @property
    def pool(self) -> tuple[IPv4Address, IPv4Address] | None:
        """First and last address for guests that DHCP does not know; None where there are few."""
        if self.subnet is None or not self._pool_size:
            return None
        return self.subnet[self._free[-self._pool_size]], self.subnet[self._free[-1]]

    @property
    def _free(self) -> Sequence[int]:
        """All but the hypervisor's own."""
        first, last = self._bounds
        numbers = range(first, last + 1)
        return [n for n in numbers if n != self.host] if self.host in numbers else numbers

    @property
    def _bounds(self) -> tuple[int, int]:
        most = self.subnet.num_addresses - 2 if self.subnet else FIRST_NUMBER + MOST_RESERVATIONS
        return self.span or (FIRST_NUMBER, most)

    @property
    def _pool_size(self) -> int:
        if self.subnet is None or self.pool_size is not None:
            return self.pool_size or 0
        first, last = self._bounds
        size = last - first + 1 + 3  # the subnet's name, its gateway and its broadcast address
        return POOL_SIZE if size >= POOL_FROM_SIZE else 0


def plan_host_numbers(
    numbers: HostNumbers, nodes: Iterable[str], held: Mapping[str, int]
) -> dict[str, int]:
    """Give each node of one network its host number: held ones stay, new ones get the lowest free.

    A node keeps its number as long as it exists, whatever happens to its neighbours; a number is
    free again once the lease has forgotten its node.

    Args:
        numbers: those of the network, of a /29 or wider; host 1 is the gateway.
        nodes: names of the nodes attached to it, in any order, such as "compute-2"; of a node with
            several NICs there every one, such as "compute-2.2".
        held: {"compute-2": 12, ...} as leased so far. Numbers of nodes that are not in `nodes` any
            more stay taken: their domains still run while new ones start.

    Returns:
        {"compute-2": 12, "compute-3": 13}, by ascending host number.

    Raises:
        LabError: more nodes than usable numbers; says how many, and which mask would do.
    """
    wanted = sorted(set(nodes), key=node_order)
    usable = numbers.usable
    holders = {held[node]: node for node in reversed(wanted) if held.get(node, 0) in usable}
    kept = {node: number for number, node in holders.items()}  # of two that hold one, the first
    taken = set(held.values())
    free = (number for number in usable if number not in taken)
    fresh = dict(zip((node for node in wanted if node not in kept), free, strict=False))
    if len(kept) + len(fresh) < len(wanted):
        leaving = len(taken & set(usable)) - len(kept)
        raise LabError([_too_small(numbers, wanted, leaving)])
    return dict(sorted((kept | fresh).items(), key=itemgetter(1)))


def _held(
    wishes: Mapping[str, IPv4Network], facts: HostFacts, prefix: str
) -> dict[str, IPv4Network]:
    lease = facts.leases.get(prefix)
    on_host = {fact.bridge: fact for fact in facts.networks if fact.owner == prefix}
    held: dict[str, IPv4Network] = {}
    for name, wish in wishes.items():
        if lease and name in lease.subnets:
            if lease.preferred.get(name) == str(wish):
                held[name] = IPv4Network(lease.subnets[name])
        elif (fact := on_host.get(bridge(prefix, name))) and _fits(fact, wish):
            held[name] = fact.subnets[0]
    return held


def _fits(fact: NetworkFact, wish: IPv4Network) -> bool:
    """Whether the subnet that a network of ours has is wide enough for what the layout wants."""
    return bool(fact.subnets) and fact.subnets[0].prefixlen <= wish.prefixlen


def own_bridges(facts: HostFacts, prefix: str, networks: Iterable[NetworkSpec]) -> set[str]:
    """Our own bridges, but for those of networks that the layout no longer has.

    What those use is still somebody's: they go after the new ones have come.
    """
    names = [network.name for network in networks]
    bridges = {bridge(prefix, name) for name in names}
    with_network = {fact.bridge for fact in facts.networks if fact.owner == prefix} & bridges
    return with_network | set(stray_bridges(facts, prefix, names).values())


def stray_bridges(facts: HostFacts, prefix: str, names: Iterable[str]) -> dict[str, str]:
    """Bridges by network, which libvirt has forgotten: it was killed while it started a network.

    Whose they are no metadata says, but the prefix's first claim was refused if anybody had an
    interface of such a name.
    """
    if prefix not in facts.leases:
        return {}
    known = {fact.bridge for fact in facts.networks}
    bridges = {name: bridge(prefix, name) for name in names}
    links = facts.wires.links
    return {
        name: device
        for name, device in bridges.items()
        if device not in known and device in links and links[device].bridge
    }


def taker_of(subnet: Subnet, taken: Iterable[Taken[Subnet]]) -> Taken[Subnet] | None:
    """Who uses a part of a subnet."""
    return next((other for other in taken if other.subnet.overlaps(subnet)), None)


def _foreign(
    facts: HostFacts, prefix: str, networks: Iterable[NetworkSpec]
) -> Iterator[Taken[IPv4Network]]:
    """What others use: addresses and routes, libvirt networks, leases."""
    ours = own_bridges(facts, prefix, networks)
    for taken in facts.taken:
        if taken.device not in ours and taken.subnet.prefixlen > WIDEST_DEFAULT_ROUTE:
            yield taken
    for fact in facts.networks:
        if fact.bridge not in ours:
            yield from (Taken(subnet=s, by=f"libvirt network {fact.name}") for s in fact.subnets)
    yield from _leased(facts, prefix)


def _leased(facts: HostFacts, prefix: str) -> Iterator[Taken[IPv4Network]]:
    for lease in facts.claims_of_others(prefix):
        for name, subnet in lease.subnets.items():
            yield Taken(subnet=IPv4Network(subnet), by=f"the lease of {lease.prefix} ({name})")


def _mine(subnet: IPv4Network) -> Taken[IPv4Network]:
    return Taken(subnet=subnet, by="another network of this environment")


def _free(
    name: str, wish: IPv4Network, taken: list[Taken[IPv4Network]], prefix: str
) -> IPv4Network:
    """Probe from a slot that follows from the names, so that neighbours rarely meet.

    A taken subnet is passed in one step, however wide: a VPN's 10.0.0.0/8 has two million /29.
    """
    size = wish.prefixlen
    seed = int.from_bytes(hashlib.sha256(f"{prefix}/{name}".encode()).digest()[:8], "big")
    for private in PRIVATE:
        if size < private.prefixlen:
            continue
        slots = 1 << (size - private.prefixlen)
        first, tried = int(private.network_address), 0
        while tried < slots:
            slot = (seed + tried) % slots
            candidate = IPv4Network((first + (slot << (32 - size)), size))
            taker = taker_of(candidate, taken)
            if taker is None:
                return candidate
            beyond = (int(taker.subnet.broadcast_address) - first) >> (32 - size)
            tried += min(beyond + 1, slots) - slot
    raise LabError(
        [
            Problem(
                f"network {name}",
                f"{wish}, which is taken, as is every private /{size}",
                f"a free /{size}",
                "subnet-free",
                "Give the network a longer mask, or remove an environment",
            )
        ]
    )


def _too_small(numbers: HostNumbers, holders: Sequence[str], leaving: int) -> Problem:
    wanted, room = len(holders) + leaving, len(numbers.usable)
    what = "NICs" if any(split_slot(holder)[1] > 1 for holder in holders) else "nodes"
    of_leaving = f" ({leaving} of removed ones that still run)" if leaving else ""
    return Problem(
        f"network {numbers.network}",
        f"{wanted} {what}{of_leaving} on {numbers.subnet or 'one network'}",
        f"at most {room}, the host numbers that it has for nodes",
        "subnet-size",
        _would_do(numbers, wanted),
    )


def _would_do(numbers: HostNumbers, wanted: int) -> str:
    if numbers.span:
        return "Widen the host numbers that its dhcp gives"
    narrowest = numbers.subnet.prefixlen if numbers.subnet else 0
    for size in range(narrowest, 15, -1):
        if len(HostNumbers("", IPv4Network((0, size))).usable) >= wanted:
            return f"Give it a /{size}"
    return f"A network takes {MOST_RESERVATIONS} at most"
