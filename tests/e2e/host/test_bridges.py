"""NICs of a host in bridges: moved, kept over a boot, shared, given back; by networkd."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from lab.bridging import plan_lans
from lab.host.bridges import bridge_steps
from lab.host.facts import read_facts
from lab.host.runner import Convergence, converge, restore
from lab.host.shell import connect
from lab.host.step import HostStep
from lab.host.steps import mark_step
from lab.plans import LanPlan, NetworkPlan
from lab.specs import LanSpec, NetworkSpec
from tests.e2e.hypervisors import Hypervisor
from tests.e2e.lan import around

pytestmark = pytest.mark.e2e
LIMIT_S = 8
STATE = (
    "ip -br -4 addr; ip route | sort; ls /sys/class/net /etc/systemd/network; "
    "ls /run/systemd/network/* 2>/dev/null; cat /sys/class/net/eth?/flags"
)
# What a boot does: /run is empty, and networkd starts with what is in /etc.
BOOT = (
    "rm -rf /run/systemd/network; for b in /sys/class/net/br-*; do ip link del ${b##*/}; done; "
    "systemctl restart systemd-networkd"
)


@pytest.fixture(autouse=True)
def as_before(hypervisor: Hypervisor) -> Iterator[None]:
    """The same before and after each test."""
    before = hypervisor.run(STATE)
    yield
    assert hypervisor.run(STATE) == before


def plan(host: Hypervisor, lan: LanSpec) -> LanPlan:
    """As the host is now."""
    spec = NetworkSpec(name="lan", subnet=None, forward="bridge", lan=lan)
    found = plan_lans([spec], read_facts(host.spec).wires, problems := [])
    assert problems == []
    return found["lan"]


def steps(prefix: str, lan: LanPlan) -> tuple[HostStep, ...]:
    """Without the filter, which is libvirt's."""
    network = NetworkPlan(
        network="lan",
        name=f"{prefix}-lan",
        bridge=lan.bridge,
        subnet="",
        gateway="",
        forward="bridge",
        dhcp=False,
        reservations=(),
        pool=None,
        names=(),
        lan=replace(lan, dhcp_server=True),
    )
    made = bridge_steps(prefix, [network])
    quick = [replace(s, confirm_within_s=LIMIT_S) if s.confirm_within_s else s for s in made]
    return (mark_step(prefix), *quick)


def move(host: Hypervisor, prefix: str, lan: LanSpec) -> Convergence:
    again = partial(connect, host.spec)
    wanted = steps(prefix, plan(host, lan))
    with again() as shell:
        return converge(wanted, shell, prefix=prefix, progress=print, again=again)


def leave(host: Hypervisor, prefix: str, lan: LanSpec) -> None:
    wanted = steps(prefix, plan(host, lan))
    with host.shell() as shell:
        assert restore(wanted, shell, prefix=prefix, progress=print) == ""


def settled(host: Hypervisor, command: str, wanted: str) -> None:
    """networkd does some things a moment later."""
    for _ in range(50):
        if wanted in (seen := host.run(command)):
            return
        time.sleep(0.2)
    pytest.fail(f"{command}: {seen}")


def test_a_nic_that_nobody_has(hypervisor: Hypervisor) -> None:
    lan = LanSpec(nic="eth1")
    assert plan(hypervisor, lan) == LanPlan(bridge="br-eth1", nic="eth1", manager="networkd")
    made = move(hypervisor, "foo", lan)
    assert (made.failure, len(made.changed)) == ("", 4)
    assert hypervisor.run("ls /sys/class/net/br-eth1/brif").split() == ["eth1"]
    assert hypervisor.run("ip -o addr show dev br-eth1") == "", "the host is not on that LAN"
    macs = hypervisor.run("cat /sys/class/net/eth1/address /sys/class/net/br-eth1/address").split()
    assert macs[0] == macs[1]
    assert move(hypervisor, "foo", lan).changed == ()
    hypervisor.run(BOOT)
    settled(hypervisor, "ls /sys/class/net/br-eth1/brif", "eth1")
    hypervisor.run("/lib/systemd/systemd-networkd-wait-online --timeout=5")
    assert move(hypervisor, "foo", lan).changed == ()
    leave(hypervisor, "foo", lan)


def test_environments_share_a_bridge(hypervisor: Hypervisor) -> None:
    lan = LanSpec(nic="eth1")
    assert move(hypervisor, "foo", lan).failure == ""
    second = move(hypervisor, "bar", LanSpec(bridge="br-eth1"))
    assert second.changed == ("mark the host as used", "use the bridge br-eth1")
    with hypervisor.shell() as shell:  # a third one uses the host, and not the bridge
        converge([mark_step("other")], shell, prefix="other", progress=print)
    leave(hypervisor, "foo", lan)
    assert "eth1" in hypervisor.run("ls /sys/class/net/br-eth1/brif")
    leave(hypervisor, "bar", lan)
    assert "br-eth1" not in hypervisor.run("ls /sys/class/net")
    with hypervisor.shell() as shell:
        assert restore([mark_step("other")], shell, prefix="other", progress=print) == ""


def test_who_has_another_layout_by_now_gives_the_nic_back(hypervisor: Hypervisor) -> None:
    assert move(hypervisor, "foo", LanSpec(nic="eth1")).failure == ""
    with hypervisor.shell() as shell:
        converge([mark_step("other")], shell, prefix="other", progress=print)
        assert restore([mark_step("foo")], shell, prefix="foo", progress=print) == ""
        assert not shell.run("[ -e /sys/class/net/br-eth1 ]").ok
        assert restore([mark_step("other")], shell, prefix="other", progress=print) == ""


def test_the_main_nic_moves_with_its_address(hypervisor: Hypervisor) -> None:
    before = hypervisor.run("ip route | sed 's/eth0/br-eth0/' | sort")
    assert plan(hypervisor, LanSpec()).nic == "eth0"
    with hypervisor.shell() as held:  # a session of before lives on
        made = move(hypervisor, "foo", LanSpec())
        assert made.failure == ""
        assert held.run("echo alive").stdout == "alive\n"
    assert hypervisor.spec.address in hypervisor.run("ip -4 addr show dev br-eth0")
    assert hypervisor.run("ip route | sort") == before
    assert plan(hypervisor, LanSpec()).nic == plan(hypervisor, LanSpec(nic="eth0")).nic == "eth0"
    assert move(hypervisor, "foo", LanSpec()).changed == ()
    hypervisor.run(f"systemd-run --quiet sh -c {BOOT!r}; sleep 1")
    settled(hypervisor, "ip route | sort", before)
    hypervisor.run("/lib/systemd/systemd-networkd-wait-online --timeout=5")
    assert move(hypervisor, "foo", LanSpec()).changed == ()
    leave(hypervisor, "foo", LanSpec())
    settled(hypervisor, "ip -4 addr show dev eth0", hypervisor.spec.address)


def test_an_address_of_dhcp_moves_too(hypervisor: Hypervisor) -> None:
    """The server knows the host by a number that follows from the NIC's name."""
    drop_in = "/etc/systemd/network/10-eth0.network.d"
    shown = "ip -4 addr show dev eth0"
    with around(hypervisor) as lan:
        hypervisor.run(
            f"mkdir {drop_in}; printf '[Network]\\nDHCP=ipv4\\n' >{drop_in}/dhcp.conf;"
            "networkctl reload"
        )
        settled(hypervisor, shown, " dynamic ")
        given = lan.leased(hypervisor.run("cat /sys/class/net/eth0/address").strip())
        assert given in hypervisor.run(shown)
        assert move(hypervisor, "foo", LanSpec()).failure == ""
        assert f"inet {given}/24" in hypervisor.run("ip -4 addr show dev br-eth0")
        leave(hypervisor, "foo", LanSpec())
        settled(hypervisor, shown, given)
        hypervisor.run(f"rm -r {drop_in}; networkctl reload; ip addr del {given}/24 dev eth0; :")


def test_a_move_after_which_nobody_comes_back_is_undone(hypervisor: Hypervisor) -> None:
    """The host is well, but for a firewall that lets nobody in through the bridge."""
    hypervisor.run(
        "nft 'add table inet shut; add chain inet shut in { type filter hook input priority 0; };"
        'add rule inet shut in iifname "br-eth0" drop\''
    )
    begun = time.monotonic()
    made = move(hypervisor, "foo", LanSpec())
    assert "the host has taken the change back" in made.failure
    assert LIMIT_S <= time.monotonic() - begun < LIMIT_S + 20
    assert made.done == ("mark the host as used", "use the bridge br-eth0")
    assert "br-eth0" not in hypervisor.run("ls /sys/class/net; ls /etc/systemd/network")
    hypervisor.run("nft delete table inet shut")
    assert move(hypervisor, "foo", LanSpec()).failure == ""
    leave(hypervisor, "foo", LanSpec())


def test_an_address_given_by_hand_is_in_the_way(hypervisor: Hypervisor) -> None:
    """No file knows of it, so networkd would not bring it to the bridge."""
    hypervisor.run("ip addr add 10.98.0.1/24 dev eth0")
    made = move(hypervisor, "foo", LanSpec())
    says = "eth0 has 10.98.0.1/24, which is not in /etc/systemd/network/10-eth0.network"
    assert says in made.failure
    assert "10.98.0.1/24" in hypervisor.run("ip -4 -o addr show dev eth0")
    hypervisor.run("ip addr del 10.98.0.1/24 dev eth0")
    leave(hypervisor, "foo", LanSpec())
