from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lab.config import HypervisorSpec
from lab.host import power
from lab.host.power import Off, power_off, switch_off
from lab.host.session import Outcome
from tests.unit.lab.host.shells import ScriptedShell

OURS = "0a0a0a0a-0000-4000-8000-00000000000a"
OTHER = "0b0b0b0b-0000-4000-8000-00000000000b"
DISK = "  block.count=1\n  block.0.name=vda\n"


def seen(uuid: str, state: int, disk: str = "") -> str:
    return f"{uuid}\nDomain: 'foo-tiny-0'\n  state.state={state}\n{DISK}{disk}qemu:///system\n"


@pytest.mark.parametrize(
    ("look", "act", "says"),
    [
        pytest.param(seen(OURS, 1, "  block.0.wr.bytes=0\n"), "", "off at once", id="idle"),
        pytest.param(seen(OURS, 1, "  block.0.wr.bytes=512\n"), "", "shut down", id="gently"),
        pytest.param(
            seen(OURS, 1, "  block.0.wr.bytes=512\n"),
            f"@@metalab late {OURS}\n@@metalab on\n",
            "switched off after 5 s",
            id="late",
        ),
        pytest.param(
            seen(OURS, 1),
            f"@@metalab late\n@@metalab on {OURS}\n",
            "failed: the domain is still on",
            id="stays",
        ),
        pytest.param(f"{OURS}\nqemu:///system\n", "", "shut down", id="does not say"),
        pytest.param(seen(OURS, 5), "", "off already", id="off"),
        pytest.param(seen(OTHER, 1), "", "foreign", id="not ours"),
        pytest.param("qemu:///system\n", "", "absent", id="gone"),
        pytest.param("", "", "absent", id="no libvirt"),
    ],
)
def test_how_it_ended(look: str, act: str, says: str) -> None:
    shell = ScriptedShell([Outcome(0, look), Outcome(0, act)])
    assert power_off(shell, {"foo-tiny-0": OURS}, timeout_s=5) == {"foo-tiny-0": says}


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        pytest.param([Outcome(1, "", "error: no libvirt")], "failed: error: no libvirt", id="look"),
        pytest.param([Outcome(0, seen(OURS, 1)), Outcome(124)], "failed: exit 124", id="act"),
    ],
)
def test_what_could_not_be_asked_has_failed(outcomes: list[Outcome], says: str) -> None:
    shell = ScriptedShell(outcomes)
    assert power_off(shell, {"foo-tiny-0": OURS}, timeout_s=5) == {"foo-tiny-0": says}


def test_who_is_off_or_foreign_is_sent_nothing() -> None:
    shell = ScriptedShell([Outcome(0, seen(OTHER, 1)), Outcome(0)])
    power_off(shell, {"foo-tiny-0": OURS}, timeout_s=5)
    assert "destroy" not in shell.sent[1]
    assert "foo-tiny-0" not in shell.sent[1]  # nor are its logs ours


def test_no_log_of_a_neighbour_is_named() -> None:
    shell = ScriptedShell([Outcome(0), Outcome(0)])
    power_off(shell, {"foo-compute-1": OURS}, timeout_s=5)
    assert "foo-compute-1*" not in shell.sent[1]
    assert "$name*" not in shell.sent[1]


def test_nodes_of_one_moment_are_switched_off_together(monkeypatch: pytest.MonkeyPatch) -> None:
    shells: list[ScriptedShell] = []

    @contextmanager
    def borrowed(_spec: HypervisorSpec) -> Generator[ScriptedShell]:
        shells.append(ScriptedShell([Outcome(0, "qemu:///system\n"), Outcome(0)]))
        yield shells[-1]

    monkeypatch.setattr(power, "borrow", borrowed)
    start = threading.Barrier(6)

    def off(number: int) -> str:
        start.wait(timeout=10)
        timeout_s = 30 if number else 60  # one of them has another
        spec = HypervisorSpec(address="lab42")
        return switch_off(Off(spec=spec, domain=f"n-{number}", uuid=OURS, timeout_s=timeout_s))

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(off, range(6))) == {"absent"}
    assert [shell.sent[0].count("domuuid") for shell in shells].count(5) == 1
    assert len(shells) == 2
