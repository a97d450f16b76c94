"""The real program on mocks: what it registers, without an engine, a host or libvirt."""

from __future__ import annotations

import asyncio
import json
import runpy
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, set_all_config, set_mocks

from lab.dialing import libvirt_uri
from lab.facts import HostFacts, Taken
from lab.host.forward import Way
from lab.images import Image
from tests.unit.lab.samples import WIRES

ROOT = Path(__file__).resolve().parents[2]
SEED = "5eed" * 16
PENDING = "nested virtualization is active after the next boot"
IMAGE = Image(sha256="ab" * 32, source="tiny.qcow2")
FACTS = HostFacts(
    hostname="lab42",
    os_id="debian",
    os_version="12",
    cpu_vendor="GenuineIntel",
    cpu_count=16,
    memory_mib=131_072,
    disk_free_gib=500,
    taken=(Taken(subnet=IPv4Network("203.0.113.0/24"), by="route via eth0", device="eth0"),),
)
# The same with NICs that bridged networks take.
WITH_NICS = replace(FACTS, wires=WIRES)
DEMO = {"host-address": "203.0.113.7", "topology-nodes": "tiny:3", "image-url": "tiny"}


class Recorder(Mocks):
    """Answers like the engine would, and remembers."""

    def __init__(self) -> None:
        self.seen: list[MockResourceArgs] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.seen.append(args)
        outputs = dict(args.inputs)
        if args.typ.endswith(":Keys"):
            outputs |= {"seed": SEED, "public": "ssh-ed25519 AAAA"}
        if args.typ.endswith(":Host"):
            outputs |= {"pending": [PENDING]}
        return f"{args.name}_id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


def up(facts: HostFacts = FACTS, **settings: object) -> list[MockResourceArgs]:
    """Run the real __main__.py as stack `foo`; return what it registers, once all of it is in."""
    loop = asyncio.new_event_loop()  # the SDK shares one loop; tests must not
    asyncio.set_event_loop(loop)
    set_mocks(recorder := Recorder(), project="metalab", stack="foo")
    set_all_config(_config({**DEMO, **{k.replace("_", "-"): v for k, v in settings.items()}}))
    with (
        # The mocks have no callback server; hooks are registered with nobody and never run.
        patch("pulumi.runtime.resource._get_callbacks", _no_callbacks),
        patch("components.settings.check_programs", list),
        patch("lab.host.settle.settle", lambda _spec, decide, **_how: (decide(facts), facts, None)),
        patch("lab.host.forward.open_way", lambda spec, _prefix: Way(libvirt_uri(spec), spec)),
        patch("lab.images.load_image", lambda config: IMAGE if config.image_url else None),
    ):
        pulumi.runtime.test(_program)()
    loop.close()
    return [seen for seen in recorder.seen if seen.typ != "pulumi:pulumi:Stack"]


def graph(seen: list[MockResourceArgs]) -> dict[str, Any]:
    """What was registered, by type and name, as plain data to compare with a golden file."""
    return {
        f"{args.typ}::{args.name}": _plain(args.inputs)
        for args in sorted(seen, key=lambda args: (args.typ, args.name))
    }


def exports() -> dict[str, Any]:
    """The program's outputs, after `up`."""
    stack = pulumi.runtime.get_root_resource()
    outputs: Mapping[str, Any] = getattr(stack, "outputs", {})
    return {
        name: asyncio.run(value.future()) if isinstance(value, pulumi.Output) else value
        for name, value in outputs.items()
    }


async def _no_callbacks() -> MagicMock:
    return MagicMock()


async def _program() -> None:
    with patch("pulumi.run") as run:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
    await run.call_args.args[0]()  # the mocks' own stack has ended by now, and takes no program


def _config(settings: Mapping[str, object]) -> dict[str, str]:
    return {
        f"metalab:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in settings.items()
        if value is not None
    }


def _plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs without what only makes a golden file long: reservations, keys and steps."""
    plain: dict[str, Any] = json.loads(json.dumps(inputs, default=str, sort_keys=True))
    for key in ("xml", "userData", "steps", "lease", "private_key", "__provider"):
        if key in plain:
            plain[key] = "..."
    return plain
