"""`python -m tests.mutants lab.rules ...`: which broken rules no test notices.

A process of its own, as each mutant gets a fork of one that has run the tests already: to fork one
with threads, such as a test runner's, is not safe.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants.breaking import Mutant, mutants

LONGEST_S = 60  # a mutant that never comes to an end was noticed
ROOT = Path(__file__).parent.parent.parent


def main(names: Sequence[str]) -> int:
    """Print each mutant that lives on."""
    living = 0
    for name in names:
        module, tests = import_module(name), ROOT / "tests" / "unit" / mirror(name)
        if passed(tests) != pytest.ExitCode.OK:
            print(f"{name}: its own tests fail")  # noqa: T201
            return 2
        every = list(mutants(module))
        unnoticed = [mutant for mutant in every if lives(mutant, module, tests)]
        living += len(unnoticed)
        for mutant in unnoticed:
            print(f"{name}: {mutant}")  # noqa: T201
        print(f"{name}: {len(every) - len(unnoticed)} of {len(every)} noticed")  # noqa: T201
    return 1 if living else 0


def mirror(name: str) -> str:
    """The tests of a module: `lab.host.drift` has lab/host/test_drift.py."""
    *folders, last = name.split(".")
    return "/".join([*folders, f"test_{last}.py"])


def lives(mutant: Mutant, module: ModuleType, tests: Path) -> bool:
    """Whether the tests pass with it all the same."""
    child = os.fork()
    if not child:
        signal.alarm(LONGEST_S)
        mutant.apply(module)
        os._exit(passed(tests))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == pytest.ExitCode.OK


def passed(tests: Path) -> int:
    """Run tests, saying nothing."""
    said, quiet = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    try:
        return pytest.main(["-qx", "-p", "no:cacheprovider", "-p", "no:xdist", str(tests)])
    finally:
        os.dup2(said, 1)
        os.close(said)
        os.close(quiet)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
