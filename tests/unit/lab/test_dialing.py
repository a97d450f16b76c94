from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from components.connection import changed_login, from_wire, to_wire
from lab.config import HypervisorSpec
from lab.dialing import forward_socket, forwarded_uri, libvirt_uri, plugin_limits
from lab.openssh import KnownKeys, Login

SPEC = HypervisorSpec(address="lab42", key="~/.ssh/lab")
LOGIN = Login(host="lab42", hostname="lab42", port=22, user="root")
ED25519 = KnownKeys("lab42", frozenset({("ssh-ed25519", "A")}), ("ssh-ed25519",))
RSA = KnownKeys("lab42", frozenset({("ssh-rsa", "A")}), ("ssh-rsa",))


@pytest.mark.parametrize(
    ("spec", "login", "known", "found"),
    [
        pytest.param({}, {}, ED25519, [], id="a key, a name, port 22: it goes by itself"),
        pytest.param({"address": "LAB42"}, {}, ED25519, [], id="ssh writes names in lower case"),
        pytest.param({"user": "ops"}, {"user": "ops"}, ED25519, [], id="a user of the stack's"),
        pytest.param({"key": ""}, {}, ED25519, ["no host-key"], id="agent"),
        pytest.param({}, {"port": 2222}, ED25519, ["port 2222"], id="port"),
        pytest.param({}, {"proxy_jump": "b"}, ED25519, ["in between"], id="jump host"),
        pytest.param({}, {"proxy_command": "nc"}, ED25519, ["in between"], id="ProxyCommand"),
        pytest.param({}, {"user": "ops"}, ED25519, ["user ops"], id="a user of the operator's"),
        pytest.param({}, {"hostname": "10.0.0.7"}, ED25519, ["alias lab42"], id="alias"),
        pytest.param({}, {"host_key_alias": "x"}, ED25519, ["alias lab42"], id="HostKeyAlias"),
        pytest.param({}, {"certificate_files": ("c",)}, ED25519, ["certificate"], id="certificate"),
        pytest.param({}, {}, RSA, ["no ed25519"], id="an RSA host key"),
        pytest.param({}, {}, KnownKeys("lab42"), ["no ed25519"], id="no host key"),
        pytest.param({"address": "fd00::1"}, {"hostname": "fd00::1"}, ED25519, ["IPv6"], id="IPv6"),
    ],
)
def test_where_the_plugin_needs_help(
    spec: dict[str, Any], login: dict[str, Any], known: KnownKeys, found: list[str]
) -> None:
    limits = plugin_limits(
        replace(SPEC, **spec), replace(LOGIN, **login), known, certified=False, encrypted=False
    )
    assert len(limits) == len(found)
    assert all(text in limit for text, limit in zip(found, limits, strict=True))


def test_the_key_file_itself_may_be_too_much() -> None:
    limits = plugin_limits(SPEC, LOGIN, ED25519, certified=True, encrypted=True)
    assert limits == ["a certificate", "a key with a passphrase"]


@pytest.mark.parametrize(
    ("spec", "uri"),
    [
        pytest.param(
            SPEC,
            "qemu+ssh://root@lab42/system"
            "?sshauth=privkey&keyfile=$HOME/.ssh/lab&knownhosts=$HOME/.ssh/known_hosts",
            id="as states have it of stacks that set no user and no known_hosts",
        ),
        pytest.param(
            replace(SPEC, user="ops", key="$LAB/a key", known_hosts="${LAB}/known"),
            "qemu+ssh://ops@lab42/system"
            "?sshauth=privkey&keyfile=$LAB/a%20key&knownhosts=${LAB}/known",
            id="variables",
        ),
    ],
)
def test_the_uri_of_a_plugin_that_goes_by_itself(spec: HypervisorSpec, uri: str) -> None:
    assert libvirt_uri(spec) == uri


def test_the_uri_of_a_forward_is_the_same_everywhere() -> None:
    """No operator's path is in it, and a kernel's socket name has 108 bytes."""
    assert forwarded_uri("foo") == (
        "qemu+unix:///system?socket=.metalab/set-PULUMI_OPTION_RUN_PROGRAM=true/foo"
    )
    assert len(forward_socket("p" * 32)) < 108 - len(".0123456789abcdef")  # ssh adds to it


@pytest.mark.parametrize(
    "spec",
    [SPEC, HypervisorSpec(address="fd00::1", port=2222, user="ops", known_hosts="~/k")],
)
def test_the_wire_carries_all_of_it(spec: HypervisorSpec) -> None:
    assert from_wire(to_wire(spec)) == spec


@pytest.mark.parametrize(
    ("was", "now", "changed"),
    [
        pytest.param(
            {"user": "root", "known_hosts": "~/.ssh/known_hosts"}, {}, [], id="former defaults"
        ),
        pytest.param({"user": "ops"}, {}, ["user"], id="a user no more"),
        pytest.param({}, {"port": "2222"}, ["port"], id="a port"),
        pytest.param({"key": "~/a"}, {"key": "~/b"}, ["key"], id="a key"),
        pytest.param({}, {"user": "root"}, ["user"], id="root, said aloud"),
    ],
)
def test_a_login_that_changed(was: dict[str, str], now: dict[str, str], changed: list[str]) -> None:
    bare = {"address": "lab42", "user": "", "key": "", "known_hosts": ""}
    assert changed_login({**bare, **was}, {**bare, **now}) == changed
