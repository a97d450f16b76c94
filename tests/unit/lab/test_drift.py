from __future__ import annotations

from dataclasses import replace

import pytest

from lab.drift import GIB, DomainSeen, NetworkSeen, Seen, VolumeSeen, drift
from lab.plans import LabPlan, NetworkPlan, NodePlan
from lab.storage import pool_path
from lab.views.drift import drifted
from tests.unit.lab.samples import plan

PLAN: LabPlan = plan()
NODE = next(iter(PLAN.nodes.values()))
NETWORK = next(network for network in PLAN.networks if network.dhcp)
DISK = NODE.disks[0]


def as_made(node: NodePlan) -> DomainSeen:
    path = pool_path(PLAN.prefix)
    disks = {disk.device: f"{path}/{disk.volume}" for disk in node.disks}
    return DomainSeen(
        uuid=node.uuid,
        state="running",
        autostart=True,
        owner=PLAN.prefix,
        kind=PLAN.virt_type,
        memory_kib=node.memory_mib * 1024,
        vcpus=node.vcpus,
        cpu=node.cpu[0],
        boot=("hd",) if node.deploy_os else ("network", "hd"),
        nics={nic.mac: (f"{PLAN.prefix}-{nic.network}", nic.filter) for nic in node.nics},
        disks={**disks, "hda": f"{path}/{node.seed}"},
        console=node.console,
        listen="127.0.0.1",
    )


def network_as_made(network: NetworkPlan) -> NetworkSeen:
    return NetworkSeen(
        active=True,
        autostart=True,
        owner=PLAN.prefix,
        bridge=network.bridge,
        forward=network.forward,
        address=f"{network.gateway}/{network.subnet.rpartition('/')[2]}",
        hosts=frozenset(network.reservations) if network.dhcp else frozenset(),
        span=network.pool if network.dhcp else None,
        names=frozenset(network.names),
        mtu=network.mtu,
        domain=network.domain,
        up=True,
    )


def made() -> Seen:
    volumes = {
        disk.volume: VolumeSeen(size=disk.size_gib * GIB, kind=disk.kind, base=disk.base)
        for node in PLAN.nodes.values()
        for disk in node.disks
    }
    seeds = {
        node.seed: VolumeSeen(size=1, kind="raw", base="")
        for node in PLAN.nodes.values()
        if node.deploy_os
    }
    return Seen(
        domains={node.name: as_made(node) for node in PLAN.nodes.values()},
        networks={network.name: network_as_made(network) for network in PLAN.networks},
        volumes={**volumes, **seeds},
        pool="running",
    )


def with_domain(**other: object) -> Seen:
    seen = made()
    changed = replace(seen.domains[NODE.name], **other)
    return replace(seen, domains={**seen.domains, NODE.name: changed})


def with_network(**other: object) -> Seen:
    seen = made()
    changed = replace(seen.networks[NETWORK.name], **other)
    return replace(seen, networks={**seen.networks, NETWORK.name: changed})


def with_volume(name: str, **other: object) -> Seen:
    seen = made()
    changed = replace(seen.volumes[name], **other)
    return replace(seen, volumes={**seen.volumes, name: changed})


def without(what: str, name: str) -> Seen:
    seen = made()
    left = {key: value for key, value in getattr(seen, what).items() if key != name}
    return replace(seen, **{what: left})


NICS = as_made(NODE).nics
MAC = next(iter(NICS))
HOSTS = network_as_made(NETWORK).hosts


def test_what_is_as_it_was_made_is_no_drift() -> None:
    assert drift(PLAN, made()) == ()
    assert drifted("foo", ()) == "foo: as it was made\n"


@pytest.mark.parametrize(
    ("seen", "kind", "repair"),
    [
        pytest.param(replace(made(), lease=False), "lease", "pulumi stack export", id="lease"),
        pytest.param(replace(made(), claimed=False), "lease", "--mend", id="edited lease"),
        pytest.param(replace(made(), marker=False), "marker", "--mend", id="marker"),
        pytest.param(replace(made(), untrue=["run libvirt"]), "run libvirt", "--mend", id="step"),
        pytest.param(replace(made(), logs_writable=False), "console", "see to", id="logs"),
        pytest.param(replace(made(), pool=""), "undefined", "--target", id="no pool"),
        pytest.param(replace(made(), pool="inactive"), "stopped", "--mend", id="pool"),
        pytest.param(with_network(active=False), "stopped", "--mend", id="stopped"),
        pytest.param(with_network(up=False), "bridge down", "--mend", id="bridge down"),
        pytest.param(with_network(autostart=False), "autostart", "--mend", id="net autostart"),
        pytest.param(with_network(owner=""), "owner", "Network::", id="net owner"),
        pytest.param(with_network(bridge="br9"), "bridge", "Network::", id="bridge"),
        pytest.param(with_network(forward="open"), "forward", "Network::", id="forward"),
        pytest.param(with_network(address="10.9.9.1/24"), "address", "Network::", id="address"),
        pytest.param(with_network(span=("a", "b")), "DHCP range", "Network::", id="range"),
        pytest.param(
            with_network(hosts=frozenset(list(HOSTS)[1:])), "DHCP hosts", "Network::", id="host"
        ),
        pytest.param(
            with_network(hosts=HOSTS | {("m", "a")}), "DHCP hosts", "Network::", id="one more"
        ),
        pytest.param(with_network(names=frozenset()), "names", "Network::", id="names"),
        pytest.param(with_network(mtu=1400), "mtu", "Network::", id="mtu"),
        pytest.param(with_network(domain="x.y"), "domain", "Network::", id="domain"),
        pytest.param(without("networks", NETWORK.name), "undefined", "--target", id="no network"),
        pytest.param(with_domain(state="paused"), "paused", "--mend", id="paused"),
        pytest.param(with_domain(state="shut off"), "off", "--refresh", id="off"),
        pytest.param(with_domain(autostart=False), "autostart", "--mend", id="autostart"),
        pytest.param(with_domain(uuid="x"), "UUID", "Domain::", id="UUID"),
        pytest.param(with_domain(owner=""), "owner", "Domain::", id="owner"),
        pytest.param(with_domain(kind="xen"), "type", "Domain::", id="type"),
        pytest.param(with_domain(memory_kib=1), "memory", "Domain::", id="memory"),
        pytest.param(with_domain(vcpus=9), "vCPUs", "Domain::", id="vCPUs"),
        pytest.param(with_domain(cpu="host-model"), "CPU", "Domain::", id="CPU"),
        pytest.param(with_domain(boot=("network",)), "boot order", "Domain::", id="boot"),
        pytest.param(with_domain(nics=dict(list(NICS.items())[1:])), "MACs", "Domain::", id="NIC"),
        pytest.param(
            with_domain(nics={**NICS, "52:54:00:00:00:01": ("x", "")}), "MACs", "Domain::", id="+"
        ),
        pytest.param(
            with_domain(nics={**NICS, MAC: ("x", "")}), "NICs", "Domain::", id="another network"
        ),
        pytest.param(
            with_domain(nics={**NICS, MAC: (NICS[MAC][0], "clean-traffic")}),
            "NICs",
            "Domain::",
            id="another filter",
        ),
        pytest.param(with_domain(disks={}), "disks", "Domain::", id="disks"),
        pytest.param(with_domain(console="/x"), "console", "Domain::", id="console"),
        pytest.param(with_domain(listen="0.0.0.0"), "VNC", "Domain::", id="VNC"),  # noqa: S104
        pytest.param(without("domains", NODE.name), "undefined", "--refresh", id="no domain"),
        pytest.param(without("volumes", DISK.volume), "missing", "data is gone", id="no disk"),
        pytest.param(without("volumes", NODE.seed), "missing", "--refresh", id="no seed"),
        pytest.param(with_volume(DISK.volume, size=1), "size", "data is gone", id="size"),
        pytest.param(with_volume(DISK.volume, kind="raw"), "format", "data is gone", id="format"),
        pytest.param(with_volume(DISK.volume, base="x"), "base", "data is gone", id="base"),
    ],
)
def test_each_kind_is_named_alone_with_its_repair(seen: Seen, kind: str, repair: str) -> None:
    (found,) = drift(PLAN, seen)
    assert found.kind == kind
    assert repair in found.repair
    assert (found.mend != "") is ("--mend" in found.repair and found.where != "host")
    assert f"{found.where}: {kind}: found" in drifted("foo", [found])


def test_a_blank_node_may_be_off() -> None:
    blank = replace(NODE, deploy_os=False)
    group = replace(PLAN.groups[0], nodes=(blank,))
    one = replace(PLAN, groups=(group,))
    off = replace(as_made(blank), state="shut off")
    seen = replace(made(), domains={NODE.name: off})
    assert [each.kind for each in drift(one, seen) if each.where.startswith("domain")] == []
