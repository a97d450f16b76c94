"""An examination as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lab.checks import Check, Examination
from lab.views.hanging import hanging

_VERDICT, _NAME = 9, 20  # columns of the first two fields
TRUE, TO_DO = "true", "to do"


def doctor(found: Examination) -> str:
    """Aligned rows under three headings, with a line feed at the end."""
    lines = [found.title, "", "host", *_rows(found.host), "", *_steps(found)]
    fits = "fits" if found.fits else "does not fit"
    return "\n".join([*lines, "", f"lab {found.lab_title} {fits}", *_rows(found.lab), ""])


def _steps(found: Examination) -> Iterator[str]:
    if not found.steps:
        yield "steps: none, as the host is refused"
        return
    true = sum(already for _, already in found.steps)
    yield f"steps: {true} of {len(found.steps)} true"
    for name, already in found.steps:
        yield f"  {TRUE if already else TO_DO:{_VERDICT}}{name}"


def _rows(checks: Iterable[Check]) -> Iterator[str]:
    for check in checks:
        head = f"  {check.verdict:{_VERDICT}}{check.name:{_NAME - 1}} "
        yield from hanging(head, check.text, 2 + _VERDICT + _NAME)
