"""The steps of KVM, run by a real shell over a tree that stands for the host's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.host.kvm import ENABLE_NESTED, MODULES_FILE, NESTED_FILE, kvm_steps, pending
from lab.host.runner import converge, restore
from lab.host.session import Hear, Outcome
from lab.host.steps import HostStep, plan_steps
from tests.unit.lab.host.shells import LocalShell, ScriptedShell
from tests.unit.lab.samples import FACTS

LOAD, NESTED = kvm_steps("GenuineIntel")
SYS = "/sys/module/kvm_intel"
# modprobe as kmod has it, for this one module: options count when it is loaded, and a module that
# is in use, or that something holds, is not unloaded.
MODPROBE = """#!/bin/sh
echo "modprobe $*" >> {root}/calls
sys={root}/sys/module/kvm_intel
case "$1" in
  -r) [ -e {root}/held ] || [ "$(cat $sys/refcnt)" != 0 ] && exit 1; rm -rf $sys {root}/dev/kvm;;
  *) [ ! -e {root}/firmware-off ] || {{ echo "ERROR: could not insert '$1'" >&2; exit 1; }}
     mkdir -p $sys/parameters {root}/dev; echo 0 > $sys/refcnt; ln -sf /dev/null {root}/dev/kvm
     if [ ! -e {root}/no-ept ] && grep -qs "options $1 nested=1" {root}/etc/modprobe.d/*
     then echo Y; else echo N; fi > $sys/parameters/nested;;
esac
"""


class Host(LocalShell):
    """This machine's shell, with the tree in the place of the root directory."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for folder in ("bin", "etc/modprobe.d", "etc/modules-load.d"):
            (root / folder).mkdir(parents=True)
        (root / "bin/modprobe").write_text(MODPROBE.format(root=root))
        (root / "bin/modprobe").chmod(0o755)

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        for path in ("/sys/module/", "/etc/mod", "/dev/kvm"):
            command = command.replace(path, f"{self.folder}{path}")
        return super().run(
            f"PATH={self.folder}/bin:$PATH; {command}", timeout_s=timeout_s, hear=hear
        )

    def path(self, name: str) -> Path:
        return self.folder / name.lstrip("/")

    def load(self, nested: str = "N", refcnt: str | None = "0") -> None:
        """KVM as something else has loaded it; without a refcnt it is built in."""
        (self.folder / "dev").mkdir(exist_ok=True)
        self.path("/dev/kvm").symlink_to("/dev/null")
        parameters = self.path(SYS) / "parameters"
        parameters.mkdir(parents=True)
        (parameters / "nested").write_text(f"{nested}\n")
        if refcnt is not None:
            (self.path(SYS) / "refcnt").write_text(f"{refcnt}\n")

    @property
    def nested(self) -> str:
        return (self.path(SYS) / "parameters/nested").read_text().strip()

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def converge(self, *steps: HostStep, said: list[str] | None = None) -> tuple[str, ...]:
        """What had to run."""
        tell = [] if said is None else said
        result = converge(steps, self, prefix="foo", progress=tell.append)
        assert result.failure == ""
        return result.changed


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def tree(host: Host) -> list[str]:
    """All that the host has, but what was asked of modprobe."""
    return sorted(
        f"{path.relative_to(host.folder)} {path.read_text() if path.is_file() else ''}"
        for path in host.folder.rglob("*")
        if path.name not in ("calls", "var", "lib")
    )


def test_a_sleeping_module_is_loaded_kept_and_given_back(host: Host) -> None:
    host.path("/dev").mkdir()
    host.path("/sys/module").mkdir(parents=True)
    before = tree(host)
    assert host.converge(LOAD, NESTED) == ("load KVM", ENABLE_NESTED)
    assert host.path(MODULES_FILE).read_text() == "kvm_intel\n"
    assert host.nested == "Y"
    assert host.converge(LOAD, NESTED) == ()
    assert pending([LOAD, NESTED], host) == []
    assert restore([LOAD, NESTED], host, prefix="foo", progress=print) == ""
    assert tree(host) == before


def test_a_module_that_will_not_load_says_what_to_do(host: Host) -> None:
    host.path("firmware-off").touch()
    result = converge([LOAD, NESTED], host, prefix="foo", progress=print)
    assert result.done == ()
    assert "could not insert 'kvm_intel'" in result.failure
    assert "switch virtualization on in the firmware, or set virt-type: qemu" in result.failure
    assert not host.path(MODULES_FILE).exists()


@pytest.mark.parametrize("nested", ["Y", "1"])
def test_what_is_in_force_stays_as_it_is(host: Host, nested: str) -> None:
    host.load(nested=nested)
    assert host.converge(LOAD, NESTED) == ()
    assert (host.calls, pending([NESTED], host)) == ([], [])
    assert not host.path(NESTED_FILE).exists()


def test_an_idle_module_is_reloaded_and_given_back(host: Host) -> None:
    host.load()
    before = tree(host)
    assert host.converge(LOAD, NESTED) == (ENABLE_NESTED,)
    assert (host.nested, pending([NESTED], host)) == ("Y", [])
    assert host.path(NESTED_FILE).read_text() == "options kvm_intel nested=1\n"
    assert restore([LOAD, NESTED], host, prefix="foo", progress=print) == ""
    assert tree(host) == before


def test_machines_that_run_are_let_be_until_none_does(host: Host) -> None:
    host.load(refcnt="2")
    said: list[str] = []
    assert host.converge(NESTED, said=said) == (ENABLE_NESTED,)
    assert (host.calls, host.nested) == ([], "N")
    (left,) = pending([NESTED], host)
    assert left.startswith("nested virtualization is active after the next boot, or at the next")
    assert any("is active after the next boot" in line for line in said)
    assert host.converge(NESTED) == ()  # the next run has nothing to do, and says the same
    assert pending([NESTED], host) == [left]
    (host.path(SYS) / "refcnt").write_text("0\n")
    assert host.converge(NESTED) == (ENABLE_NESTED,)
    assert (host.nested, pending([NESTED], host)) == ("Y", [])


def test_a_module_that_something_holds_is_let_be(host: Host) -> None:
    """Idle by its count, and yet it does not go: the lab is not refused for that."""
    host.load()
    host.path("held").touch()
    assert host.converge(NESTED) == (ENABLE_NESTED,)
    assert host.calls == ["modprobe -r kvm_intel"] * 3
    assert host.path(SYS).is_dir()
    assert "stays off" in str(pending([NESTED], host))
    assert host.converge(NESTED) == ()


def test_leaving_takes_nothing_from_machines_that_run(host: Host) -> None:
    host.path("/dev").mkdir()
    host.converge(LOAD, NESTED)
    (host.path(SYS) / "refcnt").write_text("1\n")
    assert restore([LOAD, NESTED], host, prefix="foo", progress=print) == ""
    assert (host.nested, host.path("/dev/kvm").exists()) == ("Y", True)
    assert not host.path(NESTED_FILE).exists()
    assert not host.path(MODULES_FILE).exists()


def test_a_module_that_does_not_come_back_is_a_failure(host: Host) -> None:
    host.load()
    host.path("firmware-off").touch()
    result = converge([NESTED], host, prefix="foo", progress=print)
    assert "could not insert" in result.failure


@pytest.mark.parametrize(
    ("refcnt", "no_ept", "waits"),
    [
        pytest.param(
            "0", True, "stays off: loading kvm_intel anew did not turn it on", id="it cannot"
        ),
        pytest.param(None, False, "with kvm_intel.nested=1 on the kernel's", id="built in"),
    ],
)
def test_what_cannot_be_is_said_and_no_failure(
    host: Host, refcnt: str | None, no_ept: bool, waits: str
) -> None:
    if no_ept:
        host.path("no-ept").touch()
    host.load(refcnt=refcnt)
    said: list[str] = []
    assert host.converge(NESTED, said=said) == (ENABLE_NESTED,)
    (left,) = pending([NESTED], host)
    assert waits in left
    assert any(waits in line for line in said)
    calls = host.calls
    assert host.converge(NESTED) == ()
    assert host.calls == calls


@pytest.mark.parametrize(
    ("virt_type", "asked"),
    [pytest.param("qemu", 0, id="emulation"), pytest.param("kvm", 1, id="KVM")],
)
def test_only_who_can_have_something_pending_is_asked(virt_type: str, asked: int) -> None:
    shell = ScriptedShell([Outcome(0, "waits\n\n")])
    steps = plan_steps(FACTS, prefix="foo", virt_type=virt_type)
    assert pending(steps, shell) == ["nested virtualization waits"] * asked
    assert len(shell.sent) == asked


def test_the_tree_is_not_this_machine(host: Host) -> None:
    """Else the tests above would load modules here."""
    assert host.run("command -v modprobe").stdout.strip() == f"{host.folder}/bin/modprobe"
    assert os.fspath(host.folder) in host.run(f"echo {SYS} {NESTED_FILE}").stdout
