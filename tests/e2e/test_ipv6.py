"""What a layout may say of a network beside its subnet, for real: IPv6, MTU, DNS, autostart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv6Network

import pytest

from lab.host.facts import read_facts
from lab.ipv6 import plan_subnets6
from lab.specs import NetworkSpec
from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e

FIXED = IPv6Network("2001:db8:77::/64")
LAYOUT = f"""
networks:
  lan:
    cidr: 10.66.0.0/24
    forward: nat
    dhcp: true
    ipv6: true
    mtu: 9000
    domain: lab.example
    hosts: {{vip: [10.66.0.101, "2001:db8::5"]}}
    srv: [{{service: ldap, target: tiny-1, port: 389, priority: 7}}]
  routed: {{cidr: 10.66.1.0/24, forward: route, dhcp: true, ipv6: true}}
  opened: {{cidr: 10.66.2.0/24, forward: open, dhcp: true, ipv6: "{FIXED}"}}
  quiet: {{cidr: 10.66.3.0/24, ipv6: true, autostart: false}}
nodes:
  default: {{interfaces: [lan], external_network: lan}}
"""
# Somebody beyond the host, who knows no way back to the lab.
OUTSIDE = """
ip netns add outside && ip link add out0 type veth peer name in0 netns outside
ip addr add fd99::1/64 dev out0 nodad && ip link set out0 up
ip -n outside addr add fd99::2/64 dev in0 nodad && ip -n outside link set in0 up
"""
# A machine on a bridge that nobody planned: it listens to what is advertised there.
STRANGER = """
ip netns add stranger && ip link add str0 type veth peer name eth0 netns stranger
ip link set str0 master six-lan up && ip -n stranger link set eth0 up
for i in $(seq 150); do
  ip -n stranger -6 -o addr show dev eth0 scope global | grep -v tentative && break; sleep 0.1
done
ip -n stranger -6 route show default
ip netns delete stranger
"""
# A router that tells the host where the world is. Who forwards does not listen to it.
ROUTER = """
ip netns add router && ip link add adv0 type veth peer name eth0 netns router
sysctl -q -w net.ipv6.conf.adv0.forwarding=0
ip link set adv0 up && ip -n router addr add 2001:db8:9::1/64 dev eth0 nodad
ip -n router link set eth0 up
ip netns exec router dnsmasq --conf-file=/dev/null --pid-file=/run/router.pid --port=0 \\
  --interface=eth0 --enable-ra --dhcp-range=2001:db8:9::1,ra-only --leasefile-ro
for i in $(seq 100); do ip -6 route | grep -q 'dev adv0 proto ra' && break; sleep 0.1; done
"""
NETWORK = """
virsh net-create /dev/stdin 2>&1 <<'E' || :
<network><name>probe</name><forward mode='nat'/><ip family='ipv6' address='fd55::1' prefix='64'/>
</network>
E
virsh net-destroy probe 2>/dev/null || :
"""


@pytest.fixture(scope="module")
def stack(project: Project, hypervisor: Hypervisor) -> Iterator[Stack]:
    (project.folder / "topologies" / "networks" / "six.yaml").write_text(LAYOUT)
    made = project.stack(
        "six",
        topology_nodes="tiny:2",
        topology_network="six",
        image_url="tiny",
        **hypervisor.settings,
    )
    made.up().ok()
    made.print_ssh_config()
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def lan(stack: Stack) -> IPv6Network:
    """The /64 of the guests' network."""
    address = stack.outputs()["nodes"]["tiny-0"]["addresses6"]["lan"]
    return IPv6Network(f"{address}/64", strict=False)


def test_guests_reach_each_other_the_host_and_what_it_reaches(
    stack: Stack, hypervisor: Hypervisor, lan: IPv6Network
) -> None:
    assert lan.subnet_of(IPv6Network("fd00::/8"))
    other = stack.outputs()["nodes"]["tiny-1"]["addresses6"]["lan"]
    hypervisor.run(OUTSIDE)
    for address in (other, lan[1], "fd99::2"):
        shown = stack.ssh("tiny-0", f"ping -c 2 -W 5 {address}").ok().out
        assert " 0% packet loss" in shown, address
    hypervisor.run(f"ping -c 1 -W 5 {other}")


def test_packets_are_as_large_as_the_layout_says(stack: Stack, lan: IPv6Network) -> None:
    for node in ("tiny-0", "tiny-1"):
        assert stack.ssh(node, "cat /sys/class/net/eth0/mtu").ok().out.strip() == "9000"
    shown = stack.ssh("tiny-0", f"ping -c 2 -W 5 -s 8900 {lan[1]}").ok().out
    assert " 0% packet loss" in shown


def test_the_dns_knows_nodes_hosts_and_services(stack: Stack, lan: IPv6Network) -> None:
    def asked(kind: str, name: str) -> str:
        return stack.ssh("tiny-0", f"nslookup -type={kind} {name}").ok().out

    nodes = stack.outputs()["nodes"]
    for name in ("six-tiny-1", "six-tiny-1.lab.example"):
        assert nodes["tiny-1"]["addresses"]["lan"] in asked("a", name)
        assert nodes["tiny-1"]["addresses6"]["lan"] in asked("aaaa", name)
    assert "10.66.0.101" in asked("a", "vip.lab.example")
    assert "2001:db8::5" in asked("aaaa", "vip.lab.example")
    assert "7 0 389 six-tiny-1.lab.example" in asked("srv", "_ldap._tcp.lab.example")


def test_whom_nobody_planned_is_told_the_subnet(
    stack: Stack, hypervisor: Hypervisor, lan: IPv6Network
) -> None:
    told = hypervisor.run(STRANGER)
    assert f" {str(lan[0]).removesuffix('::')}:" in told
    assert "default via fe80::" in told
    served = hypervisor.run("pgrep -af dnsmasq | grep -o '/six-[a-z]*.conf' | sort -u")
    assert served.split() == [f"/six-{name}.conf" for name in ("lan", "opened", "routed")]


def test_every_way_out_and_none(stack: Stack, hypervisor: Hypervisor) -> None:
    xml = {
        name: hypervisor.run(f"virsh net-dumpxml six-{name}")
        for name in ("lan", "routed", "opened", "quiet")
    }
    assert "<nat ipv6='yes'>" in xml["lan"]
    assert "<forward mode='route'/>" in xml["routed"]
    assert "<forward mode='open'/>" in xml["opened"]
    assert "<forward" not in xml["quiet"]
    assert f"<ip family='ipv6' address='{FIXED[1]}' prefix='64'>" in xml["opened"]
    autostart = "virsh net-info six-{} | sed -n 's/^Autostart: *//p'"
    assert hypervisor.run(autostart.format("quiet")).strip() == "no"
    assert hypervisor.run(autostart.format("lan")).strip() == "yes"


def test_another_prefix_gets_another_64(stack: Stack, hypervisor: Hypervisor) -> None:
    """As the next `up` would plan it from what the host shows, lease or no lease."""
    facts = read_facts(hypervisor.spec)
    opened = NetworkSpec(name="opened", subnet=None, ipv6=True, subnet6=FIXED)
    plans, (note,) = plan_subnets6([opened], facts, "bar")
    assert not plans["opened"].overlaps(FIXED)
    assert f"because {FIXED} is taken by " in note
    assert plan_subnets6([opened], replace(facts, leases={}), "bar")[0] == plans
    mine = set(facts.leases["six"].subnets6.values())
    assert len(mine) == 4
    lan = NetworkSpec(name="lan", subnet=None, ipv6=True)
    assert str(plan_subnets6([lan], facts, "bar")[0]["lan"]) not in mine


def test_a_second_run_finds_nothing_to_do(stack: Stack) -> None:
    stack.unchanged().ok()
    stack.pulumi("refresh", "--yes", "--expect-no-changes").ok()


def test_nodes_come_and_go_without_the_network(stack: Stack, hypervisor: Hypervisor) -> None:
    """Their names of both families go in place."""
    before = hypervisor.run("virsh net-uuid six-lan")
    stack.configure(topology_nodes="tiny:1")
    stack.up().ok()
    assert hypervisor.run("virsh net-uuid six-lan") == before
    xml = hypervisor.run("virsh net-dumpxml six-lan")
    assert "six-tiny-1</hostname>" not in xml
    assert xml.count("six-tiny-0</hostname>") == 2
    stack.unchanged().ok()


def test_whose_routes_would_go_is_what_libvirt_refuses(hypervisor: Hypervisor) -> None:
    hypervisor.run(ROUTER)
    assert read_facts(hypervisor.spec).ipv6.advertised == ("adv0",)
    assert "accept_ra set to 2" in hypervisor.run(NETWORK)
    hypervisor.run("sysctl -q -w net.ipv6.conf.adv0.accept_ra=2")
    assert read_facts(hypervisor.spec).ipv6.advertised == ()
    assert "Network probe created" in hypervisor.run(NETWORK)
    hypervisor.run("kill $(cat /run/router.pid); ip netns delete router")
