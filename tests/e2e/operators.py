"""People with an OpenSSH configuration of their own, each before the same project."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.engine import Project, Run, Stack
from tests.e2e.hypervisors import Hypervisor

HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)  # where OpenSSH looks, whatever $HOME says
# Over both homes: the account's, and the one of the project's copy.
AS_OPERATOR = """
mkdir -p "$HOME/.ssh" && mount --bind "$1" "$HOME/.ssh" && mount --bind "$1" "$2" || exit
shift 2
exec "$@"
"""


@dataclass(frozen=True)
class Desk(Project):
    """The project as one operator has it: their ~/.ssh lies over everybody's."""

    ssh_dir: Path = field(kw_only=True)

    def run(self, *words: str, limit_s: float = 600, **env: str) -> Run:
        """Run a command as that operator."""
        return super().run(*self.entered(*words), limit_s=limit_s, **env)

    def entered(self, *words: str) -> tuple[str, ...]:
        """The same command, in a mount namespace of its own."""
        over = (str(self.ssh_dir), str(HOME / ".ssh"))
        return ("unshare", "-m", "sh", "-c", AS_OPERATOR, "sh", *over, *words)


@dataclass(frozen=True)
class Operator:
    """A folder that becomes ~/.ssh while they work."""

    ssh_dir: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def arrive(cls, folder: Path) -> Operator:
        """Make an empty ~/.ssh."""
        (HOME / ".ssh").mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        return cls(folder)

    def write(self, name: str, text: str) -> Path:
        """Put a file there."""
        path = self.ssh_dir / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def key(self, name: str, passphrase: str = "") -> str:
        """Make a key; answer its public half."""
        path = self.ssh_dir / name
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", str(path))
        return path.with_suffix(".pub").read_text()

    def sit(self, project: Project) -> Desk:
        """Sit down before a project."""
        return Desk(project.folder, {**project.env, **self.env}, ssh_dir=self.ssh_dir)

    def stack(self, project: Project, prefix: str, **settings: object) -> Stack:
        """Open an environment, which may be somebody else's."""
        stack = Stack(self.sit(project), prefix)
        if settings:
            stack.configure(**settings)
            project.run("pulumi", "stack", "init", prefix).ok()
        return stack


def known_lines(host: Hypervisor, name: str, *kinds: str) -> str:
    """The host's keys under a name, of some types only."""
    lines = [line.split() for line in Path(host.spec.known_hosts).read_text().splitlines()]
    return "".join(f"{name} {kind} {key}\n" for _, kind, key in lines if not kinds or kind in kinds)


def ipv6(host: Hypervisor) -> str:
    """The host's IPv6 address."""
    names = Path(host.spec.known_hosts).read_text().split()[0]
    return next(name for name in names.split(",") if ":" in name)


@contextmanager
def agent(*keys: Path, passphrase: str = "") -> Iterator[dict[str, str]]:
    """A real ssh-agent that holds keys, in this order; answers what a shell would set."""
    said = run("ssh-agent", "-s")
    env = dict(re.findall(r"(SSH_\w+)=([^;]+);", said))
    asker = {"SSH_ASKPASS": "/bin/echo", "SSH_ASKPASS_REQUIRE": "force"}
    try:
        for key in keys:
            if passphrase:
                script = key.with_suffix(".askpass")
                script.write_text(f"#!/bin/sh\necho {passphrase}\n")
                script.chmod(0o700)
                asker["SSH_ASKPASS"] = str(script)
            run("ssh-add", "-q", str(key), **env, **asker)
        yield env
    finally:
        run("ssh-agent", "-k", **env)


def run(*words: str, **env: str) -> str:
    """Run a command here; it must succeed."""
    full = {**os.environ, **env}
    done = subprocess.run(words, env=full, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout
