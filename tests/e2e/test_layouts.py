"""Layouts of the catalogue, for real: what their networks are for happens between guests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e

SMALL = "cpu: 1\nmemory: 128\ndisks: [1G]\n"
ROLES = ("ceph", "controller", "undercloud")  # the layouts' NICs, without the sizes of a real cloud


@pytest.fixture(scope="module")
def small(project: Project) -> Project:
    """Roles of the catalogue as tiny machines with a system."""
    for role in ROLES:
        (project.folder / "topologies" / "nodes" / f"{role}.yaml").write_text(SMALL)
    return project


def built(project: Project, host: Hypervisor, prefix: str, layout: str, nodes: str) -> Stack:
    stack = project.stack(
        prefix,
        topology_nodes=nodes,
        topology_network=layout,
        image_url="tiny",
        **host.settings,
    )
    stack.up("--yes").ok()
    stack.print_ssh_config()
    return stack


@pytest.fixture(scope="module")
def five(small: Project, hypervisor: Hypervisor) -> Iterator[Stack]:
    stack = built(small, hypervisor, "five", "5_nets", "undercloud:1,ceph:2")
    yield stack
    stack.destroy().ok()


@pytest.fixture(scope="module")
def six(small: Project, hypervisor: Hypervisor) -> Iterator[Stack]:
    stack = built(small, hypervisor, "six", "6_nets_3_bridges", "controller:1")
    yield stack
    stack.destroy().ok()


def test_frames_alone_reach_whoever_is_on_the_wire(five: Stack, hypervisor: Hypervisor) -> None:
    for index in (0, 1):
        five.ssh(f"ceph-{index}", f"ip addr add 10.99.0.{index + 1}/24 dev eth2").ok()
    assert " 0% packet loss" in five.ssh("ceph-0", "ping -c 2 -W 5 10.99.0.2").ok().out
    bridge = hypervisor.run("virsh net-info five-storage | sed -n 's/^Bridge: *//p'").strip()
    assert hypervisor.run(f"ip -4 -o addr show dev {bridge}") == "", "the host is not on it"


def test_each_role_is_on_the_networks_of_its_layout(five: Stack) -> None:
    nodes = five.outputs()["nodes"]
    assert nodes["undercloud-0"]["macs"].keys() == {"ctlplane", "management"}
    assert nodes["ceph-0"]["macs"].keys() == {"ctlplane", "management", "storage"}
    assert nodes["ceph-0"]["addresses"].keys() == {"ctlplane", "management"}
    assert five.ssh("undercloud-0", "ls /sys/class/net").ok().out.split() == ["eth0", "eth1", "lo"]


def test_a_wire_is_no_drift(five: Stack) -> None:
    five.unchanged().ok()
    five.pulumi("refresh", "--yes", "--expect-no-changes").ok()


def test_seven_nics_in_the_order_of_the_layout(six: Stack) -> None:
    """Four of them on one network: each with a MAC and a reservation of its own."""
    node = six.outputs()["nodes"]["controller-0"]
    internal = [f"br-internal{nth}" for nth in ("", ".2", ".3", ".4")]
    order = ["br-ctlplane", *internal, "br-external", "management"]
    shown = six.ssh("controller-0", "cat /sys/class/net/eth?/address").ok().out.split()
    assert shown == [node["macs"][slot] for slot in order]
    seen = six.addressed("controller-0", len(order))
    got = {line.split()[1]: line.split()[3].partition("/")[0] for line in seen.splitlines()}
    planned = (node["addresses"][slot] for slot in order)
    assert got == {f"eth{place}": address for place, address in enumerate(planned)}


def test_nodes_get_what_dhcp_is_said_to_give(small: Project, hypervisor: Hypervisor) -> None:
    split = built(small, hypervisor, "split", "split_nets", "undercloud:1")
    addresses = split.outputs()["nodes"]["undercloud-0"]["addresses"]
    assert addresses["data"].endswith(".100")
    assert addresses["data"] in split.addressed("undercloud-0", device="eth0")
    split.destroy().ok()


@pytest.mark.parametrize("layout", ["1_net", "3_nets_ipv4", "4_nets"])
def test_a_node_answers_on_every_network(
    small: Project, hypervisor: Hypervisor, layout: str
) -> None:
    stack = built(small, hypervisor, "plain", layout, "undercloud:1")
    addresses = stack.outputs()["nodes"]["undercloud-0"]["addresses"]
    seen = stack.addressed("undercloud-0", len(addresses))
    assert {line.split()[3].partition("/")[0] for line in seen.splitlines()} == set(
        addresses.values()
    )
    for address in addresses.values():
        hypervisor.run(f"ping -c 1 -W 5 {address}")
    stack.destroy().ok()
    stack.project.run("pulumi", "stack", "rm", "--yes", "plain").ok()


def test_the_shelf_is_listed_and_judged(small: Project) -> None:
    fab = ("uv", "run", "--frozen", "fab")
    assert "6_nets_3_bridges" in small.run(*fab, "topologies").ok().out
    small.run(*fab, "check-topology", "topologies").ok()
    (small.folder / "topologies" / "nodes" / "bad.yaml").write_text("cpu: many\n")
    said = small.run(*fab, "check-topology", "topologies").refused().out
    assert "bad.yaml: error: 3 problems\n" in said
    assert "cpu: got 'many', expected an integer from 1 to 512" in said
    (small.folder / "topologies" / "nodes" / "bad.yaml").unlink()
