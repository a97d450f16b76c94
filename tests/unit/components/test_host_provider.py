from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from components.connection import to_wire
from components.host_provider import HostProvider
from lab.config import HypervisorSpec
from lab.host.session import Outcome
from lab.host.steps import plan_steps
from tests.unit.lab.host.shells import ScriptedShell
from tests.unit.lab.samples import FACTS

WAITS = "is active after the next boot"


def borrowed(monkeypatch: pytest.MonkeyPatch, *outcomes: Outcome) -> ScriptedShell:
    shell = ScriptedShell(outcomes)

    @contextmanager
    def borrow(_spec: HypervisorSpec) -> Iterator[ScriptedShell]:
        yield shell

    monkeypatch.setattr("lab.host.shared.borrow", borrow)
    return shell


def wanted(virt_type: str = "qemu") -> dict[str, Any]:
    steps = plan_steps(FACTS, prefix="foo", virt_type=virt_type)
    return {
        **to_wire(HypervisorSpec(address="lab42")),
        "prefix": "foo",
        "steps": [step.as_dict() for step in steps],
        "public_key": "ssh-ed25519 AAAA",
    }


def prepared(monkeypatch: pytest.MonkeyPatch, virt_type: str, *outcomes: Outcome) -> dict[str, Any]:
    """The outputs of a host that answers so."""
    shell, props = borrowed(monkeypatch, *outcomes), wanted(virt_type)
    outputs = HostProvider().create(props).outs
    assert shell.outcomes == []
    assert outputs is not None
    again = HostProvider().diff("id", outputs, {**props, "pending": None})
    assert again.changes is bool(outputs["failure"])  # what waits is no work to do
    return outputs


TRUE = Outcome(0, "true\n" * 50)  # however many steps there are


@pytest.mark.parametrize(
    ("virt_type", "outcomes", "pending"),
    [
        pytest.param("qemu", (TRUE,), [], id="emulation"),
        pytest.param("kvm", (TRUE, Outcome(0)), [], id="nested virtualization is on"),
        pytest.param(
            "kvm",
            (TRUE, Outcome(0, f"{WAITS}\n")),
            [f"nested virtualization {WAITS}"],
            id="it waits",
        ),
        pytest.param("kvm", (Outcome(255, "", "lost"),), [], id="a failure"),
    ],
)
def test_what_a_preparation_leaves_for_later_is_an_output(
    monkeypatch: pytest.MonkeyPatch,
    virt_type: str,
    outcomes: tuple[Outcome, ...],
    pending: list[str],
) -> None:
    outputs = prepared(monkeypatch, virt_type, *outcomes)
    assert outputs["pending"] == pending
    assert bool(outputs["failure"]) is (outcomes[0].exit_code == 255)


@pytest.mark.parametrize(
    ("was", "withdrawn"),
    [
        pytest.param({"user": "root", "login": "ops"}, ["ops"], id="somebody else before"),
        pytest.param({"user": "ops"}, ["ops"], id="a state from before logins were recorded"),
        pytest.param({"user": "", "login": "root"}, [], id="the same, by another setting"),
        pytest.param({"user": ""}, [], id="whom ssh took, unrecorded"),
    ],
)
def test_who_logged_in_before_loses_the_lab_s_key(
    monkeypatch: pytest.MonkeyPatch, was: dict[str, str], withdrawn: list[str]
) -> None:
    borrowed(monkeypatch, TRUE)  # logs in as root
    lost: list[str] = []
    monkeypatch.setattr(
        "lab.host.users.withdraw_key", lambda _shell, prefix, user: lost.append(f"{prefix} {user}")
    )
    outputs = HostProvider().update("id", {**wanted(), **was}, wanted()).outs
    assert outputs is not None
    assert (lost, outputs["login"]) == ([f"foo {user}" for user in withdrawn], "root")
