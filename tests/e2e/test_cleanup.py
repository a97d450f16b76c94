"""Environments whose state is lost, removed by what the hypervisor knows of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.engine import Project, Run, Stack
from tests.e2e.hypervisors import Hypervisor
from tests.soak.crowd import FOREIGN

pytestmark = pytest.mark.e2e
NEIGHBOURS = ("f", "foo2", "foo-compute")
# With the disk as a volume of a pool.
POOL = (
    "virsh -q pool-define-as default dir --target /var/lib/libvirt/images; "
    "virsh -q pool-start default"
)
# Everything of everybody but foo, to the byte.
OTHERS = """
for d in $(virsh list --all --name); do case $d in foo-blank-*) ;; *) virsh dumpxml $d; esac; done
for n in $(virsh net-list --all --name); do
  case $n in foo-data|foo-management|foo-external) ;; *) virsh net-dumpxml $n; esac; done
cd /var/lib/metalab && sha256sum leases/f.json leases/foo2.json leases/foo-compute.json prefixes/f
cat /run/libvirt/qemu/f-*.pid /run/libvirt/qemu/foo2-*.pid /run/libvirt/qemu/foo-compute-*.pid
sha256sum /var/lib/libvirt/images/foo-db.img; grep -v 'metalab:foo$' /root/.ssh/authorized_keys
"""


@pytest.fixture(scope="module")
def stacks(project: Project, hypervisor: Hypervisor) -> list[Stack]:
    """Foo, neighbours whose names are like it, and things that are nobody's."""
    project.add_blank()
    hypervisor.run(f"{FOREIGN}{POOL}")
    layout = {"topology_nodes": "blank:1", **hypervisor.settings}
    made = [project.stack(prefix, **layout) for prefix in (*NEIGHBOURS, "foo")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda stack: stack.up().ok(), made))
    return made


def cleanup(project: Project, host: Hypervisor, *words: str) -> Run:
    login = ("--user", "root", "--key", host.spec.key, "--known-hosts", host.spec.known_hosts)
    return project.run("uv", "run", "--frozen", "fab", "cleanup", host.spec.address, *login, *words)


def test_one_prefix_goes_and_nobody_else_notices(
    project: Project, hypervisor: Hypervisor, stacks: list[Stack]
) -> None:
    before, there = hypervisor.run(OTHERS), hypervisor.inventory()
    for file in (project.folder / "state" / ".pulumi" / "stacks").rglob("foo.json*"):
        file.unlink()
    refused = cleanup(project, hypervisor, "--prefix", "foo").refused().out
    assert "foo: domain foo-blank-0" in refused
    assert "[cleanup]" in refused
    assert hypervisor.inventory() == there
    assert (
        "foo-blank-0: off at once"
        in cleanup(project, hypervisor, "--prefix", "foo", "--yes").ok().out
    )
    assert hypervisor.run(OTHERS) == before
    after = hypervisor.inventory()
    assert [line for line in after if line not in there] == []
    gone = {line.rstrip() for line in there if line not in after}
    assert {"list foo-blank-0", "net-list foo-data", "pool-list metalab.foo"} <= gone
    others = ("foo2", "foo-compu", "foo-db", "foo-net")
    traces = [line for line in after if "foo" in line]
    assert not [line for line in traces if not any(other in line for other in others)]


def test_again_finds_nothing(project: Project, hypervisor: Hypervisor, stacks: list[Stack]) -> None:
    assert stacks
    out = cleanup(project, hypervisor, "--prefix", "foo", "--yes").ok().out
    assert "nothing to remove" in out


def test_no_wish_is_answered_with_who_is_there(
    project: Project, hypervisor: Hypervisor, stacks: list[Stack]
) -> None:
    assert stacks
    assert "f, foo-compute, foo2" in cleanup(project, hypervisor).refused().out


def test_all_takes_what_is_foreign_only_when_somebody_says_so(
    project: Project, hypervisor: Hypervisor, stacks: list[Stack]
) -> None:
    assert stacks
    before = hypervisor.inventory()
    refused = cleanup(project, hypervisor, "--all", "--yes").refused().out
    assert "foreign: domain foo-db" in refused
    assert "foreign: network foo-net" in refused
    assert hypervisor.inventory() == before
    cleanup(project, hypervisor, "--all", "--yes-remove-foreign").ok()
    left = hypervisor.inventory()
    kinds = ("list ", "net-list ", "pool-list metalab", "process ", "key metalab")
    assert [line.rstrip() for line in left if line.startswith(kinds)] == ["net-list default"]
    assert hypervisor.run("ls -d /var/lib/metalab 2>/dev/null || echo none").strip() == "none"
    assert hypervisor.run("ls /var/lib/libvirt/images").split() == []
