"""Edits, accidents and neighbours: what a lab survives."""

from __future__ import annotations

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.chaos.strike import family, kill
from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("changes")]


@pytest.fixture(scope="module")
def foo(project: Project, hypervisor: Hypervisor) -> Stack:
    """Two neighbours whose prefixes begin alike, made at the same time on an unprepared host.

    Both plans prefer the same subnets. One claims them first; the other is told so before it has
    made anything, and its next run takes others.
    """
    project.add_blank()
    stacks = [
        project.stack(prefix, topology_nodes=nodes, image_url="tiny", **hypervisor.settings)
        for prefix, nodes in (("foo", "tiny:1,blank:1"), ("foo2", "blank:1"))
    ]
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda stack: stack.up(), stacks))
    late = [stack for stack, run in zip(stacks, runs, strict=True) if run.code]
    assert len(late) <= 1, "\n".join(run.out for run in runs)
    for stack in late:
        assert "[lease-subnet]" in runs[stacks.index(stack)].out
        stack.up().ok()
    stacks[0].print_ssh_config()
    return stacks[0]


def test_neighbours_with_similar_prefixes_have_their_own(
    foo: Stack, hypervisor: Hypervisor
) -> None:
    names = hypervisor.run("virsh list --name").split()
    assert sorted(names) == ["foo-blank-0", "foo-tiny-0", "foo2-blank-0"]


def test_blank_node_tries_the_network_first(foo: Stack, hypervisor: Hypervisor) -> None:
    console = foo.outputs()["nodes"]["blank-0"]["console"]
    for _ in range(60):
        if "iPXE" in (said := hypervisor.run(f"tr -cd '[:print:]' < {console}")):
            break
        time.sleep(0.5)
    assert "iPXE" in said


def test_more_memory_keeps_identity_and_disk(foo: Stack, hypervisor: Hypervisor) -> None:
    foo.ssh("tiny-0", "echo kept > /disk/kept; sync").ok()
    uuid = hypervisor.run("virsh domuuid foo-tiny-0")
    other = hypervisor.run("cat /run/libvirt/qemu/foo-blank-0.pid")
    role = foo.project.folder / "topologies" / "nodes" / "tiny.yaml"
    role.write_text(role.read_text().replace("memory: 128", "memory: 144"))
    foo.up().ok()
    assert foo.ssh("tiny-0", "cat /disk/kept").ok().out.strip() == "kept"
    assert hypervisor.run("virsh domuuid foo-tiny-0") == uuid
    assert hypervisor.run("cat /run/libvirt/qemu/foo-blank-0.pid") == other
    assert "147456 KiB" in hypervisor.run("virsh dominfo foo-tiny-0 | grep Max")
    foo.unchanged().ok()


def test_another_disk_size_is_refused_and_the_disk_kept(foo: Stack, hypervisor: Hypervisor) -> None:
    role = foo.project.folder / "topologies" / "nodes" / "tiny.yaml"
    text = role.read_text()
    role.write_text(text.replace("[1G]", "[2G]"))
    try:
        assert "[disk-size]" in foo.up().refused().out
    finally:
        role.write_text(text)
    assert foo.ssh("tiny-0", "cat /disk/kept").ok().out.strip() == "kept"


def test_another_subnet_moves_the_network_and_its_nodes(foo: Stack) -> None:
    layout = foo.project.folder / "topologies" / "networks" / "3_nets.yaml"
    layout.write_text(layout.read_text().replace("172.16.0.0/24", "172.29.9.0/24"))
    foo.up().ok()
    foo.print_ssh_config()
    assert foo.outputs()["nodes"]["tiny-0"]["addresses"]["management"].startswith("172.29.9.")
    assert foo.ssh("tiny-0", "cat /disk/kept").ok().out.strip() == "kept"
    foo.unchanged().ok()


def test_what_virsh_undid_comes_back(foo: Stack, hypervisor: Hypervisor) -> None:
    hypervisor.run(
        "virsh destroy foo-tiny-0; virsh undefine foo-blank-0; virsh destroy foo-blank-0"
    )
    foo.up("--refresh", "--skip-preview").ok()
    assert hypervisor.run("virsh list --name --state-running").split().count("foo-tiny-0") == 1
    assert "foo-blank-0" in hypervisor.run("virsh list --all --name").split()


def test_another_way_to_log_in_touches_nothing(
    foo: Stack, hypervisor: Hypervisor, tmp_path: Path
) -> None:
    """A rotated key is a fact about the operator: the host keeps its marker, lease and domains."""
    was = hypervisor.run("cat /run/libvirt/qemu/foo-*.pid; ls /var/lib/metalab/*")
    key = tmp_path / "moved"
    shutil.copy(hypervisor.spec.key, key)
    foo.configure(host_key=str(key))
    foo.up().ok()
    assert hypervisor.run("cat /run/libvirt/qemu/foo-*.pid; ls /var/lib/metalab/*") == was
    foo.unchanged().ok()
    foo.configure(host_key=hypervisor.spec.key)
    foo.up().ok()


def test_killed_up_is_resumed_by_the_next(foo: Stack, hypervisor: Hypervisor) -> None:
    foo.configure(topology_nodes="tiny:2,blank:2")
    _killed_up(foo, hypervisor, "foo-tiny-1")
    foo.pulumi("cancel", "--yes").ok()
    foo.up().ok()
    foo.print_ssh_config()
    assert foo.ssh("tiny-1", "hostname").ok().out.strip() == "foo-tiny-1"
    assert len(hypervisor.run("virsh list --name").split()) == 5


def test_killed_up_can_be_destroyed(foo: Stack, hypervisor: Hypervisor) -> None:
    """What the engine never recorded goes, too."""
    before = hypervisor.inventory()
    killed = foo.project.stack(
        "foo3", topology_nodes="tiny:1", image_url="tiny", **hypervisor.settings
    )
    _killed_up(killed, hypervisor, "foo3-tiny-0")
    killed.pulumi("cancel", "--yes").ok()
    killed.destroy().ok()
    assert hypervisor.inventory() == before


def test_a_node_that_never_answers_is_explained(foo: Stack) -> None:
    """A blank image boots nothing: the report names the rung and shows the console's end."""
    image = foo.project.folder / "nothing.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1G"], check=True)
    foo.configure(topology_nodes="tiny:3,blank:2", image_url=str(image), ready_timeout=15)
    out = foo.up().refused().out
    assert "foo-tiny-2" in out
    assert "lease" in out
    foo.configure(remove_nodes="tiny-2", ready_timeout=None)
    foo.up().ok()


def test_another_state_of_a_prefix_is_refused_and_takes_nothing(
    foo: Stack, hypervisor: Hypervisor, tmp_path: Path
) -> None:
    """Somebody else's laptop, or a lost state: neither may take the machines apart."""
    before = hypervisor.inventory()
    stranger = Project.copy(tmp_path).stack("foo2", topology_nodes="tiny:1", image_url="tiny")
    stranger.configure(**hypervisor.settings)
    assert "[prefix-owned]" in stranger.up().refused().out
    stranger.destroy().ok()
    assert hypervisor.inventory() == before


def test_a_protected_environment_can_be_edited_and_not_destroyed(
    foo: Stack, hypervisor: Hypervisor
) -> None:
    foo.configure(protect=True)
    foo.up().ok()
    before = hypervisor.inventory()
    assert "protected" in foo.destroy().refused().out
    assert "protected" in foo.pulumi("destroy", "--yes", "--skip-preview").refused().out
    assert hypervisor.inventory() == before
    foo.configure(topology_nodes="tiny:3,blank:1")
    foo.up().ok()
    foo.configure(protect=False)
    foo.up().ok()
    assert "foo-blank-1" not in hypervisor.run("virsh list --all --name").split()


def test_destroy_takes_its_own_and_nothing_else(foo: Stack, hypervisor: Hypervisor) -> None:
    foo.destroy().ok()
    assert hypervisor.run("virsh list --name").split() == ["foo2-blank-0"]
    left = "\n".join(hypervisor.inventory())
    assert "foo-" not in left.replace("foo2-", "")
    neighbour = Stack(foo.project, "foo2")
    assert hypervisor.run("ls /var/lib/metalab/leases").split() == ["foo2.json"]
    neighbour.destroy().ok()
    assert hypervisor.run("ls -d /var/lib/metalab 2>/dev/null || echo none").strip() == "none"


def _killed_up(stack: Stack, hypervisor: Hypervisor, domain: str) -> None:
    """Run `up` and kill the engine the moment a domain of it runs."""
    words = ["pulumi", "up", "-s", stack.prefix, "--yes", "--skip-preview", "--non-interactive"]
    with subprocess.Popen(
        words,
        cwd=stack.project.folder,
        env=stack.project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as engine:
        for _ in range(200):
            if domain in hypervisor.run("virsh list --name"):
                break
            time.sleep(0.1)
        kill(family(engine.pid))  # plugins outlive their engine
