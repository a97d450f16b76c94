from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lab.declared import (
    DOMAIN,
    KINDS,
    LEASE,
    NETWORK,
    Declared,
    check_declared_lease,
    check_declared_memory,
    check_declared_name,
    stack_of,
)


def declared(resource_type: str, props: Mapping[str, Any], stack: str = "foo") -> Declared:
    return Declared(resource_type, f"urn:pulumi:{stack}::metalab::{resource_type}::x", props)


def domain(**props: Any) -> Declared:
    return declared(DOMAIN, {"name": "foo-x", "memory": 128.0, "type": "qemu", **props})


def lease(**props: Any) -> Declared:
    return declared(LEASE, {"address": "lab42", **props})


@pytest.mark.parametrize(
    ("urn", "stack"),
    [
        pytest.param("urn:pulumi:foo::metalab::libvirt:index/pool:Pool::pool", "foo", id="bare"),
        pytest.param("urn:pulumi:foo-2::metalab::a:b:C$d:e:F::x::y", "foo-2", id="colons within"),
        pytest.param("nonsense", "", id="no URN"),
    ],
)
def test_stack_of(urn: str, stack: str) -> None:
    assert stack_of(urn) == stack


@pytest.mark.parametrize("resource_type", sorted(KINDS))
@pytest.mark.parametrize(
    ("name", "ok"),
    [
        pytest.param("foo-tiny-0", True, id="ours"),
        pytest.param("foo2-tiny-0", False, id="a prefix that begins alike"),
        pytest.param("tiny-0-7a3f2b1", False, id="drawn by the engine"),
        pytest.param(None, False, id="left out"),
    ],
)
def test_names(resource_type: str, name: str | None, ok: bool) -> None:
    resource = declared(resource_type, {"name": name, "bridge": "foo-data"})
    assert [problem.rule for problem in check_declared_name(resource)] == ([] if ok else ["naming"])


@pytest.mark.parametrize(
    ("bridge", "ok"),
    [
        pytest.param("foo-data", True, id="short"),
        pytest.param("foo-a-long-bridge", False, id="17 characters"),
        pytest.param(None, False, id="left out"),
    ],
)
def test_bridges(bridge: str | None, ok: bool) -> None:
    resource = declared(NETWORK, {"name": "foo-data", "bridge": bridge})
    assert (check_declared_name(resource) == []) is ok


def test_other_resources_have_no_names_on_the_host() -> None:
    assert check_declared_name(declared("metalab:index:Environment", {})) == []
    assert check_declared_lease(declared("metalab:index:Environment", {})) == []


@pytest.mark.parametrize(
    ("props", "ok"),
    [
        pytest.param(
            {"memory_mib": 100.0, "memory_limit_mib": 100.0}, True, id="floats, just fits"
        ),
        pytest.param({"memory_mib": 101.0, "memory_limit_mib": 100.0}, False, id="one too much"),
        pytest.param({"memory_mib": 101.0, "memory_limit_mib": None}, True, id="overcommit: null"),
        pytest.param({"memory_mib": 101.0}, True, id="overcommit: left out on the wire"),
        pytest.param({"memory_mib": 1.0, "memory_limit_mib": 0.0}, False, id="nothing to have"),
    ],
)
def test_leases(props: dict[str, Any], ok: bool) -> None:
    assert (check_declared_lease(lease(**props)) == []) is ok


@pytest.mark.parametrize(
    ("resources", "ok"),
    [
        pytest.param([], True, id="nothing"),
        pytest.param([lease(memory_limit_mib=0.0)], True, id="no domains"),
        pytest.param([domain(), domain(), lease(memory_limit_mib=576.0)], True, id="just fits"),
        pytest.param([domain(), domain(), lease(memory_limit_mib=575.0)], False, id="overhead"),
        pytest.param([domain(), lease()], True, id="overcommit is allowed"),
        pytest.param([domain()], False, id="no lease"),
        pytest.param([domain(type="kvm"), lease(memory_limit_mib=192.0)], True, id="KVM is leaner"),
        pytest.param([domain(type="xen"), lease(memory_limit_mib=192.0)], True, id="another type"),
        pytest.param([domain(memory=None), lease(memory_limit_mib=671.0)], False, id="512 unsaid"),
    ],
)
def test_the_memory_of_a_stack(resources: list[Declared], ok: bool) -> None:
    found = check_declared_memory(resources)
    assert [problem.rule for problem in found] == ([] if ok else ["memory-overcommit"])


def test_the_message_names_the_host_and_the_way_out() -> None:
    (problem,) = check_declared_memory([domain(), lease(memory_limit_mib=1.0)])
    assert str(problem) == (
        "lab42: got 288 MiB of nodes, expected at most 1 MiB. Shrink memory or counts, or set "
        "host-memory-overcommit to true. [memory-overcommit]"
    )
