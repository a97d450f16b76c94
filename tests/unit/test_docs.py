"""The pages that promise to have every key do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.schema import SCHEMAS

ROOT = Path(__file__).parents[2]
# Of items in lists; the page has them in the words beside their list.
ITEMS = {"size", "network", "model", "mac", "service", "protocol", "target", "port"}
ITEMS |= {"priority", "weight"}


def keys(schema: dict[str, Any]) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        yield key
        yield from keys(inner)
    for inner in (*schema.get("patternProperties", {}).values(), *schema.get("anyOf", [])):
        yield from keys(inner)
    yield from keys(schema["items"]) if "items" in schema else ()


@pytest.mark.parametrize("name", sorted(SCHEMAS))
@pytest.mark.parametrize("page", ["changes.md", "topologies.md"])
def test_every_key_is_on_the_page(name: str, page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    if name == "stack.json" and page == "topologies.md":
        text = (ROOT / "README.md").read_text()
    spans = re.findall(r"`([^`\n]+)`", text)
    written = {word for span in spans for word in re.findall(r"[\w-]+", span)}
    known = {key.removeprefix("metalab:") for key in keys(json.loads(SCHEMAS[name]()))}
    known -= {"config"} | (ITEMS if page == "changes.md" else set())
    assert sorted(known - written) == []
