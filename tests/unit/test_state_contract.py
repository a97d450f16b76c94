"""Names that states and hypervisors out there remember.

A change of any line here replaces resources, orphans objects or breaks `destroy` for everybody who
has an environment. Before changing one, give it an alias or a migration, and say so in docs/.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
from pathlib import Path
from typing import TypeVar
from uuid import NAMESPACE_URL, uuid5

import pytest
from pulumi.dynamic import Resource, ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider  # the SDK's own, as the engine stores it

from components import host_provider, keys_provider, node_provider, xslt
from lab import naming, storage
from lab.keys import derive_key
from lab.lease import FORMAT, Lease

ROOT = Path(__file__).parents[2]
_T = TypeVar("_T")

COMPONENTS = {
    "metalab:index:Environment",
    "metalab:index:Hypervisor",
    "metalab:index:Networks",
    "metalab:index:VmGroup",
}
DYNAMIC = {
    keys_provider.Keys: "dynamic/metalab:Keys",
    host_provider.Host: "dynamic/metalab:Host",
    host_provider.HostLease: "dynamic/metalab:Lease",
    host_provider.BaseImage: "dynamic/metalab:Image",
    node_provider.Power: "dynamic/metalab:Power",
    node_provider.Readiness: "dynamic/metalab:Readiness",
}
# What `__provider` holds: module and class by name, nothing of the code. A longer text means that
# a class is pickled by value, which another Python cannot read.
PICKLED = {
    keys_provider.KeysProvider: (
        "gASVMAAAAAAAAACMGGNvbXBvbmVudHMua2V5c19wcm92aWRlcpSMDEtleXNQcm92aWRlcpSTlCmBlC4="
    ),
    host_provider.HostProvider: (
        "gASVMAAAAAAAAACMGGNvbXBvbmVudHMuaG9zdF9wcm92aWRlcpSMDEhvc3RQcm92aWRlcpSTlCmBlC4="
    ),
    host_provider.LeaseProvider: (
        "gASVMQAAAAAAAACMGGNvbXBvbmVudHMuaG9zdF9wcm92aWRlcpSMDUxlYXNlUHJvdmlkZXKUk5QpgZQu"
    ),
    host_provider.ImageProvider: (
        "gASVMQAAAAAAAACMGGNvbXBvbmVudHMuaG9zdF9wcm92aWRlcpSMDUltYWdlUHJvdmlkZXKUk5QpgZQu"
    ),
    node_provider.PowerProvider: (
        "gASVMQAAAAAAAACMGGNvbXBvbmVudHMubm9kZV9wcm92aWRlcpSMDVBvd2VyUHJvdmlkZXKUk5QpgZQu"
    ),
    node_provider.ReadinessProvider: (
        "gASVNQAAAAAAAACMGGNvbXBvbmVudHMubm9kZV9wcm92aWRlcpSMEVJlYWRpbmVzc1Byb3ZpZGVylJOUKYGULg=="
    ),
}


def test_component_tokens() -> None:
    tokens = {
        node.value
        for path in (ROOT / "components").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and str(node.value).startswith("metalab:index:")
    }
    assert tokens == COMPONENTS


def classes(of: type[_T]) -> set[type[_T]]:
    """The subclasses that any module of components has."""
    names = [path.stem for path in (ROOT / "components").glob("*.py")]
    modules = [importlib.import_module(f"components.{name}") for name in names]
    return {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, of) and value is not of
    }


def test_dynamic_resource_tokens() -> None:
    tokens = {each: each._resource_type_name for each in classes(Resource)}  # noqa: SLF001 - the SDK's
    assert tokens == DYNAMIC


def test_every_provider_is_frozen_here() -> None:
    assert classes(ResourceProvider) == set(PICKLED)


@pytest.mark.parametrize("provider", PICKLED, ids=lambda each: each.__name__)
def test_pickled_providers(provider: type[ResourceProvider]) -> None:
    assert serialize_provider(provider()) == PICKLED[provider]


@pytest.mark.parametrize("provider", PICKLED, ids=lambda each: each.__name__)
def test_providers_hold_no_secret_and_decide_by_themselves(
    provider: type[ResourceProvider],
) -> None:
    """Without a diff each change of `__provider` is an update; without update outputs vanish."""
    assert provider.serialize_as_secret_always is False
    assert "diff" in vars(provider)
    assert "update" in vars(provider) or "update" in _never_updated(provider)


def _never_updated(provider: type[ResourceProvider]) -> set[str]:
    """An image is replaced or left alone."""
    return {"update"} if provider is host_provider.ImageProvider else set()


def test_identities() -> None:
    assert naming.domain_uuid("foo", "compute-2") == "5b2be156-73a5-58ec-b0ea-15b3d9c36522"
    assert naming.domain_uuid("foo", "compute-2") == str(
        uuid5(uuid5(NAMESPACE_URL, xslt.OWNER_NAMESPACE), "foo/compute-2")
    )
    assert naming.mac("foo", "management", 12) == "52:2d:bb:3f:00:0c"
    assert naming.bridge("foo", "management") == "foo-management"
    assert naming.bridge("foobar", "management") == "foobar-ma-" + _hash("foobar/management")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:5]


def test_owner_namespace() -> None:
    assert xslt.OWNER_NAMESPACE == "https://metalab.dev/libvirt/1"


def test_places_on_the_hypervisor() -> None:
    assert {
        "host": storage.HOST_DIR,
        "leases": storage.LEASES_DIR,
        "prefixes": storage.PREFIXES_DIR,
        "lock": storage.LOCK_FILE,
        "base": storage.BASE_DIR,
        "base pool": storage.BASE_POOL,
        "base volume": storage.base_volume("a" * 64),
        "pool": storage.pool_name("foo"),
        "disks": storage.pool_path("foo"),
        "console": storage.console_log("foo-tiny-0"),
    } == {
        "host": "/var/lib/metalab",
        "leases": "/var/lib/metalab/leases",
        "prefixes": "/var/lib/metalab/prefixes",
        "lock": "/var/lib/metalab/lock",
        "base": "/var/lib/libvirt/images/metalab/base",
        "base pool": "metalab-base",
        "base volume": "a" * 64 + ".qcow2",
        "pool": "metalab.foo",
        "disks": "/var/lib/libvirt/images/metalab/prefixes/foo",
        "console": "/var/log/libvirt/qemu/foo-tiny-0.console",
    }


def test_no_prefix_s_pool_is_the_shared_one() -> None:
    """A prefix has no dot, every prefix's pool has one, and the shared pool has none."""
    assert "." in storage.pool_name("")
    assert "." not in storage.BASE_POOL
    assert not naming.PREFIX.fullmatch("a.b")


def test_a_seed_gives_the_same_keys_for_ever() -> None:
    """Another derivation locks everybody out of guests that exist."""
    assert derive_key("00" * 32, "client").public == PUBLIC


PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDUDCtlfjveIVgLaa1zW39Ri3ZyQA0l5nw2RTBaoBi55"


def test_the_lease_file() -> None:
    assert FORMAT == 1
    assert Lease(prefix="foo", virt_type="kvm").to_json() == (
        '{\n "disk_gib": 0,\n "format": 1,\n "leaving": {},\n "memory_mib": 0,\n "nodes": {},\n'
        ' "owner": "",\n "preferred": {},\n "prefix": "foo",\n "subnets": {},\n "vcpus": 0,\n'
        ' "virt_type": "kvm"\n}\n'
    )
