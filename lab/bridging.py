"""Which of the host's bridges a bridged network is on, and which of its NICs goes into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from lab.errors import Problem
from lab.facts import LinkFact, LinkFacts
from lab.naming import nic_bridge
from lab.plans import LanPlan
from lab.specs import LanSpec, NetworkSpec

FILTER = "metalab-no-dhcp-server"  # of libvirt's; state contract: domains that exist name it


def plan_lans(
    networks: Iterable[NetworkSpec], wires: LinkFacts, problems: list[Problem]
) -> dict[str, LanPlan]:
    """Find the bridge of each bridged network; what cannot be one is a problem, with a stand-in.

    A plan is the same before and after the NIC was moved: a bridge that metalab made stands for
    its NIC, whichever of the two a layout names.

    Args:
        networks: the layout's.
        wires: the host's own network.
        problems: takes what is wrong.

    Returns:
        {"external": LanPlan(bridge="br-eth1", nic="eth1", ...)}.
    """
    plans: dict[str, LanPlan] = {}
    users: dict[str, str] = {}
    for network in networks:
        if network.lan is None:
            continue
        where = f"network {network.name}"
        link = _link(network.lan, wires)
        problems += islice(_objections(where, network.lan, link, wires), 1)
        plan = _plan(network.lan, link, wires) if link else LanPlan(bridge="")
        user = users.setdefault(plan.bridge, network.name)
        if user != network.name and link:
            got = f"{plan.bridge}, which {user} is on already"
            problems.append(Problem(where, got, "a bridge of its own", "bridge-shared"))
        plans[network.name] = plan
    return plans


def _link(lan: LanSpec, wires: LinkFacts) -> LinkFact | None:
    """The NIC or bridge that is meant; for a bridge of metalab's the NIC in it."""
    named = wires.links.get(lan.bridge or lan.nic or wires.main)
    ports = wires.links.values() if named and named.bridge else ()
    return next((port for port in ports if named and _moved(port, wires, named.name)), named)


def _moved(link: LinkFact, wires: LinkFacts, bridge: str) -> bool:
    return bridge in wires.moved and link.master == bridge == nic_bridge(link.name)


def _plan(lan: LanSpec, link: LinkFact, wires: LinkFacts) -> LanPlan:
    if link.bridge:
        return LanPlan(bridge=link.name, dhcp_server=lan.dhcp_server)
    return LanPlan(
        bridge=nic_bridge(link.name),
        nic=link.name,
        manager=link.manager or next(iter(wires.managers), ""),
        dhcp_server=lan.dhcp_server,
    )


def _objections(
    where: str, lan: LanSpec, link: LinkFact | None, wires: LinkFacts
) -> Iterator[Problem]:
    """What speaks against it, the most telling first."""
    nics = ", ".join(name for name, each in wires.links.items() if _free(each)) or "a wired NIC"
    bridges = ", ".join(name for name, each in wires.links.items() if each.bridge) or "a bridge"
    if link is None:
        got = lan.bridge or lan.nic or "no default route, and so no main NIC"
        yield Problem(where, got, bridges if lan.bridge else nics, "bridge-nic")
    elif link.bridge and lan.nic:
        step = f"Say `bridge: {link.name}`"
        yield Problem(where, f"{link.name}, which is a bridge", nics, "bridge-nic", step)
    elif not link.bridge and lan.bridge == link.name:
        step = f"Say `nic: {link.name}` to have it moved into one"
        yield Problem(where, f"{link.name}, which is no bridge", bridges, "bridge-nic", step)
    elif not link.bridge:
        for got, step in _of_nic(link, wires):
            yield Problem(where, f"{link.name}, {got}", nics, "bridge-nic", step)
        if not wires.rollback:
            got = f"{link.name}, on a host where nothing could take the change back"
            allowed = "a running systemd with systemd-run"
            yield Problem(where, got, allowed, "bridge-rollback", _OWN)


def _free(link: LinkFact) -> bool:
    return not (link.bridge or link.wireless or link.master)


def _of_nic(link: LinkFact, wires: LinkFacts) -> Iterator[tuple[str, str]]:
    bridge = nic_bridge(link.name)
    master = wires.links.get(link.master)
    if link.wireless:
        yield "which is wireless: an access point takes frames of one machine alone", ""
    elif _moved(link, wires, bridge):
        if not (link.manager or wires.managers):
            yield "whose manager does not answer now", "Run it again once the host's network is up"
    elif link.master:
        step = f"Say `bridge: {link.master}`" if master and master.bridge else ""
        yield f"which is a part of {link.master}", step
    elif link.above:
        yield f"which {', '.join(link.above)} stand on", _OWN
    elif bridge in wires.links:
        yield f"whose bridge would be {bridge}, which is there already", _OWN
    elif not link.manager and (link.addressed or not wires.managers):
        yield "which neither NetworkManager nor systemd-networkd nor ifupdown has", _OWN


_OWN = "Make a bridge yourself, and say `bridge:` with its name"
