"""One run of the engine, and a blow in the midst of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.chaos.points import Point
from tests.e2e.engine import Stack
from tests.e2e.hypervisors import TOOL, Hypervisor

LIMIT_S = 240  # a run that takes longer hangs
POLL_S = 0.01
VICTIMS = {  # what each is known by in the command line
    "plugin": r"pulumi-resource-libvirt",
    "provider": r"pulumi\.dynamic|dynamic/__main__|pulumi-resource-pulumi-python",
    "program": r"pulumi-language-python",
}
_STEP = re.compile(r"^ *[-+~]+ +\S+:\S+ .* (creating|deleting|updating|replacing)")
# Every session but the one that says this; the listener's parent is init.
HANG_UP = """mine=$PPID; for p in $(pgrep -x sshd); do
  [ "$(ps -o ppid= -p $p | tr -d ' ')" = 1 ] || [ $p = $mine ] || kill -9 $p; done 2>/dev/null"""
FILL = """findmnt -n -o FSTYPE /var/lib | grep -qx tmpfs || exit 1
dd if=/dev/zero of=/var/lib/filler bs=64k 2>/dev/null
dd if=/dev/zero of=/var/lib/filler2 bs=512 2>/dev/null; sync"""
ON_HOST = {"libvirtd": "pkill -9 -x libvirtd", "connection": HANG_UP, "disk": FILL}
AFTERWARDS = {"disk": "rm -f /var/lib/filler /var/lib/filler2"}


Process: TypeAlias = tuple[int, str]  # its number, and when it started: numbers come again


@dataclass(frozen=True, slots=True)
class Blow:
    """What fell on a run."""

    at: str  # where; empty: the run was over before
    left: list[Process]  # what may live on


@dataclass(frozen=True, slots=True)
class Struck:
    """A run that is over."""

    code: int
    out: str
    seconds: float
    steps: int  # that the engine showed
    at: str
    left: list[Process]

    @property
    def hung(self) -> bool:
        return self.seconds > LIMIT_S


class Telegraph:
    """A shell on the hypervisor that is open already when a blow is to fall."""

    def __init__(self, host: Hypervisor) -> None:
        self._process = subprocess.Popen(
            [TOOL, "ssh", host.name, "sh -s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.say(":")

    def say(self, script: str) -> None:
        """Run it to its end."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{script}\necho over\n")
        while self._process.stdout.readline() not in ("over\n", ""):
            pass

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Run:
    """One engine command while it runs."""

    def __init__(self, stack: Stack, words: tuple[str, ...]) -> None:
        flags = ("-s", stack.prefix, "--yes", "--non-interactive", "--color", "never")
        # A file: whoever outlives the engine would keep a pipe open.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at the end
        self._begun = time.monotonic()
        self.engine = subprocess.Popen(
            ["pulumi", *words, *flags],
            cwd=stack.project.folder,
            env=stack.project.env,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._begun

    @property
    def said(self) -> str:
        """What it has printed so far."""
        size = os.fstat(self._said.fileno()).st_size
        return os.pread(self._said.fileno(), size, 0).decode(errors="replace")

    @property
    def steps(self) -> list[str]:
        """What the engine has said that it does."""
        lines = [line for line in self.said.splitlines() if _STEP.match(line)]
        return [re.sub(r" +", " ", line.strip()) for line in lines]

    def strike(self, point: Point, plain: Struck, telegraph: Telegraph | None) -> Blow:
        """Wait for the point, and for the victim."""
        due_s, due_steps = point.part * plain.seconds, 1 + int(point.part * plain.steps)
        while self.engine.poll() is None:
            steps, gone_s = self.steps, self.seconds
            if gone_s >= due_s if point.by == "time" else len(steps) >= due_steps:
                left = family(self.engine.pid)
                victims = _victims(self.engine.pid, point.fault, left)
                if victims or telegraph:
                    kill(victims)
                    if telegraph:
                        telegraph.say(ON_HOST[point.fault])
                    return Blow(f"{gone_s:.1f} s, {['before any step', *steps][-1]}", left)
            time.sleep(POLL_S)
        return Blow("", [])

    def end(self, blow: Blow) -> Struck:
        """Wait for its end, within bounds."""
        with suppress(subprocess.TimeoutExpired):
            self.engine.wait(max(1, LIMIT_S - self.seconds))
        seconds = self.seconds
        if self.engine.poll() is None:
            seconds = LIMIT_S + 1
            blow.left.extend(family(self.engine.pid))
            kill(blow.left)
            self.engine.wait()
        struck = Struck(
            self.engine.returncode, self.said, seconds, len(self.steps), blow.at, blow.left
        )
        self._said.close()
        return struck


def run(
    stack: Stack,
    words: tuple[str, ...],
    point: Point | None,
    plain: Struck | None,
    host: Hypervisor,
) -> Struck:
    """Run one engine command, struck at a point of what it did undisturbed; None: undisturbed."""
    telegraph = Telegraph(host) if point and point.fault in ON_HOST else None
    engine = Run(stack, words)
    blow = engine.strike(point, plain, telegraph) if point and plain else Blow("", [])
    struck = engine.end(blow)
    if telegraph and point:
        telegraph.say(AFTERWARDS.get(point.fault, ":"))
        telegraph.close()
    return struck


def _victims(engine: int, fault: str, processes: list[Process]) -> list[Process]:
    if fault in ON_HOST:
        return []
    if fault == "everything":
        return processes
    if fault == "engine":
        return [each for each in processes if each[0] == engine]
    return [each for each in processes if re.search(VICTIMS[fault], _command(each[0]))]


def family(process: int) -> list[Process]:
    """A process and all that come of it, each with when it started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found = [process]
    for parent in found:
        found += [pid for pid, ppid in pairs if ppid == parent]
    return [(pid, since) for pid in found if (since := _since(pid))]


def kill(processes: list[Process]) -> None:
    """SIGKILL those that still are who they were."""
    for pid, since in processes:
        if _since(pid) == since:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _since(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""
