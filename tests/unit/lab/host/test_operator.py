from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.errors import LabError
from lab.host import operator
from lab.host.facts import parse_facts
from lab.host.session import Outcome
from lab.host.steps import plan_steps
from lab.operation import parse_target
from lab.views.doctor import doctor
from tests.golden import check_golden
from tests.unit.lab.host.shells import ScriptedShell

HERE = Path(__file__).parent
BARE = Outcome(0, (HERE / "recorded" / "bare_debian.txt").read_text())
PREPARED = Outcome(0, (HERE / "recorded" / "prepared_debian.txt").read_text())
STEPS = len(plan_steps(parse_facts(BARE.stdout, "lab42"), prefix="foo", virt_type="qemu"))
NO, YES = "step false\n" * STEPS, "step true\n" * STEPS


def plays(monkeypatch: pytest.MonkeyPatch, *outcomes: Outcome) -> ScriptedShell:
    """What the next connection answers."""
    shell = ScriptedShell(outcomes)

    @contextmanager
    def connect(spec: HypervisorSpec) -> Iterator[ScriptedShell]:
        assert spec.address == shell.address
        yield shell

    monkeypatch.setattr(operator, "connect", connect)
    return shell


@pytest.mark.parametrize(
    ("name", "answers", "options", "refused"),
    [
        pytest.param(
            "bare", (BARE, Outcome(0, NO)), {}, False, id="a bare host, and the yardstick"
        ),
        pytest.param(
            "prepared",
            (PREPARED, Outcome(0, YES + "user _operator\nuser foo\nuser foo\n")),
            {"topology_nodes": "tiny:2"},
            False,
            id="a prepared host, and a lab that fits",
        ),
        pytest.param(
            "refused",
            (PREPARED, Outcome(0, "user foo\n")),
            {"topology_nodes": "controller:2", "virt_type": "kvm"},
            True,
            id="no KVM, and too much memory",
        ),
    ],
)
def test_an_examination_as_it_is_printed(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    answers: tuple[Outcome, ...],
    options: dict[str, str],
    refused: bool,
) -> None:
    shell = plays(monkeypatch, *answers)
    found = operator.examine(parse_target("lab42", Path("stacks"), **options))
    assert found.refused is refused
    assert shell.outcomes == []
    check_golden(HERE / "golden" / f"doctor-{name}.txt", doctor(found))


def test_a_host_that_stops_answering_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plays(monkeypatch, BARE, Outcome(255, "step false\n", "the connection was lost"))
    with pytest.raises(LabError, match=r"the connection was lost.*\[host-facts\]"):
        operator.examine(parse_target("lab42", Path("stacks")))


def test_a_host_that_cannot_be_prepared_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = plays(monkeypatch, BARE)
    with pytest.raises(LabError, match=r"\[kvm\]"):
        operator.prepare(parse_target("lab42", Path("stacks"), virt_type="kvm").config, print)
    assert len(shell.sent) == 1


def test_a_step_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    plays(monkeypatch, BARE, Outcome(255, "", "the connection was lost"))
    with pytest.raises(RuntimeError, match=r"lab42: preparing it.*connection was lost"):
        operator.prepare(parse_target("lab42", Path("stacks")).config, print)


@pytest.mark.parametrize(
    ("users", "says"),
    [
        pytest.param("", "lab42: given back", id="the last one"),
        pytest.param("user foo\nuser bar\n", "lab42: stays prepared for bar, foo", id="others"),
    ],
)
def test_who_stays_is_said(monkeypatch: pytest.MonkeyPatch, users: str, says: str) -> None:
    plays(monkeypatch, Outcome(0, "@@metalab last\n"), Outcome(0, users))
    config = parse_target("lab42", Path("stacks")).config
    assert operator.give_back(config, lambda _line: None) == says
