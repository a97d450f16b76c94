"""Which subnet a container gets."""

from ipaddress import IPv4Network, ip_network

import pytest

from tools.demo.addresses import (
    INDEXES,
    connected_networks,
    free_index,
    routed_networks,
    subnets,
)


def networks(*texts: str) -> list:
    return [ip_network(text) for text in texts]


@pytest.mark.parametrize(
    ("name", "held", "taken", "index"),
    [
        pytest.param("demo", None, [], 1, id="demo has the first"),
        pytest.param("demo", None, ["10.213.1.0/24"], 2, id="demo moves on when it is taken"),
        pytest.param("w1", None, [], 2, id="the others leave the first alone"),
        pytest.param("w1", None, ["10.213.2.0/24"], 3, id="another container"),
        pytest.param("w1", None, ["10.213.2.7/32"], 3, id="a host route inside the subnet"),
        pytest.param("w1", None, ["fd13:2::/64"], 3, id="taken by IPv6 alone"),
        pytest.param("w1", None, ["10.213.0.0/17"], 128, id="a wide route over many"),
        pytest.param("w1", 9, [], 9, id="what it had before"),
        pytest.param("w1", 9, ["10.213.9.0/24"], 2, id="taken meanwhile"),
        pytest.param("w1", None, ["10.213.2.0/23", "10.213.4.0/22"], 8, id="ranges"),
        pytest.param("w1", None, ["10.0.0.0/8"], None, id="none is free"),
    ],
)
def test_free_index(name: str, held: int | None, taken: list[str], index: int | None) -> None:
    assert free_index(name, held, networks(*taken)) == index


def test_the_last_resort_is_demos_own_index() -> None:
    taken = [subnets(index)[0] for index in INDEXES if index != 1]
    assert free_index("w1", None, taken) == 1


def test_every_index_spells_valid_subnets() -> None:
    assert len({subnets(index) for index in INDEXES}) == len(INDEXES)


def test_routes_without_default_and_with_bare_hosts() -> None:
    routes = [
        {"dst": "default"},
        {"dst": "192.0.2.0/24"},
        {"dst": "192.0.2.7"},
        {"dst": "fe80::/64"},
    ]
    assert routed_networks(routes) == networks("192.0.2.0/24", "192.0.2.7/32", "fe80::/64")


def test_connected_networks_are_those_of_addresses_without_loopback() -> None:
    def link(*addresses: str) -> dict:
        pairs = (address.split("/") for address in addresses)
        return {"addr_info": [{"local": ip, "prefixlen": int(size)} for ip, size in pairs]}

    links = [link("127.0.0.1/8"), link("192.0.2.2/24", "192.0.2.3/24"), link(), {}]
    assert connected_networks(links) == [IPv4Network("192.0.2.0/24")]
