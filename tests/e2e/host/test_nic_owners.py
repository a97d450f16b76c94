"""The same moves where NetworkManager, ifupdown or netplan has the NICs of the host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

import pytest

from lab.specs import LanSpec
from tests.e2e.host.test_bridges import leave, move, plan, settled
from tests.e2e.hypervisors import Hypervisor, hypervisor, layered

pytestmark = pytest.mark.e2e
INSTALL = "apt-get -q update && apt-get -q -y install --no-install-recommends"
PACKAGES = "network-manager ifupdown netplan.io"
# What a route counts is NetworkManager's own affair, and new each time.
STATE = (
    "ip -br -4 addr; ip route | sed 's/ metric .*//' | sort; ls /sys/class/net; "
    "cat /sys/class/net/eth?/flags /etc/network/interfaces; "
    "ls /etc/network/interfaces.d /etc/NetworkManager/system-connections; "
    "ls /run/network/metalab* 2>/dev/null; :"
)
SHUT = (
    "nft 'add table inet shut; add chain inet shut in { type filter hook input priority 0; };"
    'add rule inet shut in iifname "br-eth0" drop\''
)
AWAY = "for b in /sys/class/net/br-*; do ip link del ${b##*/}; done; ip addr flush dev eth0"


@dataclass(frozen=True)
class Owner:
    """Who has eth0, with a route of its own; eth1 is left alone."""

    name: str
    take: str  # shell; $address and $gateway are eth0's
    boot: str  # shell: what a boot does


NETWORK_MANAGER = Owner(
    "NetworkManager",
    take=r"""printf '[main]\nno-auto-default=*\n' >/etc/NetworkManager/conf.d/90-quiet.conf
nmcli -g UUID,NAME connection show | sed -n 's/:Wired.*//p' | xargs -r nmcli connection delete
systemctl restart NetworkManager; nmcli connection add type ethernet ifname eth0 con-name main \
  ipv4.method manual ipv4.addresses $address ipv4.gateway $gateway \
  ipv4.routes "198.51.100.0/24 $gateway" ipv6.method link-local; nmcli connection up main""",
    boot=f"systemctl stop NetworkManager; {AWAY}; rm -rf /run/NetworkManager; "
    "systemctl start NetworkManager",
)
IFUPDOWN = Owner(
    "ifupdown",
    take=r"""systemctl disable --now NetworkManager; { echo "source /etc/network/interfaces.d/*"
echo "auto lo eth0"; echo "iface lo inet loopback"; echo "iface eth0 inet static"
echo "  address $address"; echo "  gateway $gateway"
echo "  up ip route add 198.51.100.0/24 via $gateway dev eth0"; } >/etc/network/interfaces
ip addr flush dev eth0; ifup lo eth0""",
    boot=f"{AWAY}; rm -rf /run/network; mkdir /run/network; ifup -a; :",
)
NETPLAN = Owner(
    "networkd",
    take=r"""{ echo "network: {version: 2, ethernets: {eth0: {addresses: [$address], routes: ["
echo "  {to: default, via: $gateway}, {to: 198.51.100.0/24, via: $gateway}]}}}"
} >/etc/netplan/50-main.yaml; chmod 600 /etc/netplan/50-main.yaml
rm -f /etc/systemd/network/10-eth0.network /run/network/ifstate*; ip addr flush dev eth0
netplan generate; systemctl enable --now systemd-networkd""",
    boot=f"{AWAY}; rm -rf /run/systemd/network; netplan generate; "
    "systemctl restart systemd-networkd",
)
TAKE = (
    "address=$(ip -o -4 addr show dev eth0 scope global | awk '{print $4}'); "
    "gateway=$(ip -4 route show default | awk '{print $3}'); "
    "systemctl disable --now systemd-networkd.socket systemd-networkd; "
)


@pytest.fixture(scope="module")
def host(worker: str, layer: str) -> Iterator[Hypervisor]:
    """One that is taken over by one owner after the other."""
    assert layer  # made by now, and with it all that tools/hypervisor installs on this machine
    packages = layered(f"{worker.removeprefix('gw')}nicmk", PACKAGES, f"{INSTALL} {PACKAGES}")
    with hypervisor(f"{worker.removeprefix('gw')}nicowners", packages) as made:
        yield made


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(NETWORK_MANAGER, id="NetworkManager"),
        pytest.param(IFUPDOWN, id="ifupdown"),
        pytest.param(NETPLAN, id="netplan"),
    ],
)
def owner(request: pytest.FixtureRequest, host: Hypervisor) -> Owner:
    away(host, TAKE + request.param.take)
    settled(host, "ip route", "198.51.100.0/24 via")
    return request.param


@pytest.fixture(autouse=True)
def as_before(host: Hypervisor, owner: Owner) -> Iterator[None]:
    """The same before and after each test."""
    before = host.run(STATE)
    yield
    settled(host, STATE, before)


def away(host: Hypervisor, command: str) -> None:
    """Run what may cut us off."""
    host.run(f"systemd-run --quiet --wait sh -c {quote(command)}")


def test_a_nic_that_is_left_alone(host: Hypervisor, owner: Owner) -> None:
    lan = LanSpec(nic="eth1")
    assert plan(host, lan).manager == owner.name
    made = move(host, "foo", lan)
    assert (made.failure, len(made.changed)) == ("", 4)
    assert host.run("ls /sys/class/net/br-eth1/brif").split() == ["eth1"]
    assert host.run("ip -o addr show dev br-eth1") == "", "the host is not on that LAN"
    assert plan(host, lan).manager == owner.name
    leave(host, "foo", lan)


def test_the_main_nic(host: Hypervisor, owner: Owner) -> None:
    before = host.run("ip route | sed 's/ metric .*//; s/eth0/br-eth0/' | sort")
    made = move(host, "foo", LanSpec())
    assert (made.failure, len(made.changed)) == ("", 4)
    assert host.run("ip route | sed 's/ metric .*//' | sort") == before
    assert move(host, "foo", LanSpec()).changed == ()
    away(host, owner.boot)
    settled(host, "ip route | sed 's/ metric .*//' | sort", before)
    assert move(host, "foo", LanSpec()).changed == ()
    leave(host, "foo", LanSpec())


def test_nobody_comes_back(host: Hypervisor, owner: Owner) -> None:
    host.run(SHUT)
    made = move(host, "foo", LanSpec())
    assert "the host has taken the change back" in made.failure
    host.run("nft delete table inet shut")
    leave(host, "foo", LanSpec())
