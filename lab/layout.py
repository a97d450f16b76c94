"""A layout file: networks, and which of them each role is on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

from lab.naming import DEVICE, DEVICE_FORM, NAME_FORM, NETWORK, ROLE
from lab.network_options import network_options
from lab.nics import Nics, parse_nics
from lab.reader import Reader
from lab.specs import FIRST_NUMBER, MOST_NUMBER, LanSpec, NetworkSpec

BRIDGE = "bridge"
FORWARDS = ("none", "nat", "route", "open", BRIDGE)
_SUBNET = "a cidr, which this takes"
_OF_LAN = f"forward: {BRIDGE}, without which it means nothing"
_NICS = "roles, or `default`, with interfaces and external_network"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a layout file says."""

    networks: tuple[NetworkSpec, ...] = ()
    # By role, and `default` for all others.
    nics: Mapping[str, Nics] = field(default_factory=dict[str, Nics])

    @property
    def names(self) -> list[str]:
        """Its networks by name."""
        return [network.name for network in self.networks]

    @property
    def addressed(self) -> list[str]:
        """Those on which nodes have addresses: of a subnet of ours, or of the LAN."""
        return [network.name for network in self.networks if network.subnet or network.lan]

    def has_nics_of(self, role: str) -> bool:
        """Whether it says anything of a role, or of all."""
        return role in self.nics or "default" in self.nics

    def nics_of(self, role: str) -> Nics:
        """The NICs of a role that does not say itself; none where nobody says."""
        return self.nics.get(role) or self.nics.get("default") or Nics()


def parse_layout(top: Reader) -> Layout:
    """Read a layout."""
    entries = tuple(
        top.mapping("networks", means="at least one network").entries(NETWORK, NAME_FORM)
    )
    layout = Layout(tuple(_network(name, entry) for name, entry in entries))
    nics = {
        role: _role_nics(entry, layout)
        for role, entry in top.mapping("nodes", means=_NICS).entries(ROLE, NAME_FORM)
    }
    top.close()
    _refuse_overlaps(layout.networks, dict(entries))
    return replace(layout, nics=nics)


def _role_nics(entry: Reader, layout: Layout) -> Nics:
    nics = parse_nics(entry, layout.names, layout.addressed)
    entry.close()
    return nics


def _network(name: str, entry: Reader) -> NetworkSpec:
    subnet, host = entry.subnet("cidr") if entry.written("cidr") else (None, 1)
    forward = entry.choice("forward", FORWARDS, default="none")
    most = subnet.num_addresses - 2 if subnet else MOST_NUMBER
    dhcp, span = entry.host_numbers("dhcp", at_least=FIRST_NUMBER, at_most=most)
    lan = _lan(entry, bridged=forward == BRIDGE)
    spec = network_options(
        entry,
        NetworkSpec(
            name=name,
            subnet=subnet,
            host_number=host,
            forward=forward,
            dhcp=dhcp,
            span=span,
            lan=lan,
        ),
    )
    entry.close()
    if lan and (subnet or dhcp):
        allowed = f"neither cidr nor dhcp, which the LAN has (forward: {BRIDGE})"
        entry.refuse("cidr" if subnet else "dhcp", str(subnet or dhcp), allowed, "bridge")
    if subnet is None and forward not in ("none", BRIDGE):
        entry.refuse("cidr", None, f"{_SUBNET} (forward: {forward})", "subnet")
    if subnet is None and dhcp and lan is None:
        entry.refuse("cidr", None, f"{_SUBNET} (dhcp)", "subnet")
    return spec


def _lan(entry: Reader, *, bridged: bool) -> LanSpec | None:
    """What a bridged network is bridged to; None for the others, which refuse such keys."""
    lan = LanSpec(
        nic=entry.text("nic", default="", pattern=DEVICE.pattern, means=DEVICE_FORM),
        bridge=entry.text("bridge", default="", pattern=DEVICE.pattern, means=DEVICE_FORM),
        dhcp_server=entry.boolean("allow-dhcp-server", default=False),
    )
    if bridged and lan.nic and lan.bridge:
        entry.refuse("bridge", lan.bridge, f"nic or bridge, not both (nic: {lan.nic})", "bridge")
    written = [key for key in ("nic", "bridge", "allow-dhcp-server") if entry.written(key)]
    for key in () if bridged else written:
        entry.refuse(key, entry.raw(key), _OF_LAN, "bridge")
    return lan if bridged else None


def _refuse_overlaps(networks: Iterable[NetworkSpec], entries: Mapping[str, Reader]) -> None:
    for earlier, later in combinations(networks, 2):
        for key, one, other in (
            ("cidr", earlier.subnet, later.subnet),
            ("ipv6", earlier.subnet6, later.subnet6),
        ):
            if one and other and one.overlaps(other):
                got = f"{other}, which overlaps {one} of {earlier.name}"
                allowed = "subnets that do not overlap"
                entries[later.name].note(key, got, allowed, "subnet-overlap")
