"""libvirt's daemons on hosts of every kind, with a systemctl that keeps its units in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.host.distributions import DEBIAN, EL8, EL9, FEDORA, UBUNTU, Family
from lab.host.services import NOTE_ARRIVALS, leave_libvirt, libvirt_runs, run_libvirt
from lab.host.session import Outcome
from lab.storage import HOST_DIR
from tests.unit.lab.host.shells import LocalShell

SYSTEMCTL = r"""#!/bin/sh
cd "$UNITS"; verb=$1; shift; units=; code=3
for word; do case $word in -*|*'*') ;; *) units="$units $word" ;; esac; done
case $verb in
  is-active|is-enabled)
    for u in $units; do
      if [ -e "${verb#is-}/$u" ]; then code=0; echo "${verb#is-}"
      else [ $verb = is-active ] && echo inactive || echo disabled; fi
    done; exit $code ;;
  list-unit-files) for u in $(ls enabled); do echo "$u enabled enabled"; done ;;
  list-units) for u in $(ls active); do echo "$u loaded active running x"; done ;;
  enable) echo "enable$units" >> log; for u in $units; do : > enabled/$u; done ;;
  disable) echo "disable$units" >> log; for u in $units; do rm -f enabled/$u; done ;;
  start) echo "start$units" >> log; for u in $units; do : > active/$u; done ;;
  stop) echo "stop$units" >> log; for u in $units; do rm -f active/$u; done ;;
  restart) for u in $units; do [ -e active/$u ] && echo "restart $u" >> log || exit 5; done ;;
esac
"""
VIRSH = r"""#!/bin/sh
cd "$UNITS"
case "$*" in
  *list*) cat domains ;;
  *) ls active | grep -qE '^(libvirtd|virtqemud)\.' ;;
esac
"""
MONOLITHIC = "libvirtd.service libvirtd.socket"
MODULAR = "virtqemud.socket virtnetworkd.socket virtstoraged.socket virtproxyd.socket"


@dataclass
class Host:
    """One with units as given."""

    folder: Path
    shell: LocalShell

    def units(self, kind: str) -> set[str]:
        return {path.name for path in (self.folder / "units" / kind).iterdir()}

    def run(self, script: str) -> Outcome:
        return self.shell.run(script)

    def prepare(self, family: Family) -> list[str]:
        """What systemctl was told to do; the host must be right then."""
        log = self.folder / "units" / "log"
        log.write_text("")
        if not self.run(libvirt_runs(family)).ok:
            for command in run_libvirt(family):
                outcome = self.run(command)
                assert outcome.ok, outcome.stderr
            assert self.run(libvirt_runs(family)).ok
        return log.read_text().splitlines()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    for name in ("bin", "units/enabled", "units/active"):
        (tmp_path / name).mkdir(parents=True)
    for name, text in (("systemctl", SYSTEMCTL), ("virsh", VIRSH)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "units" / "domains").write_text("\n")
    monkeypatch.setenv("UNITS", str(tmp_path / "units"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Host(tmp_path, LocalShell(tmp_path))


def having(host: Host, *, enabled: str = "", active: str = "") -> Host:
    for kind, names in (("enabled", enabled), ("active", active)):
        for name in names.split():
            (host.folder / "units" / kind / name).touch()
    return host


START = f"start {MODULAR}"


@pytest.mark.parametrize(
    ("family", "enabled", "active", "done"),
    [
        pytest.param(DEBIAN, MONOLITHIC, MONOLITHIC, [], id="Debian, as its package leaves it"),
        pytest.param(UBUNTU, MONOLITHIC, "libvirtd.socket", [], id="asleep behind its socket"),
        pytest.param(
            EL8, MONOLITHIC, "", [f"enable {MONOLITHIC}", "start libvirtd.service"], id="EL 8"
        ),
        pytest.param(EL9, MODULAR, "", [f"enable {MODULAR}", START], id="EL 9, just installed"),
        pytest.param(FEDORA, MODULAR, MODULAR, [], id="Fedora, prepared"),
        pytest.param(FEDORA, "", "", [f"enable {MODULAR}", START], id="nothing at all"),
        pytest.param(
            EL9,
            "virtqemud.socket virtnetworkd.socket",
            "virtqemud.socket virtnetworkd.socket",
            [f"enable {MODULAR}", START],
            id="some of them, and none for clients over SSH",
        ),
        pytest.param(
            DEBIAN,
            "libvirtd.service",
            "libvirtd.service",
            [f"enable {MONOLITHIC}"],
            id="one of two is not enough",
        ),
        pytest.param(EL9, MONOLITHIC, MONOLITHIC, [], id="EL 9, switched to one daemon"),
        pytest.param(UBUNTU, MODULAR, MODULAR, [], id="Ubuntu, switched to many"),
        pytest.param(
            EL9,
            f"{MODULAR} {MONOLITHIC}",
            "libvirtd.socket",
            [],
            id="upgraded: both enabled, and one of them runs",
        ),
        pytest.param(
            DEBIAN,
            MODULAR,
            "",
            [f"enable {MODULAR}", START],
            id="Debian, switched to many, and stopped",
        ),
    ],
)
def test_a_host_keeps_its_daemons(
    host: Host, family: Family, enabled: str, active: str, done: list[str]
) -> None:
    having(host, enabled=enabled, active=active)
    assert host.prepare(family) == done
    assert host.prepare(family) == []


@pytest.mark.parametrize(
    ("family", "active", "restarted"),
    [
        pytest.param(DEBIAN, MONOLITHIC, ["restart libvirtd.service"], id="one daemon"),
        pytest.param(
            EL9, f"{MODULAR} virtqemud.service", ["restart virtqemud.service"], id="many daemons"
        ),
        pytest.param(DEBIAN, "", [], id="packages that start it themselves"),
    ],
)
def test_new_packages_under_a_running_daemon_restart_it_once(
    host: Host, family: Family, active: str, restarted: list[str]
) -> None:
    enabled = MODULAR if family.modular else MONOLITHIC
    having(host, enabled=enabled, active=active)
    assert host.run(NOTE_ARRIVALS).ok
    having(host, active=active or MONOLITHIC)
    assert [line for line in host.prepare(family) if "restart" in line] == restarted
    assert host.prepare(family) == []


@pytest.mark.parametrize("family", [DEBIAN, EL9])
def test_leaving_brings_back_what_was_enabled_and_ran(host: Host, family: Family) -> None:
    having(host, enabled="virtlogd.socket", active="virtlogd.socket")
    host.prepare(family)
    assert len(host.units("active")) > 1
    for command in leave_libvirt():
        assert host.run(command).ok
    assert (host.units("enabled"), host.units("active")) == ({"virtlogd.socket"},) * 2
    left = Path(f"{host.folder}{HOST_DIR}")
    assert list(left.iterdir()) == []


def test_leaving_stops_no_daemon_under_a_running_domain(host: Host) -> None:
    host.prepare(DEBIAN)
    (host.folder / "units" / "domains").write_text("somebody's\n\n")
    for command in leave_libvirt():
        assert host.run(command).ok
    assert host.units("enabled") == set()
    assert "libvirtd.service" in host.units("active")


def test_leaving_a_host_that_had_it_all_changes_nothing(host: Host) -> None:
    having(host, enabled=MONOLITHIC, active=MONOLITHIC)
    host.prepare(DEBIAN)
    for command in leave_libvirt():
        assert host.run(command).ok
    assert host.units("enabled") == set(MONOLITHIC.split())
