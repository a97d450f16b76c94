"""A change of the host's own network: confirmed over a new connection, or taken back by the host.

The bridge is one of the ways that a host may get it: by ip, with the NIC's own hardware address.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from lab.host.runner import Convergence, converge, restore
from lab.host.shell import connect
from lab.host.step import HostStep
from lab.storage import HOST_DIR
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
LIMIT_S = 8
RUN, AWAY = "/usr/bin/systemd-run", "/usr/bin/systemd-run.away"
BRIDGE = "br-main"
NIC = "$(cat /run/test-nic)"
REMEMBER = rf"""nic={NIC}
echo 'ip link set '$nic' nomaster; ip link del {BRIDGE} 2>/dev/null || :'
ip -o -4 addr show dev $nic scope global | sed "s/.* inet \([^ ]*\) .*/ip addr replace \1 dev $nic/"
ip -4 route show dev $nic | sed -n "/via/s/.*/ip route replace & dev $nic/p" """
MOVE = f"""nic={NIC}; routes=$(ip -4 route show dev $nic | grep via)
address=$(ip -o -4 addr show dev $nic scope global | sed 's/.* inet //; s/ .*//')
ip link add {BRIDGE} address $(cat /sys/class/net/$nic/address) type bridge forward_delay 0
ip link set {BRIDGE} up; ip link set $nic master {BRIDGE}; ip addr del $address dev $nic"""
MOVE_ADDRESS = f"""{MOVE}; ip addr add $address dev {BRIDGE}
echo "$routes" | while read route; do ip route replace $route dev {BRIDGE}; done"""
INTERFACES = "ip -br -4 addr; ip route | sort; ls /sys/class/net"


def bridge_step(*, good: bool) -> HostStep:
    return HostStep(
        name="move the NIC into a bridge",
        probe=f"[ -d /sys/class/net/{BRIDGE} ]",
        commands=(MOVE_ADDRESS if good else MOVE, "echo note: moved"),
        remember=REMEMBER,
        confirm_within_s=LIMIT_S,
    )


AFTER = HostStep(
    name="make it last", probe=f"[ -f {HOST_DIR}/lasts ]", commands=(f": > {HOST_DIR}/lasts",)
)


@pytest.fixture(scope="module", autouse=True)
def still(hypervisor: Hypervisor) -> None:
    """systemd-networkd would give the NIC its address back, a moment after we took it away."""
    hypervisor.run(
        "systemctl stop systemd-networkd.socket systemd-networkd;"
        " ip route show default | sed 's/.* dev //; s/ .*//' > /run/test-nic"
    )


@pytest.fixture(autouse=True)
def network(hypervisor: Hypervisor) -> Iterator[None]:
    """The same before and after each test."""
    before = hypervisor.run(INTERFACES)
    yield
    assert hypervisor.run(INTERFACES) == before


def change(hypervisor: Hypervisor, step: HostStep, said: list[str]) -> Convergence:
    again = partial(connect, hypervisor.spec)
    with again() as shell:
        return converge([step, AFTER], shell, prefix="foo", progress=said.append, again=again)


def leave(hypervisor: Hypervisor) -> None:
    with hypervisor.shell() as shell:
        assert restore([], shell, prefix="foo", progress=print) == ""


def test_a_good_change_is_confirmed_and_stays(hypervisor: Hypervisor) -> None:
    said: list[str] = []
    begun = time.monotonic()
    made = change(hypervisor, bridge_step(good=True), said)
    assert made.failure == ""
    assert time.monotonic() - begun < LIMIT_S
    assert made.changed == ("move the NIC into a bridge", "make it last")
    assert "move the NIC into a bridge: moved" in said
    time.sleep(LIMIT_S)
    assert hypervisor.spec.address in hypervisor.run(f"ip -4 addr show dev {BRIDGE}")
    assert "0 timers" in hypervisor.run("systemctl list-timers 'metalab*' --all")
    assert change(hypervisor, bridge_step(good=True), said).changed == ()
    leave(hypervisor)


def test_a_change_that_cuts_the_host_off_is_taken_back(hypervisor: Hypervisor) -> None:
    said: list[str] = []
    made = change(hypervisor, bridge_step(good=False), said)
    assert made.done == ()
    assert f"not confirmed within {LIMIT_S} s; the host has taken the change back" in made.failure
    assert made.failure.startswith(f"{hypervisor.spec.address}: preparing it for foo: move the NIC")
    assert BRIDGE not in hypervisor.run("ls /sys/class/net")
    assert change(hypervisor, bridge_step(good=True), said).failure == ""
    leave(hypervisor)


class KilledError(Exception):
    pass


def test_who_is_killed_in_between_leaves_the_host_as_it_was(hypervisor: Hypervisor) -> None:
    def die(line: str) -> None:
        if "the host takes it back unless" in line:
            raise KilledError

    again = partial(connect, hypervisor.spec)
    step = bridge_step(good=True)
    with pytest.raises(KilledError), again() as shell:
        converge([step], shell, prefix="killed", progress=die, again=again)
    said: list[str] = []
    assert change(hypervisor, bridge_step(good=True), said).failure == ""
    waits = [line for line in said if "waits for the run of killed (" in line]
    assert len(waits) == 1, said  # nobody meddles with a change that is not settled
    leave(hypervisor)


def test_an_abandoned_change_is_settled_before_the_next(hypervisor: Hypervisor) -> None:
    step = replace(bridge_step(good=True), commands=(MOVE_ADDRESS, "sleep 30"))
    again = partial(connect, hypervisor.spec)

    def die(line: str) -> None:
        if "the host takes it back unless" in line:
            with hypervisor.shell() as shell:  # the change itself, with its hold on the lock
                shell.run(f"while [ ! -d /sys/class/net/{BRIDGE} ]; do sleep 0.1; done")
                shell.run("pkill -9 -f '[m]etalab/change'; sleep 0.2")
            raise KilledError

    with pytest.raises(KilledError), again() as shell:
        converge([step], shell, prefix="killed", progress=die, again=again)
    said: list[str] = []
    made = change(hypervisor, bridge_step(good=True), said)
    assert (made.failure, "move the NIC into a bridge" in made.changed) == ("", True)
    leave(hypervisor)


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        pytest.param("echo no >&2; exit 3", "`echo no >&2; exit 3` exited 3: no", id="fails"),
        pytest.param("sleep 30", f"`sleep 30` took more than {LIMIT_S} s", id="too slow"),
    ],
)
def test_a_change_that_fails_is_taken_back_at_once(
    hypervisor: Hypervisor, command: str, failure: str
) -> None:
    step = replace(bridge_step(good=True), commands=(MOVE_ADDRESS, command))
    made = change(hypervisor, step, [])
    assert failure in made.failure
    assert "the host has taken the change back" in made.failure
    assert "0 timers" in hypervisor.run("systemctl list-timers 'metalab*' --all")
    leave(hypervisor)


@pytest.mark.parametrize(
    ("instead", "told"),
    [
        pytest.param("", "this host has no running systemd with systemd-run", id="missing"),
        pytest.param("echo no bus >&2; exit 1", "no bus / systemd would not run it", id="broken"),
        pytest.param(
            f'case $* in *--scope*) exec {AWAY} "$@";; esac; echo no timer >&2; exit 1',
            "no timer / systemd would not run it",
            id="no timer",
        ),
    ],
)
def test_a_host_that_could_not_take_it_back_is_refused(
    hypervisor: Hypervisor, instead: str, told: str
) -> None:
    script = shlex.quote(f"#!/bin/sh\n{instead}\n")
    put = f"printf %s {script} > {RUN} && chmod +x {RUN}" if instead else ":"
    hypervisor.run(f"mv {RUN} {AWAY} && {put}")
    try:
        made = change(hypervisor, bridge_step(good=True), [])
    finally:
        hypervisor.run(f"mv {AWAY} {RUN}")
    assert told in made.failure
    assert "nothing was changed" in made.failure
    leave(hypervisor)
