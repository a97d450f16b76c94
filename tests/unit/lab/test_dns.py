from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

import pytest

from lab.addressing import SubnetPlan
from lab.dns import dns_names, services
from lab.specs import NetworkSpec, SrvSpec
from tests.unit.lab.samples import plan

SPEC = NetworkSpec(
    name="management",
    subnet=IPv4Network("172.16.0.0/24"),
    subnet6=IPv6Network("2001:db8:1::/64"),
    dhcp=True,
    hosts=(("vip", "172.16.0.101"), ("vip", "2001:db8:1::101"), ("out", "192.0.2.7")),
)
MOVED = SubnetPlan(subnet=IPv4Network("10.7.7.0/24"), subnet6=IPv6Network("fd00:7::/64"))
LDAP = SrvSpec(service="ldap", protocol="tcp", target="tiny-0", port=389)


def test_hosts_move_with_their_subnet() -> None:
    """The layout's addresses mean the preferred subnet, and the host may have given another."""
    assert list(dns_names(SPEC, MOVED, [])) == [
        ("10.7.7.101", "vip"),
        ("fd00:7::101", "vip"),
        ("192.0.2.7", "out"),
    ]


def test_nodes_come_first_and_hosts_beside_them() -> None:
    nodes = plan().nodes.values()
    found = list(dns_names(SPEC, MOVED, nodes))
    assert [name for _, name in found[:3]] == ["foo-tiny-0", "foo-tiny-1", "foo-tiny-2"]
    assert found[3:] == list(dns_names(SPEC, MOVED, []))


@pytest.mark.parametrize(
    ("target", "domain", "whole"),
    [
        pytest.param("tiny-0", "", "foo-tiny-0", id="a node"),
        pytest.param("tiny-0", "lab.example", "foo-tiny-0.lab.example", id="in the domain"),
        pytest.param("vip", "lab.example", "vip.lab.example", id="a host"),
        pytest.param("vip-1", "", "vip-1", id="a host that is called like a node"),
        pytest.param("tiny-0.other.example", "lab.example", "tiny-0.other.example", id="whole"),
    ],
)
def test_targets_are_names_that_the_dns_knows(target: str, domain: str, whole: str) -> None:
    hosts = (("vip-1", "172.16.0.9"),)
    spec = replace(SPEC, srvs=(replace(LDAP, target=target),), domain=domain, hosts=hosts)
    assert [srv.target for srv in services("foo", spec)] == [whole]
