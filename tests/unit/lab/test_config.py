from __future__ import annotations

from typing import Any

import pytest

from lab.config import HypervisorSpec, StackConfig, parse_config
from lab.errors import LabError
from tests.unit.lab.samples import lines

LEAST = {"host-address": "lab42", "topology-nodes": "tiny:3"}


def parse(prefix: str = "foo", **settings: Any) -> StackConfig:
    words = {key.replace("_", "-"): value for key, value in settings.items()}
    return parse_config({**LEAST, **words}, prefix)


def problems(prefix: str = "foo", **settings: Any) -> list[str]:
    with pytest.raises(LabError) as caught:
        parse(prefix, **settings)
    return lines(caught.value)


def test_the_least_that_is_needed() -> None:
    assert parse() == StackConfig(
        prefix="foo", hypervisor=HypervisorSpec(address="lab42"), nodes={"tiny": 3}
    )


def test_everything_as_the_engine_hands_it_over() -> None:
    settings = {
        "host-address": "lab42",
        "host-user": "stack",
        "host-key": "~/.ssh/lab",
        "host-known-hosts": "$HOME/known",
        "host-memory-overcommit": "true",
        "host-tools": "true",
        "topology-nodes": '{"undercloud": 1, "compute": 3}',
        "topology-network": "3_nets",
        "remove-nodes": '["compute-1"]',
        "image-url": "https://example.org/i.qcow2",
        "image-sha256": "a" * 64,
        "virt-type": "kvm",
        "ready-timeout": "600",
        "shutdown-timeout": "0",
    }
    assert parse_config(settings, "foo") == StackConfig(
        prefix="foo",
        hypervisor=HypervisorSpec(
            address="lab42", user="stack", key="~/.ssh/lab", known_hosts="$HOME/known"
        ),
        nodes={"undercloud": 1, "compute": 3},
        removed=("compute-1",),
        network="3_nets",
        image_url="https://example.org/i.qcow2",
        image_sha256="a" * 64,
        memory_overcommit=True,
        host_tools=True,
        virt_type="kvm",
        ready_timeout_s=600,
        shutdown_timeout_s=0,
    )


@pytest.mark.parametrize(
    ("written", "nodes"),
    [
        pytest.param("undercloud:1,controller:3", {"undercloud": 1, "controller": 3}, id="text"),
        pytest.param(
            " undercloud : 1 , controller:3 ", {"undercloud": 1, "controller": 3}, id="blanks"
        ),
        pytest.param({"controller": 3}, {"controller": 3}, id="a mapping"),
        pytest.param('{"controller": "3"}', {"controller": 3}, id="JSON with a text"),
        pytest.param("compute:10000", {"compute": 10_000}, id="the most"),
    ],
)
def test_counts_are_understood(written: object, nodes: dict[str, int]) -> None:
    found = parse(topology_nodes=written).nodes
    assert list(found.items()) == list(nodes.items())


@pytest.mark.parametrize(
    ("written", "says"),
    [
        pytest.param("controller1", "Did you mean controller:1?", id="controller1 without a count"),
        pytest.param("controller", "Did you mean controller:1?", id="no count at all"),
        pytest.param("controller:0", "Leave controller out", id="count 0"),
        pytest.param("controller:-1", "count from 1 to", id="negative"),
        pytest.param("controller:three", "count from 1 to", id="not a number"),
        pytest.param("controller:1.5", "count from 1 to", id="a fraction"),
        pytest.param("controller:", "count from 1 to", id="an empty count"),
        pytest.param("controller:10001", "count from 1 to 10000", id="a slip of the keyboard"),
        pytest.param("controller:" + "9" * 5000, "count from 1 to", id="a very long number"),
        pytest.param("controller:1,", "got ''", id="a comma too many"),
        pytest.param("", "such as controller:3", id="empty"),
        pytest.param(None, "such as controller:3", id="missing"),
        pytest.param({}, "such as controller:3", id="an empty mapping"),
        pytest.param("{}", "such as controller:3", id="an empty mapping as JSON"),
        pytest.param("{", "such as controller:3", id="broken JSON"),
        pytest.param(["controller"], "such as controller:3", id="a list"),
        pytest.param('["controller:1"]', "count from 1 to", id="a list as JSON"),
        pytest.param({"controller": 0}, "an integer from 1 to", id="count 0 in a mapping"),
        pytest.param({"controller": None}, "an integer from 1 to", id="no count in a mapping"),
        pytest.param({"Controller": 1}, "a role's name", id="a capital letter in a mapping"),
        pytest.param("Controller:1", "a role's name", id="a capital letter"),
        pytest.param("controller:1,controller:2", "each role once", id="a role twice"),
        pytest.param(f"a-role-{'x' * 26}:1", "1 to 32", id="a long name"),
        pytest.param("../../etc/passwd:1", "a role's name", id="a path"),
    ],
)
def test_counts_are_refused(written: object, says: str) -> None:
    (line,) = problems(topology_nodes=written)
    assert line.startswith("stacks/Pulumi.foo.yaml: topology-nodes")
    assert says in line
    assert len(line) < 400


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param("f", id="one letter"),
        pytest.param("foo", id="short"),
        pytest.param("foo2", id="a digit"),
        pytest.param("foo-compute", id="a hyphen"),
        pytest.param("a" * 32, id="32 characters"),
    ],
)
def test_good_prefixes(prefix: str) -> None:
    assert parse(prefix).prefix == prefix


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param("Foo_Bar", id="capitals and an underscore"),
        pytest.param("a" * 40, id="40 characters"),
        pytest.param("a" * 33, id="33 characters"),
        pytest.param("", id="empty"),
        pytest.param("2foo", id="a digit first"),
        pytest.param("-foo", id="a hyphen first"),
        pytest.param("foo-", id="a hyphen last"),
        pytest.param("foo.bar", id="a dot"),
        pytest.param("foo\n", id="a line break"),
        pytest.param("fóo", id="another alphabet"),
    ],
)
def test_bad_prefixes(prefix: str) -> None:
    (line,) = problems(prefix)
    assert repr(prefix) in line
    assert "1 to 32 of a-z, 0-9 and hyphens" in line
    assert line.endswith("[prefix]")


@pytest.mark.parametrize(
    ("key", "next_step"),
    [
        pytest.param("topology-node", "Did you mean topology-nodes?", id="a letter short"),
        pytest.param("host_address", "Did you mean host-address?", id="an underscore"),
        pytest.param("xyzzy", "", id="nothing near"),
    ],
)
def test_unknown_keys(key: str, next_step: str) -> None:
    with pytest.raises(LabError) as caught:
        parse_config({**LEAST, key: "x"}, "foo")
    (problem,) = caught.value.problems
    assert (problem.got, problem.rule, problem.next_step) == (repr(key), "unknown-key", next_step)
    assert "virt-type" in problem.allowed


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param({"host_address": None}, "host-address: got nothing", id="no host"),
        pytest.param({"host_address": "a b"}, "a host as ssh takes it", id="a blank"),
        pytest.param({"host_address": "-v"}, "a host as ssh takes it", id="an option as host"),
        pytest.param({"host_address": "h:0"}, "a host as ssh takes it", id="port 0"),
        pytest.param({"host_address": "h:65536"}, "a host as ssh takes it", id="a large port"),
        pytest.param({"host_address": "h:ssh"}, "a host as ssh takes it", id="a port's name"),
        pytest.param({"host_address": "fd13:::2"}, "a host as ssh takes it", id="not IPv6"),
        pytest.param({"host_address": "[fd13::2"}, "a host as ssh takes it", id="half a bracket"),
        pytest.param({"host_address": "me@lab"}, "a host as ssh takes it", id="a user there"),
        pytest.param({"host_user": "Root;id"}, "host-user", id="a strange user"),
        pytest.param({"host_user": "-l"}, "host-user", id="an option as the user"),
        pytest.param({"virt_type": "kmv"}, "Did you mean kvm?", id="virt-type"),
        pytest.param({"host_memory_overcommit": "2"}, "true or false", id="overcommit"),
        pytest.param({"ready_timeout": 1}, "an integer from 5", id="a short timeout"),
        pytest.param({"ready_timeout": "soon"}, "an integer from 5", id="a word as a timeout"),
        pytest.param({"shutdown_timeout": -1}, "an integer from 0", id="a negative timeout"),
        pytest.param({"image_sha256": "abc"}, "64 hexadecimal digits", id="a short checksum"),
        pytest.param({"image_sha256": "A" * 64}, "lower case", id="a checksum in capitals"),
    ],
)
def test_bad_values(settings: dict[str, Any], says: str) -> None:
    (line,) = problems(**settings)
    assert says in line


@pytest.mark.parametrize(
    ("written", "removed"),
    [
        pytest.param("tiny-1", ("tiny-1",), id="one"),
        pytest.param("tiny-0,tiny-2", ("tiny-0", "tiny-2"), id="two"),
        pytest.param("tiny-1, tiny-1", ("tiny-1",), id="one, named twice"),
        pytest.param(["tiny-1"], ("tiny-1",), id="a list"),
        pytest.param('["tiny-1","tiny-2"]', ("tiny-1", "tiny-2"), id="a list as JSON"),
        pytest.param("[]", (), id="an empty list as JSON"),
        pytest.param("", (), id="none"),
        pytest.param(None, (), id="missing"),
    ],
)
def test_removed_nodes_are_those_named(written: object, removed: tuple[str, ...]) -> None:
    assert parse(remove_nodes=written).removed == removed


def test_all_problems_come_in_one_report() -> None:
    found = problems(
        "Foo_Bar",
        host_address=None,
        topology_nodes="controller1,compute:0",
        virt_type="xen",
        ready_timeout="x",
        memory="1",
    )
    rules = [line.rpartition("[")[2].rstrip("]") for line in found]
    assert sorted(rules) == sorted(
        ["prefix", "text", "node-count", "node-count", "choice", "range", "unknown-key"]
    )


@pytest.mark.parametrize(
    ("written", "address", "port"),
    [
        pytest.param("lab42", "lab42", 0, id="name or alias"),
        pytest.param("lab42:2222", "lab42", 2222, id="name and port"),
        pytest.param("10.0.0.7:22", "10.0.0.7", 22, id="IPv4 and port"),
        pytest.param("fd13::2", "fd13::2", 0, id="IPv6"),
        pytest.param("[fd13::2]", "fd13::2", 0, id="IPv6 in brackets"),
        pytest.param("[fd13::2]:2222", "fd13::2", 2222, id="IPv6 and port"),
        pytest.param("fe80::2%eth0", "fe80::2%eth0", 0, id="IPv6 with a zone"),
    ],
)
def test_where_a_hypervisor_may_be(written: str, address: str, port: int) -> None:
    spec = parse_config({**LEAST, "host-address": written}, "foo").hypervisor
    assert (spec.address, spec.port, spec.user, spec.known_hosts) == (address, port, "", "")
