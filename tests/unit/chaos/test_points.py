"""The campaign strikes everywhere, and the same places each time."""

from __future__ import annotations

from collections import Counter
from itertools import product

from tests.chaos.points import BY, FAULTS, OPERATIONS, campaign
from tests.chaos.report import failures, table

POINTS = [point for life in campaign() for point in life.points]


def test_every_fault_falls_in_every_operation_by_time_and_by_step() -> None:
    found = Counter((point.operation, point.fault, point.by) for point in POINTS)
    assert found == dict.fromkeys(product(OPERATIONS, FAULTS, BY), 5)


def test_it_falls_early_and_late() -> None:
    for operation, fault in product(OPERATIONS, FAULTS):
        parts = [p.part for p in POINTS if (p.operation, p.fault) == (operation, fault)]
        assert min(parts) < 0.1
        assert max(parts) > 0.85


def test_the_same_seed_is_the_same_campaign() -> None:
    assert campaign() == campaign(1)
    assert campaign() != campaign(2)


def test_a_life_is_struck_once_an_operation_at_most() -> None:
    for life in campaign():
        operations = [point.operation for point in life.points]
        assert operations == sorted(set(operations), key=OPERATIONS.index)


def test_the_report_counts_what_fell_and_tells_what_failed() -> None:
    good = {"life": 0, "operation": "up", "fault": "disk", "by": "time", "part": 0.5, "at": "1 s",
            "ended": "failed", "converged": True, "residue": [], "why": ""}  # fmt: skip
    bad = {**good, "residue": ["+ list foo"]}
    late = {**good, "at": ""}
    lines = table([good, bad, late])
    assert lines[-1] == "1 more fell after the end of their run."
    assert "| disk | 1 of 2 | 0 of 0 | 0 of 0 | 1 of 2 |" in lines
    assert failures([good, bad]) == ["life 0: up, disk by time 0.50: 1 s: failed\n    + list foo"]
