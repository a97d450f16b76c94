"""A libvirtd that was killed while it started a network: what it left goes, and nothing else."""

from __future__ import annotations

import pytest

from lab.host.forgotten import FORGET_BRIDGE
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
NETWORKS = """
net() { virsh net-define /dev/stdin; virsh net-start $1; }
net foo-data <<X
<network><name>foo-data</name><forward mode='nat'/><bridge name='foo-data'/>
<ip address='10.99.99.1' netmask='255.255.255.0'><dhcp><range start='10.99.99.2'
end='10.99.99.9'/></dhcp></ip><ip family='ipv6' address='fd99::1' prefix='64'/></network>
X
"""
OTHER = """virsh net-define /dev/stdin <<X
<network><name>other</name><forward mode='nat'/><bridge name='foo-data2'/>
<ip address='10.98.99.1' netmask='255.255.255.0'/></network>
X
virsh net-start other"""
FORGETS = """systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket 2>/dev/null
pkill -9 -x libvirtd
rm -f /run/libvirt/network/foo-data.xml /etc/libvirt/qemu/networks/foo-data.xml
systemctl reset-failed libvirtd; systemctl start libvirtd.socket libvirtd"""
SEEN = """{ iptables-save; ip6tables-save; } | grep -v '^[#:]'; ip -o link | cut -d: -f2
pgrep -a dnsmasq | cut -d' ' -f2-"""


def test_it_is_forgotten_to_the_last_rule(hypervisor: Hypervisor) -> None:
    hypervisor.run(OTHER)
    before = hypervisor.run(SEEN)
    hypervisor.run(NETWORKS)
    there = hypervisor.run(SEEN)
    hypervisor.run(FORGETS)
    assert "foo-data" not in hypervisor.run("virsh net-list --all --name").split()
    assert sorted(hypervisor.run(SEEN).split("\n")) == sorted(there.split("\n"))
    hypervisor.run(f"{FORGET_BRIDGE}\nforget_bridge foo-data foo-data; sleep 1")
    assert hypervisor.run(SEEN) == before


def test_what_has_a_network_or_a_port_stays(hypervisor: Hypervisor) -> None:
    hypervisor.run("ip link add foo-wire type bridge; ip link add p type veth peer q")
    hypervisor.run("ip link set p master foo-wire")
    asked = "forget_bridge other foo-data2; forget_bridge foo-wire foo-wire; forget_bridge no no"
    before = hypervisor.run(SEEN)
    hypervisor.run(f"{FORGET_BRIDGE}\n{asked}")
    assert hypervisor.run(SEEN) == before
