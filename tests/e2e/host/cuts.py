"""Connections that end where a test wants it: the server's side of the session is killed."""

from __future__ import annotations

from dataclasses import replace

from lab.config import HypervisorSpec
from lab.host.runner import converge
from lab.host.shell import connect
from lab.host.step import HostStep

# The nearest sshd above this shell holds the session.
_SESSION = (
    'p=$$; until [ "$(cat /proc/$p/comm)" = sshd ]; do p=$(ps -o ppid= -p $p | tr -d " "); done; '
)
HANG_UP = _SESSION + "kill -9 $p; sleep 0.3"  # the script goes on, unwatched
KILL = _SESSION + "kill -9 $p; pkill -9 -s 0"  # the script ends, too


def cut_within(step: HostStep, before: int, how: str) -> HostStep:
    """The same step, with the connection cut before one of its commands, or after the last."""
    commands = (*step.commands[:before], how, *step.commands[before:])
    return replace(step, commands=commands)


def converge_alone(spec: HypervisorSpec, steps: tuple[HostStep, ...]) -> None:
    """For a process of its own, which a test may kill."""
    with connect(spec) as shell:
        converge(steps, shell, prefix="foo", progress=print)
