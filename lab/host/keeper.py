"""Keeps one forward of a libvirt socket for as long as an engine needs it: `-m lab.host.keeper`.

A process of its own, because none of the engine's lives as long as an operation does: the program
ends before the engine deletes, and plugins outlive an engine that was killed. Whoever needs the
forward notes the process to wait for; the last one gone, ssh goes, too.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

UP = "up"
START_LIMIT_S = 30
LOOK_EVERY_S = 0.25
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Shelf:
    """The files of one forward, all below a folder that is its user's alone."""

    socket: Path

    @property
    def users(self) -> Path:
        """A file for each process that needs the forward."""
        return self.socket.with_name(f"{self.socket.name}.users")

    @property
    def log(self) -> Path:
        """What ssh complains of."""
        return self.socket.with_name(f"{self.socket.name}.log")

    @contextmanager
    def turn(self) -> Generator[None]:
        """Start and end one after the other."""
        with self.socket.with_name(f"{self.socket.name}.turn").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def note_user(self, pid: int) -> None:
        """Keep the forward until that process has ended."""
        self.users.mkdir(mode=0o700, exist_ok=True)
        (self.users / str(pid)).write_text(_started(pid))

    def has_users(self) -> bool:
        """Whether anybody is left, forgetting those who are not."""
        for note in self.users.iterdir():
            if note.read_text() == _started(int(note.name)) != "":
                return True
            note.unlink(missing_ok=True)
        return False

    def claim(self) -> int | None:
        """Become the one who holds the forward, until the process ends; None: somebody is."""
        held = os.open(self._held, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return None
        return held

    def is_held(self) -> bool:
        """Whether somebody holds the forward now."""
        if not self._held.exists():
            return False
        with self.turn():  # whoever asks holds it for a moment, and somebody else may ask then
            claim = self.claim()
            if claim is not None:
                os.close(claim)
        return claim is None

    @property
    def _held(self) -> Path:
        return self.socket.with_name(f"{self.socket.name}.held")


def _started(pid: int) -> str:
    """When a process started, to know it from a later one of that number; empty: it has ended."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self").exists() or not _answers(pid) else "running"
    return "" if state in "ZX" else rest[18]


def _answers(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def main(socket: str, command: Sequence[str]) -> None:
    """Hold a forward unless somebody does; say so, or why not, on stdout; stay while it is needed.

    Args:
        socket: where the command will listen.
        command: what listens there once it is logged in.
    """
    shelf = Shelf(Path(socket))
    with shelf.turn():
        mine = shelf.claim()
        verdict, ssh = _start(shelf, command) if mine is not None else (UP, None)
        if mine is not None and not ssh:
            os.close(mine)
    sys.stdout.write(verdict)
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if mine is not None and ssh:
        _keep(shelf, ssh, mine)


def _start(shelf: Shelf, command: Sequence[str]) -> tuple[str, subprocess.Popen[bytes] | None]:
    shelf.socket.unlink(missing_ok=True)
    with shelf.log.open("wb") as log:
        ssh = subprocess.Popen(  # noqa: S603 - ssh, with words and no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has one thread
        )
    deadline = time.monotonic() + START_LIMIT_S
    while not shelf.socket.exists():
        if ssh.poll() is not None:
            return shelf.log.read_text(errors="replace") or f"exit {ssh.returncode}", None
        if time.monotonic() > deadline or not shelf.has_users():
            _end(ssh)
            return f"no answer within {START_LIMIT_S} s, or nobody waits any more", None
        time.sleep(0.01)
    return UP, ssh


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _keep(shelf: Shelf, ssh: subprocess.Popen[bytes], mine: int) -> None:
    """Stay while ssh runs and somebody needs it; then let go, before anybody else may begin."""
    while True:
        if ssh.poll() is not None or not shelf.has_users():
            with shelf.turn():
                if ssh.poll() is not None or not shelf.has_users():
                    _end(ssh)
                    shelf.socket.unlink(missing_ok=True)
                    os.close(mine)
                    return
        time.sleep(LOOK_EVERY_S)


def _end(ssh: subprocess.Popen[bytes]) -> None:
    ssh.terminate()
    try:
        ssh.wait(timeout=2)
    except subprocess.TimeoutExpired:
        ssh.kill()
        ssh.wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
