"""Shells for tests: one that plays a script, and one that runs commands here, in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from lab.host.guests import Guest, GuestError
from lab.host.session import Hear, Outcome, Session
from lab.storage import HOST_DIR, IMAGES_DIR


def _heard(outcome: Outcome, hear: Hear | None) -> Outcome:
    for line in outcome.stdout.splitlines() if hear else ():
        hear(line)
    return outcome


class ScriptedShell:
    """Answers with the given outcomes, in order, and keeps what it was sent."""

    address = "lab42"
    user = "root"

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[str] = []
        self.stdin: list[str] = []

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        self.sent.append(command)
        self.stdin.append(stdin)
        return _heard(self.outcomes.pop(0), hear)

    def put(self, local: Path, remote: str) -> None:
        self.sent.append(f"put {local.name} {remote}")


class LocalShell:
    """Runs every command on this machine, with a folder in the place of the host's."""

    address = "lab42"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        self.count += 1
        for path in (HOST_DIR, IMAGES_DIR):
            command = command.replace(path, f"{self.folder}{path}")
        done = subprocess.run(
            ["sh", "-c", command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return _heard(Outcome(done.returncode, done.stdout, done.stderr), hear)

    def put(self, local: Path, remote: str) -> None:
        Path(f"{self.folder}{remote}").write_bytes(local.read_bytes())


class ScriptedGateway(ScriptedShell):
    """A gateway of which each guest's logins end as scripted, by address."""

    def __init__(self, logins: dict[str, list[GuestError | Outcome]], diagnosis: str = "") -> None:
        super().__init__([])
        self.alive = True
        self.logins = logins
        self.diagnosis = diagnosis

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        self.sent.append(command)
        return Outcome(0, self.diagnosis)

    @contextmanager
    def guest(self, target: Guest, *, timeout_s: float = 10) -> Generator[Session]:
        logins = self.logins[target.address]
        login = logins.pop(0) if len(logins) > 1 else logins[0]
        if isinstance(login, GuestError):
            raise login
        yield ScriptedShell([login])
