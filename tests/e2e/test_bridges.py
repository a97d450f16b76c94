"""Networks on the LAN: who gives addresses there, who may not, and what becomes of the NIC."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor
from tests.e2e.lan import Lan, around, beside

pytestmark = pytest.mark.e2e

SMALL = "cpu: 1\nmemory: 128\ndisks: [1G]\n"
LAYOUT = """\
networks:
  management: {{cidr: 172.16.0.0/24, forward: nat, dhcp: true}}
  lan: {{forward: bridge, {}}}
nodes:
  default: {{interfaces: [management, lan], external_network: management}}
"""
NIC, BRIDGE = "nic: eth1", "bridge: br-own"
# As one sets up a DHCP server without a thought for where the wire goes.
ROGUE = """\
printf 'start {0}.201\\nend {0}.209\\ninterface eth1\\nmax_leases 9\\noffer_time 1\\n' > /etc/u.conf
printf 'lease_file /tmp/l\\npidfile /tmp/p\\n' >> /etc/u.conf
touch /tmp/l; killall udhcpd 2>/dev/null; udhcpd /etc/u.conf; sleep 1; pidof udhcpd"""
NETWORK = "ip -br -4 addr; ip route | sort; ls /sys/class/net /etc/systemd/network"
STATE = f"{NETWORK}; virsh nwfilter-list | grep metalab; nft list ruleset bridge | grep udp; :"


@pytest.fixture(scope="module")
def small(project: Project) -> Project:
    """Roles of the catalogue as tiny machines."""
    for role, more in (("tripleo", "name: undercloud\n"), ("cfme", "")):
        (project.folder / "topologies" / "nodes" / f"{role}.yaml").write_text(SMALL + more)
    return project


@pytest.fixture(scope="module")
def lan(hypervisor: Hypervisor) -> Iterator[Lan]:
    with beside(hypervisor) as made:
        yield made


def layout(project: Project, lan: str) -> None:
    path = project.folder / "topologies" / "networks" / "lan.yaml"
    path.write_text(LAYOUT.format(lan))


def lab(project: Project, host: Hypervisor, prefix: str, **settings: str) -> Stack:
    return project.stack(
        prefix,
        **{
            "topology_nodes": "tiny:1",
            "topology_network": "lan",
            "image_url": "tiny",
            **host.settings,
            **settings,
        },
    )


def test_a_guest_on_a_second_nic(small: Project, hypervisor: Hypervisor, lan: Lan) -> None:
    """The LAN gives it an address. It gives none to the LAN, until the layout lets it."""
    before = hypervisor.run(STATE)
    layout(small, NIC)
    foo = lab(small, hypervisor, "foo")
    foo.up("--yes").ok()
    foo.print_ssh_config()
    mac = foo.outputs()["nodes"]["tiny-0"]["macs"]["lan"]
    seen = foo.addressed("tiny-0", device="eth1")
    assert lan.leased(mac), "the LAN's server knows it"
    assert f"inet {lan.leased(mac)}/24" in seen
    assert foo.ssh("tiny-0", f"ping -c 1 -W 5 {lan.network}.1").ok()
    foo.ssh("tiny-0", ROGUE.format(lan.network)).ok()
    assert lan.offers() == {f"{lan.network}.1"}
    foo.unchanged().ok()

    layout(small, f"{NIC}, allow-dhcp-server: true")
    foo.up("--yes").ok()
    foo.ssh("tiny-0", ROGUE.format(lan.network)).ok()
    assert lan.offers() == {f"{lan.network}.1", lan.leased(mac)}
    foo.destroy().ok()
    assert hypervisor.run(STATE) == before


def test_a_bridge_of_the_hosts_own(small: Project, hypervisor: Hypervisor, lan: Lan) -> None:
    hypervisor.run(
        "ip link add br-own type bridge forward_delay 0; ip link set eth1 master br-own up;"
        "ip link set br-own up"
    )
    before = hypervisor.run(STATE)
    layout(small, BRIDGE)
    bar = lab(small, hypervisor, "bar")
    bar.up("--yes").ok()
    bar.print_ssh_config()
    bar.addressed("tiny-0", device="eth1")
    bar.ssh("tiny-0", f"ping -c 1 -W 5 {lan.network}.1").ok()
    assert lan.leased(bar.outputs()["nodes"]["tiny-0"]["macs"]["lan"])
    bar.pulumi("refresh", "--yes", "--expect-no-changes").ok()
    layout(small, NIC)  # by now it is a part of that bridge
    said = bar.pulumi("preview").refused().out
    assert "network lan: got eth1, which is a part of br-own" in said
    assert "[bridge-nic]" in said
    layout(small, BRIDGE)
    bar.destroy().ok()
    assert hypervisor.run(STATE) == before
    hypervisor.run("ip link del br-own; ip link set eth1 down")


def test_a_hybrid_layout_takes_two_nics(small: Project, hypervisor: Hypervisor, lan: Lan) -> None:
    hypervisor.run("ip link add eth2 type veth peer name far2; ip link set far2 up")
    before = hypervisor.run(STATE)
    names = {"topology_network": "3_nets_hybrid", "topology_nodes": "tripleo:1"}
    mix = lab(small, hypervisor, "mix", **names)
    mix.up().ok()
    macs = mix.outputs()["nodes"]["undercloud-0"]["macs"]
    mix.print_ssh_config()
    mix.addressed("undercloud-0", device="eth0")
    assert lan.leased(macs["br-ctlplane"]), "the first one leads to the LAN"
    for nic in ("eth1", "eth2"):
        ports = hypervisor.run(f"ls /sys/class/net/br-{nic}/brif").split()
        assert len(ports) == 2, "the NIC and the node"
        assert nic in ports
    mix.destroy().ok()
    assert hypervisor.run(STATE) == before
    hypervisor.run("ip link del eth2")


def test_the_example_on_the_main_nic(small: Project, hypervisor: Hypervisor) -> None:
    """At first nobody comes back over the bridge: the host takes it back alone."""
    before = hypervisor.run(STATE)
    hypervisor.run(
        "nft 'add table inet shut; add chain inet shut in { type filter hook input priority 0; };"
        'add rule inet shut in iifname "br-eth0" drop\''
    )
    names = {"topology_network": "3_net_1_bridge", "topology_nodes": "tripleo:1,cfme:1"}
    baz = lab(small, hypervisor, "baz", **names)
    said = baz.up().refused().out
    assert "not confirmed within 30 s; the host has taken the change back" in said
    assert before.startswith(hypervisor.run(NETWORK))
    hypervisor.run("nft delete table inet shut")

    with around(hypervisor) as lan:
        baz.up("--yes").ok()
        assert hypervisor.spec.address in hypervisor.run("ip -4 addr show dev br-eth0")
        nodes = baz.outputs()["nodes"]
        leased = {name: lan.leased(nodes[name]["macs"]["external"]) for name in nodes}
        assert nodes["cfme-0"]["addresses"]["external"] == leased["cfme-0"] != ""
        baz.print_ssh_config()
        direct = baz.ssh("cfme-0", "ip -4 addr show dev eth0; ip route").ok().out
        assert f"inet {leased['cfme-0']}/24" in direct
        assert f"default via {lan.network}.1" in direct
        assert "172.16.0." in baz.addressed("undercloud-0", device="eth1")
        baz.unchanged().ok()
        assert "cfme-0: ready" in baz.pulumi("up", "--yes", "--replace", "**::ready").ok().out
        assert baz.outputs()["nodes"] == nodes
        baz.destroy().ok()
    assert hypervisor.run(STATE) == before
