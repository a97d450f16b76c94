"""Drift as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from lab.drift import Drift


def drifted(prefix: str, found: Sequence[Drift]) -> str:
    """A paragraph for each thing, and the command that repairs it, with a line feed at the end."""
    if not found:
        return f"{prefix}: as it was made\n"
    lines = [f"{prefix}: {len(found)} {'thing is' if len(found) == 1 else 'things are'} otherwise"]
    for one in found:
        lines += [f"  {one.where}: {one.kind}: found {one.found}, expected {one.expected}"]
        lines += [f"      {one.repair}"]
    return "\n".join([*lines, ""])
