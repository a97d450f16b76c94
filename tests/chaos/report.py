"""What came of a campaign, in a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.chaos.points import FAULTS, OPERATIONS

Verdicts = Sequence[dict[str, Any]]


def table(verdicts: Verdicts) -> list[str]:
    """Points, and of them those that converged and left nothing, by fault and operation."""
    struck = [verdict for verdict in verdicts if verdict["at"]]
    head = ["fault", *OPERATIONS, "all"]
    rows = [[fault, *_cells([v for v in struck if v["fault"] == fault])] for fault in FAULTS]
    rows.append(["all", *_cells(struck)])
    late = len(verdicts) - len(struck)
    notes = [f"{late} more fell after the end of their run."] if late else []
    return [*_drawn([head, ["---"] * len(head), *rows]), *notes]


def _cells(verdicts: Verdicts) -> list[str]:
    by = [[v for v in verdicts if v["operation"] == operation] for operation in OPERATIONS]
    return [_cell(each) for each in (*by, verdicts)]


def _cell(verdicts: Verdicts) -> str:
    good = sum(bool(v["converged"] and not v["residue"]) for v in verdicts)
    return f"{good} of {len(verdicts)}"


def _drawn(rows: list[list[str]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(row)} |"


def failures(verdicts: Verdicts) -> list[str]:
    """What did not converge, or left something, with all that is known of it."""
    return [
        "\n".join(
            [
                f"life {v['life']}: {v['operation']}, {v['fault']} by {v['by']} {v['part']:.2f}: "
                f"{v['at'] or 'too late'}: {v['ended']}",
                *(f"    {line}" for line in v["residue"]),
                *(f"    {line}" for line in v["why"].splitlines()),
            ]
        )
        for v in verdicts
        if v["residue"] or not v["converged"]
    ]
