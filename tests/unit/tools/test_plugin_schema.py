"""The committed schema of the libvirt plugin, held against the published Python package."""

import inspect
import json

import pulumi
import pulumi_libvirt
import pytest

from tools.engine.pins import PLUGIN_VERSION, SOURCES

SCHEMA = json.loads((SOURCES / "plugin" / "schema.json").read_text(encoding="utf-8"))
RESOURCES = {token.rpartition(":")[2]: entry for token, entry in SCHEMA["resources"].items()}


def published() -> dict[str, type[pulumi.CustomResource]]:
    return {
        name: kind
        for name, kind in inspect.getmembers(pulumi_libvirt, inspect.isclass)
        if issubclass(kind, pulumi.CustomResource) and name != "Provider"
    }


def test_the_schema_describes_the_seven_resources_of_the_published_package() -> None:
    assert SCHEMA["version"] == PLUGIN_VERSION
    assert RESOURCES.keys() == published().keys()
    assert len(RESOURCES) == 7


@pytest.mark.parametrize("name", sorted(RESOURCES))
def test_outputs_are_those_of_the_published_class(name: str) -> None:
    kind = published()[name]
    outputs = {
        getattr(getter.fget, "_pulumi_name", attribute)
        for attribute, getter in inspect.getmembers(kind, lambda found: isinstance(found, property))
        if attribute not in {"id", "urn", "pulumi_resource_name", "pulumi_resource_type"}
    }
    assert set(RESOURCES[name]["properties"]) == outputs
