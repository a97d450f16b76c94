"""What a user can get wrong: one clear report, exit code not 0, and nothing changed on the host."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from lab.capacity import OVERHEAD_MIB, memory_room
from lab.errors import LabError
from lab.host.decision import decide
from lab.host.facts import look
from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor
from tests.unit.lab.samples import config, role, topology

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("refusals")]

LOTS = "cpu: 1\nmemory: lots\ndisks: [1G]\nmemroy: 5\n"
TEXT_SIZE = "cpu: 1\nmemory: 32G\ndisks: [1G]\n"
WIDE = "cpu: 1\nmemory: 128\ndisks: [60000G]\n"
OVERLAP = """\
networks:
  a: {cidr: 10.9.0.0/16, forward: nat, dhcp: true}
  b: {cidr: 10.9.8.0/24}
nodes:
  default: {interfaces: [a, b], external_network: a}
"""
SMALL = """\
networks:
  a: {cidr: 10.9.0.0/29, forward: nat, dhcp: true}
nodes:
  default: {interfaces: [a], external_network: a}
"""


@pytest.fixture(scope="module")
def before(hypervisor: Hypervisor) -> list[str]:
    return hypervisor.inventory()


@pytest.fixture(scope="module")
def stack(project: Project, hypervisor: Hypervisor, before: list[str]) -> Stack:
    folder = project.folder / "topologies"
    (folder / "nodes" / "lots.yaml").write_text(LOTS)
    (folder / "nodes" / "big.yaml").write_text(TEXT_SIZE)
    (folder / "nodes" / "wide.yaml").write_text(WIDE)
    (folder / "networks" / "overlap.yaml").write_text(OVERLAP)
    (folder / "networks" / "small.yaml").write_text(SMALL)
    return project.stack("foo", **_good(hypervisor))


@pytest.fixture(autouse=True)
def restored(stack: Stack, hypervisor: Hypervisor, before: list[str]) -> Iterator[None]:
    """Each case starts from good settings, and leaves the host as it was."""
    yield
    assert hypervisor.inventory() == before
    stack.file.unlink()
    stack.configure(**_good(hypervisor))


def _good(hypervisor: Hypervisor) -> dict[str, str]:
    return {"topology_nodes": "tiny:1", "image_url": "tiny", **hypervisor.settings}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param(
            {"topology_nodes": "controler:1"},
            ["'controler'", "Did you mean controller?", "[unknown-nodes]"],
            id="unknown role",
        ),
        pytest.param(
            {"topology_network": "3_net"}, ["Did you mean 3_nets?"], id="unknown network file"
        ),
        pytest.param(
            {"topology_nodes": "tiny:1,controller1"},
            ["'controller1'", "Did you mean controller:1?", "[node-count]"],
            id="role without a count",
        ),
        pytest.param({"topology_nodes": "tiny:0"}, ["'tiny:0'", "[node-count]"], id="count 0"),
        pytest.param({"topology_nodes": "tiny:-1"}, ["'tiny:-1'"], id="negative count"),
        pytest.param({"topology_nodes": "tiny:x"}, ["'tiny:x'"], id="count not a number"),
        pytest.param(
            {"host_adress": "x", "virt_type": "xen"},
            ["host-adress", "Did you mean host-address?", "'xen'", "kvm"],
            id="unknown key and a bad value in one report",
        ),
        pytest.param(
            {"topology_nodes": "lots:1"},
            ["lots.yaml:2", "'lots'", "[size]", "lots.yaml:4", "memroy", "Did you mean memory?"],
            id="memory lots, and a mistyped key",
        ),
        pytest.param(
            {"topology_network": "overlap"},
            ["overlap.yaml:3", "10.9.8.0/24", "10.9.0.0/16", "[subnet-overlap]"],
            id="overlapping subnets",
        ),
        pytest.param(
            {"topology_network": "small", "topology_nodes": "tiny:9"},
            ["9 nodes", "at most 5", "/28", "[subnet-size]"],
            id="more nodes than addresses",
        ),
        pytest.param(
            {"topology_nodes": "big:2,tiny:1"},
            ["2 big of 32768", "1 tiny of 128", "host-memory-overcommit", "[memory-overcommit]"],
            id="not enough memory; 32G as a text is understood",
        ),
        pytest.param({"image_url": "nowhere.qcow2"}, ["nowhere.qcow2", "[image]"], id="no image"),
        pytest.param(
            {"image_sha256": "ab" * 32}, ["ab" * 32, "[image-checksum]"], id="another checksum"
        ),
        pytest.param(
            {"image_url": "https://images.example.net/x.qcow2"},
            ["image-sha256", "[image-checksum]"],
            id="a URL without a checksum",
        ),
        pytest.param({"remove_nodes": "tiny1"}, ["'tiny1'", "remove-nodes"], id="no such node"),
    ],
)
def test_settings_are_refused(stack: Stack, settings: dict[str, str], said: list[str]) -> None:
    stack.configure(**settings)
    out = stack.up().refused().out
    assert [word for word in said if word not in out] == [], out
    assert "Traceback" not in out


@pytest.mark.parametrize("seed", range(2))
def test_a_hundred_plans_on_each_side_of_what_the_host_has(
    stack: Stack, hypervisor: Hypervisor, seed: int
) -> None:
    """By the facts of a real one: at its limit a plan is accepted, a MiB beyond it is not."""
    assert stack
    random = Random(seed)  # noqa: S311 - repeatable is what it has to be
    with hypervisor.shell() as shell:
        facts = look(shell)
    limit = memory_room(facts, "foo").available
    for _ in range(50):
        count = random.randint(1, 9)
        each = random.randint(64, limit // count - OVERHEAD_MIB["qemu"] - 300)
        rest = limit - count * (each + OVERHEAD_MIB["qemu"]) - OVERHEAD_MIB["qemu"]
        for last, refused in ((rest, []), (rest + 1, ["memory-overcommit"])):
            shapes = [("many", range(count), each), ("last", range(1), last)]
            roles = tuple(
                role(name, indexes, memory_mib=memory, deploy_os=False)
                for name, indexes, memory in shapes
            )
            wanted = replace(topology(), roles=roles)
            try:
                decide(config(virt_type="qemu"), wanted, None, (), facts)
                found = []
            except LabError as error:
                found = [problem.rule for problem in error.problems]
            assert found == refused, (count, each, last)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"quota": {"nodes": 1}, "topology_nodes": "tiny:2"}, "[quota]"),
        ({"quota": {"memory": 287}}, "[quota]"),  # 128 MiB and QEMU's 160
        ({"host_vcpu_ratio": 1, "topology_nodes": "tiny:40"}, "[vcpu-overcommit]"),
        ({"host_disk_overcommit": False, "topology_nodes": "wide:1"}, "[disk-overcommit]"),
    ],
)
def test_limits_that_somebody_sets(stack: Stack, settings: dict[str, object], rule: str) -> None:
    stack.configure(**settings)
    assert rule in stack.up().refused().out


def test_unreachable_host_is_refused(stack: Stack) -> None:
    stack.configure(host_address="10.213.255.250")
    out = stack.up().refused().out
    assert "10.213.255.250" in out
    assert "Traceback" not in out


def test_wrong_key_is_refused(stack: Stack, tmp_path: Path) -> None:
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    stack.configure(host_key=str(key))
    assert "ssh-copy-id" in stack.up().refused().out


def test_missing_key_is_named_and_not_created(stack: Stack, tmp_path: Path) -> None:
    key = tmp_path / "none"
    stack.configure(host_key=str(key))
    assert str(key) in stack.up().refused().out
    assert not key.exists()


def test_unknown_host_key_is_refused_with_the_command_that_helps(
    stack: Stack, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    known.touch()
    stack.configure(host_known_hosts=str(known))
    assert "ssh-keyscan" in stack.up().refused().out
    assert known.read_text() == ""


def test_changed_host_key_is_refused(stack: Stack, hypervisor: Hypervisor, tmp_path: Path) -> None:
    known, key = tmp_path / "known_hosts", tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    known.write_text(f"{hypervisor.spec.address} {public}\n")
    stack.configure(host_known_hosts=str(known))
    assert "ssh-keygen -R" in stack.up().refused().out


@pytest.mark.parametrize("prefix", ["Foo_Bar", "a" * 40])
def test_prefix_is_refused(project: Project, hypervisor: Hypervisor, prefix: str) -> None:
    bad = project.stack(prefix, **_good(hypervisor))
    out = bad.up().refused().out
    assert "[prefix]" in out
    assert repr(prefix) in out


def test_foreign_domain_of_our_name_is_left_alone(stack: Stack, hypervisor: Hypervisor) -> None:
    """A name is no ownership: the UUID tells."""
    xml = (
        "<domain type='qemu'><name>foo-tiny-0</name><memory>65536</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    hypervisor.run(f'echo "{xml}" > /root/x.xml; virsh define /root/x.xml; rm /root/x.xml')
    try:
        out = stack.up().refused().out
        assert "[name-taken]" in out
        assert "foo-tiny-0" in hypervisor.run("virsh list --all --name")
    finally:
        hypervisor.run("virsh undefine foo-tiny-0")


def test_policies_refuse_too(stack: Stack) -> None:
    """The pack is a second line: here the program's own check is cut out."""
    main = stack.project.folder / "__main__.py"
    copy = main.with_suffix(".kept")
    shutil.copy(main, copy)
    main.write_text(main.read_text().replace("    refuse(check_plan(plan, facts))\n", ""))
    try:
        stack.configure(topology_nodes="big:9")
        out = stack.pulumi("preview").refused().out
        assert "memory-overcommit" in out.partition("Policies:")[2]
    finally:
        shutil.move(copy, main)
