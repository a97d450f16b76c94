"""The one lock of a hypervisor: steps, leases and leaving take turns, whoever runs them."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from shlex import quote
from typing import TypeAlias

from lab.host.session import Outcome
from lab.host.shell import Shell
from lab.storage import HOST_DIR, LOCK_FILE

Progress: TypeAlias = Callable[[str], None]

LOCK_WAIT_S = 1800  # one that prepares the host holds the lock while packages are installed
SILENT_S = 2  # most turns come within it, and need no word
ASK_AGAIN_S = 15  # how long one round trip waits: the holder may change meanwhile, and is told
BUSY = 75  # sysexits' EX_TEMPFAIL: somebody else held the lock all the time


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """Somebody who wants the lock."""

    prefix: str  # on whose behalf
    progress: Progress  # told for whom this one waits
    limit_s: float | None = None  # seconds of waiting; None: LOCK_WAIT_S

    @property
    def wait_s(self) -> float:
        """How long this one waits before it gives up."""
        return LOCK_WAIT_S if self.limit_s is None else self.limit_s

    @property
    def holder(self) -> str:
        """What the lock's file says while this one holds it; the host adds since when."""
        where = f"{_user()}@{socket.gethostname()}"
        return f"the run of {self.prefix} ({where}, process {os.getpid()})"


def run_locked(
    shell: Shell, script: str, turn: Turn, *, timeout_s: float, stdin: str = ""
) -> Outcome:
    """Run shell lines under the lock; a wait is told, with the holder's name, and has a limit.

    A line that begins with "note: " is told as it comes.

    Args:
        shell: of the hypervisor.
        script: POSIX shell; descriptor 9 is the lock, which no child that outlives it may inherit.
        turn: who wants it.
        timeout_s: seconds for the script, without the wait.
        stdin: what the script reads.

    Returns:
        What the script left behind; exit BUSY, with the holder as stderr, if it never began.
    """
    deadline = time.monotonic() + turn.wait_s
    told, wait_s = "", min(SILENT_S, turn.wait_s)
    while True:
        outcome = shell.run(
            f"{take_lock(wait_s, turn.holder)}\n{script}",
            timeout_s=wait_s + timeout_s,
            stdin=stdin,
            hear=partial(_tell_notes, turn.progress),
        )
        left_s = deadline - time.monotonic()
        if outcome.exit_code != BUSY or left_s <= 0:
            return outcome
        if outcome.tail != told:
            told = outcome.tail
            turn.progress(f"waits for {told}")
        wait_s = min(ASK_AGAIN_S, left_s)


def _tell_notes(progress: Progress, line: str) -> None:
    """A command's own words to whoever waits for it."""
    if line.startswith("note: "):
        progress(line.removeprefix("note: "))


def take_lock(wait_s: float, holder: str) -> str:
    """Shell lines that take the lock on descriptor 9 until their shell ends, or exit BUSY.

    Whoever leaves a host last removes the lock's file. One who waited for that file holds a lock
    that nobody else sees, so it looks whether the file is still the one it has open. Who holds it
    stands in the file, for whoever waits; what a dead run left there is overwritten.
    """
    return f"""mask=$(umask); umask 077
while :; do
  mkdir -p -m 700 {HOST_DIR} && exec 9>>{LOCK_FILE} || exit 1
  flock -w {wait_s:.1f} -E {BUSY} 9 || {{
    code=$?; [ $code -ne {BUSY} ] || cat {LOCK_FILE} >&2; exit $code
  }}
  [ {LOCK_FILE} -ef /proc/$$/fd/9 ] && break
done
umask $mask
echo {quote(holder)}" since $(date -u '+%F %T UTC')" 2>/dev/null >{LOCK_FILE} || :"""


def busy(outcome: Outcome, turn: Turn) -> str:
    """Say who held the lock for all of a turn's wait."""
    return f"{outcome.tail or 'another run'}, which held {LOCK_FILE} for {turn.wait_s:g} s"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
