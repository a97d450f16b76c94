from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.host.runner import converge, restore
from lab.host.session import Outcome
from lab.host.step import HostStep
from lab.storage import LEASES_DIR
from tests.unit.lab.host.shells import LocalShell, ScriptedShell

STEP = HostStep(name="open the gate", probe="open?", commands=("unlock", "push"))
YES, NO = Outcome(0, "true\n"), Outcome(0)


def tells(text: str) -> Outcome:
    return Outcome(0 if "made" in text or "already" in text else 1, f"@@metalab {text}\n", "rusty")


@pytest.mark.parametrize(
    ("outcomes", "done", "failure"),
    [
        pytest.param([YES], True, "", id="already true: nothing runs"),
        pytest.param([NO, tells("made")], True, "", id="made true, then proved"),
        pytest.param([NO, tells("already")], True, "", id="another run was quicker"),
        pytest.param(
            [NO, tells("failed 2 7")], False, "`push` exited 7: rusty", id="a failed command"
        ),
        pytest.param(
            [NO, tells("failed 1 124")], False, "`unlock` took more than 60 s", id="too slow"
        ),
        pytest.param(
            [NO, tells("unproven")], False, "`open?` still says no", id="success without effect"
        ),
        pytest.param(
            [NO, Outcome(75, "", "bar")], False, "waited for bar, which held", id="locked"
        ),
        pytest.param(
            [Outcome(255, "", "lost")],
            False,
            "looking at it: the connection was lost after: lost. The host may still",
            id="the connection is lost",
        ),
    ],
)
def test_converge_probes_acts_and_proves(
    outcomes: list[Outcome], done: bool, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.host.lock.LOCK_WAIT_S", 0)
    shell = ScriptedShell(outcomes)
    result = converge([STEP], shell, prefix="foo", progress=print)
    assert shell.outcomes == []
    assert bool(result.done) is done is not bool(result.failure)
    assert failure in result.failure
    assert bool(result.changed) is any("made" in outcome.stdout for outcome in outcomes)
    assert "\n" not in result.failure


def file_step(folder: Path, name: str, **fields: object) -> HostStep:
    step = HostStep(
        name=f"make {name}",
        probe=f"[ -f {folder}/{name} ]",
        commands=(f"echo '{name}' > {folder}/{name}", f"echo 'note: {name} is new'"),
        undo=(f"rm {folder}/{name}", f"echo {name} >> {folder}/undone"),
    )
    return replace(step, **fields)  # type: ignore[arg-type]


def test_a_host_is_prepared_once_and_left_as_it_was(tmp_path: Path) -> None:
    def marker(prefix: str) -> HostStep:
        path = f"/var/lib/metalab/prefixes/{prefix}"
        commands = (f"mkdir -p {Path(path).parent} && : > {path}",)
        return HostStep(
            name="mark",
            probe=f"[ -f {path} ]",
            commands=commands,
            undo=(f"rm -f {path}",),
            scope="prefix",
        )

    shared = [file_step(tmp_path, name) for name in ("a", "b's", "c")]
    shared[1] = replace(shared[1], probe="true")  # it was so before metalab came
    foo, bar = [marker("foo"), *shared], [marker("bar"), *shared]
    shell, said = LocalShell(tmp_path), list[str]()
    made = converge(foo, shell, prefix="foo", progress=said.append)
    assert made.changed == ("mark", "make a", "make c")
    assert made.done == tuple(step.name for step in foo)
    assert said[2:4] == ["make a: started", "make a: a is new"]
    shell.count = 0
    assert converge(foo, shell, prefix="foo", progress=said.append).changed == ()
    assert shell.count == 1
    assert converge(bar, shell, prefix="bar", progress=said.append).changed == ("mark",)
    assert restore(foo, shell, prefix="foo", progress=said.append) == ""
    assert said[-1].endswith("others still use it")
    assert (tmp_path / "a").exists()
    assert restore(bar, shell, prefix="bar", progress=said.append) == ""
    assert (tmp_path / "undone").read_text() == "c\na\n"  # in reverse, and only what it made
    assert not (tmp_path / "var/lib/metalab").exists()
    assert restore(bar, shell, prefix="bar", progress=said.append) == ""  # nothing left to undo


def test_whoever_holds_a_lease_uses_the_host(tmp_path: Path) -> None:
    shell, step = LocalShell(tmp_path), file_step(tmp_path, "a")
    converge([step], shell, prefix="foo", progress=print)
    shell.run(f"mkdir -p {LEASES_DIR}; touch {LEASES_DIR}/foo.json {LEASES_DIR}/foo2.json")
    assert restore([step], shell, prefix="foo", progress=print) == ""
    assert (tmp_path / "a").exists()
    assert [path.name for path in (tmp_path / "var/lib/metalab/leases").iterdir()] == ["foo2.json"]


def test_a_run_that_is_killed_halfway_leaves_its_undo(tmp_path: Path) -> None:
    step = file_step(tmp_path, "a", commands=(f"touch {tmp_path}/a", "exit 9"), probe="false")
    shell = LocalShell(tmp_path)
    assert "exited 9" in converge([step], shell, prefix="foo", progress=print).failure
    assert restore([step], shell, prefix="foo", progress=print) == ""
    assert not (tmp_path / "a").exists()


def test_an_undo_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    step = file_step(tmp_path, "a", undo=(f"rm {tmp_path}/a", f"rm {tmp_path}/missing"))
    shell = LocalShell(tmp_path)
    converge([step], shell, prefix="foo", progress=print)
    assert "missing" in restore([step], shell, prefix="foo", progress=print)
    assert list((tmp_path / "var/lib/metalab/done").iterdir())


def remembering(folder: Path, **fields: object) -> HostStep:
    """A step that sets a switch to `on`, and undoes it to what it was."""
    step = HostStep(
        name="set the switch",
        probe=f"grep -qx on {folder}/switch",
        commands=(f"echo on > {folder}/switch",),
        remember=f'echo "echo $(cat {folder}/switch) > {folder}/switch"',
    )
    return replace(step, **fields)  # type: ignore[arg-type]


def test_what_was_there_before_is_remembered_once(tmp_path: Path) -> None:
    (tmp_path / "switch").write_text("off\n")
    shell = LocalShell(tmp_path)
    fails = remembering(tmp_path, commands=(f"echo half > {tmp_path}/switch; exit 9",))
    assert "exited 9" in converge([fails], shell, prefix="foo", progress=print).failure
    other = file_step(tmp_path, "a")  # another list of steps, in which it has another number
    steps = [other, remembering(tmp_path)]
    assert converge(steps, shell, prefix="bar", progress=print).failure == ""
    assert (tmp_path / "switch").read_text() == "on\n"
    assert restore([], shell, prefix="bar", progress=print) == ""
    assert (tmp_path / "switch").read_text() == "off\n"


def test_a_step_that_cannot_remember_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "switch").write_text("off\n")
    step = remembering(tmp_path, remember="echo what >&2; exit 4")
    failure = converge([step], LocalShell(tmp_path), prefix="foo", progress=print).failure
    assert "set the switch: `echo what >&2; exit 4` exited 4: what." in failure
    assert (tmp_path / "switch").read_text() == "off\n"


def test_a_step_passes_the_wire_and_earlier_states_read_as_they_are() -> None:
    plain = STEP.as_dict()
    assert list(plain) == ["name", "probe", "commands", "undo", "timeout_s", "scope"]
    assert HostStep.from_dict({**plain, "timeout_s": 60.0}) == STEP
    rare = replace(STEP, undo=("lock",), remember="echo", confirm_within_s=30)
    assert HostStep.from_dict(rare.as_dict()) == rare


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"undo": ()}, id="no way back"),
        pytest.param({"undo": ("lock",), "scope": "prefix"}, id="a prefix's own"),
    ],
)
def test_what_must_be_confirmed_needs_a_way_back(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="open the gate: to be taken back"):
        replace(STEP, confirm_within_s=30, **fields)  # type: ignore[arg-type]


def test_an_undo_that_fails_says_which_and_what_to_do(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    broken = "echo 'rm: x: Read-only file system' >&2; exit 5"
    converge([file_step(tmp_path, "a", undo=(broken,))], shell, prefix="foo", progress=print)
    failure = restore([], shell, prefix="foo", progress=print)
    assert failure.startswith("lab42: leaving it as foo: undoing `make a` exited 5: rm: x: Read-")
    assert "remount it" in failure
