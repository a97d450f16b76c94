from __future__ import annotations

import pytest

from lab.host.power import power_off
from lab.host.session import Outcome
from tests.unit.lab.host.shells import ScriptedShell


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        pytest.param(Outcome(0, "@@metalab shut down\n"), "shut down", id="gently"),
        pytest.param(Outcome(0, "@@metalab foreign\n"), "foreign", id="not ours"),
        pytest.param(Outcome(1, "", "error: no libvirt"), "failed: error: no libvirt", id="failed"),
        pytest.param(Outcome(124), "failed: exit 124", id="too slow"),
    ],
)
def test_how_it_ended(outcome: Outcome, says: str) -> None:
    shell = ScriptedShell([outcome])
    assert power_off(shell, "foo-tiny-0", uuid="u", timeout_s=5) == says


def test_no_log_of_a_neighbour_is_named() -> None:
    shell = ScriptedShell([Outcome(0)])
    power_off(shell, "foo-compute-1", uuid="u", timeout_s=5)
    assert "foo-compute-1*" not in shell.sent[0]
    assert "foo-compute-1.log" in shell.sent[0]
    assert "foo-compute-1.console" in shell.sent[0]
