"""A few blows of the campaign that `make chaos` is: docs/crashes.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.life import Stage
from tests.chaos.points import Life, Point
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
LIVES = (
    Life(0, (
        Point("up", "engine", "step", 0.6),
        Point("edit", "everything", "step", 0.4),
        Point("destroy", "plugin", "step", 0.4),
    )),
    Life(1, (
        Point("up", "provider", "time", 0.4),
        Point("edit", "disk", "step", 0.1),
        Point("destroy", "engine", "step", 0.5),
    )),
    Life(2, (Point("up", "connection", "time", 0.6),)),
)  # fmt: skip


@pytest.fixture(scope="module")
def stage(hypervisor: Hypervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    return Stage(hypervisor, tmp_path_factory.mktemp("chaos"), neighbour=False)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: " ".join(p.fault for p in life.points))
def test_one_more_run_converges_and_nothing_is_left(stage: Stage, life: Life) -> None:
    verdicts = list(stage.live(life))
    assert [verdict.at for verdict in verdicts if not verdict.at] == []
    assert [verdict.why for verdict in verdicts if not verdict.converged] == []
    assert [verdict.residue for verdict in verdicts if verdict.residue] == []
