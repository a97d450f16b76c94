"""Which keys are offered, with real keys, a real agent and a real authority."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.errors import LabError
from lab.host.identities import is_encrypted, offers
from lab.openssh import Login

pytestmark = pytest.mark.skipif(not shutil.which("ssh-agent"), reason="OpenSSH is not installed")
SPEC = HypervisorSpec(address="lab42")


def run(*words: str, **env: str) -> str:
    full = {**os.environ, **env}
    return subprocess.run(words, env=full, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three keys, and one that has a passphrase."""
    for name, word in (("a", ""), ("b", ""), ("c", ""), ("locked", "open-sesame")):
        path = str(tmp_path / name)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", word, "-C", name, "-f", path)
    run("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(tmp_path / "r"))
    return tmp_path


@pytest.fixture
def agent(folder: Path) -> Iterator[dict[str, str]]:
    """Holds b and a, in this order, and the locked one."""
    env = dict(re.findall(r"(SSH_\w+)=([^;]+);", run("ssh-agent", "-s")))
    asker = folder / "ask"
    asker.write_text("#!/bin/sh\necho open-sesame\n")
    asker.chmod(0o700)
    asking = {"SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force"}
    for name in ("b", "a", "locked"):
        run("ssh-add", "-q", str(folder / name), **env, **asking)
    yield env
    run("ssh-agent", "-k", **env)


def login(folder: Path, *files: str, agent: str = "none", **fields: object) -> Login:
    paths = tuple(str(folder / name) for name in files)
    return Login(
        host="lab42",
        hostname="lab42",
        port=22,
        user="root",
        agent=agent,
        identity_files=paths,
        **fields,  # type: ignore[arg-type]
    )


def names(folder: Path, spec: HypervisorSpec, wanted: Login) -> list[str]:
    """The keys by their files' names; a certified one with a plus."""
    public = {
        path.read_text().split()[1]: path.stem
        for path in folder.glob("*.pub")
        if "cert" not in path.name
    }
    with ExitStack() as stack:
        return [
            public[key.get_base64()] + ("+" if getattr(key, "public_blob", None) else "")
            for key in offers(spec, wanted, stack)
        ]


def test_files_alone(folder: Path) -> None:
    assert names(folder, SPEC, login(folder, "r", "missing", "locked", "a")) == ["r", "a"]


def test_the_agents_keys_come_first_and_those_with_files_before_all(
    folder: Path, agent: dict[str, str]
) -> None:
    socket = agent["SSH_AUTH_SOCK"]
    assert names(folder, SPEC, login(folder, "c", "a", agent=socket)) == ["a", "b", "locked", "c"]


def test_identities_only(folder: Path, agent: dict[str, str]) -> None:
    wanted = login(folder, "a", "c", agent=agent["SSH_AUTH_SOCK"], identities_only=True)
    assert names(folder, SPEC, wanted) == ["a", "c"]


def test_an_agent_that_is_gone_is_none(folder: Path) -> None:
    assert names(folder, SPEC, login(folder, "a", agent=str(folder / "gone"))) == ["a"]


def test_host_key_is_all_there_is(folder: Path, agent: dict[str, str]) -> None:
    spec = HypervisorSpec(address="lab42", key=str(folder / "c"))
    assert names(folder, spec, login(folder, "a", agent=agent["SSH_AUTH_SOCK"])) == ["c"]


def test_a_locked_host_key_may_be_in_the_agent(folder: Path, agent: dict[str, str]) -> None:
    spec = HypervisorSpec(address="lab42", key=str(folder / "locked"))
    assert names(folder, spec, login(folder, agent=agent["SSH_AUTH_SOCK"])) == ["locked"]
    with pytest.raises(LabError, match=r"protected by a passphrase, and in no agent"):
        offers(spec, login(folder), ExitStack())


@pytest.mark.parametrize("key", ["a", "r"])
@pytest.mark.parametrize("beside", [True, False], ids=["beside the key", "named in the config"])
def test_a_certificate_goes_with_its_own_key(folder: Path, key: str, beside: bool) -> None:
    run("ssh-keygen", "-q", "-s", str(folder / "c"), "-I", "me", "-n", "root", str(folder / key))
    paper = folder / f"{key}-cert.pub"
    named: tuple[str, ...] = ()
    if not beside:
        named = (str(paper.rename(folder / "paper-cert.x")),)
    wanted = login(folder, "b", key, certificate_files=named)
    assert names(folder, SPEC, wanted) == ["b", f"{key}+", key]


def test_a_certificate_for_a_key_in_the_agent(folder: Path, agent: dict[str, str]) -> None:
    run("ssh-keygen", "-q", "-s", str(folder / "c"), "-I", "me", "-n", "root", str(folder / "a"))
    wanted = login(folder, "a", agent=agent["SSH_AUTH_SOCK"], identities_only=True)
    assert names(folder, SPEC, wanted) == ["a+", "a"]


def test_passphrases(folder: Path) -> None:
    assert [is_encrypted(str(folder / name)) for name in ("a", "locked", "none")] == [
        False,
        True,
        False,
    ]
