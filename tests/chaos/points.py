"""Where a run is struck: the campaign as data, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from random import Random

OPERATIONS = ("up", "edit", "destroy")
FAULTS = (
    "engine",  # SIGKILL, of the process alone: its children live on for a while
    "plugin",  # the same of libvirt's
    "provider",  # of the dynamic provider, which prepares the host
    "program",  # of the Python program and its language host
    "everything",  # of all of them at once
    "libvirtd",  # on the hypervisor
    "connection",  # every SSH session to the hypervisor
    "disk",  # /var/lib of the hypervisor is full until the run has ended
)
BY = ("time", "step")  # a part of how long the run takes undisturbed, or of the steps it shows


@dataclass(frozen=True, slots=True)
class Point:
    """One blow."""

    operation: str
    fault: str
    by: str
    part: float  # from 0 to 1

    def __str__(self) -> str:
        return f"{self.operation:8}{self.fault:11}{self.by} {self.part:.2f}"


@dataclass(frozen=True, slots=True)
class Life:
    """An environment from its first `up` to nothing, struck once in each operation named here.

    Where the first blow is the only one, `destroy` follows at once: no `up` tidies up for it.
    """

    number: int
    points: tuple[Point, ...]

    def of(self, operation: str) -> Point | None:
        """The blow that falls in an operation."""
        return next((point for point in self.points if point.operation == operation), None)


def campaign(seed: int = 1, rounds: int = 10) -> tuple[Life, ...]:
    """Lives with `rounds` points for each operation and fault, spread over the run.

    Args:
        seed: of what is random: which points share a life, and where in its part each falls.
        rounds: points of a pair; by turns by time and by step.
    """
    random = Random(seed)  # noqa: S311 - repeatable is what it has to be
    drawn = {operation: list(_points(operation, rounds, random)) for operation in OPERATIONS}
    for points in drawn.values():
        random.shuffle(points)
    alone = len(drawn["up"]) // 4  # struck ups that are destroyed without another
    short = [(point,) for point in drawn["up"][:alone]]
    edits = [(point,) for point in drawn["edit"][:alone]]
    whole = list(zip(drawn["up"][alone:], drawn["edit"][alone:], drawn["destroy"], strict=False))
    rest = [(point,) for point in drawn["destroy"][len(whole) :]]
    lives = [*short, *edits, *whole, *rest]
    random.shuffle(lives)
    return tuple(Life(number, points) for number, points in enumerate(lives))


def _points(operation: str, rounds: int, random: Random) -> Iterator[Point]:
    # Not to the very end: the run may be quicker than the one that was timed.
    for fault, at in product(FAULTS, range(rounds)):
        yield Point(operation, fault, BY[at % 2], 0.95 * (at + random.random()) / rounds)
