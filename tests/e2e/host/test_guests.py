"""Waiting for guests and switching them off, with real ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.host.power import power_off
from lab.host.readiness import wait_ready
from lab.host.shell import Gateway, connect
from lab.keys import derive_key
from lab.storage import LOG_DIR, console_log
from tests.e2e.host.tiny import CLIENT, SEED, TinyGuest
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
ONE, TWO, TEN = TinyGuest("g-1", 11), TinyGuest("g-2", 12), TinyGuest("g-10", 20)
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def shell(hypervisor: Hypervisor) -> Iterator[Gateway]:
    with connect(hypervisor.spec) as shell:
        yield shell


@pytest.fixture(scope="module", autouse=True)
def guests(shell: Gateway) -> Iterator[None]:
    for guest in (ONE, TWO, TEN):
        guest.start(shell)
    yield
    for guest in (ONE, TWO, TEN):
        guest.remove(shell)


def test_all_guests_are_waited_for_over_one_connection(shell: Gateway) -> None:
    said: list[str] = []
    nodes = [ONE.node, TWO.node, TEN.node]
    late = wait_ready(shell, nodes, CLIENT.private, timeout_s=TIMEOUT_S, progress=said.append)
    assert late == ()
    assert sorted(line.split(":")[0] for line in said) == ["g-1", "g-10", "g-2"]
    begun = time.monotonic()
    wait_ready(shell, nodes, CLIENT.private, timeout_s=TIMEOUT_S, progress=said.append)
    assert time.monotonic() - begun < 30  # they are up: nothing to wait for


def test_a_wrong_host_key_fails_at_once(shell: Gateway) -> None:
    wrong = replace(ONE.node, host_key=TWO.host_key.public)
    begun = time.monotonic()
    (late,) = wait_ready(shell, [wrong], CLIENT.private, timeout_s=60, progress=print)
    assert (late.node, late.rung) == ("g-1", "host key")
    assert time.monotonic() - begun < 20


def test_a_key_that_the_guest_does_not_know_is_an_ssh_failure(shell: Gateway) -> None:
    stranger = derive_key(SEED, "stranger").private
    (late,) = wait_ready(shell, [ONE.node], stranger, timeout_s=3, progress=print)
    assert late.rung == "SSH"
    assert "may not log in" in late.reason


def test_a_failure_names_the_rung_and_shows_the_console(shell: Gateway) -> None:
    lost = replace(TWO.node, address="192.168.122.99")
    unknown = replace(TWO.node, name="nobody", address="192.168.122.98")
    late = wait_ready(shell, [lost, unknown], CLIENT.private, timeout_s=4, progress=print)
    assert [node.rung for node in late] == ["lease", "domain"]
    assert "tiny" in late[0].console
    assert "failed to get domain" in late[1].reason


def test_power_off_lets_the_guest_finish_and_takes_its_logs_only(shell: Gateway) -> None:
    others = shell.run(f"ls {LOG_DIR}/g-10* {LOG_DIR}/g-2*").stdout
    shell.run(f"touch {console_log('g-1')}.0")
    assert power_off(shell, {"g-1": TWO.uuid}, timeout_s=60) == {"g-1": "foreign"}
    assert power_off(shell, {"g-1": ONE.uuid}, timeout_s=60) == {"g-1": "shut down"}
    assert power_off(shell, {"g-1": ONE.uuid}, timeout_s=60) == {"g-1": "off already"}
    assert not shell.run(f"ls {LOG_DIR} | grep '^g-1[.]'").ok
    assert shell.run(f"ls {LOG_DIR}/g-10* {LOG_DIR}/g-2*").stdout == others
    assert power_off(shell, {"no-such": ONE.uuid}, timeout_s=60) == {"no-such": "absent"}


def test_power_off_ends_a_guest_that_does_not_listen(shell: Gateway) -> None:
    shell.run("virsh suspend g-2")
    assert power_off(shell, {"g-2": TWO.uuid}, timeout_s=2) == {"g-2": "switched off after 2 s"}


def test_power_off_does_not_ask_a_guest_that_has_written_nothing(shell: Gateway) -> None:
    shell.run("virsh destroy g-10; virsh start g-10 --paused")
    assert power_off(shell, {"g-10": TEN.uuid}, timeout_s=30) == {"g-10": "off at once"}
