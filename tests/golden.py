"""Files that are documentation and expectation at once."""

from __future__ import annotations

from pathlib import Path

import pytest


def check_golden(path: Path, text: str) -> None:
    """Compare. `rm` the file and run the test to make it anew; read the diff before you commit."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        pytest.fail(f"{path} did not exist and was written")
    assert path.read_text() == text, f"rm {path} and run this test again to make it anew"
