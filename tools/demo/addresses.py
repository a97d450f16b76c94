"""Which subnet a container gets: 10.213.<index>.0/24 and fd13:<index>::/64. Pure."""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

INDEXES = range(1, 255)
FIRST_INDEX_OF = {"demo": 1}  # the one that documentation and a user's shell history speak of
FIRST_INDEX = 2
CONTAINER = 2  # host number; the machine's end of the link is number 1

Network = IPv4Network | IPv6Network


def subnets(index: int) -> tuple[IPv4Network, IPv6Network]:
    """Answer the subnets of an index; IPv6 spells the index in the same digits."""
    return IPv4Network(f"10.213.{index}.0/24"), IPv6Network(f"fd13:{index}::/64")


def free_index(name: str, held: int | None, taken: Collection[Network]) -> int | None:
    """Choose the index of a container: the one it holds, else its favourite, else the lowest.

    Args:
        name: of the container; "demo" favours 1, which the others leave to the last.
        held: the index that it had when it ran before.
        taken: addresses and routes of the machine, and the subnets of other containers.

    Returns:
        A free index, or None when there is none.
    """
    start = FIRST_INDEX_OF.get(name, FIRST_INDEX)
    order = [index for index in INDEXES if index >= start]
    order += [index for index in INDEXES if index < start]
    wishes = order if held is None else [held, *order]
    return next((index for index in wishes if _is_free(index, taken)), None)


def _is_free(index: int, taken: Collection[Network]) -> bool:
    ours = subnets(index)
    return not any(
        one.version == other.version and one.overlaps(other)  # type: ignore[arg-type]
        for one in ours
        for other in taken
    )


def routed_networks(routes: Iterable[dict[str, object]]) -> list[Network]:
    """Read the destinations of `ip -j route`; the default route takes nothing."""
    found = (str(route.get("dst", "default")) for route in routes)
    return [ip_network(dst, strict=False) for dst in found if dst != "default"]


def connected_networks(links: Iterable[dict[str, object]]) -> list[IPv4Network]:
    """Read the machine's own IPv4 subnets out of `ip -j -4 addr`, each once, without loopback."""
    found: dict[IPv4Network, None] = {}
    for link in links:
        for address in link.get("addr_info", []):  # type: ignore[attr-defined]
            network = IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False)
            if not network.is_loopback:
                found[network] = None
    return list(found)
