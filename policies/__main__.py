"""The policy pack. This module serves the engine and never returns: nothing may import it."""

import io
import sys
from pathlib import Path

# The pack's process sees the pack's directory only; the rules are in the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from metalab_policies import POLICIES
from pulumi_policy import PolicyPack

# The pack tells the engine its port and does not flush: the engine would wait for ever, unless
# PYTHONUNBUFFERED happens to be set.
sys.stdout = io.TextIOWrapper(
    io.FileIO(sys.stdout.fileno(), "w", closefd=False), write_through=True
)
PolicyPack("metalab", POLICIES)
