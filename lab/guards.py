"""What firewall, SELinux and AppArmor of a host do to a lab; none of them is switched off."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from lab.errors import Problem
from lab.facts import ChainFact, GuardFacts, HostFacts
from lab.plans import LabPlan, NetworkPlan

IMAGES = "/var/lib/libvirt/images"  # where policies of SELinux and AppArmor expect disks
LABEL = "virt_image_t"
OF_DISKS = frozenset({LABEL, "virt_content_t", "svirt_image_t"})
_IPTABLES = frozenset({("ip filter", "INPUT"), ("ip filter", "FORWARD")})


def check_guards(plan: LabPlan, facts: HostFacts) -> list[Problem]:
    """Refuse what no lab comes up on: no DHCP where nodes wait for it, or no networks at all."""
    where = plan.config.hypervisor.address
    return [*_zone(where, facts), *_no_dhcp(where, plan, facts)]


def guard_notes(plan: LabPlan, facts: HostFacts) -> list[str]:
    """Name what keeps a part of a lab from working, each with the commands that let it through."""
    where = plan.config.hypervisor.address
    closed = _closed(plan, facts)
    return [
        f"{where}: {_dropped(chain, bridges)}. {_let(chain, bridges, facts.guards)}"
        for chain, bridges in closed
        if not _fatal(plan, chain, bridges)
    ] + list(_apparmor(facts.guards))


def wants_label(facts: HostFacts) -> bool:
    """Whether SELinux would keep QEMU from disks below IMAGES, as after a move to another mount."""
    guards = facts.guards
    return guards.selinux == "enforcing" and guards.images_type not in OF_DISKS | {""}


def _zone(where: str, facts: HostFacts) -> Iterator[Problem]:
    """No network starts beside a firewalld without libvirt's zone, which its package brings."""
    if facts.guards.firewalld and facts.networks and not facts.guards.libvirt_zone:
        yield Problem(
            where,
            "firewalld without the zone libvirt, beside which libvirt starts no network",
            "a firewalld that knows libvirt's zone",
            "firewalld-zone",
            "Install libvirt's network driver package again, and firewalld 0.7 or newer, then run "
            "`firewall-cmd --reload` there",
        )


def _no_dhcp(where: str, plan: LabPlan, facts: HostFacts) -> Iterator[Problem]:
    for chain, bridges in _closed(plan, facts):
        if _fatal(plan, chain, bridges):
            yield Problem(
                where,
                _dropped(chain, bridges),
                "a firewall that lets nodes ask for their addresses",
                "firewall",
                _let(chain, bridges, facts.guards),
            )


def _fatal(plan: LabPlan, chain: ChainFact, bridges: list[str]) -> bool:
    """Whether deployed nodes would wait for ever for the address that they are reached by."""
    awaited = {node.access for node in plan.nodes.values() if node.deploy_os}
    return chain.hook == "input" and any(
        network.bridge in bridges and network.network in awaited for network in plan.networks
    )


def _closed(plan: LabPlan, facts: HostFacts) -> list[tuple[ChainFact, list[str]]]:
    """The chains that drop what a lab needs, each with the bridges that it is needed on."""
    found: list[tuple[ChainFact, list[str]]] = []
    for chain in facts.guards.dropping:
        first = (chain.table, chain.name) in _IPTABLES and not facts.guards.libvirt_nftables
        bridges = [
            network.bridge
            for network in plan.networks
            if _uses(network, chain, facts)
            and not _admitted(network.bridge, chain)
            # There libvirt puts rules of its own first, but for networks that it leaves open.
            and not (first and network.forward != "open" and not network.lan)
        ]
        found += [(chain, bridges)] if bridges else []
    return found


def _uses(network: NetworkPlan, chain: ChainFact, facts: HostFacts) -> bool:
    if network.lan:  # what is bridged is nobody's to route, but for a setting of the kernel's
        return chain.hook == "forward" and facts.wires.filtered
    return network.dhcp if chain.hook == "input" else network.forward != "none"


def _admitted(bridge: str, chain: ChainFact) -> bool:
    return any(fnmatchcase(bridge, pattern) for pattern in chain.admits)


def _dropped(chain: ChainFact, bridges: list[str]) -> str:
    what = "DHCP and DNS on" if chain.hook == "input" else "what leaves"
    return (
        f"a firewall (table {chain.table}, chain {chain.name}) that drops {what} "
        f"{', '.join(bridges)}"
    )


def _let(chain: ChainFact, bridges: list[str], guards: GuardFacts) -> str:
    ufw = guards.ufw and (chain.table, chain.name) in _IPTABLES
    commands = "; ".join(_ufw(chain, bridges) if ufw else _nft(chain, bridges))
    keep = "" if ufw else ", and keep that in the host's own rules"
    return f"Let it through with `{commands}` there{keep}"


def _nft(chain: ChainFact, bridges: list[str]) -> list[str]:
    names = "{ " + ", ".join(f'"{bridge}"' for bridge in bridges) + " }"
    rule = f"nft 'insert rule {chain.table} {chain.name}"
    if chain.hook == "input":
        return [f"{rule} iifname {names} meta l4proto {{ tcp, udp }} th dport {{ 53, 67 }} accept'"]
    return [f"{rule} iifname {names} accept'", f"{rule} ct state established,related accept'"]


def _ufw(chain: ChainFact, bridges: list[str]) -> list[str]:
    if chain.hook == "forward":
        return [f"ufw route allow in on {bridge}" for bridge in bridges]
    ports = ("53", "67 proto udp")
    return [f"ufw allow in on {bridge} to any port {port}" for bridge in bridges for port in ports]


def _apparmor(guards: GuardFacts) -> Iterator[str]:
    if guards.apparmor and guards.images_path not in ("", IMAGES):
        yield (
            f"{IMAGES} is {guards.images_path}, where AppArmor may keep QEMU from its disks. If "
            f"nodes do not start, add `{guards.images_path}/** rwk,` to /etc/apparmor.d/local/"
            "abstractions/libvirt-qemu and to /etc/apparmor.d/local/usr.lib.libvirt.virt-aa-helper"
        )
