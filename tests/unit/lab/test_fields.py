"""The table of fields, held against the files' schemas and against docs/changes.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.fields import (
    CLASSES,
    ELSEWHERE,
    LAYOUT,
    LIVE,
    ROLE,
    STACK,
    Field,
    renewing_domain,
    renewing_network,
)
from lab.schema import SCHEMAS
from tests.golden import check_golden

PAGE = Path(__file__).parents[3] / "docs" / "changes.md"
TABLES = {"stack.json": STACK, "role.json": ROLE, "layout.json": LAYOUT}
TITLES = {"stack.json": "A stack", "role.json": "A role", "layout.json": "A layout"}
# What holds others, and the words of an `srv`, which is one field.
WHOLES = {"config"}
OF_SRV = {"service", "protocol", "target", "port", "priority", "weight"}
# Said of a layout's `nodes` as of a role's own.
OF_ROLE = {"interfaces", "external_network", "provision_network", "network", "model", "mac"}

INTRO = """\
# What an edit does

`pulumi preview -s foo` shows it before anything happens, below `Diagnostics` and in words of the
files:

    compute-0, compute-1: memory 8192 → 16384 MiB: restart
    network data: mtu none → 9000: replace; compute-0, compute-1 restart
    compute-2: removed, with its disks

What it compares with is what the last `pulumi up` that came to its end has made: where one failed
or was killed, its changes are shown again. A change by hand on the hypervisor is none of them:
[drift.md](drift.md).

These things can come of an edit:
"""


def page() -> str:
    lines = [INTRO, "| class | what happens |", "|---|---|"]
    lines += [f"| **{name}** | {what} |" for name, what in CLASSES.items()]
    for name, fields in TABLES.items():
        lines += ["", f"## {TITLES[name]}", "", "| key | class | |", "|---|---|---|"]
        lines += [row(field) for field in fields]
    return "\n".join([*lines, ""])


def row(field: Field[Any]) -> str:
    keys = ", ".join(f"`{key}`" for key in field.keys)
    return " ".join(f"| {keys} | {field.effect} | {field.note} |".split())


def keys(schema: dict[str, Any]) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        yield key.removeprefix("metalab:")
        yield from keys(inner)
    for inner in (*schema.get("patternProperties", {}).values(), *schema.get("anyOf", [])):
        yield from keys(inner)
    yield from keys(schema["items"]) if "items" in schema else ()


def test_the_page_is_the_table() -> None:
    check_golden(PAGE, page())


@pytest.mark.parametrize("name", list(TABLES))
def test_every_key_is_in_the_table_and_no_other(name: str) -> None:
    written = set(keys(json.loads(SCHEMAS[name]()))) - WHOLES - OF_SRV
    if name == "layout.json":
        written -= OF_ROLE
    if name == "role.json":
        written -= {"network"}  # the short form of an item of interfaces
    if name == "stack.json":
        written |= {"vnc-password"}  # a secret, whose form is not for editors
    listed = [key for field in TABLES[name] for key in field.keys]
    assert sorted(listed) == sorted(written)


@pytest.mark.parametrize("fields", TABLES.values(), ids=TABLES)
def test_every_effect_is_explained(fields: tuple[Field[Any], ...]) -> None:
    assert {field.effect for field in fields} <= {*CLASSES, ELSEWHERE}


def test_what_is_live_makes_nothing_anew() -> None:
    """An option of the resources and a promise to readers are one."""
    for field in (*STACK, *ROLE, *LAYOUT):
        assert not (field.effect == LIVE and field.inputs), field.name


def test_what_the_plugin_would_not_renew_is_renewed() -> None:
    """Each of these was seen to be reported as done, and not to be done."""
    assert set(renewing_domain()) >= {"cloudinit", "cpu", "disks", "machine", "networkInterfaces"}
    assert set(renewing_network()) == {"dhcp", "dnsmasqOptions", "mtu", "routes"}
