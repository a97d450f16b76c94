from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.config import HypervisorSpec
from lab.host import power
from lab.host.power import Off, power_off, switch_off
from lab.host.session import Outcome
from lab.storage import LOG_DIR
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


@pytest.mark.parametrize("look", [seen(OTHER, 1), seen(OURS, 5)], ids=["foreign", "off"])
def test_who_is_foreign_or_off_is_not_ended(look: str) -> None:
    shell = ScriptedShell([Outcome(0, look), Outcome(0)])
    power_off(shell, {"foo-tiny-0": OURS}, timeout_s=5)
    assert "destroy" not in shell.sent[1]


def test_a_foreign_domain_keeps_its_logs() -> None:
    shell = ScriptedShell([Outcome(0, seen(OTHER, 1)), Outcome(0)])
    power_off(shell, {"foo-tiny-0": OURS}, timeout_s=5)
    assert "foo-tiny-0" not in shell.sent[1]


def test_nobody_is_not_asked_for() -> None:
    assert power_off(ScriptedShell([]), {}, timeout_s=5) == {}


class Pretended(ScriptedShell):
    """A host whose virsh says what was seen and who is still on, with a folder for its logs."""

    def __init__(self, folder: Path, look: str, *, on: str = "") -> None:
        super().__init__([Outcome(0, look)])
        self.folder = folder
        virsh = folder / "virsh"
        virsh.write_text(f"""#!/bin/sh\ncase $* in *"list --uuid"*) echo {on} ;; esac\n""")
        virsh.chmod(0o755)

    def run(self, command: str, **options: Any) -> Outcome:
        if self.outcomes:
            return super().run(command, **options)
        self.sent.append(command)
        words = ["sh", "-c", command.replace(LOG_DIR, str(self.folder))]
        path = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        done = subprocess.run(words, capture_output=True, text=True, env=path, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def logs(self, *names: str) -> list[str]:
        return [name for name in names if (self.folder / name).exists()]


def test_its_logs_go_and_no_neighbours(tmp_path: Path) -> None:
    shell = Pretended(tmp_path, "qemu:///system\n")
    own = ["foo-compute-1.log", "foo-compute-1.log.0", "foo-compute-1.console"]
    others = ["foo-compute-10.log", "foo-compute-10.console", "foo-compute-1.logs"]
    for name in (*own, *others):
        (tmp_path / name).touch()
    assert power_off(shell, {"foo-compute-1": OURS}, timeout_s=5) == {"foo-compute-1": "absent"}
    assert shell.logs(*own, *others) == others
    assert "foo-compute-1*" not in shell.sent[1]


@pytest.mark.parametrize(
    ("on", "kept", "says"),
    [
        pytest.param("", [], "off at once", id="off"),
        pytest.param(OURS, ["foo-tiny-0.log"], "failed: the domain is still on", id="stays on"),
    ],
)
def test_logs_are_there_as_long_as_a_domain_is_on(
    tmp_path: Path, on: str, kept: list[str], says: str
) -> None:
    shell = Pretended(tmp_path, seen(OURS, 1), on=on)
    (tmp_path / "foo-tiny-0.log").touch()
    assert power_off(shell, {"foo-tiny-0": OURS}, timeout_s=5) == {"foo-tiny-0": says}
    assert shell.logs("foo-tiny-0.log") == kept


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
