"""The real programs, on a configuration of our own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.errors import LabError
from lab.host.openssh import (
    Proxy,
    agent_socket,
    expand_file,
    known_keys,
    proxy_command,
    resolve,
)
from lab.openssh import Login

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="OpenSSH is not installed")
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIDUDCtlfjveIVgLaa1zW39Ri3ZyQA0l5nw2RTBaoBi55"
LAB = Login(host="lab", hostname="10.0.0.7", port=22, user="root")


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put an `ssh` on PATH that reads another file than ~/.ssh/config."""
    real = shutil.which("ssh")
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "ssh"
    script.write_text(f'#!/bin/sh\nexec {real} -F {tmp_path}/config "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    resolve.cache_clear()

    def configure(text: str) -> None:
        (tmp_path / "config").write_text(text)

    return configure


def hops(command: list[str]) -> list[str]:
    """The hosts that a command goes through, the last one first."""
    inner = [word for word in command if word.startswith("ProxyCommand=")]
    rest = inner[0].removeprefix("ProxyCommand=").split() if inner else []
    return [command[-1], *(hops(rest) if rest else [])]


@pytest.mark.parametrize(
    ("config", "through"),
    [
        pytest.param("Host lab\n  User me\n", [], id="direct"),
        pytest.param("Host lab\n  ProxyJump a\n", ["a"], id="one"),
        pytest.param("Host lab\n  ProxyJump a,b\n", ["b", "a"], id="a list"),
        pytest.param("Host lab\n  ProxyJump b\nHost b\n  ProxyJump a\n", ["b", "a"], id="chained"),
        pytest.param(
            "Host lab\n  ProxyJump a,b\nHost b\n  ProxyJump other\n", ["b", "a"], id="the list wins"
        ),
    ],
)
def test_hops(configured: Callable[[str], None], config: str, through: list[str]) -> None:
    configured(config)
    command = proxy_command(resolve(HypervisorSpec(address="lab")))
    assert (hops(command) if command else []) == through


def test_jumps_in_a_circle(configured: Callable[[str], None]) -> None:
    configured("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(LabError, match=r"ProxyJump of .*more than ten jump hosts.*\[ssh-config\]"):
        proxy_command(resolve(HypervisorSpec(address="a")))


def test_a_proxy_command_is_the_users_own(configured: Callable[[str], None]) -> None:
    configured("Host lab\n  HostName 10.0.0.7\n  Port 2222\n  ProxyCommand nc -x s %h %p\n")
    login = resolve(HypervisorSpec(address="lab"))
    assert proxy_command(login) == ["sh", "-c", "exec nc -x s 10.0.0.7 2222"]
    assert proxy_command(login, jumps_only=True) == []


def test_settings_win(configured: Callable[[str], None]) -> None:
    configured("Host *\n  Port 2222\n  User other\n  UserKnownHostsFile /other\n")
    spec = HypervisorSpec(address="lab", port=22, user="me", known_hosts="/mine")
    login = resolve(spec)
    assert (login.port, login.user, login.user_known_hosts) == (22, "me", ("/mine",))


def test_a_configuration_that_ssh_refuses(configured: Callable[[str], None]) -> None:
    configured("Hots lab\n")
    with pytest.raises(LabError, match=r"bad configuration options.*\[ssh-config\]"):
        resolve(HypervisorSpec(address="lab"))


def test_no_openssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    resolve.cache_clear()
    with pytest.raises(LabError, match=r"no ssh on PATH.*\[programs\]"):
        resolve(HypervisorSpec(address="lab"))


@pytest.mark.parametrize(
    ("port", "line", "name"),
    [
        pytest.param(22, "10.0.0.7", "10.0.0.7", id="plain"),
        pytest.param(22, "10.0.0.*,!10.0.0.8", "10.0.0.7", id="a pattern"),
        pytest.param(2222, "[10.0.0.7]:2222", "[10.0.0.7]:2222", id="port"),
        pytest.param(2222, "10.0.0.7", "10.0.0.7", id="any port"),
    ],
)
@pytest.mark.parametrize("hashed", [False, True], ids=["clear", "hashed"])
def test_known_hosts(tmp_path: Path, port: int, line: str, name: str, hashed: bool) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"other ssh-rsa AAAA\n{line} ssh-ed25519 {KEY}\n")
    if hashed and "*" not in line:
        command = ["ssh-keygen", "-q", "-H", "-f", str(file)]
        subprocess.run(command, check=True, capture_output=True)
        assert "10.0.0.7" not in file.read_text()
    files = (str(tmp_path / "missing"), str(file))
    login = Login(host="lab", hostname="10.0.0.7", port=port, user="me", user_known_hosts=files)
    known = known_keys(login)
    assert (known.name, known.keys) == (name, {("ssh-ed25519", KEY)})


@pytest.mark.parametrize(
    ("agent", "path"),
    [
        pytest.param("SSH_AUTH_SOCK", "/run/mine", id="the session's"),
        pytest.param("none", "", id="none"),
        pytest.param("$OTHER", "/run/other", id="a variable"),
        pytest.param("${OTHER}.%r", "/run/other.root", id="a path"),
        pytest.param("$UNSET", "", id="a variable that is not set"),
    ],
)
def test_agents(monkeypatch: pytest.MonkeyPatch, agent: str, path: str) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/mine")
    monkeypatch.setenv("OTHER", "/run/other")
    monkeypatch.delenv("UNSET", raising=False)
    login = Login(host="lab", hostname="lab", port=22, user="root", agent=agent)
    assert agent_socket(login) == path


def test_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/elsewhere")  # which ssh does not look at
    home = expand_file("~", LAB)
    assert home != "/elsewhere"
    assert expand_file("~/k", LAB) == expand_file("%d/k", LAB) == f"{home}/k"
    assert expand_file("${HOME}/%h", LAB) == "/elsewhere/10.0.0.7"


def test_a_proxy_is_a_wire_and_says_why_it_ended() -> None:
    echo = Proxy.start(["cat"])
    echo.line.sendall(b"hello")
    echo.line.settimeout(5)
    assert echo.line.recv(5) == b"hello"
    echo.close()
    assert echo.process.returncode is not None
    broken = Proxy.start(["sh", "-c", "echo no route >&2; exit 255"])
    assert broken.reason() == "no route"
    broken.close()
