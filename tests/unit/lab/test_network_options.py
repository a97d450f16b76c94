from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest

from lab.errors import Problem
from lab.files import Source
from lab.layout import parse_layout
from lab.reader import Reader
from lab.specs import NetworkSpec, SrvSpec

SERVED = {"cidr": "192.0.2.0/24", "dhcp": True}
LDAP = {"service": "ldap", "target": "server-0", "port": 389}


def read(**network: Any) -> tuple[NetworkSpec, list[str]]:
    problems: list[Problem] = []
    nodes = {"default": {"interfaces": ["a"], "external_network": "a"}}
    raw = {"networks": {"a": network}, "nodes": nodes}
    layout = parse_layout(Reader(raw, Source("x"), problems))
    return layout.networks[0], [str(each) for each in problems if "networks.a" in each.where]


def test_all_of_them() -> None:
    srv = {**LDAP, "protocol": "udp", "domain": "a.example", "priority": 1, "weight": 2}
    network, problems = read(
        **SERVED,
        pool=1,
        ipv6="2001:db8:1::/64",
        mtu=9000,
        domain="lab.example",
        hosts={"vip": ["192.0.2.9", "2001:db8:0::9"], "api.lab.example": "2001:db8::1"},
        srv=[srv, LDAP],
        autostart=False,
    )
    assert problems == []
    assert network == NetworkSpec(
        name="a",
        subnet=IPv4Network("192.0.2.0/24"),
        dhcp=True,
        pool=1,
        ipv6=True,
        subnet6=IPv6Network("2001:db8:1::/64"),
        mtu=9000,
        domain="lab.example",
        hosts=(("vip", "192.0.2.9"), ("vip", "2001:db8::9"), ("api.lab.example", "2001:db8::1")),
        srvs=(SrvSpec(**srv), SrvSpec(protocol="tcp", **LDAP)),
        autostart=False,
    )


def test_none_of_them() -> None:
    network, problems = read(**SERVED)
    assert problems == []
    subnet = IPv4Network("192.0.2.0/24")
    assert network == NetworkSpec(name="a", subnet=subnet, dhcp=True)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param({"pool": 253}, "at most 252", id="a pool of all addresses"),
        pytest.param({"pool": -1}, "an integer from 0", id="less than no pool"),
        pytest.param({"mtu": 67}, "an integer from 68 to 65535", id="less than IPv4's"),
        pytest.param({"mtu": 65536}, "an integer from 68 to 65535", id="more than the kernel's"),
        pytest.param({"mtu": 1279, "ipv6": True}, "at least 1280", id="less than IPv6's"),
        pytest.param({"ipv6": "2001:db8::/48"}, "an IPv6 subnet of /64", id="not a /64"),
        pytest.param({"domain": "a..b"}, "a DNS name", id="a domain with a hole"),
        pytest.param({"domain": "a" * 64}, "a DNS name", id="a label too long"),
        pytest.param({"hosts": {"a b": "192.0.2.1"}}, "a DNS name", id="a name with a blank"),
        pytest.param({"hosts": {"a": "192.0.2"}}, "an IPv4 or IPv6 address", id="no address"),
        pytest.param({"hosts": {"a": 1}}, "an IPv4 or IPv6 address", id="a number"),
        pytest.param({"hosts": {"a": ["::1", "x"]}}, "got 'x'", id="one of two is none"),
        pytest.param({"hosts": {"a": "fe80::1%eth0"}}, "an IPv4 or IPv6 address", id="a zone"),
        pytest.param({"hosts": ["a"]}, "a mapping", id="hosts as a list"),
        pytest.param({"srv": [{**LDAP, "port": 0}]}, "srv.0.port: got 0", id="no port"),
        pytest.param({"srv": [{**LDAP, "name": "x"}]}, "got 'name'", id="an unknown key"),
        pytest.param({"srv": [{"service": "a", "port": 1}]}, "srv.0.target", id="no target"),
        pytest.param({"srv": [{**LDAP, "service": "_ldap"}]}, "without underscore", id="_"),
        pytest.param({"srv": [{**LDAP, "protocol": "icmp"}]}, "one of tcp, udp", id="protocol"),
        pytest.param({"autostart": "maybe"}, "true or false", id="autostart"),
    ],
)
def test_what_is_refused(keys: dict[str, Any], says: str) -> None:
    _, problems = read(**SERVED, **keys)
    assert len(problems) == 1
    assert says in problems[0]


@pytest.mark.parametrize("key", [{"domain": "a"}, {"hosts": {"a": "::1"}}, {"srv": [LDAP]}])
def test_dns_takes_dhcp(key: dict[str, Any]) -> None:
    """One program serves both, and a network without it is quiet."""
    (problem,) = read(cidr="192.0.2.0/24", **key)[1]
    assert problem.endswith("[network-dns]")
    assert f"networks.a.{next(iter(key))}: " in problem


def test_a_pool_is_a_part_of_what_dhcp_gives() -> None:
    assert read(cidr="192.0.2.0/24", dhcp="2-9", pool=7)[1] == []
    (problem,) = read(cidr="192.0.2.0/24", dhcp="2-9", pool=8)[1]
    assert "at most 7" in problem
    (problem,) = read(cidr="192.0.2.0/24", pool=1)[1]
    assert "got no dhcp beside it, expected dhcp, whose addresses they are" in problem


def test_ipv6_takes_a_cidr_and_mtu_none() -> None:
    assert "a cidr, which this takes (ipv6)" in read(ipv6=True)[1][0]
    assert read(mtu=9000) == (NetworkSpec(name="a", subnet=None, mtu=9000), [])


def test_two_networks_do_not_ask_for_one_64() -> None:
    problems: list[Problem] = []
    networks = {
        name: {"cidr": cidr, "ipv6": "2001:db8::/64"}
        for name, cidr in (("a", "192.0.2.0/25"), ("b", "192.0.2.128/25"))
    }
    nodes = {"default": {"interfaces": ["a"], "external_network": "a"}}
    parse_layout(Reader({"networks": networks, "nodes": nodes}, Source("x"), problems))
    assert [problem.rule for problem in problems] == ["subnet-overlap"]
    assert problems[0].where == "x: networks.b.ipv6"
