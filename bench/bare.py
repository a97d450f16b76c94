"""The engine's own floor: a program that declares nothing."""

from __future__ import annotations

import yaml

from tests.e2e.engine import Project, Stack


def empty_program(project: Project) -> Stack:
    """Make one beside a project: its interpreter, its engine, its kind of state; it is up."""
    folder = project.folder / "bare"
    folder.mkdir()
    runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": "../.venv"}}
    text = yaml.safe_dump({"name": "bare", "runtime": runtime})
    (folder / "Pulumi.yaml").write_text(text)
    (folder / "__main__.py").write_text("import pulumi\n")
    stack = Stack(Project(folder, {**project.env, "PULUMI_OPTION_POLICY_PACK": ""}), "bare")
    stack.project.run("pulumi", "stack", "init", "bare").ok()
    stack.up().ok()
    return stack
