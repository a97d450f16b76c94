"""The schemas for editors: as committed, and of one mind with the parsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from lab.files import load_yaml
from lab.schema import SCHEMAS
from lab.shelf import judge
from lab.topology import CATALOGUE
from tests.golden import check_golden

ROOT = CATALOGUE.parent
FOLDERS = {"role.json": "nodes", "layout.json": "networks"}
FILES = [
    pytest.param(schema, path, id=f"{folder}/{path.stem}")
    for schema, folder in FOLDERS.items()
    for path in sorted((CATALOGUE / folder).glob("*.yaml"))
]
NODE = "cpu: 1\nmemory: 128\ndisks: [1G]\n"


def validator(schema: str) -> Callable[[Any], Any]:
    return fastjsonschema.compile(json.loads(SCHEMAS[schema]()))


@pytest.mark.parametrize("schema", sorted(SCHEMAS))
def test_the_committed_schema_is_what_the_parsers_ask(schema: str) -> None:
    check_golden(CATALOGUE / "schemas" / schema, SCHEMAS[schema]())


@pytest.mark.parametrize(("schema", "path"), FILES)
def test_what_ships_fits(schema: str, path: Path) -> None:
    validator(schema)(load_yaml(path, path.name).raw)


def test_the_demo_fits() -> None:
    validator("stack.json")(load_yaml(ROOT / "stacks/Pulumi.demo.yaml", "demo").raw)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param("role.json", NODE.replace("cpu: 1", "cpu: many"), id="cpu"),
        pytest.param("role.json", NODE.replace("cpu: 1\n", ""), id="no cpu"),
        pytest.param("role.json", NODE.replace("128", "lots"), id="memory"),
        pytest.param("role.json", f"{NODE}memroy: 2\n", id="an unknown key"),
        pytest.param("role.json", f"{NODE}name: My_Node\n", id="a name"),
        pytest.param("role.json", f"{NODE}interfaces: []\nexternal_network: a\n", id="no NICs"),
        pytest.param("layout.json", "networks: {a: {cidr: x}}\nnodes: {}\n", id="cidr"),
        pytest.param("layout.json", "networks: {a: {forward: nta}}\nnodes: {}\n", id="forward"),
        pytest.param("layout.json", "networks: {a: {dhcp: some}}\nnodes: {}\n", id="dhcp"),
        pytest.param("layout.json", "networks: {A_b: {}}\nnodes: {}\n", id="a network's name"),
        pytest.param("layout.json", "networks: {}\n", id="no nodes"),
    ],
)
def test_an_editor_sees_what_the_parsers_refuse(tmp_path: Path, schema: str, text: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    assert judge(file, "x.yaml").problems
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validator(schema)(load_yaml(file, "x.yaml").raw)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"metalab:topology-nodes": "tiny:3"}, id="no host"),
        pytest.param({"metalab:host-address": "h", "metalab:virt-type": "xen"}, id="a choice"),
        pytest.param({"metalab:host-address": "a b"}, id="a form"),
    ],
)
def test_an_editor_sees_what_is_wrong_with_a_stack(settings: dict[str, Any]) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validator("stack.json")({"config": {"metalab:topology-nodes": "tiny:1", **settings}})


@pytest.mark.parametrize("nodes", ["tiny:3,compute:1", {"tiny": 3}])
def test_counts_come_in_two_forms(nodes: object) -> None:
    settings = {"metalab:host-address": "h", "metalab:topology-nodes": nodes, "aws:region": "x"}
    validator("stack.json")({"config": settings, "encryptionsalt": "v1"})
