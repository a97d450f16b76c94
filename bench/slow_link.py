"""A second way to a hypervisor container, with latency: two taps, and a process that hands over.

Kernels in containers often lack netem; this needs /dev/net/tun only.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from lab.config import HypervisorSpec
from tests.e2e.hypervisors import Hypervisor
from tools.demo.instance import named

_TUNSETIFF, _TAP_WITHOUT_HEADER = 0x400454CA, 0x1002
_OURS, _THEIRS = "10.214.77.1", "10.214.77.2"
_NAMES = ("mlslow0", "mlslow1")


@contextmanager
def slow_link(host: Hypervisor, one_way_s: float, folder: Path) -> Iterator[HypervisorSpec]:
    """The hypervisor's address behind the slow link, for as long as the block lasts."""
    init = named(host.name).init()
    assert init, f"{host.name} does not run"
    taps = [_tap(name) for name in _NAMES]
    inside = ("nsenter", "-t", str(init.pid), "-n", "ip")
    _run("ip", "link", "set", _NAMES[1], "netns", str(init.pid))
    for words, name, address in ((("ip",), _NAMES[0], _OURS), (inside, _NAMES[1], _THEIRS)):
        _run(*words, "addr", "add", f"{address}/24", "dev", name)
        _run(*words, "link", "set", name, "up")
    relay = multiprocessing.Process(target=_relay, args=(*taps, one_way_s), daemon=True)
    relay.start()  # a process of its own: what is measured must not wait for our interpreter's lock
    known = folder / "known_hosts"
    known.write_text(Path(host.spec.known_hosts).read_text().replace(host.spec.address, _THEIRS))
    try:
        yield replace(host.spec, address=_THEIRS, known_hosts=str(known))
    finally:
        relay.terminate()
        relay.join()
        for tap in taps:  # the interfaces go with them
            os.close(tap)


def _tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH14x", name.encode(), _TAP_WITHOUT_HEADER))
    return tap


def _relay(ours: int, theirs: int, one_way_s: float) -> None:
    threading.Thread(target=_one_way, args=(ours, theirs, one_way_s), daemon=True).start()
    _one_way(theirs, ours, one_way_s)


def _one_way(source: int, sink: int, delay_s: float) -> None:
    frames: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

    def hand_over() -> None:
        while True:
            due, frame = frames.get()
            time.sleep(max(0.0, due - time.monotonic()))
            os.write(sink, frame)

    threading.Thread(target=hand_over, daemon=True).start()
    while True:
        frame = os.read(source, 65536)
        frames.put((time.monotonic() + delay_s, frame))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - our own words
