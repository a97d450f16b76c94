"""What Pulumi's SDK does more often than a lab of many nodes can bear."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from threading import Thread, current_thread
from typing import Any

import pulumi
from pulumi.runtime.proto.resource_pb2 import ResourceInvokeRequest
from pulumi.runtime.settings import get_monitor

_AT_ONCE = 64  # the engine asks for 16, unless PULUMI_PARALLEL says otherwise


def mute_debug_lines() -> None:
    """Drop what it tells the engine of each resource for `--debug` alone.

    Five lines a resource, each a call that the program waits for: of an unchanged lab of ten nodes
    0.4 s in each phase, of a program that takes 3 s.
    """
    pulumi.log.debug = _drop


def warm_up() -> None:
    """Have the process of the dynamic resources started while this one reads the host's facts.

    It knows no such call and says so; that it was asked is all that is wanted.
    """
    monitor: Any = get_monitor()
    asked = ResourceInvokeRequest(tok="pulumi-python:dynamic:warm")

    def ask() -> None:
        with suppress(Exception):  # whatever it is, the first resource meets it again
            monitor.Invoke(asked)

    Thread(target=ask, daemon=True).start()


@cache
def widen() -> None:
    """Have the process of the dynamic resources do as much at once as the engine asks it to.

    It does four things, for which there is no setting: forty guests that take half a minute to shut
    down took five. To be called by what it does: the pool that is meant is the calling thread's.
    """
    for pool in gc.get_objects():
        if type(pool) is ThreadPoolExecutor and current_thread() in pool._threads:  # noqa: SLF001
            pool._max_workers = _AT_ONCE  # noqa: SLF001
            for _ in range(_AT_ONCE):  # a thread is only started for what comes
                pool.submit(int)


async def registered(last: pulumi.Resource) -> None:
    """Wait until a resource is registered that depends on all others.

    A program that has ended is waited for by looking at every output that is still open whenever
    one of them is not any more: of 200 nodes 4.8 s of the 8.7 s that the program takes. Nothing
    looks while the program itself waits.
    """
    with suppress(Exception):  # whatever it is, the SDK knows of it, too, and tells it
        await last.urn.future()


def _drop(*_words: object, **_options: object) -> None:
    """Takes what pulumi.log.debug takes."""
