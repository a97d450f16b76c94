from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import naming
from lab.addressing import MOST_RESERVATIONS

PREFIXES = st.from_regex(naming.PREFIX, fullmatch=True)
ROLES = st.from_regex(naming.ROLE, fullmatch=True)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        pytest.param("compute-2", ("compute", 2), id="plain"),
        pytest.param("ceph-storage-10", ("ceph-storage", 10), id="a hyphen in the role"),
        pytest.param("compute-0", ("compute", 0), id="zero"),
        pytest.param("compute-01", None, id="a leading zero"),
        pytest.param("compute2", None, id="no hyphen"),
        pytest.param("compute-", None, id="no index"),
        pytest.param("-1", None, id="no role"),
    ],
)
def test_split_node_name(name: str, parts: tuple[str, int] | None) -> None:
    assert naming.split_node_name(name) == parts


@given(ROLES, st.integers(0, 10**6))
def test_a_node_name_splits_into_what_it_was_made_of(role: str, index: int) -> None:
    assert naming.split_node_name(naming.node_name(role, index)) == (role, index)


def test_order_is_by_number_not_by_letter() -> None:
    names = ["compute-10", "compute-2", "ceph-1"]
    assert sorted(names, key=naming.node_order) == ["ceph-1", "compute-2", "compute-10"]


@given(PREFIXES, ROLES)
def test_a_bridge_fits_the_kernel_and_begins_like_its_prefix(prefix: str, network: str) -> None:
    bridge = naming.bridge(prefix, network)
    assert 1 <= len(bridge) <= 15
    assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", bridge)
    assert bridge[: min(9, len(prefix))].startswith(prefix[:8])


@pytest.mark.parametrize(
    ("prefix", "network", "bridge"),
    [
        pytest.param("foo", "management", "foo-management", id="14 characters: as it is"),
        pytest.param("demo", "management", "demo-management", id="15 characters: as it is"),
        pytest.param("demo1", "management", "demo1-man-7b8b0", id="16 characters: stem and hash"),
    ],
)
def test_bridges(prefix: str, network: str, bridge: str) -> None:
    assert naming.bridge(prefix, network) == bridge


@given(PREFIXES, ROLES, st.integers(2, 2 + MOST_RESERVATIONS))
def test_a_mac_is_local_unicast_and_ends_in_the_host_number(
    prefix: str, network: str, number: int
) -> None:
    mac = naming.mac(prefix, network, number)
    assert re.fullmatch(r"52(:[0-9a-f]{2}){5}", mac)
    assert int(mac.replace(":", "")[-4:], 16) == number
    assert int(mac[:2], 16) & 0b11 == 0b10


@given(PREFIXES, ROLES, st.integers(0, 99))
def test_a_uuid_is_of_version_5(prefix: str, role: str, index: int) -> None:
    assert uuid.UUID(naming.domain_uuid(prefix, naming.node_name(role, index))).version == 5


FAMILY = ("foo", "foo2", "foo-compute", "foo-compute-2", "foo-2", "fo")
NETWORKS = ("data", "management", "external", "ctlplane")


def test_prefixes_that_begin_alike_share_nothing() -> None:
    """What one prefix calls a thing, no other prefix calls one of its things."""
    nodes = [naming.node_name(role, i) for role in ("compute", "tiny") for i in range(3)]
    seen = [
        name
        for prefix in FAMILY
        for name in (
            *(naming.host_name(prefix, node) for node in nodes),
            *(naming.host_name(prefix, network) for network in NETWORKS),
            *(naming.domain_uuid(prefix, node) for node in nodes),
            *(naming.mac(prefix, network, 2) for network in NETWORKS),
        )
    ]
    assert len(seen) == len(set(seen))
    bridges = [naming.bridge(prefix, network) for prefix in FAMILY for network in NETWORKS]
    assert len(bridges) == len(set(bridges))


@given(st.sets(st.tuples(PREFIXES, ROLES, st.integers(0, 9)), min_size=2, max_size=20))
def test_uuids_differ_even_where_names_meet(nodes: set[tuple[str, str, int]]) -> None:
    """`foo` with role `a-b` and `foo-a` with role `b` make one name; ownership is by UUID."""
    uuids = {naming.domain_uuid(prefix, naming.node_name(role, i)) for prefix, role, i in nodes}
    assert len(uuids) == len(nodes)
