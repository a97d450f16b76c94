"""The pack's own functions, and once its real process: `policies/__main__.py` never returns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy import (
    EnforcementLevel,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from lab.lease import HeldNode, Lease
from policies.metalab_policies import POLICIES

ROOT = Path(__file__).parents[3]
NETWORK, SEED = "libvirt:index/network:Network", "libvirt:index/cloudInitDisk:CloudInitDisk"
DOMAIN, LEASE = "libvirt:index/domain:Domain", "pulumi-python:dynamic/metalab:Lease"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # the SDK's sign for a text not yet known
OPTIONS = PolicyResourceOptions(
    protect=False,
    ignore_changes=[],
    delete_before_replace=None,
    aliases=[],
    custom_timeouts=None,  # type: ignore[arg-type]
    additional_secret_outputs=[],
    parent="",
)
BY_NAME = {policy.name: policy for policy in POLICIES}


def urn(resource_type: str, name: str) -> str:
    return f"urn:pulumi:foo::metalab::{resource_type}::{name}"


def ask_resource(name: str, resource_type: str, props: dict[str, Any], **config: Any) -> list[str]:
    """Ask a registered resource policy, as the pack's host does."""
    policy, found = BY_NAME[name], list[str]()
    assert isinstance(policy, ResourceValidationPolicy)
    args = ResourceValidationArgs(
        resource_type,
        unknown_checking_proxy(props),
        urn(resource_type, "x"),
        "x",
        OPTIONS,
        None,
        config,
    )
    policy.validate(args, lambda message, urn=None: found.append(message))
    return found


def ask_stack(name: str, *resources: tuple[str, dict[str, Any]]) -> list[tuple[str, str | None]]:
    policy, found = BY_NAME[name], list[tuple[str, str | None]]()
    assert isinstance(policy, StackValidationPolicy)
    args = StackValidationArgs(
        [
            PolicyResource(
                kind,
                unknown_checking_proxy(props),
                urn(kind, "x"),
                "x",
                OPTIONS,
                None,
                None,
                [],
                {},
            )
            for kind, props in resources
        ]
    )
    policy.validate(args, lambda message, urn=None: found.append((message, urn)))
    return found


def test_every_policy_has_its_level() -> None:
    """The pack's default is advisory: one that forgets its level would stop nothing."""
    mandatory = ["naming", "memory-overcommit", "quota", "image-checksum", "secrets", "rogue-dhcp"]
    mandatory += ["naming-of-stack", "memory-overcommit-of-stack"]
    assert {policy.name: policy.enforcement_level for policy in POLICIES} == {
        **dict.fromkeys(mandatory, EnforcementLevel.MANDATORY),
        "lan-filter": EnforcementLevel.ADVISORY,  # a layout may mean it
    }


def test_every_policy_is_on_its_page() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    assert [name for name in BY_NAME if f"`{name}`" not in page] == []


def test_naming() -> None:
    assert ask_resource("naming", DOMAIN, {"name": "foo-tiny-0"}) == []
    (line,) = ask_resource("naming", DOMAIN, {"name": "bar-tiny-0"})
    assert line.endswith("expected a name that starts with foo-. [naming]")


def test_naming_of_stack_points_at_the_resource() -> None:
    found = ask_stack(
        "naming-of-stack", (DOMAIN, {"name": "foo-a"}), (DOMAIN, {"name": "b"}), (LEASE, {})
    )
    assert [where for _, where in found] == [urn(DOMAIN, "x")]


def test_memory_overcommit() -> None:
    props = {"memory_mib": 2.0, "memory_limit_mib": 1.0}
    assert len(ask_resource("memory-overcommit", LEASE, props)) == 1
    assert ask_resource("memory-overcommit", LEASE, {"memory_mib": 2.0}) == []


def test_quota_comes_from_the_pack_s_configuration() -> None:
    """The engine adds its own word to it: the level."""
    nodes = {f"a-{n}": HeldNode(numbers={}, disks_gib={}) for n in range(3)}
    lease = Lease(prefix="foo", virt_type="qemu", nodes=nodes, memory_mib=2048, disk_gib=30)
    props = {"lease": lease.to_json()}
    assert ask_resource("quota", LEASE, props) == []
    fits = {"nodes": 3.0, "memory": "2G", "disks": "30G", "enforcementLevel": "mandatory"}
    assert ask_resource("quota", LEASE, props, **fits) == []
    (line,) = ask_resource("quota", LEASE, props, **{**fits, "nodes": 2.0})
    assert "3 nodes, expected at most 2" in line
    (line,) = ask_resource("quota", LEASE, props, nodes="many")
    assert "[range]" in line or "[integer]" in line or "many" in line


def test_an_image_is_known_by_its_checksum() -> None:
    kind = "pulumi-python:dynamic/metalab:Image"
    assert ask_resource("image-checksum", kind, {"sha256": "ab" * 32}) == []
    assert ask_resource("image-checksum", kind, {"sha256": ""})
    assert ask_resource("image-checksum", kind, {"sha256": "latest"})


def test_nobody_gets_in_by_a_password() -> None:
    assert ask_resource("secrets", SEED, {"userData": "ssh_pwauth: false\n"}) == []
    assert ask_resource("secrets", SEED, {"userData": "ssh_pwauth: true\n"})


def test_nothing_answers_dhcp_on_the_lan() -> None:
    bridged = {"name": "foo-lan", "mode": "bridge"}
    assert ask_resource("rogue-dhcp", NETWORK, bridged) == []
    assert ask_resource("rogue-dhcp", NETWORK, {**bridged, "dhcp": {"enabled": True}})
    nic = {"bridge": "br0", "mac": "52:54:00:00:00:01"}
    assert ask_resource("lan-filter", DOMAIN, {"networkInterfaces": [nic]})
    assert ask_resource("lan-filter", DOMAIN, {"networkInterfaces": [{"networkId": "x"}]}) == []


def test_memory_overcommit_of_stack() -> None:
    domain = (DOMAIN, {"name": "foo-a", "memory": 128.0, "type": "qemu"})
    assert (
        ask_stack("memory-overcommit-of-stack", domain, (LEASE, {"memory_limit_mib": 300.0})) == []
    )
    assert ask_stack("memory-overcommit-of-stack", domain, (LEASE, {"memory_limit_mib": 200.0}))


def test_a_first_preview_shows_libvirt_s_resources_empty() -> None:
    """The provider's address is not known yet: what it would make is nothing to refuse."""
    empty = (DOMAIN, dict[str, Any]())
    assert ask_stack("naming-of-stack", empty) == []
    assert ask_stack("memory-overcommit-of-stack", empty) == []


def test_what_is_not_known_yet_is_left_to_the_pack_s_host() -> None:
    """It turns this error into an advice; a rule that swallowed it would pass the unseen."""
    with pytest.raises(UnknownValueError):
        ask_resource("naming", DOMAIN, {"name": UNKNOWN_TEXT})
    assert ask_resource("naming", DOMAIN, {"name": "foo-a", "uuid": UNKNOWN_TEXT}) == []


def test_the_pack_shares_the_program_s_venv() -> None:
    """`virtualenv: .venv` would fill a second one in policies/; no options at all do not start."""
    options = {
        name: yaml.safe_load((ROOT / folder / name).read_text())["runtime"]["options"]
        for folder, name in (("policies", "PulumiPolicy.yaml"), (".", "Pulumi.yaml"))
    }
    assert options["PulumiPolicy.yaml"] == {"toolchain": "pip", "virtualenv": "../.venv"}
    assert options["Pulumi.yaml"] == {"toolchain": "pip", "virtualenv": ".venv"}


@pytest.fixture(scope="module")
def analyzer() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The real pack, started as the engine starts it: from the project's directory."""
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policies")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
        process.kill()


def test_the_real_process_offers_the_policies(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    info = analyzer.GetAnalyzerInfo(analyzer_pb2.google_dot_protobuf_dot_empty__pb2.Empty())
    assert {policy.name for policy in info.policies} == set(BY_NAME)


def test_the_real_process_refuses(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    props = Struct()
    props.update({"name": "bar-tiny-0", "memory": 128})
    request = analyzer_pb2.AnalyzeRequest(
        type=DOMAIN, properties=props, urn=urn(DOMAIN, "tiny-0"), name="tiny-0"
    )
    (diagnostic,) = analyzer.Analyze(request).diagnostics
    assert diagnostic.policyName == "naming"
    assert diagnostic.enforcementLevel == analyzer_pb2.MANDATORY
    assert "expected a name that starts with foo-" in diagnostic.message
