from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.openssh import (
    Login,
    algorithms,
    expand_tokens,
    fingerprint,
    forward_command,
    hop_words,
    jump_command,
    parse_known_keys,
    parse_login,
    scan_command,
    settings,
)

# As OpenSSH 9.2 prints it for an alias with everything; lines that nobody reads are left out.
EVERYTHING = """\
host lab
user stack
hostname fd13:1::2
port 2222
addressfamily any
identitiesonly yes
stricthostkeychecking ask
hostkeyalias labkey
identityagent $MY_AGENT
localforward 8080 [localhost]:80
identityfile ~/.ssh/id_lab
identityfile %d/keys/%h
certificatefile ~/.ssh/id_lab-cert.pub
globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2
userknownhostsfile /root/.ssh/kh1 /root/.ssh/kh2
proxyjump bob@bastion:2200,inner
"""
NOTHING = """\
host lab42
user root
hostname lab42
port 22
identitiesonly no
hostkeyalias none
identityfile ~/.ssh/id_rsa
identityfile ~/.ssh/id_ed25519
userknownhostsfile /root/.ssh/known_hosts /root/.ssh/known_hosts2
"""
LAB = Login(host="lab", hostname="10.0.0.7", port=22, user="root")


@pytest.mark.parametrize(
    ("text", "login"),
    [
        pytest.param(
            EVERYTHING,
            Login(
                host="lab",
                hostname="fd13:1::2",
                port=2222,
                user="stack",
                identity_files=("~/.ssh/id_lab", "%d/keys/%h"),
                identities_only=True,
                certificate_files=("~/.ssh/id_lab-cert.pub",),
                agent="$MY_AGENT",
                user_known_hosts=("/root/.ssh/kh1", "/root/.ssh/kh2"),
                global_known_hosts=("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"),
                host_key_alias="labkey",
                proxy_jump="bob@bastion:2200,inner",
                forwards=True,
            ),
            id="an alias with everything",
        ),
        pytest.param(
            NOTHING,
            Login(
                host="lab42",
                hostname="lab42",
                port=22,
                user="root",
                identity_files=("~/.ssh/id_rsa", "~/.ssh/id_ed25519"),
                user_known_hosts=("/root/.ssh/known_hosts", "/root/.ssh/known_hosts2"),
            ),
            id="no configuration",
        ),
        pytest.param(
            "user me\nhostname lab42\nport 22\nproxycommand nc -X 5 %h %p\nidentityagent none\n",
            Login(
                host="lab42",
                hostname="lab42",
                port=22,
                user="me",
                agent="none",
                proxy_command="nc -X 5 %h %p",
            ),
            id="a ProxyCommand, in an older version's words",
        ),
        pytest.param(
            "user me\nhostname lab42\nport 22\nproxycommand none\nproxyjump none\n",
            Login(host="lab42", hostname="lab42", port=22, user="me"),
            id="nothing in between, said aloud",
        ),
    ],
)
def test_what_ssh_says(text: str, login: Login) -> None:
    assert parse_login(text) == login


@pytest.mark.skipif(not shutil.which("ssh"), reason="OpenSSH's client is not installed")
def test_what_this_machines_ssh_says(tmp_path: Path) -> None:
    """The recorded texts above are of one version; this is whatever is installed."""
    config = tmp_path / "config"
    config.write_text(
        "Host lab\n  HostName 10.0.0.7\n  Port 2222\n  User ops\n  ProxyJump a,b\n"
        "  IdentitiesOnly yes\n  IdentityFile /k\n  CertificateFile /c\n  HostKeyAlias x\n"
    )
    done = subprocess.run(
        ["ssh", "-F", str(config), "-G", "lab"], capture_output=True, text=True, check=True
    )
    login = parse_login(done.stdout)
    seen = replace(login, user_known_hosts=(), global_known_hosts=())
    assert seen == Login(
        host=login.host,
        hostname="10.0.0.7",
        port=2222,
        user="ops",
        identity_files=("/k",),
        identities_only=True,
        certificate_files=("/c",),
        host_key_alias="x",
        proxy_jump="a,b",
    )


@pytest.mark.parametrize(
    ("login", "names"),
    [
        pytest.param(LAB, ("10.0.0.7",), id="port 22"),
        pytest.param(replace(LAB, port=2222), ("[10.0.0.7]:2222", "10.0.0.7"), id="another port"),
        pytest.param(replace(LAB, port=2222, host_key_alias="x"), ("x",), id="an alias of its key"),
    ],
)
def test_names_in_known_hosts(login: Login, names: tuple[str, ...]) -> None:
    assert login.known_as == names


@pytest.mark.parametrize(
    ("text", "keys", "types"),
    [
        pytest.param("", set(), (), id="nothing found"),
        pytest.param(
            "# Host lab found: line 1 \nlab ssh-rsa AAAA\n"
            "# Host lab found: line 3 \n|1|hash= ssh-ed25519 BBBB me@there\n",
            {("ssh-rsa", "AAAA"), ("ssh-ed25519", "BBBB")},
            ("ssh-rsa", "ssh-ed25519"),
            id="plain and hashed",
        ),
        pytest.param(
            "lab ssh-ed25519 AAAA\n# Host lab found: line 2 REVOKED\n@revoked * ssh-ed25519 AAAA\n",
            set(),
            (),
            id="a key that was revoked",
        ),
        pytest.param(
            "# Host lab found: line 1 CA\n@cert-authority *.lab ssh-ed25519 AAAA\n",
            set(),
            (),
            id="an authority is no host key",
        ),
    ],
)
def test_known_keys(text: str, keys: set[tuple[str, str]], types: tuple[str, ...]) -> None:
    known = parse_known_keys("lab", text)
    assert (set(known.keys), known.types) == (keys, types)


OFFERED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")


@pytest.mark.parametrize(
    ("known", "order"),
    [
        pytest.param((), OFFERED, id="none: as they come"),
        pytest.param(("ssh-rsa",), (*OFFERED[2:], *OFFERED[:2]), id="RSA by all its names"),
        pytest.param(("ecdsa-sha2-nistp256",), (OFFERED[1], OFFERED[0], *OFFERED[2:]), id="ECDSA"),
        pytest.param(("ssh-rsa", "ssh-ed25519"), (OFFERED[0], *OFFERED[2:], OFFERED[1]), id="two"),
    ],
)
def test_a_key_that_is_known_is_asked_for_first(
    known: tuple[str, ...], order: tuple[str, ...]
) -> None:
    assert tuple(algorithms(known, OFFERED)) == order


@pytest.mark.parametrize(
    ("hop", "words"),
    [
        pytest.param("bastion", "-- bastion", id="alias"),
        pytest.param("me@bastion:2222", "-l me -p 2222 -- bastion", id="user and port"),
        pytest.param("[fd00::1]:2222", "-p 2222 -- fd00::1", id="IPv6"),
        pytest.param("ssh://me@bastion:22/", "-l me -p 22 -- bastion", id="URI"),
        pytest.param("me@corp@bastion", "-l me@corp -- bastion", id="an at sign in the user"),
    ],
)
def test_one_hop(hop: str, words: str) -> None:
    assert hop_words(hop) == words.split()


def test_every_hop_is_held_to_known_hosts() -> None:
    """ssh gives its options to no hop that it starts by itself."""
    first = jump_command(replace(LAB, hostname="b", port=2200), "a", [])
    command = jump_command(LAB, "ops@b:2200", first)
    assert command[-8:] == ["-W", "[10.0.0.7]:22", "-l", "ops", "-p", "2200", "--", "b"]
    (inner,) = [word for word in command if word.startswith("ProxyCommand=")]
    assert shlex.split(inner.removeprefix("ProxyCommand=")) == first
    for words in (first, command):
        assert "StrictHostKeyChecking=yes" in words
        assert "UpdateHostKeys=no" in words
        assert "BatchMode=yes" in words


def test_tokens() -> None:
    login = replace(LAB, port=2222, user="ops")
    assert expand_tokens("nc %h %p %r %n 100%% %d %z", login, {"d": "/home/me"}) == (
        "nc 10.0.0.7 2222 ops lab 100% /home/me %z"
    )


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(HypervisorSpec(address="lab"), "", id="nothing is set"),
        pytest.param(
            HypervisorSpec(address="lab", port=2222, user="ops", key="/k", known_hosts="/a b"),
            "-p 2222 -l ops -i /k -o IdentitiesOnly=yes -o 'UserKnownHostsFile=\"/a b\"'",
            id="all is set",
        ),
    ],
)
def test_settings_of_the_stack(spec: HypervisorSpec, words: str) -> None:
    assert settings(spec) == shlex.split(words)


@pytest.mark.parametrize(
    ("forwards", "strictly"), [pytest.param(False, "yes"), pytest.param(True, "no")]
)
def test_a_forward_does_not_fail_for_the_users_own(forwards: bool, strictly: str) -> None:
    spec = HypervisorSpec(address="lab", port=2222)
    command = forward_command(spec, replace(LAB, forwards=forwards), "dir/foo", ["a", "50%"])
    assert f"ExitOnForwardFailure={strictly}" in command
    assert "ProxyCommand=a 50%%" in command
    assert command[-6:] == [
        *("-L", "dir/foo:/run/libvirt/libvirt-sock"),
        *("-p", "2222"),
        *("--", "lab"),
    ]


@pytest.mark.parametrize(
    ("login", "scan"),
    [
        pytest.param(LAB, "ssh-keyscan 10.0.0.7", id="direct"),
        pytest.param(replace(LAB, port=2222), "ssh-keyscan -p 2222 10.0.0.7", id="port"),
        pytest.param(
            replace(LAB, proxy_jump="a,me@b:2200"),
            "ssh -l me -p 2200 b ssh-keyscan 10.0.0.7",
            id="from the jump host",
        ),
        pytest.param(
            replace(LAB, host_key_alias="x"),
            "ssh-keyscan 10.0.0.7 | sed 's/^[^ ]*/x/'",
            id="under the alias",
        ),
    ],
)
def test_how_to_see_the_keys(login: Login, scan: str) -> None:
    assert scan_command(login) == scan


def test_a_fingerprint_is_what_ssh_keygen_shows() -> None:
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIDUDCtlfjveIVgLaa1zW39Ri3ZyQA0l5nw2RTBaoBi55"
    line = f"ssh-ed25519 {key}"
    words = ["ssh-keygen", "-lf", "-"]
    shown = subprocess.run(words, input=line, capture_output=True, text=True, check=True).stdout
    assert f"SHA256:{fingerprint(key)} " in shown
