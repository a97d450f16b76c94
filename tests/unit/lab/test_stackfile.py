from __future__ import annotations

import difflib
import random
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.stackfile import with_nodes

HEAD = """# my lab
encryptionsalt: v1:abc:def
config:
  # where
  metalab:host-address: h   # eol
"""
TAIL = """
  # the image
  metalab:image-url:   tiny
  metalab:override: {tiny: {cpu: 1,memory: 64}}
"""


def edited(body: str, counts: dict[str, int], *removed: str) -> tuple[str, dict[str, Any]]:
    """Lines that changed, as diff shows them, and what the file says then."""
    text = HEAD + body + TAIL
    new = with_nodes(text, counts, removed)
    lines = difflib.unified_diff(text.splitlines(), new.splitlines(), lineterm="", n=0)
    changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return "\n".join(changed), yaml.safe_load(new)["config"]


TEXT = '  metalab:topology-nodes: "a:1,b:2"  # many\n'
BLOCK = "  metalab:topology-nodes:\n    a: 1  # the first\n    # others\n    b: 2\n"


@pytest.mark.parametrize(
    ("body", "counts", "removed", "diff"),
    [
        pytest.param(
            TEXT,
            {"a": 1, "b": 3},
            (),
            '-  metalab:topology-nodes: "a:1,b:2"  # many\n'
            '+  metalab:topology-nodes: "a:1,b:3"  # many',
            id="text",
        ),
        pytest.param(
            TEXT, {"a": 1, "b": 2}, ("b-0",), "+  metalab:remove-nodes: b-0", id="a new key"
        ),
        pytest.param(
            BLOCK,
            {"a": 1, "b": 4, "c": 1},
            (),
            "-    b: 2\n+    b: 4\n+    c: 1",
            id="a mapping",
        ),
        pytest.param(BLOCK, {"b": 2}, (), "-    a: 1  # the first", id="a role that goes"),
        pytest.param(
            BLOCK, {"a": 1, "b": 2}, ("b-1",), "+  metalab:remove-nodes: b-1", id="behind a mapping"
        ),
        pytest.param(
            "  metalab:topology-nodes: {a: 1, b: 2}\n",
            {"a": 2, "b": 2},
            (),
            "-  metalab:topology-nodes: {a: 1, b: 2}\n+  metalab:topology-nodes: {a: 2, b: 2}",
            id="a mapping in braces",
        ),
        pytest.param(
            f"  metalab:remove-nodes: [b-0]\n{TEXT}",
            {"a": 1, "b": 2},
            ("b-0", "b-1"),
            "-  metalab:remove-nodes: [b-0]\n+  metalab:remove-nodes: [b-0, b-1]",
            id="a list in brackets",
        ),
        pytest.param(
            f"{TEXT}  metalab:remove-nodes:\n    - b-0  # broken\n    - a-0\n",
            {"a": 1, "b": 2},
            ("b-0", "b-1"),
            "-    - a-0\n+    - b-1",
            id="a list",
        ),
        pytest.param(
            f"{TEXT}  metalab:remove-nodes: 'b-0'\n",
            {"a": 1, "b": 2},
            (),
            "-  metalab:remove-nodes: 'b-0'",
            id="no hole any more",
        ),
        pytest.param(
            f"  metalab:remove-nodes:\n  - b-0\n  - b-1 # x\n{TEXT}",
            {"a": 1, "b": 2},
            (),
            "-  metalab:remove-nodes:\n-  - b-0\n-  - b-1 # x",
            id="no hole any more, in a list",
        ),
        pytest.param(
            "  metalab:topology-nodes: >\n    a:1,\n    b:2\n",
            {"a": 1, "b": 3},
            (),
            "-  metalab:topology-nodes: >\n-    a:1,\n-    b:2\n+  metalab:topology-nodes: a:1,b:3",
            id="a folded text",
        ),
        pytest.param(
            "  metalab:topology-nodes: a : 1 , b:2\n".replace("a : 1", "a:1"),
            {"a": 1, "b": 2},
            (),
            "",
            id="nothing",
        ),
    ],
)
def test_an_edit_touches_its_own_lines(
    body: str, counts: dict[str, int], removed: tuple[str, ...], diff: str
) -> None:
    changed, config = edited(body, counts, *removed)
    assert changed == diff
    assert said(config) == (counts, list(removed))
    assert config["metalab:override"] == {"tiny": {"cpu": 1, "memory": 64}}


@given(st.randoms(use_true_random=False))
def test_whatever_is_asked_for_is_what_the_file_says(dice: random.Random) -> None:
    body = dice.choice([TEXT, BLOCK, "  metalab:topology-nodes: {a: 1,  b: 2}\n"])
    gone = dice.choice(
        [
            "",
            "  metalab:remove-nodes: b-0,b-1\n",
            "  metalab:remove-nodes:\n  - b-0\n  - b-1 # x\n",
            "  metalab:remove-nodes: ['b-0', b-1]\n",
        ]
    )
    body = dice.choice([body + gone, gone + body])
    counts = {role: dice.randint(1, 9) for role in dice.sample("abcd", dice.randint(1, 4))}
    removed = [f"b-{i}" for i in range(5) if dice.random() < 0.4]
    text = dice.choice([HEAD + body + TAIL, HEAD + body.rstrip("\n"), f"config:\n{body}"])
    now = said(yaml.safe_load(with_nodes(text, counts, removed))["config"])
    assert (now[0], sorted(now[1])) == (counts, removed)


def said(config: dict[str, Any]) -> tuple[dict[str, int], list[str]]:
    nodes, removed = config["metalab:topology-nodes"], config.get("metalab:remove-nodes", [])
    if isinstance(nodes, str):
        pairs = (part.split(":") for part in nodes.strip().split(","))
        nodes = {role.strip(): int(count) for role, count in pairs}
    return nodes, removed.split(",") if isinstance(removed, str) else removed
