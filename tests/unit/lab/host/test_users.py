from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from lab.host.session import Outcome
from lab.host.step import HostStep
from lab.host.users import MADE, authorize_key_step, authorize_steps, user_steps, withdraw_key
from tests.unit.lab.host.shells import ScriptedShell

KEY = "ssh-ed25519 AAAA somebody@home"
FORWARDS = 'restrict,port-forwarding,command="/bin/false" ssh-ed25519 AAAA metalab:foo'
COMMANDS = "restrict,pty ssh-ed25519 AAAA metalab:foo"
BOTH = "restrict,pty,port-forwarding ssh-ed25519 AAAA metalab:foo"


def unquoted(text: str) -> str:
    return text.replace("'\"'\"'", "'")


@pytest.mark.parametrize(
    ("user", "managers"),
    [
        pytest.param("root", ["stack"], id="root needs no rule"),
        pytest.param("stack", ["stack"], id="stack itself logs in"),
        pytest.param("ops", ["stack", "ops"], id="a sudoer, for the plugin dials as that user"),
    ],
)
def test_who_manages_libvirt(user: str, managers: list[str]) -> None:
    made, *rules = user_steps(user)
    assert made.name == "make the user stack"
    assert [rule.name for rule in rules] == [f"let {name} manage libvirt" for name in managers]
    assert {step.scope for step in (made, *rules)} == {"host"}
    assert all(step.undo for step in (made, *rules))


@pytest.mark.parametrize(
    ("user", "lines"),
    [
        pytest.param("root", {"root": FORWARDS, "stack": COMMANDS}, id="root"),
        pytest.param("ops", {"ops": FORWARDS, "stack": COMMANDS}, id="a sudoer"),
        pytest.param("stack", {"stack": BOTH}, id="one line where sshd would read only one"),
    ],
)
def test_what_the_labs_key_may_do(user: str, lines: dict[str, str]) -> None:
    steps = authorize_steps("foo", user, KEY)
    assert len(steps) == len(lines)
    assert len({step.name for step in steps}) == len(steps)
    for step, (name, line) in zip(steps, lines.items(), strict=True):
        assert f"runuser -u {name} " in step.commands[0]
        assert re.findall(r"restrict\S* .*? metalab:foo", unquoted(step.commands[0])) == [line]
        assert step.scope == "prefix"
        assert "somebody" not in str(step)


def test_a_rule_is_javascript_for_that_user_alone() -> None:
    rule = user_steps("o.p-s")[2]
    assert f"subject.user == {json.dumps('o.p-s')}" in rule.commands[0]
    assert "/etc/polkit-1/rules.d/50-metalab-o.p-s.rules" in rule.undo[0]
    assert "50-metalab.rules" not in str(rule)  # stack's own


def test_a_key_that_moved_to_another_user_is_withdrawn_from_the_first() -> None:
    shell = ScriptedShell([Outcome(0)])
    withdraw_key(shell, "foo", "ops")
    assert shell.sent == list(authorize_key_step("foo", "ops", KEY).undo)


# The real scripts on a passwd of this test's own; what they would do to this machine is noted.
TOOLS = """
getent() { grep "^$2:" "$FOLDER/$1"; }
useradd() { echo "useradd $*" >> "$FOLDER/calls"; }
userdel() { echo "userdel $*" >> "$FOLDER/calls"; : > "$FOLDER/passwd"; }
install() { echo "install $*" >> "$FOLDER/calls"; }
loginctl() { return 1; }
id() { echo 1000; }
"""


def play(folder: Path, script: str) -> tuple[bool, str]:
    calls = folder / "calls"
    calls.write_text("")
    text = TOOLS + re.sub(r"/home/", f"{folder}/home/", script)
    done = subprocess.run(
        ["sh", "-e", "-c", text], env={"FOLDER": str(folder), "PATH": "/usr/bin:/bin"}, check=False
    )
    return done.returncode == 0, calls.read_text()


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    for name in ("passwd", "group"):
        (tmp_path / name).write_text("")
    return tmp_path


def stack_user(host: Path, comment: str) -> None:
    (host / "passwd").write_text(f"stack:x:1000:1000:{comment}:{host}/home/stack:/bin/bash\n")


STEP: HostStep = user_steps("root")[0]


def test_a_user_is_made_with_a_group_of_its_own(host: Path) -> None:
    assert play(host, STEP.probe) == (False, "")
    ok, said = play(host, STEP.commands[0])
    assert ok
    assert said.split()[-2:] == ["-U", "stack"]
    assert f"-d {host}/home/stack " in said


def test_a_group_and_a_home_of_that_name_are_left_to_whom_they_belong(host: Path) -> None:
    (host / "group").write_text("stack:x:4711:\n")
    (host / "home" / "stack").mkdir()
    ok, said = play(host, STEP.commands[0])
    assert ok
    assert said.split()[-2:] == ["-N", "stack"]
    assert f"-d {host}/home/metalab-stack " in said


def test_a_user_that_was_there_is_neither_changed_nor_deleted(host: Path) -> None:
    stack_user(host, "Stacy K.")
    assert play(host, STEP.probe) == (True, "")
    assert play(host, STEP.commands[0]) == (True, "")
    assert play(host, "\n".join(STEP.undo)) == (True, "")


def test_a_run_that_was_killed_before_the_home_was_made_goes_on(host: Path) -> None:
    stack_user(host, MADE)
    assert play(host, STEP.probe) == (False, "")
    assert play(host, STEP.commands[0]) == (True, "")
    ok, said = play(host, STEP.commands[1])
    assert ok
    assert said.startswith("install -d -m 700")


def test_the_user_that_metalab_made_goes_with_its_home(host: Path) -> None:
    stack_user(host, MADE)
    (host / "home" / "stack" / ".ssh").mkdir(parents=True)
    assert play(host, STEP.probe) == (True, "")
    assert play(host, "\n".join(STEP.undo)) == (True, "userdel -r stack\n")
    assert not (host / "home" / "stack").exists()
