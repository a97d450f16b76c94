"""docs/reference/drift.md is what tests/e2e/test_drift.py does, for readers."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.test_drift import ROUNDS
from tests.golden import check_golden

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "drift.md"
HEAD = """\
# Drift, kind by kind

Each of these is done to a real environment by tests/e2e/test_drift.py, named by `fab drift`, and
repaired by what it says; afterwards nothing is otherwise, no disk is another, and a run changes
nothing. [../drift.md](../drift.md) is the guide. `edit` and `netedit` stand for `virsh edit` and
`virsh net-edit`.

| of | kind | by |
|---|---|---|
"""


def page() -> str:
    lines = [HEAD.rstrip()]
    for repair, cases in ROUNDS.items():
        lines.append(f"| *repaired by {repair}* | | |")
        for case in cases:
            does = case.does.replace("|", "\\|")
            lines.append(f"| {case.where} | {case.kind} | `{does}` |")
    return "\n".join([*lines, ""])


def test_the_page_is_the_table() -> None:
    check_golden(PAGE, page())


def test_there_are_forty_kinds() -> None:
    kinds = {(case.where.split()[0], case.kind) for cases in ROUNDS.values() for case in cases}
    assert len(kinds) >= 40
