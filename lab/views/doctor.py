"""An examination as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from lab.checks import Check, Examination

WIDTH = 100  # columns; longer texts go on below themselves
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
    margin = " " * (2 + _VERDICT + _NAME)
    for check in checks:
        head = f"  {check.verdict:{_VERDICT}}{check.name:{_NAME - 1}} "
        # A path or a command that is torn apart cannot be copied.
        yield from wrap(
            check.text,
            WIDTH,
            initial_indent=head,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
