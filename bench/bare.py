"""The engine's own floor: a program that declares nothing."""

from __future__ import annotations

from pathlib import Path

import yaml

from bench.measuring import best, timed
from tests.e2e.engine import Project, Stack

_UP = ("up", "--yes", "--expect-no-changes")


class Bare:
    """An empty program beside a project: its interpreter, its engine, its kind of state."""

    def __init__(self, project: Project) -> None:
        folder = project.folder / "bare"
        folder.mkdir()
        runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": "../.venv"}}
        text = yaml.safe_dump({"name": "bare", "runtime": runtime})
        (folder / "Pulumi.yaml").write_text(text)
        (folder / "__main__.py").write_text("import pulumi\n")
        env = {**project.env, "PULUMI_OPTION_POLICY_PACK": ""}
        self._stack = Stack(Project(Path(folder), env), "bare")
        self._stack.project.run("pulumi", "stack", "init", "bare").ok()
        self._stack.up().ok()

    def no_op_s(self) -> float:
        """Seconds of an `up` with preview that changes nothing."""
        return best(lambda: self._stack.pulumi(*_UP).ok())

    def destroy_s(self) -> float:
        """Seconds of a `destroy -f` of nothing but the stack itself."""
        took = timed(lambda: self._stack.pulumi("destroy", "--yes", "--skip-preview").ok())
        self._stack.up().ok()
        return took
