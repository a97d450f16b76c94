"""One connection to a hypervisor for all that a process does there.

Opening one costs 0.2 s, more than most of what is then asked over it. A process that prepares,
claims, uploads and switches ten nodes off would open a dozen.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from lab.config import HypervisorSpec
from lab.host.shell import Gateway, connect

_TURN = threading.Lock()
_OPEN: dict[HypervisorSpec, tuple[Gateway, ExitStack]] = {}


@contextmanager
def borrow(spec: HypervisorSpec) -> Generator[Gateway]:
    """Use the process's connection to a hypervisor; several threads may at once.

    Raises:
        LabError: there is no connection; see lab.host.shell.connect.
    """
    with _TURN:  # two threads that come first must not both open one
        gateway, stack = _OPEN.get(spec, (None, None))
        if gateway is None or not gateway.alive:
            if stack:
                stack.close()
            _OPEN[spec] = _opened(spec)
            gateway = _OPEN[spec][0]
    yield gateway


def _opened(spec: HypervisorSpec) -> tuple[Gateway, ExitStack]:
    stack = ExitStack()
    gateway = stack.enter_context(connect(spec))
    atexit.register(stack.close)
    return gateway, stack
