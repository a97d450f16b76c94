from __future__ import annotations

import pytest

from lab.host.failures import advice, reason, step_failure
from lab.host.lock import Turn
from lab.host.session import Outcome
from lab.host.step import HostStep

TURN = Turn(prefix="foo", progress=print)
STEP = HostStep(name="run libvirt", probe="virsh uri", commands=("systemctl enable it", "start"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param("touch: /x: Read-only file system", "remount", id="read-only root"),
        pytest.param("cp: /x: No space left on device", "df -h", id="disk full"),
        pytest.param("E: You don't have enough free space in /var", "df -h", id="apt and the disk"),
        pytest.param("sh: 1: echo: echo: I/O error", "df -h", id="dash's echo and a full disk"),
        pytest.param(
            "Failed to enable unit: Unit file /etc/x/libvirtd.service is masked.",
            "systemctl unmask",
            id="masked",
        ),
        pytest.param(
            "error: Failed to connect socket to '/run/libvirt/libvirt-sock': No such file",
            "journalctl",
            id="dead libvirtd",
        ),
        pytest.param(
            "E: Could not get lock /var/lib/dpkg/lock", "package manager", id="apt's lock"
        ),
        pytest.param("modprobe: FATAL: Module kvm_intel not found", "virt-type: qemu", id="kvm"),
        pytest.param("something else", "Repair that on the host", id="unknown"),
    ],
)
def test_what_a_command_says_has_an_answer(said: str, told: str) -> None:
    failed = Outcome(1, "@@metalab failed 2 7\n", f"noise\n{said}")
    line = step_failure(STEP, failed, TURN)
    assert line.startswith("`start` exited 7: noise / ")
    assert f"{said.rstrip('.')}. " in line
    assert told in line
    assert line.endswith("it goes on from here.")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        pytest.param(
            Outcome(255, "", "the connection was lost: EOF"),
            "the connection was lost: EOF. The host may still",
            id="lost",
        ),
        pytest.param(
            Outcome(255, "", "Created symlink"),
            "the connection was lost after: Created symlink. The host may still",
            id="lost in the middle of its words",
        ),
        pytest.param(Outcome(124, "", "no answer"), "took too long: no answer", id="silent"),
        pytest.param(Outcome(124), "took too long: no message", id="ended by the host"),
        pytest.param(Outcome(75, "", "bar"), "waited for bar, which held /var/lib", id="locked"),
        pytest.param(Outcome(2, "", "x: Read-only file system"), "exit 2: x: Read-only", id="lock"),
    ],
)
def test_a_script_that_ends_as_a_whole_says_why(outcome: Outcome, told: str) -> None:
    assert reason(outcome, TURN).startswith(told)
    assert "un the command again" in reason(outcome, TURN)


def test_success_without_effect_asks_by_the_probe() -> None:
    step = HostStep(name="load KVM", probe="[ -c /dev/kvm ] && (: <>/dev/kvm)", commands=("x",))
    line = step_failure(step, Outcome(1, "@@metalab unproven\n"), TURN)
    assert line.startswith("done, yet `[ -c /dev/kvm ]")
    assert advice("/dev/kvm") in line
