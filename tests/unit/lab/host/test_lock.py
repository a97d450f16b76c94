from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from lab.host import lock
from lab.host.lock import BUSY, Turn, busy, run_locked
from tests.unit.lab.host.shells import LocalShell

HELD = "exec 9>>{0}; flock 9; echo 'the run of bar (me@here, process 7) since now' >{0}; sleep {1}"


def hold(folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    """Another run, which holds the lock."""
    file = folder / "var/lib/metalab/lock"
    file.parent.mkdir(parents=True)
    other = subprocess.Popen(["sh", "-c", HELD.format(file, seconds)])
    while not (file.exists() and file.read_text()):
        time.sleep(0.01)
    return other


def test_the_wait_is_told_once_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SILENT_S", 0.2)
    monkeypatch.setattr(lock, "ASK_AGAIN_S", 0.3)
    other, said = hold(tmp_path, 1.5), list[str]()
    shell = LocalShell(tmp_path)
    outcome = run_locked(
        shell,
        "cat; exit 3",
        Turn(prefix="foo", progress=said.append),
        timeout_s=9,
        stdin="all of it",
    )
    assert (outcome.exit_code, outcome.stdout) == (3, "all of it")
    assert said == ["waits for the run of bar (me@here, process 7) since now"]
    assert shell.count > 2
    other.wait()


def test_who_holds_it_is_told_at_the_limit(tmp_path: Path) -> None:
    other = hold(tmp_path, 1)
    turn = Turn(prefix="foo", progress=print, limit_s=0.3)
    outcome = run_locked(LocalShell(tmp_path), "echo never", turn, timeout_s=9)
    assert (outcome.exit_code, outcome.stdout) == (BUSY, "")
    assert busy(outcome, turn).startswith(
        "the run of bar (me@here, process 7) since now, which held"
    )
    assert busy(outcome, turn).endswith("for 0.3 s")
    other.kill()
    other.wait()


def test_the_holder_stands_in_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    turn = Turn(prefix="foo", progress=print)
    outcome = run_locked(
        LocalShell(tmp_path), "cat /var/lib/metalab/lock; umask", turn, timeout_s=9
    )
    holder, mask = outcome.stdout.splitlines()
    assert holder.startswith("the run of foo (")
    assert " since 20" in holder
    assert holder.endswith(" UTC")
    assert mask == "0022"
    assert (tmp_path / "var/lib/metalab/lock").stat().st_mode & 0o777 == 0o600
