"""What a run keeps on the host for itself until it claims it, and who lets go of it otherwise.

A run that is killed before it has any resource leaves a state by which no destroy would take the
reservation away. So a process of its own waits for the run's end: a pipe tells it, however it came.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.config import HypervisorSpec
from lab.lease import Lease

_ROOT = Path(__file__).resolve().parents[2]


class Hold:
    """One reservation."""

    def __init__(self, spec: HypervisorSpec, lease: Lease) -> None:
        self._waiter = subprocess.Popen(  # noqa: S603 - this Python, with words and no shell
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            start_new_session=True,  # a ^C is for the run
            text=True,
        )
        self._say(json.dumps({"spec": asdict(spec), "lease": lease.to_json()}))

    def claimed(self, _lease: object = None) -> None:
        """The lease is written, and what was reserved is gone with it."""
        self._say("claimed")
        assert self._waiter.stdin  # noqa: S101 - it was asked for
        self._waiter.stdin.close()

    def _say(self, line: str) -> None:
        assert self._waiter.stdin  # noqa: S101
        self._waiter.stdin.write(f"{line}\n")
        self._waiter.stdin.flush()


def let_go(told: dict[str, Any]) -> None:
    """Remove a reservation. Without an answer it is for whoever comes once it is old."""
    # Here, as whoever waits is there for nothing nearly always.
    from contextlib import suppress  # noqa: PLC0415

    from lab.errors import LabError  # noqa: PLC0415
    from lab.host.leases import unreserve  # noqa: PLC0415
    from lab.host.shell import connect  # noqa: PLC0415
    from lab.lease import parse_lease  # noqa: PLC0415

    with suppress(LabError), connect(HypervisorSpec(**told["spec"])) as shell:
        unreserve(parse_lease(told["lease"]), shell, progress=lambda _line: None)


def main() -> None:
    """Wait for the word or the end of whoever has the other end of stdin."""
    if os.fork():  # no child of the run: who kills it with all of its children spares this one
        return
    told, word = sys.stdin.readline(), sys.stdin.readline()
    if told and not word:
        let_go(json.loads(told))


if __name__ == "__main__":
    main()
