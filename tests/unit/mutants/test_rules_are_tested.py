"""Whoever breaks a rule in any one place has its tests say so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.mutants.__main__ import ROOT


@pytest.mark.parametrize(
    "module", ["lab.declared", "lab.guards", "lab.limits", "lab.removal", "lab.rules"]
)
def test_each_broken_rule_is_noticed(module: str) -> None:
    words = [sys.executable, "-m", "tests.mutants", module]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
