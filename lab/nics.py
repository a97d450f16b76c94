"""NICs: which networks a role is on, said by its own file or by the layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.reader import Reader
from lab.specs import NicSpec

MODELS = ("virtio", "e1000", "e1000e", "rtl8139")
MOST_NICS = 24  # of one node: what fits on a PCI bus beside its disks
_MAC = "(?!(?:[Ff][Ee]|00:00:00:00:00:00))[0-9A-Fa-f][02468ACEace](?::[0-9A-Fa-f]{2}){5}"
_MAC_FORM = "a unicast MAC address that does not begin with fe, such as 52:54:00:12:34:56"
_WAY_IN = "one of its networks, with a cidr or bridged"


@dataclass(frozen=True, slots=True)
class Nics:
    """The NICs of a role, and what they are for."""

    interfaces: tuple[NicSpec, ...] = ()
    access: str = ""  # the network that carries SSH
    route: str = ""  # the network of the default route


def parse_nics(entry: Reader, names: Sequence[str], addressed: Sequence[str]) -> Nics:
    """Read `interfaces`, `external_network` and `provision_network`.

    A role may have several NICs on one network; SSH takes one on which nodes have addresses.

    Args:
        entry: of a layout's role, or of a role's own file.
        names: the layout's networks.
        addressed: those of them on which nodes have addresses.
    """
    items = entry.items("interfaces", short="network", fewest=1, most=MOST_NICS)
    interfaces = tuple(_nic(item, names) for item in items)
    mine = dict.fromkeys([nic.network for nic in interfaces if nic.network] or names)
    among = [name for name in mine if name in addressed]
    route = entry.name("external_network", among=among, means=_WAY_IN)
    apart = entry.has("provision_network")
    access = entry.name("provision_network", among=among, means=_WAY_IN) if apart else route
    return Nics(tuple(nic for nic in interfaces if nic.network), access, route)


def _nic(item: Reader, names: Sequence[str]) -> NicSpec:
    nic = NicSpec(
        network=item.name("network", among=names, means="a network of the layout"),
        model=item.choice("model", MODELS, default=MODELS[0]),
        mac=item.text("mac", default="", pattern=_MAC, means=_MAC_FORM).lower(),
    )
    item.close()
    return nic
