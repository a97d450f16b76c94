"""OpenSSH's programs on the operator's machine, asked what they would do."""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO

from lab.config import HypervisorSpec
from lab.errors import LabError
from lab.files import expand, unset_names
from lab.host import refusals
from lab.host.session import TAIL_LINES
from lab.openssh import (
    KnownKeys,
    Login,
    expand_tokens,
    hop_words,
    jump_command,
    parse_known_keys,
    parse_login,
    settings,
)

MOST_HOPS = 10  # a jump host may name another one in its own configuration, or itself


def expand_path(text: str, *, setting: str) -> Path:
    """Expand `~` and `$NAME` in a path of the stack's configuration.

    Raises:
        LabError: a variable is not set; the problem names `setting`.
    """
    if names := unset_names(text):
        raise LabError([refusals.undefined_variable(setting, text, f"${names[0]}")])
    return expand(text)


def expanded(spec: HypervisorSpec) -> HypervisorSpec:
    """The same with paths of this machine.

    Raises:
        LabError: a variable of a path is not set.
    """
    return replace(
        spec,
        key=str(expand_path(spec.key, setting="host-key")) if spec.key else "",
        known_hosts=(
            str(expand_path(spec.known_hosts, setting="host-known-hosts"))
            if spec.known_hosts
            else ""
        ),
    )


@lru_cache(maxsize=32)
def resolve(spec: HypervisorSpec) -> Login:
    """Ask `ssh -G` where a host is and how to log in there.

    Args:
        spec: its paths are expanded already.

    Raises:
        LabError: there is no ssh, or it refuses its own configuration.
    """
    return _resolve((*settings(spec), "--", spec.address), f"host-address {spec.address}")


def _resolve(words: Sequence[str], where: str) -> Login:
    try:
        said = _run(["ssh", "-G", *words])
    except FileNotFoundError:
        raise LabError([refusals.no_openssh()]) from None
    if said.returncode:
        raise LabError([refusals.bad_ssh_config(where, tail(said.stderr))])
    return parse_login(said.stdout)


def proxy_command(login: Login, *, jumps_only: bool = False, hops: int = 0) -> list[str]:
    """The command whose input and output lead to a host; empty: it is reached directly.

    Every jump host is asked for in a command of our own, because ssh gives none of its options to
    the hops that it starts by itself: `StrictHostKeyChecking accept-new` would hold there.

    Args:
        login: the host.
        jumps_only: leave a ProxyCommand of the user's to ssh.
        hops: how many there are already.

    Raises:
        LabError: the jump hosts lead in a circle.
    """
    if login.proxy_command and jumps_only:
        return []
    if login.proxy_command:
        return ["sh", "-c", f"exec {expand_tokens(login.proxy_command, login, {})}"]
    if not login.proxy_jump:
        return []
    if hops >= MOST_HOPS:
        raise LabError([refusals.endless_jumps(login.host)])
    *before, last = login.proxy_jump.split(",")
    jump = _resolve(hop_words(last), f"ProxyJump {last}")
    if before:  # as ssh has it: a list on this side wins over what the jump host's own entry says
        jump = replace(jump, proxy_jump=",".join(before), proxy_command="")
    return jump_command(login, last, proxy_command(jump, hops=hops + 1))


def known_keys(login: Login) -> KnownKeys:
    """What the known_hosts files say of a host; hashed names, patterns and @revoked included."""
    files = [
        path
        for text in (*login.user_known_hosts, *login.global_known_hosts)
        if (path := Path(expand_file(text, login))).is_file()
    ]
    for name in login.known_as:
        said = "".join(_run(["ssh-keygen", "-F", name, "-f", str(file)]).stdout for file in files)
        if (known := parse_known_keys(name, said)).keys:
            return known
    return KnownKeys(login.known_as[0])


def expand_file(text: str, login: Login) -> str:
    """Expand `~`, `${NAME}` and tokens in a path of OpenSSH's configuration."""
    account = pwd.getpwuid(os.getuid())  # as ssh does: it has no use for $HOME
    tokens = {
        "d": account.pw_dir,
        "i": str(os.getuid()),
        "l": socket.gethostname(),
        "L": socket.gethostname().partition(".")[0],
        "u": account.pw_name,
    }
    path = expand_tokens(_with_variables(text, os.environ), login, tokens)
    if path == "~" or path.startswith("~/"):
        return account.pw_dir + path[1:]
    return os.path.expanduser(path)  # noqa: PTH111 - ~name of somebody else's


def _with_variables(text: str, env: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda seen: env.get(seen[1], seen[0]), text)


def agent_socket(login: Login) -> str:
    """The path at which the SSH agent listens; empty: there is none."""
    if login.agent == "none":
        return ""
    if login.agent == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK", "")
    if login.agent.startswith("$") and not login.agent.startswith("${"):
        return os.environ.get(login.agent[1:], "")
    return expand_file(login.agent, login)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running command that leads to a host, with a socket for its input and output."""

    line: socket.socket
    process: subprocess.Popen[bytes]
    _stderr: IO[bytes]

    @classmethod
    def start(cls, words: Sequence[str]) -> Proxy:
        """Run a command of `proxy_command`. A socket, unlike pipes, can be waited for in time."""
        ours, theirs = socket.socketpair()
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # A session of its own: ^C ends an operation in order, over connections that still stand.
        process = subprocess.Popen(  # noqa: S603 - words, or the user's own ProxyCommand
            words,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=stderr,
            start_new_session=True,
        )
        theirs.close()
        return cls(ours, process, stderr)

    def reason(self) -> str:
        """What it complained of when it ended by itself; empty if it did not."""
        try:
            self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return ""
        self._stderr.seek(0)
        return tail(self._stderr.read().decode(errors="replace")) or "it ended without a word"

    def close(self) -> None:
        """End it."""
        self.line.close()
        self.process.terminate()
        self.process.wait()
        self._stderr.close()


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - OpenSSH's own programs, with words and no shell
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )


def tail(text: str) -> str:
    """The last lines of what a program complained of, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-TAIL_LINES:])
