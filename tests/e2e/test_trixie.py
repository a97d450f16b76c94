"""The smallest lab, by a sudoer, on a Debian 13 that has never seen libvirt.

Newer libvirt, QEMU, polkit and systemd; root prepares the same host in host/test_packages.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def before(bare_trixie: Hypervisor) -> list[str]:
    return bare_trixie.inventory()


@pytest.fixture(scope="module")
def lab(project: Project, bare_trixie: Hypervisor, before: list[str]) -> Iterator[Stack]:
    assert "link lo" in before, before
    settings = bare_trixie.make_sudoer().settings
    stack = project.stack("new", topology_nodes="tiny:1", image_url="tiny", **settings)
    stack.up("--yes").ok()
    stack.print_ssh_config()
    yield stack
    stack.destroy()


def test_a_node_answers(lab: Stack, bare_trixie: Hypervisor) -> None:
    assert 'VERSION_ID="13"' in bare_trixie.run("cat /etc/os-release")
    assert lab.ssh("tiny-0", "hostname").ok().out.strip() == "new-tiny-0"


def test_a_second_up_changes_nothing(lab: Stack) -> None:
    lab.unchanged().ok()
    lab.pulumi("refresh", "--yes", "--expect-no-changes").ok()


def test_one_more_node_and_one_less(lab: Stack) -> None:
    booted = lab.ssh("tiny-0", "cat /proc/sys/kernel/random/boot_id").ok().out
    for count in (2, 1):
        lab.configure(topology_nodes=f"tiny:{count}")
        lab.up().ok()
    assert lab.ssh("tiny-0", "cat /proc/sys/kernel/random/boot_id").ok().out == booted


def test_it_is_left_as_it_was(lab: Stack, bare_trixie: Hypervisor, before: list[str]) -> None:
    lab.destroy().ok()
    left = bare_trixie.inventory()
    ours = [line for line in left if "new-" in line or "metalab" in line]
    base = "/var/lib/libvirt/images/metalab"  # images stay: the next lab wants them
    assert [line for line in ours if not line.startswith((base, "key "))] == []
    assert [line for line in ours if f"{base}/prefixes" in line] == []
    assert {line for line in before if line.startswith(("key ", "link "))} == {
        line for line in left if line.startswith(("key ", "link "))
    }
    assert bare_trixie.run("systemctl --failed --no-legend") == ""
