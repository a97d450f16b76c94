"""What it costs to make a host ready: again, again from far away, and for the first time."""

from __future__ import annotations

import re
import time
from pathlib import Path

from lab.config import HypervisorSpec
from lab.host.facts import look
from lab.host.runner import converge, restore
from lab.host.session import Hear, Outcome
from lab.host.shell import Shell, connect
from lab.host.step import HostStep
from lab.host.steps import authorize_key_step, plan_steps
from lab.keys import derive_key
from tests.e2e.hypervisors import Hypervisor

PREFIX = "bench"
_KEY = derive_key("7" * 64, "client").public


class Counting:
    """A shell that counts its round trips."""

    def __init__(self, shell: Shell) -> None:
        self.shell, self.address, self.count = shell, shell.address, 0

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        """Run, and count."""
        self.count += 1
        return self.shell.run(command, timeout_s=timeout_s, stdin=stdin, hear=hear)

    def put(self, local: Path, remote: str) -> None:
        """Copy; no step does."""
        self.shell.put(local, remote)


def prepare(spec: HypervisorSpec) -> tuple[float, int, list[str]]:
    """Look at a host and make it ready: seconds from before the login on, round trips, progress."""
    said: list[str] = []
    begun = time.perf_counter()
    with connect(spec) as shell:
        counting = Counting(shell)
        steps = _steps(counting)
        made = converge(steps, counting, prefix=PREFIX, progress=said.append)
    assert made.failure == "", made.failure
    return time.perf_counter() - begun, counting.count, said


def first_time(host: Hypervisor) -> tuple[float, float]:
    """Seconds for a fresh host, and what of it the package manager took."""
    seconds, _trips, said = prepare(host.spec)
    done = re.search(r"^install packages: done in ([\d.]+) s", "\n".join(said), re.MULTILINE)
    assert done, said
    return seconds, float(done[1])


def leave(spec: HypervisorSpec) -> None:
    """Give the host back."""
    with connect(spec) as shell:
        failure = restore(_steps(shell), shell, prefix=PREFIX, progress=lambda _line: None)
        assert failure == "", failure


def _steps(shell: Shell) -> tuple[HostStep, ...]:
    steps = plan_steps(look(shell), prefix=PREFIX, virt_type="qemu")
    return (*steps, authorize_key_step(PREFIX, "root", _KEY))
