from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from components.connection import to_wire
from components.node_provider import ReadinessProvider
from lab.config import HypervisorSpec
from lab.host.readiness import ReadyNode
from tests.unit.lab.host.shells import ScriptedShell


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whom somebody waited for; all are ready, and those on the LAN are at 192.0.2.<how many>."""
    names: list[str] = []

    def wait_ready(
        _shell: object, nodes: list[ReadyNode], *_: object, found: dict[str, str], **__: object
    ) -> tuple[()]:
        names.extend(node.name for node in nodes)
        found.update({node.name: f"192.0.2.{len(names)}" for node in nodes if node.bridge})
        return ()

    @contextmanager
    def borrow(_spec: HypervisorSpec) -> Iterator[ScriptedShell]:
        yield ScriptedShell([])

    monkeypatch.setattr("lab.host.shared.borrow", borrow)
    monkeypatch.setattr("lab.host.readiness.wait_ready", wait_ready)
    return names


def props(*nodes: str) -> dict[str, Any]:
    """Nodes as they arrive; those that are called near have their address from the LAN."""
    return {
        **to_wire(HypervisorSpec(address="lab42")),
        "timeout_s": 300,
        "private_key": "k",
        "nodes": {
            name: {
                "name": f"foo-{name}",
                "address": "" if "near" in name else "10.0.0.2",
                "mac": "52:54:00:00:00:01",
                "network": "foo-lan",
                "host_key": "ssh-ed25519 A",
                **({"bridge": "br0"} if "near" in name else {}),
            }
            for name in nodes
        },
    }


def test_without_a_lan_nothing_was_found() -> None:
    assert ReadinessProvider().create(props("tiny-0")).outs == props("tiny-0")


def test_who_was_found_stays_found(waited: list[str]) -> None:
    provider = ReadinessProvider()
    first = provider.create(props("tiny-0", "near-0", "near-1")).outs
    assert first is not None
    assert first["found"] == {"foo-near-0": "192.0.2.3", "foo-near-1": "192.0.2.3"}
    waited.clear()
    second = provider.update("ready", first, props("near-1", "near-2")).outs
    assert second is not None
    assert waited == ["foo-near-2"]
    assert second["found"] == {"foo-near-1": "192.0.2.3", "foo-near-2": "192.0.2.1"}


def test_what_goes_first_asks_for_what_the_rest_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A destroy that cannot go on begins nothing; what an older metalab made asks nothing."""
    asked: list[str] = []
    monkeypatch.setattr(
        "lab.host.forward.check_forward", lambda _spec, prefix: asked.append(prefix)
    )
    ReadinessProvider().delete("ready", {**props("tiny-0"), "prefix": "foo"})
    ReadinessProvider().delete("ready", props("tiny-0"))
    assert asked == ["foo"]
