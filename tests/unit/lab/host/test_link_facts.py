from __future__ import annotations

import subprocess

import pytest

from lab.facts import LinkFact, LinkFacts
from lab.host.link_facts import LINK_SCRIPT, read_links

ADDRESSES = (
    "1: lo    inet 127.0.0.1/8 scope host lo",
    "2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0",
    "7: eth1.7@eth1    inet 198.51.100.2/24 scope global eth1.7",
    "8: eth2    inet 169.254.7.7/16 scope link eth2",
)
ROUTES = ("default via 192.0.2.1 dev eth0 proto static", "192.0.2.0/24 dev eth0 proto kernel")


@pytest.mark.parametrize(
    ("lines", "link"),
    [
        pytest.param(
            ["link 2 eth0", "networkd 2", "manager networkd"],
            LinkFact(name="eth0", addressed=True, manager="networkd"),
            id="networkd",
        ),
        pytest.param(
            ["link 2 eth0", "networkd 2"],
            LinkFact(name="eth0", addressed=True),
            id="networkd has been stopped since",
        ),
        pytest.param(
            ["link 3 eth1", "manager NetworkManager", "nm connected:eth1"],
            LinkFact(name="eth1", manager="NetworkManager"),
            id="NetworkManager",
        ),
        pytest.param(
            ["link 3 eth1", "manager NetworkManager", "nm disconnected:eth1"],
            LinkFact(name="eth1", manager="NetworkManager"),
            id="NetworkManager, with nothing to do for it",
        ),
        pytest.param(
            ["link 3 eth1", "manager NetworkManager", "nm unmanaged:eth1"],
            LinkFact(name="eth1"),
            id="NetworkManager leaves it alone",
        ),
        pytest.param(
            [
                "link 2 eth0",
                "networkd 2",
                "manager networkd",
                "manager NetworkManager",
                "nm connected (externally):eth0",
            ],
            LinkFact(name="eth0", addressed=True, manager="networkd"),
            id="networkd, and NetworkManager looks on",
        ),
        pytest.param(
            ["link 2 eth0", "ifupdown lo", "ifupdown eth0", "manager ifupdown"],
            LinkFact(name="eth0", addressed=True, manager="ifupdown"),
            id="ifupdown",
        ),
        pytest.param(
            ["link 9 wlan0 wireless"], LinkFact(name="wlan0", wireless=True), id="wireless"
        ),
        pytest.param(
            ["link 9 br0 bridge", "addressed br0"],
            LinkFact(name="br0", bridge=True, addressed=True),
            id="a bridge with IPv6",
        ),
        pytest.param(
            ["link 3 eth1 master=bond0 above=bond0"],
            LinkFact(name="eth1", master="bond0", above=("bond0",)),
            id="a part of a bond",
        ),
        pytest.param(
            ["link 3 eth1 above=eth1.7 above=eth1.8"],
            LinkFact(name="eth1", above=("eth1.7", "eth1.8")),
            id="VLANs on it",
        ),
        pytest.param(
            ["link 7 eth1.7"], LinkFact(name="eth1.7", addressed=True), id="a VLAN by itself"
        ),
        pytest.param(["link 8 eth2"], LinkFact(name="eth2"), id="link-local is no address"),
    ],
)
def test_one_interface(lines: list[str], link: LinkFact) -> None:
    assert read_links(lines, ADDRESSES, ROUTES).links == {link.name: link}


def test_the_host() -> None:
    said = ["manager networkd", "moved br-eth1", "rollback", "filtered", "default6 eth9"]
    assert read_links(said, ADDRESSES, ROUTES) == LinkFacts(
        main="eth0",
        managers=("networkd",),
        moved=frozenset({"br-eth1"}),
        rollback=True,
        filtered=True,
    )
    assert read_links(said, (), ()).main == "eth9"
    assert read_links([], (), ()) == LinkFacts()


def test_the_script_shows_every_interface_of_this_machine() -> None:
    show = "s() { :; }\n" + LINK_SCRIPT
    done = subprocess.run(["sh", "-c", show], capture_output=True, text=True, check=False)
    seen = read_links(done.stdout.splitlines(), (), ()).links
    listed = subprocess.run(["ls", "/sys/class/net"], capture_output=True, text=True, check=True)
    assert seen.keys() <= set(listed.stdout.split()) - {"lo"}
    assert seen.keys() or listed.stdout.split() == ["lo"]
