from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lab.declared import (
    DOMAIN,
    IMAGE,
    KINDS,
    LEASE,
    NETWORK,
    SEED,
    Declared,
    check_declared_dhcp,
    check_declared_filter,
    check_declared_image,
    check_declared_lease,
    check_declared_memory,
    check_declared_name,
    check_declared_quota,
    check_declared_secrets,
    stack_of,
)
from lab.lease import HeldNode, Lease


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


def held(**fields: Any) -> Declared:
    nodes = {f"a-{n}": HeldNode(numbers={}, disks_gib={}) for n in range(3)}
    return lease(lease=Lease(prefix="foo", virt_type="qemu", nodes=nodes, **fields).to_json())


@pytest.mark.parametrize(
    ("resource", "most", "says"),
    [
        pytest.param(held(), {}, "", id="no quota"),
        pytest.param(held(memory_mib=2048), {"nodes": 3.0, "memory": "2G"}, "", id="just fits"),
        pytest.param(held(), {"nodes": 2.0}, "3 nodes, expected at most 2", id="one too many"),
        pytest.param(held(memory_mib=2049), {"memory": 2048.0}, "2049 MiB", id="a MiB too many"),
        pytest.param(held(), {"nodes": 2.5}, "got 2.5", id="half a node"),
        pytest.param(held(), {"nodes": "many"}, "got 'many'", id="no number"),
        pytest.param(domain(), {"nodes": 1.0}, "", id="no lease"),
    ],
)
def test_quotas(resource: Declared, most: dict[str, Any], says: str) -> None:
    found = [str(problem) for problem in check_declared_quota(resource, most)]
    assert len(found) == bool(says), found
    assert [line for line in found if says not in line] == []


@pytest.mark.parametrize(
    ("resource", "got"),
    [
        pytest.param(declared(IMAGE, {"sha256": "ab" * 32}), None, id="a checksum"),
        pytest.param(declared(IMAGE, {}), "no checksum", id="none"),
        pytest.param(declared(IMAGE, {"sha256": "latest"}), "latest", id="a name"),
        pytest.param(domain(), None, id="no image"),
    ],
)
def test_images(resource: Declared, got: str | None) -> None:
    assert [problem.got for problem in check_declared_image(resource)] == ([got] if got else [])


def screened(where: str | None, xslt: str = "") -> Declared:
    return domain(graphics={"listenAddress": where}, xml={"xslt": xslt})


@pytest.mark.parametrize(
    ("resource", "got"),
    [
        (declared(SEED, {}), []),
        (declared(SEED, {"userData": "#cloud-config\nssh_pwauth: false\nusers: []\n"}), []),
        (declared(SEED, {"userData": "ssh_pwauth: true\n"}), ["ssh_pwauth"]),
        (declared(SEED, {"userData": "users:\n- plain_text_passwd: b\n"}), ["plain_text_passwd"]),
        (declared(SEED, {"userData": "password: a\nchpasswd: x\n"}), ["chpasswd", "password"]),
        (declared(NETWORK, {"graphics": {"listenAddress": "::"}}), []),
        (domain(), []),
        (screened(None), []),
        (screened("127.0.0.1"), []),
        (screened("::1"), []),
        (screened("192.0.2.1"), ["VNC on 192.0.2.1 without a password"]),
        (screened("192.0.2.1", '<xsl:attribute name="passwd">x</xsl:attribute>'), []),
        (domain(graphics={"listenAddress": "::"}), ["VNC on :: without a password"]),
    ],
)
def test_passwords(resource: Declared, got: list[str]) -> None:
    assert [problem.got for problem in check_declared_secrets(resource)] == got


BRIDGED = {"name": "foo-lan", "mode": "bridge", "dhcp": {"enabled": True}}


@pytest.mark.parametrize(
    ("resource", "where"),
    [
        pytest.param(declared(NETWORK, BRIDGED), "network foo-lan", id="on a bridge"),
        pytest.param(declared(NETWORK, {**BRIDGED, "name": None}), "network ", id="no name yet"),
        pytest.param(declared(NETWORK, {**BRIDGED, "mode": "nat"}), None, id="behind NAT"),
        pytest.param(declared(NETWORK, {**BRIDGED, "mode": None}), None, id="isolated"),
        pytest.param(declared(NETWORK, {**BRIDGED, "dhcp": {}}), None, id="not enabled"),
        pytest.param(declared(NETWORK, {**BRIDGED, "dhcp": None}), None, id="no DHCP"),
        pytest.param(declared(DOMAIN, BRIDGED), None, id="no network"),
    ],
)
def test_dhcp_on_the_lan(resource: Declared, where: str | None) -> None:
    found = [problem.where for problem in check_declared_dhcp(resource)]
    assert found == ([] if where is None else [where])


NIC = {"bridge": "br0", "mac": "52:54:00:00:00:01"}
FILTERED = {"xslt": "<a match=\"interface[mac/@address='52:54:00:00:00:01']\"/>"}


@pytest.mark.parametrize(
    ("resource", "macs"),
    [
        pytest.param(domain(networkInterfaces=[NIC]), 1, id="unfiltered"),
        pytest.param(domain(networkInterfaces=[NIC], xml=FILTERED), 0, id="filtered"),
        pytest.param(
            domain(networkInterfaces=[NIC, {**NIC, "mac": "x"}], xml=FILTERED), 1, id="one is not"
        ),
        pytest.param(domain(networkInterfaces=[{"networkId": "x"}]), 0, id="a network of ours"),
        pytest.param(domain(networkInterfaces=None), 0, id="no NIC"),
        pytest.param(declared(NETWORK, {"networkInterfaces": [NIC]}), 0, id="no domain"),
    ],
)
def test_frames_to_the_lan(resource: Declared, macs: int) -> None:
    found = check_declared_filter(resource)
    assert [problem.where for problem in found] == ["domain foo-x"] * macs
