from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.errors import LabError, Problem
from lab.host import refusals
from lab.host.openssh import expand_path
from lab.host.session import Outcome, as_root
from lab.host.shell import connect
from lab.keys import derive_key
from tests.unit.lab.host.shells import LocalShell

SPEC = HypervisorSpec(address="lab42", user="stack", key="~/.ssh/lab")
KEYS = ("ssh-ed25519 SHA256:new", "ssh-ed25519 SHA256:old")


@pytest.mark.parametrize(
    ("problem", "rule", "next_step"),
    [
        pytest.param(
            refusals.undefined_variable("host-key", "$LAB/key", "$LAB"),
            "path-variable",
            'eval "$(make -s env)"',
            id="variable",
        ),
        pytest.param(refusals.no_key("/k y"), "host-key-file", "-f '/k y'`", id="no key"),
        pytest.param(
            refusals.unreachable(SPEC, "connection refused"),
            "host-unreachable",
            "ssh stack@lab42 true",
            id="unreachable",
        ),
        pytest.param(
            refusals.unreachable(replace(SPEC, port=2222), "connection refused", 2222),
            "host-unreachable",
            "ssh -p 2222 stack@lab42 true",
            id="unreachable port",
        ),
        pytest.param(
            refusals.unknown_host_key(SPEC, "/kh", "lab42", "ssh-keyscan lab42", KEYS[0]),
            "host-key-unknown",
            "ssh-keyscan lab42 >> /kh",
            id="unknown host key",
        ),
        pytest.param(
            refusals.unknown_host_key(SPEC, "/kh", "[lab42]:2222", "ssh-keyscan", KEYS[0]),
            "host-key-unknown",
            "ssh-keygen -l -F '[lab42]:2222' -f /kh",
            id="unknown host key on another port",
        ),
        pytest.param(
            refusals.changed_host_key(SPEC, "/kh", "lab42", KEYS),
            "host-key-changed",
            "ssh-keygen -R lab42 -f /kh",
            id="changed host key",
        ),
        pytest.param(
            refusals.refused_login(SPEC, "/key"),
            "host-login",
            "ssh-copy-id -i /key stack@lab42",
            id="login",
        ),
        pytest.param(
            refusals.no_sudo("stack", "lab42", "sudo: a password is required"),
            "host-sudo",
            "stack ALL=(ALL) NOPASSWD: ALL",
            id="sudo",
        ),
    ],
)
def test_each_refusal_says_what_to_do(problem: Problem, rule: str, next_step: str) -> None:
    assert problem.rule == rule
    assert next_step in problem.next_step


def refused(spec: HypervisorSpec) -> Problem:
    with pytest.raises(LabError) as caught, connect(spec, timeout_s=1):
        pass
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        pytest.param(None, 0, "does not exist", id="missing"),
        pytest.param("no key\n", 0o600, "no private key", id="something else"),
        pytest.param("", 0o600, "no private key", id="empty"),
    ],
)
def test_a_key_that_is_of_no_use(tmp_path: Path, content: str | None, mode: int, says: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    problem = refused(HypervisorSpec(address="127.0.0.1", key=str(file)))
    assert problem.rule == "host-key-file"
    assert says in problem.got
    assert file.exists() is (content is not None)  # a missing key is never made


def test_a_key_with_a_passphrase_belongs_to_an_agent(tmp_path: Path) -> None:
    file = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(file)]
    subprocess.run(command, check=True)
    problem = refused(HypervisorSpec(address="127.0.0.1", key=str(file)))
    assert "passphrase" in problem.got
    assert "ssh-add" in problem.next_step


@pytest.mark.parametrize(
    ("address", "says"),
    [
        pytest.param("no-such-host.invalid", "does not resolve", id="no such name"),
        pytest.param("127.0.0.77", "connect", id="nobody listens"),
    ],
)
def test_a_host_that_cannot_be_reached(tmp_path: Path, address: str, says: str) -> None:
    file = tmp_path / "key"
    file.write_text(derive_key("1" * 64, "client").private)
    problem = refused(HypervisorSpec(address=address, key=str(file)))
    assert problem.rule == "host-unreachable"
    assert says in problem.got


def test_paths_are_expanded_where_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB", "/lab")
    monkeypatch.delenv("NOPE", raising=False)
    assert expand_path("${LAB}/key", setting="host-key") == Path("/lab/key")
    with pytest.raises(LabError, match=r"host-key: got \$NOPE/key, where \$NOPE is not set"):
        expand_path("$NOPE/key", setting="host-key")


@pytest.mark.parametrize("command", ["echo a'b", 'echo "$HOME"', "printf '%s' '\\n'", "exit 3"])
def test_wrapping_changes_nothing_about_a_command(tmp_path: Path, command: str) -> None:
    shell = LocalShell(tmp_path)
    wrapped = shell.run(as_root(command, user="root", timeout_s=5))
    assert wrapped == shell.run(command)
    assert "sudo -n" in as_root(command, user="stack", timeout_s=5)


@pytest.mark.parametrize(
    ("outcome", "tail"),
    [
        pytest.param(Outcome(1, "out", "a\n\nb\nc\nd\n"), "b / c / d", id="the last three lines"),
        pytest.param(Outcome(1, "out\n", " \n"), "out", id="stdout if stderr is silent"),
        pytest.param(Outcome(1), "", id="nothing"),
    ],
)
def test_the_tail_of_an_outcome(outcome: Outcome, tail: str) -> None:
    assert outcome.tail == tail
