"""Runs that end in the middle, anywhere: the next one ends like one that nobody interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from shlex import quote
from signal import SIGKILL

import pytest

from lab.facts import HostFacts
from lab.host.facts import look
from lab.host.installed import INSTALLED
from lab.host.runner import converge, restore
from lab.host.session import CONNECTION_LOST
from lab.host.shell import Gateway, connect
from lab.host.step import HostStep
from lab.host.steps import authorize_key_step, plan_steps
from lab.keys import derive_key
from tests.e2e.host.cuts import HANG_UP, KILL, converge_alone, cut_within
from tests.e2e.hypervisors import Hypervisor
from tests.e2e.inventory import differences, files

pytestmark = pytest.mark.e2e
KEY = derive_key("7" * 64, "client").public
# What steps may touch, but who holds the lock, since when, and the UUID that libvirt gives a pool.
PLACES = rf"""
({files("/etc", "/root", "/var/lib/metalab", "/var/lib/libvirt")}
) | grep -v -e '^file /var/lib/metalab/lock' -e '^file /etc/libvirt/storage/metalab-base.xml'
grep -sv -e uuid /etc/libvirt/storage/metalab-base.xml
systemctl is-enabled libvirtd.service libvirtd.socket; virsh -q pool-list --all; ls /run/metalab
"""
UNPREPARE = (
    "rm -f /run/forced /run/slow; systemctl disable -q libvirtd.service libvirtd.socket 2>&1"
)
Seen = tuple[HostFacts, str]


def plan(facts: HostFacts) -> tuple[HostStep, ...]:
    steps = plan_steps(facts, prefix="foo", virt_type="qemu")
    return (*steps, authorize_key_step("foo", "root", KEY))


PLANNED = plan(HostFacts(hostname="any", os_id="debian", os_version="12"))
# All but the one whose only command is a refusal: it cannot be made to run and to succeed.
ACTING = tuple(step for step in PLANNED if step.name != "check the iPXE ROMs")


def quiet(_line: str) -> None:
    """Progress that nobody reads."""


def check_same(seen: Seen, expected: Seen) -> None:
    assert differences(expected[1], seen[1]) == []
    assert seen[0] == expected[0]


class Stage:
    """What there is to compare with: a host before, and after a run that nobody interrupted.

    What is not to be cut goes over a connection of its own.
    """

    def __init__(self, hypervisor: Hypervisor, shell: Gateway) -> None:
        self.hypervisor, self.shell = hypervisor, shell
        self.steps = plan(look(shell))
        assert self.next_run() == ""  # libvirt makes directories for its first pool
        self.reset()
        self.before = self.seen()
        assert self.next_run() == ""
        self.prepared = self.seen()
        self.reset()
        check_same(self.seen(), self.before)

    def seen(self) -> Seen:
        facts = look(self.shell)
        return replace(facts, disk_free_gib=0), self.shell.run(PLACES).stdout

    def next_run(self) -> str:
        return converge(self.steps, self.shell, prefix="foo", progress=quiet).failure

    def cut_run(self, steps: tuple[HostStep, ...], cut_at: str = "never") -> str:
        """Converge; once a line of progress begins like `cut_at`, the connection ends."""
        with connect(self.hypervisor.spec) as shell:

            def cut(line: str) -> None:
                if line.startswith(cut_at):
                    assert shell.run(KILL).exit_code == CONNECTION_LOST

            return converge(steps, shell, prefix="foo", progress=cut).failure

    def reset(self) -> None:
        assert restore(self.steps, self.shell, prefix="foo", progress=quiet) == ""
        assert self.shell.run(UNPREPARE).ok


@pytest.fixture(scope="module")
def stage(hypervisor: Hypervisor) -> Iterator[Stage]:
    with connect(hypervisor.spec) as shell:
        made = Stage(hypervisor, shell)
        yield made
        check_same(made.seen(), made.before)  # after all of them, not a trace


@pytest.fixture(autouse=True)
def clean(stage: Stage) -> Iterator[None]:
    """Each test goes on from the same place."""
    yield
    stage.reset()


def check_lost(failure: str) -> None:
    assert "the connection was lost" in failure
    assert "run the command again" in failure


def check_next_run(stage: Stage) -> None:
    assert stage.next_run() == ""
    check_same(stage.seen(), stage.prepared)


def forced(stage: Stage, name: str) -> tuple[tuple[HostStep, ...], int]:
    """The steps, of which the named one runs even where it is true already; and its place."""
    number = [step.name for step in stage.steps].index(name)
    step = stage.steps[number]
    forced = replace(
        step,
        probe=f"[ -f /run/forced ] && {{ {step.probe}; }}",
        commands=(*step.commands, "touch /run/forced"),
    )
    return (*stage.steps[:number], forced, *stage.steps[number + 1 :]), number


def test_no_step_is_left_out(stage: Stage) -> None:
    assert stage.steps == PLANNED


@pytest.mark.parametrize("moment", ["started", "done in"])
@pytest.mark.parametrize("name", [step.name for step in ACTING])
def test_cut_before_and_after_each_step(stage: Stage, name: str, moment: str) -> None:
    steps, number = forced(stage, name)
    failure = stage.cut_run(steps, cut_at=f"{name}: {moment}")
    if moment == "started" or number < len(steps) - 1:
        check_lost(failure)
    else:
        assert failure == ""  # nothing was to follow
    check_next_run(stage)


POINTS = [(step.name, before) for step in ACTING for before in range(len(step.commands) + 1)]


@pytest.mark.parametrize(("name", "before"), POINTS)
def test_killed_within_each_step(stage: Stage, name: str, before: int) -> None:
    """The script ends with the connection, before one of the commands or after the last."""
    steps, number = forced(stage, name)
    killed = cut_within(steps[number], before, KILL)
    check_lost(stage.cut_run((*steps[:number], killed, *steps[number + 1 :])))
    check_next_run(stage)


@pytest.mark.parametrize("name", [step.name for step in ACTING])
def test_hung_up_within_each_step(stage: Stage, name: str) -> None:
    """The script goes on, unwatched; the next run waits for it."""
    steps, number = forced(stage, name)
    unwatched = cut_within(steps[number], 1, HANG_UP)
    check_lost(stage.cut_run((*steps[:number], unwatched, *steps[number + 1 :])))
    check_next_run(stage)


def test_a_killed_process_leaves_a_run_that_the_next_one_waits_for(stage: Stage) -> None:
    steps, number = forced(stage, "make the image store")
    slow = cut_within(steps[number], 1, "touch /run/slow; sleep 3")
    steps = (*steps[:number], slow, *steps[number + 1 :])
    process = get_context("spawn").Process(
        target=converge_alone, args=(stage.hypervisor.spec, steps)
    )
    process.start()
    assert stage.shell.run("until [ -f /run/slow ]; do sleep 0.1; done").ok
    process.kill()
    process.join()
    assert process.exitcode == -SIGKILL
    check_next_run(stage)


@pytest.mark.parametrize("name", [step.name for step in PLANNED if step.undo])
def test_cut_while_it_leaves(stage: Stage, name: str) -> None:
    once = f"[ -f /root/cut ] || {{ touch /root/cut; {KILL}; }}"
    steps, number = forced(stage, name)
    step = replace(steps[number], undo=(*steps[number].undo, once))
    steps = (*steps[:number], step, *steps[number + 1 :])
    assert stage.cut_run(steps) == ""
    with connect(stage.hypervisor.spec) as shell:
        check_lost(restore(steps, shell, prefix="foo", progress=quiet))
    stage.reset()
    stage.shell.run("rm /root/cut")
    check_same(stage.seen(), stage.before)


def test_cut_while_dpkg_works(stage: Stage) -> None:
    """A package is unpacked and not configured; the next run mends that first."""
    status = "dpkg-query -W -f '${db:Status-Abbrev}' curl"
    # dpkg waits for what it invokes: curl is unpacked by then, and stays so.
    kill = f"{HANG_UP}; pkill -9 dpkg; pkill -9 apt-get"
    script = f"case $({status} 2>/dev/null) in iU*) {kill};; esac"
    stage.hypervisor.run(
        "dpkg --remove curl >/dev/null && apt-get -q update >/dev/null && "
        f"printf '%s\\n' '#!/bin/sh' {quote(script)} >/root/cut && chmod +x /root/cut && "
        "echo 'pre-invoke=/root/cut' >/etc/dpkg/dpkg.cfg.d/cut"
    )
    failure = stage.cut_run(stage.steps)
    stage.hypervisor.run("rm /etc/dpkg/dpkg.cfg.d/cut /root/cut")
    check_lost(failure)
    assert stage.hypervisor.run(status) != "ii "
    assert stage.next_run() == ""
    assert stage.hypervisor.run(f"cat {INSTALLED}") == "curl\n"  # known although a run was killed
    stage.hypervisor.run(f"rm {INSTALLED}")
    check_same(stage.seen(), stage.prepared)
    assert stage.hypervisor.run(status) == "ii "
