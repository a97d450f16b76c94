"""The keeper with a listener of our own in ssh's place: who holds what, and for how long."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.host.keeper import Shelf

ROOT = Path(__file__).parents[4]
LISTEN = "import socket,sys,time;s=socket.socket(socket.AF_UNIX);s.bind(sys.argv[1]);time.sleep(60)"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "foo")


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def user(started: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    started.append(subprocess.Popen(["sleep", "60"], text=True))
    return started[-1]


def keeper(
    shelf: Shelf, started: list[subprocess.Popen[str]], *command: str
) -> subprocess.Popen[str]:
    words = command or (sys.executable, "-c", LISTEN, str(shelf.socket))
    started.append(
        subprocess.Popen(
            [sys.executable, "-m", "lab.host.keeper", str(shelf.socket), *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    return started[-1]


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.read()


def gone(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def eventually_free(shelf: Shelf) -> bool:
    deadline = time.monotonic() + 10
    while shelf.is_held() or shelf.socket.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_forward_ends_with_the_last_of_its_users(
    shelf: Shelf, started: list[subprocess.Popen[str]]
) -> None:
    first, second = user(started), user(started)
    shelf.note_user(first.pid)
    holder = keeper(shelf, started)
    assert said(holder) == "up"
    assert shelf.is_held()
    shelf.note_user(second.pid)
    assert said(keeper(shelf, started)) == "up"  # the same forward, shared
    gone(first)
    time.sleep(1)
    assert shelf.is_held()
    assert shelf.socket.exists()
    gone(second)
    assert eventually_free(shelf)
    assert holder.wait(timeout=5) == 0


def test_a_forward_that_fails_says_why(shelf: Shelf, started: list[subprocess.Popen[str]]) -> None:
    shelf.note_user(user(started).pid)
    failed = keeper(shelf, started, "sh", "-c", "echo no route >&2; exit 255")
    assert said(failed) == "no route\n"
    failed.wait(timeout=5)
    assert not shelf.is_held()


def test_a_lost_connection_is_opened_anew(
    shelf: Shelf, started: list[subprocess.Popen[str]]
) -> None:
    shelf.note_user(user(started).pid)
    brief = LISTEN.replace("sleep(60)", "sleep(1)")
    first = keeper(shelf, started, sys.executable, "-c", brief, str(shelf.socket))
    assert said(first) == "up"
    assert eventually_free(shelf)
    assert said(keeper(shelf, started)) == "up"
    assert shelf.is_held()


def test_a_killed_keeper_takes_its_forward_along(
    shelf: Shelf, started: list[subprocess.Popen[str]]
) -> None:
    shelf.note_user(user(started).pid)
    holder = keeper(shelf, started)
    assert said(holder) == "up"
    gone(holder)
    assert not shelf.is_held()
    assert said(keeper(shelf, started)) == "up"  # over the socket that was left


def test_a_number_that_another_process_has_now_is_no_user(shelf: Shelf) -> None:
    shelf.note_user(1)
    (note,) = shelf.users.iterdir()
    note.write_text("0")
    assert not shelf.has_users()


def test_many_may_ask_at_once_whether_anybody_holds_it(shelf: Shelf) -> None:
    """Eight machines that go at the same time: none may take another's question for a forward."""
    claim = shelf.claim()
    assert claim is not None
    os.close(claim)
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda _: shelf.is_held(), range(400)))


def test_nobody_waits_for_a_start_that_takes_too_long(
    shelf: Shelf, started: list[subprocess.Popen[str]]
) -> None:
    waiting = user(started)
    shelf.note_user(waiting.pid)
    slow = keeper(shelf, started, "sleep", "60")
    gone(waiting)
    assert "nobody waits" in said(slow)
