"""docs/hypervisor.md shows the list that the end-to-end tests hold a host against."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.host.remains import ALWAYS, FULL, SETTINGS, table

PAGE = Path(__file__).parents[4] / "docs/hypervisor.md"
PARTS = {"always": ALWAYS, "settings": SETTINGS, "full": FULL}


@pytest.mark.parametrize("name", PARTS)
def test_the_page_shows_the_list(name: str) -> None:
    shown = re.search(
        rf"<!-- remains: {name} -->\n(.*?)\n<!-- end -->", PAGE.read_text(), re.DOTALL
    )
    assert shown, f"{PAGE} has no place for it"
    assert shown[1] == table(PARTS[name]), "paste what `table` says"
