"""The real engine on a copy of the project: what a user does, without touching the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("__main__.py", "Pulumi.yaml", "pyproject.toml", "uv.lock", "fabfile.py")
ROOMS = ("lab", "components", "topologies", "policies")
UP_LIMIT_S = 600


def build_tiny() -> None:
    """Have the image `tiny`, which a machine builds once."""
    subprocess.run([ROOT / "tools" / "image", "tiny"], check=True, capture_output=True)


@dataclass(frozen=True)
class Run:
    """One finished command."""

    code: int
    out: str  # both streams: the engine reports on either

    def ok(self) -> Run:
        """Fail the test with all that was printed, unless the command succeeded."""
        assert self.code == 0, self.out
        return self

    def refused(self) -> Run:
        """Fail the test unless the command failed."""
        assert self.code != 0, self.out
        return self


@dataclass(frozen=True)
class Project:
    """A copy of the checkout with stacks and state of its own."""

    folder: Path
    env: dict[str, str]

    @classmethod
    def copy(cls, folder: Path) -> Project:
        """Copy what a program run reads; stack files and state start empty."""
        for name in PARTS:
            shutil.copy(ROOT / name, folder)
        for name in ROOMS:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        (folder / "stacks").mkdir()
        (folder / "state").mkdir()
        (folder / "home").mkdir()
        env = {
            **os.environ,
            "UV_CACHE_DIR": _uv_cache(),  # found before HOME becomes another
            "HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}/state?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_OPTION_POLICY_PACK": str(folder / "policies"),
        }
        # What this shell happens to set is not what a user's shell sets.
        for name in ("PULUMI_CONFIG_PASSPHRASE_FILE", "VIRTUAL_ENV", "PYTHONUNBUFFERED"):
            env.pop(name, None)
        return cls(folder, env)

    def run(self, *words: str, limit_s: float = UP_LIMIT_S, **env: str) -> Run:
        """Run a command in the project."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=limit_s,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def add_blank(self) -> None:
        """Add the role `blank`: a node without a system, which costs little."""
        role = "cpu: 1\nmemory: 64\ndisks: [1G]\ndeploy_os: false\n"
        (self.folder / "topologies" / "nodes" / "blank.yaml").write_text(role)

    def stack(self, prefix: str, **settings: object) -> Stack:
        """Write a stack file and create its stack; `host_address=x` means `host-address: x`."""
        stack = Stack(self, prefix)
        stack.configure(**settings)
        self.run("pulumi", "stack", "init", prefix).ok()
        return stack


@dataclass
class Stack:
    """One environment."""

    project: Project
    prefix: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """Its stack file."""
        return self.project.folder / "stacks" / f"Pulumi.{self.prefix}.yaml"

    def configure(self, **settings: object) -> None:
        """Change settings as an editor would; None removes one."""
        known = yaml.safe_load(self.file.read_text()) if self.file.exists() else {}
        config = known.get("config") or {}
        for name, value in settings.items():
            key = f"metalab:{name.replace('_', '-')}"
            if value is None:
                config.pop(key, None)
            else:
                config[key] = value
        self.file.write_text(yaml.safe_dump({**known, "config": config}))

    def pulumi(self, *words: str, **env: str) -> Run:
        """Run one engine command on this stack."""
        verb, *rest = words
        flags = ["--non-interactive", "--color", "never"]
        return self.project.run("pulumi", verb, "-s", self.prefix, *rest, *flags, **env)

    def up(self, *flags: str) -> Run:
        """`pulumi up` without the preview, unless flags say otherwise."""
        return self.pulumi("up", "--yes", *(flags or ("--skip-preview",)))

    def unchanged(self) -> Run:
        """`pulumi up --expect-no-changes`, preview and policies included."""
        return self.pulumi("up", "--yes", "--expect-no-changes")

    def destroy(self) -> Run:
        """Plain `pulumi destroy`."""
        return self.pulumi("destroy", "--yes")

    def outputs(self) -> dict[str, Any]:
        """The outputs, secrets in clear."""
        words = ("output", "--json", "--show-secrets")
        run = self.project.run("pulumi", "stack", *words, "-s", self.prefix).ok()
        return json.loads(run.out)

    def fab(self, task: str, *words: str) -> Run:
        """`uv run fab TASK PREFIX ...`."""
        return self.project.run("uv", "run", "--frozen", "fab", task, self.prefix, *words)

    def addressed(self, node: str, count: int = 1, device: str = "") -> str:
        """A node's IPv4 addresses, once there are so many: a lease may be later than SSH."""
        show = f"ip -4 -o addr show {f'dev {device}' if device else ''} scope global"
        wait = f"i=0; while [ $({show} | wc -l) -lt {count} ] && [ $i -lt 30 ]; do "
        return self.ssh(node, f"{wait} sleep 1; i=$((i + 1)); done; {show}").ok().out

    def ssh(self, node: str, command: str, limit_s: float = 60) -> Run:
        """Run a command on a node with the printed ssh_config and nothing else."""
        config = self.project.folder / f"ssh_config.{self.prefix}"
        return self.project.run("ssh", "-F", str(config), node, command, limit_s=limit_s)

    def print_ssh_config(self) -> None:
        """Keep what `fab ssh-config` prints for `ssh`."""
        text = self.fab("ssh-config").ok().out
        (self.project.folder / f"ssh_config.{self.prefix}").write_text(text)


def _uv_cache() -> str:
    words = ["uv", "cache", "dir", "--color", "never"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
