from __future__ import annotations

import subprocess

import pytest

from lab.host.rom import check_rom, rom_is_old, rom_is_old_script

VERSIONS = [
    pytest.param("1.0.0+git-20190125.36a4c85-5.1", False, id="Debian 12"),
    pytest.param("1.21.1+git20250501.dad20602+dfsg-1", False, id="Debian 13"),
    pytest.param("1.21.1+git-20220113.fbbdc3926-0ubuntu1", False, id="Ubuntu 22.04"),
    pytest.param("1:1.21.1+git-20220113.fbbdc3926-0ubuntu2", False, id="with an epoch"),
    pytest.param("20181214-11.git133f4c47.el8", False, id="EL 8"),
    pytest.param("20200823-9.git4bd064de.el9", False, id="EL 9"),
    pytest.param("20240119-5.gitde8a0821.el10", False, id="EL 10"),
    pytest.param("20200823-9.git20131225.el9", False, id="a hash that looks like a date"),
    pytest.param("20160101-1.fc24", False, id="the first day"),
    pytest.param("20151231-1.fc23", True, id="the day before"),
    pytest.param("20130517-8.gitc4bce43.el7", True, id="EL 7"),
    pytest.param("1.0.0+git-20131111.c3d1e78-2", True, id="Debian 8"),
    pytest.param("1.0.0-4", True, id="an old number without a date"),
    pytest.param("1.20.1-1", False, id="the first number after it"),
    pytest.param("2.0.0-1", False, id="a later number"),
    pytest.param("unknown", False, id="no number"),
    pytest.param("", False, id="not installed"),
]


@pytest.mark.parametrize(("version", "old"), VERSIONS)
def test_how_old_it_is(version: str, old: bool) -> None:
    assert rom_is_old(version) is old
    assert [problem.rule for problem in check_rom(version, "lab42")] == ["host-rom"] * old


@pytest.mark.parametrize(("version", "old"), VERSIONS)
def test_the_shell_says_the_same(version: str, old: bool) -> None:
    script = rom_is_old_script('"$1"')
    done = subprocess.run(["sh", "-c", script, "sh", version], capture_output=True, check=False)
    assert (done.returncode == 0) is old
    assert done.stderr == b""
