"""A lab from a bare hypervisor to an empty one: every promise of the README, in its order."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]


@pytest.fixture(scope="module")
def before(bare_hypervisor: Hypervisor) -> list[str]:
    """What was on the host before the first `up`."""
    return bare_hypervisor.inventory()


@pytest.fixture(scope="module")
def demo(project: Project, bare_hypervisor: Hypervisor, before: list[str]) -> Iterator[Stack]:
    """The demo environment, built on a hypervisor that has never seen libvirt."""
    assert "link lo" in before, before
    stack = project.stack(
        "demo", topology_nodes="tiny:3", image_url="tiny", **bare_hypervisor.settings
    )
    stack.up("--yes").ok()
    stack.print_ssh_config()
    yield stack
    stack.destroy()


def test_three_nodes_answer_ssh_by_the_printed_file(demo: Stack) -> None:
    said = {node: demo.ssh(node, "hostname").ok().out.strip() for node in demo.outputs()["nodes"]}
    assert said == {f"tiny-{i}": f"demo-tiny-{i}" for i in range(3)}


def test_fab_ssh_runs_a_command_on_a_node(demo: Stack) -> None:
    assert demo.fab("ssh", "tiny-1", "--command", "hostname").ok().out.strip() == "demo-tiny-1"


def test_data_is_moved_from_the_subnet_that_the_machine_has(demo: Stack) -> None:
    """The machine under the hypervisor is in 192.0.2.0/24: a real case, not an invented one."""
    address = demo.outputs()["nodes"]["tiny-0"]["addresses"]["data"]
    routed = "192.0.2.0/24" in demo.project.run("ip", "route").out
    assert routed is not address.startswith("192.0.2.")


def test_a_node_pings_another_over_data(demo: Stack) -> None:
    other = demo.outputs()["nodes"]["tiny-1"]["addresses"]["data"]
    assert " 0% packet loss" in demo.ssh("tiny-0", f"ping -c 2 -W 5 {other}").ok().out


def test_data_has_no_dhcp(demo: Stack) -> None:
    run = demo.ssh("tiny-0", "udhcpc -i eth0 -n -q -t 3 -T 1 -s /bin/true")
    assert run.refused().out.count("no lease") >= 1


def test_management_gives_the_planned_lease(demo: Stack) -> None:
    planned = demo.outputs()["nodes"]["tiny-0"]["addresses"]["management"]
    said = demo.ssh("tiny-0", "udhcpc -i eth1 -n -q -t 5 -T 2 -s /bin/true").ok().out
    assert f"lease of {planned} obtained" in said


def test_management_is_translated_and_data_leads_nowhere(
    demo: Stack, bare_hypervisor: Hypervisor
) -> None:
    """Seen from the far side of the hypervisor: its own address, not the guest's."""
    outer = bare_hypervisor.run("ip -4 -o route get 10.213.0.0 2>/dev/null; ip route show default")
    gateway = re.search(r"default via (\S+)", outer)
    assert gateway
    with socket.create_server((gateway[1], 0)) as server:
        server.settimeout(20)
        with ThreadPoolExecutor() as pool:
            caller = pool.submit(_hang_up_on_the_first, server)
            port = server.getsockname()[1]
            demo.ssh("tiny-0", f"timeout 15 nc -w 5 {gateway[1]} {port} </dev/null")
            seen = caller.result()
    assert seen == bare_hypervisor.spec.address
    assert demo.ssh("tiny-0", f"ping -I eth0 -c 1 -W 2 {gateway[1]}").code != 0


def test_a_second_up_changes_nothing(demo: Stack) -> None:
    demo.unchanged().ok()


def test_a_refresh_finds_no_drift(demo: Stack) -> None:
    demo.pulumi("refresh", "--yes", "--expect-no-changes").ok()


def test_the_pack_judged_the_run(demo: Stack) -> None:
    """Policies that are not loaded refuse nothing."""
    assert "metalab" in demo.unchanged().ok().out.partition("Policies:")[2]


def test_the_pack_analyzes_what_exists(demo: Stack, tmp_path: Path) -> None:
    """By the state alone; somebody else's quota is no affair of the stack's file."""
    words = ("pulumi", "policy", "analyze", "-s", demo.prefix)  # the environment names the pack
    assert "quota" not in demo.project.run(*words).ok().out
    quota = tmp_path / "policy.json"
    quota.write_text('{"quota": {"nodes": 2, "memory": "64G"}}')
    said = demo.project.run(*words, "--policy-pack-config", str(quota)).refused().out
    assert "3 nodes, expected at most 2" in said
    assert "[quota]" in said


def test_one_more_node_leaves_the_others_alone(demo: Stack, bare_hypervisor: Hypervisor) -> None:
    was = {i: _identity(demo, bare_hypervisor, i) for i in range(3)}
    assert "come    tiny-3" in demo.fab("extend", "tiny:1").ok().out
    demo.up().ok()
    demo.print_ssh_config()
    assert {i: _identity(demo, bare_hypervisor, i) for i in range(3)} == was
    assert demo.ssh("tiny-3", "hostname").ok().out.strip() == "demo-tiny-3"


def test_remove_nodes_takes_that_one_only(demo: Stack, bare_hypervisor: Hypervisor) -> None:
    was = {i: _identity(demo, bare_hypervisor, i) for i in (0, 2, 3)}
    was_said = demo.file.read_text()
    assert "[remove-nodes]" in demo.fab("remove-nodes", "tiny-9").refused().out
    assert "[last-node]" in demo.fab("remove-nodes", "tiny-0,tiny-1,tiny-2,tiny-3").refused().out
    assert demo.file.read_text() == was_said
    assert "go      tiny-1, with their disks" in demo.fab("remove-nodes", "tiny-1").ok().out
    demo.up().ok()
    assert {i: _identity(demo, bare_hypervisor, i) for i in (0, 2, 3)} == was
    domains = bare_hypervisor.run("virsh list --all --name").split()
    assert sorted(domains) == ["demo-tiny-0", "demo-tiny-2", "demo-tiny-3"]
    assert "demo-tiny-1" not in "\n".join(bare_hypervisor.inventory())
    demo.unchanged().ok()


def test_a_second_environment_beside_the_first(
    demo: Stack, project: Project, bare_hypervisor: Hypervisor, before: list[str]
) -> None:
    """Other subnets for `foo`; then `demo` goes and `foo` does not notice; then `foo` goes too."""
    foo = project.stack(
        "foo", topology_nodes="tiny:1", image_url="tiny", **bare_hypervisor.settings
    )
    foo.up().ok()
    foo.print_ssh_config()
    assert not _overlapping(_subnets(demo), _subnets(foo))
    was = _identity(foo, bare_hypervisor, 0)
    demo.destroy().ok()
    left = bare_hypervisor.inventory()
    assert [line for line in left if "demo" in line] == []
    assert _identity(foo, bare_hypervisor, 0) == was
    foo.unchanged().ok()
    foo.destroy().ok()
    assert _besides_packages(bare_hypervisor.inventory()) == _besides_packages(before)


def _hang_up_on_the_first(server: socket.socket) -> str:
    """Where the first caller calls from. It waits for our end to close, so close it at once."""
    connection, (address, _port) = server.accept()
    connection.close()
    return address


def _identity(stack: Stack, host: Hypervisor, index: int) -> tuple[str, str, str]:
    """What changes when a node is touched: its boot, its UUID, its QEMU process."""
    name = f"{stack.prefix}-tiny-{index}"
    boot = stack.ssh(f"tiny-{index}", "cat /proc/sys/kernel/random/boot_id").ok().out.strip()
    uuid = host.run(f"virsh domuuid {name}").strip()
    process = host.run(f"cat /run/libvirt/qemu/{name}.pid").strip()
    return boot, uuid, process


def _subnets(stack: Stack) -> list[IPv4Network]:
    lease = stack.outputs()["nodes"]["tiny-0"]["addresses"].values()
    return [IPv4Network(f"{address}/24", strict=False) for address in lease]


def _overlapping(ours: list[IPv4Network], theirs: list[IPv4Network]) -> bool:
    return any(one.overlaps(other) for one in ours for other in theirs)


def _besides_packages(lines: list[str]) -> list[str]:
    """An inventory without what libvirt's packages brought; the base images may stay, too."""
    brought = re.compile(r"/(var/lib|var/log|etc)/libvirt(?!.*(demo|foo|prefixes))")
    return [line for line in lines if line != "net-list default" and not brought.match(line)]
