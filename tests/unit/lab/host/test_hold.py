"""Whoever waits for a run's end: a real process, and what it does when the end comes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.host.facts import look
from lab.host.hold import let_go
from lab.host.leases import reserve
from lab.lease import Lease
from tests.unit.lab.host.shells import LocalShell

ROOT = Path(__file__).parents[4]
LEASE = Lease(prefix="foo", virt_type="qemu")
# A run that holds, says what waits for it, and ends as it is told to.
RUN = """
import os, sys
from lab.config import HypervisorSpec
from lab.host.hold import Hold
from lab.lease import Lease
hold = Hold(HypervisorSpec(address="nowhere.invalid"), Lease(prefix="foo", virt_type="qemu"))
print(os.getpgid(hold._waiter.pid), flush=True)
if sys.argv[1] == "claims":
    hold.claimed()
sys.stdin.readline()
"""


def waiting(group: int) -> list[list[str]]:
    """Who of a group is there and alive: the run does not ask for its child's end."""
    words = ["ps", "-eo", "pgid=,stat=,args="]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in listed.splitlines()]
    return [args for pgid, stat, *args in found if pgid == str(group) and stat[0] != "Z"]


def until_gone(group: int) -> bool:
    for _ in range(100):
        if not waiting(group):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("how", ["claims", "is killed"])
def test_it_waits_for_the_end_and_stays_no_longer(how: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
    ) as run:
        assert run.stdout
        group = int(run.stdout.readline())
        if how == "claims":
            assert until_gone(group)
        else:
            time.sleep(0.3)
            assert waiting(group)
        run.kill()
    assert until_gone(group)


def test_what_was_reserved_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = LocalShell(tmp_path)
    assert reserve(LEASE, shell, digest=look(shell).leases_digest, progress=print)
    assert look(shell).reserved.keys() == {"foo"}
    monkeypatch.setattr("lab.host.shell.connect", lambda _spec: nullcontext(shell))
    let_go({"spec": asdict(HypervisorSpec(address="x")), "lease": LEASE.to_json()})
    assert look(shell).reserved == {}
