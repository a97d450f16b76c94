"""Seconds, and how they are shown."""

from __future__ import annotations

import time
from collections.abc import Callable


def timed(action: Callable[[], object]) -> float:
    """Seconds of wall time that something takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def best(action: Callable[[], object], times: int = 3) -> float:
    """The fewest of several times."""
    return min(timed(action) for _ in range(times))


def show(what: str, value: float, aim: str = "", unit: str = "s") -> None:
    """Print one line of the table."""
    print(f"{what:44} {value:8.2f} {unit}{f'  aim {aim}' if aim else ''}", flush=True)
