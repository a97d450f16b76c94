from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.host.installed import noting
from lab.host.runner import converge, restore
from lab.host.session import Hear, Outcome
from lab.host.step import HostStep
from lab.host.steps import mark_step
from tests.unit.lab.host.shells import LocalShell

# A family's programs, on a list of installed packages; `keep` is what another package needs.
PROGRAMS = {
    "dpkg-query": "sed 's/^/installed /' $DB/db",
    "dpkg": """shift; case " $* " in *" keep "*) echo 'dependency problems' >&2; exit 1;; esac
for p; do sed -i "/^$p\\$/d" $DB/db; done""",
    "virsh": 'case "$*" in *"net-list"*) echo default;; *" list"*) cat $DB/domains;; esac',
}
INSTALL = HostStep(
    name="install packages",
    probe="grep -qx qemu $DB/db",
    commands=("printf '%s\\n' libvirt qemu >> $DB/db",),
)


class Debian(LocalShell):
    """This machine with another package manager."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name, script in PROGRAMS.items():
            file = folder / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)
        (folder / "db").write_text("bash\ncurl\n")
        (folder / "domains").touch()

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        setting = f"export DB={self.folder} PATH={self.folder}/bin:$PATH\n"
        return super().run(setting + command, timeout_s=timeout_s, stdin=stdin, hear=hear)

    @property
    def packages(self) -> list[str]:
        return (self.folder / "db").read_text().split()


def prepare(shell: Debian, prefix: str, wish: str, *, install: HostStep = INSTALL) -> str:
    steps = (mark_step(prefix, wish), noting(install))
    return converge(steps, shell, prefix=prefix, progress=print).failure


def leave(shell: Debian, prefix: str) -> list[str]:
    said: list[str] = []
    assert restore([mark_step(prefix)], shell, prefix=prefix, progress=said.append) == ""
    return said


@pytest.mark.parametrize(
    ("wish", "left"),
    [
        pytest.param("settings", ["bash", "curl", "libvirt", "qemu"], id="packages stay"),
        pytest.param("full", ["bash", "curl"], id="those that metalab brought go"),
    ],
)
def test_the_last_one_decides_what_goes(tmp_path: Path, wish: str, left: list[str]) -> None:
    shell = Debian(tmp_path)
    other = {"settings": "full", "full": "settings"}[wish]
    assert prepare(shell, "foo", other) == ""
    assert prepare(shell, "bar", wish) == ""
    leave(shell, "foo")
    assert shell.packages == ["bash", "curl", "libvirt", "qemu"]
    leave(shell, "bar")
    assert shell.packages == left
    assert not (tmp_path / "var/lib/metalab").exists()


def test_a_changed_wish_counts(tmp_path: Path) -> None:
    shell = Debian(tmp_path)
    assert prepare(shell, "foo", "full") == ""
    assert prepare(shell, "foo", "settings") == ""
    leave(shell, "foo")
    assert "qemu" in shell.packages


def test_what_was_there_or_came_later_is_not_ours(tmp_path: Path) -> None:
    shell = Debian(tmp_path)
    half = replace(INSTALL, commands=("echo libvirt >> $DB/db; exit 1",))
    assert "exited 1" in prepare(shell, "foo", "full", install=half)  # killed, say
    killed = replace(INSTALL, commands=("echo qemu >> $DB/db; exit 1",))
    assert "exited 1" in prepare(shell, "foo", "full", install=killed)
    assert prepare(shell, "foo", "full", install=replace(INSTALL, commands=())) == ""
    with (tmp_path / "db").open("a") as db:
        db.write("emacs\n")
    leave(shell, "foo")
    assert shell.packages == ["bash", "curl", "emacs"]


@pytest.mark.parametrize("who", ["domain", "package"])
def test_what_others_need_stays(tmp_path: Path, who: str) -> None:
    shell = Debian(tmp_path)
    if who == "domain":
        (tmp_path / "domains").write_text("theirs\n")
    install = replace(INSTALL, commands=(*INSTALL.commands, "echo keep >> $DB/db"))
    assert prepare(shell, "foo", "full", install=install if who == "package" else INSTALL) == ""
    said = leave(shell, "foo")
    assert "qemu" in shell.packages
    reason = {"domain": "libvirt holds theirs", "package": "packages stay that others need"}[who]
    assert any(reason in line for line in said), said


def test_a_removal_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    shell = Debian(tmp_path)
    assert prepare(shell, "foo", "full") == ""
    dpkg = tmp_path / "bin/dpkg"
    works = dpkg.read_text()
    dpkg.write_text("#!/bin/sh\necho 'dpkg frontend lock was locked by pid 7' >&2; exit 2\n")
    failure = restore([mark_step("foo")], shell, prefix="foo", progress=print)
    assert "undoing `install packages` exited 1: dpkg frontend lock was locked by pid 7" in failure
    assert "Another package manager is at work" in failure
    dpkg.write_text(works)
    leave(shell, "foo")
    assert shell.packages == ["bash", "curl"]
