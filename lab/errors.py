"""What a user can get wrong, said once and in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

_A = TypeVar("_A")
_B = TypeVar("_B")
SHOWN = 80  # characters of a wrong value in a message: enough to find it by


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to fix: *where: got X, expected Y. Next step. [rule]*."""

    where: str  # file with line and key, setting, or host: what to open
    got: str
    allowed: str
    rule: str  # kebab-case; also the name of the policy that enforces it, where one does
    next_step: str = ""  # a sentence; its full stop is added

    def __str__(self) -> str:
        """The line that a user reads, harmless to a terminal whatever a name holds."""
        stop = "" if self.next_step.endswith(("?", ".")) else "."
        step = f" {self.next_step}{stop}" if self.next_step else ""
        line = f"{self.where}: got {self.got}, expected {self.allowed}.{step} [{self.rule}]"
        return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in line)


class LabError(Exception):
    """Everything that is wrong in one phase, all at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(dict.fromkeys(problems))  # each said once
        super().__init__("\n".join(str(problem) for problem in self.problems))


def shown(got: object) -> str:
    """A wrong value for a message: quoted, cut to size, and harmless to a terminal."""
    text = "nothing" if got is None else repr(got)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def attempt(ask: Callable[[], _A], problems: list[Problem]) -> _A | None:
    """Answer what `ask` answers; note its problems and answer None when it refuses."""
    try:
        return ask()
    except LabError as error:
        problems.extend(error.problems)
        return None


def both(first: Callable[[], _A], second: Callable[[], _B]) -> tuple[_A, _B]:
    """Answer two questions, or raise the problems of both at once."""
    problems: list[Problem] = []
    answers = attempt(first, problems), attempt(second, problems)
    refuse(problems)
    return cast("tuple[_A, _B]", answers)


def refuse(problems: Iterable[Problem]) -> None:
    """Raise LabError when there is at least one problem."""
    if found := tuple(problems):
        raise LabError(found)
