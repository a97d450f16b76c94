"""Every field of every file, edited on a real hypervisor: what was said is what happens."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.e2e.engine import Project, Run, Stack
from tests.e2e.hypervisors import Hypervisor
from tests.edits import BASE, EDITS, Edit, Files, made
from tests.soak.neighbours import Neighbours

pytestmark = pytest.mark.e2e
POOL = "/var/lib/libvirt/images/metalab/prefixes/foo"


class Lab:
    """The environment, and the files that it is made of."""

    def __init__(self, project: Project, host: Hypervisor) -> None:
        self.project, self.host, self.files = project, host, BASE
        host.run("for b in br8 br9; do ip link add $b type bridge; ip link set $b up; done")
        self._write(BASE)
        settings = {key.replace("-", "_"): value for key, value in BASE["stack"].items()}
        self.stack: Stack = project.stack("foo", **{**settings, **host.settings})

    def edit(self, *edits: Edit) -> Run:
        """Make the edits, preview and carry out; a refused one is taken back."""
        was, self.files = self.files, made(self.files, *edits)
        self._apply(was)
        done = self.stack.pulumi("up", "--yes")
        if done.code:
            after, self.files = self.files, was
            self._apply(after)
        return done

    def _apply(self, was: Files) -> None:
        self._write(self.files)
        for key, value in {**was["stack"], **self.files["stack"]}.items():
            if was["stack"].get(key) != self.files["stack"].get(key):
                self._set(key, value if key in self.files["stack"] else None)

    def _set(self, key: str, value: object) -> None:
        ways = {"lab42": self.host.spec.address, "localhost": self._other_way()}
        if key == "vnc-password":
            words = ("config", "set", "--secret", "-s", "foo", key, str(value))
            self.project.run("pulumi", *words).ok()
        else:
            value = ways[str(value)] if key == "host-address" else value
            self.stack.configure(**{key.replace("-", "_"): value})

    def _other_way(self) -> str:
        """Another address of the same host: for all that a state knows another host."""
        return self.host.run("ip -6 -br addr show eth0 scope global").split()[-1].split("/")[0]

    def _write(self, files: Files) -> None:
        folder = self.project.folder / "topologies"
        for role in ("box", "sys"):
            (folder / "nodes" / f"{role}.yaml").write_text(yaml.safe_dump(files[role]))
        (folder / "networks" / "edits.yaml").write_text(yaml.safe_dump(files["layout"]))

    def pids(self) -> dict[str, str]:
        """The QEMU process of each node: another one is a restart."""
        said = self.host.run("cd /run/libvirt/qemu; grep -H . foo-*.pid")
        return dict(re.findall(r"foo-(\S+)\.pid:(\d+)", said))

    def identity(self) -> str:
        """What no edit may change: names, UUIDs, MACs in order, and disks."""
        domains = "for d in foo-box-0 foo-box-1 foo-sys-0; do virsh domuuid $d; virsh domiflist $d"
        return self.host.run(
            f"{domains} | grep -o '52:.*'; done; stat -c '%n %i' {POOL}/*-vd?.* | grep -v box-2"
        )

    def networks(self) -> dict[str, str]:
        """Each network's UUID: another one is another network."""
        ours = "virsh net-list --name | grep -E '^foo-(data|way|more|lan|spare)$'"
        said = self.host.run(f"for n in $({ours}); do echo $n $(virsh net-uuid $n); done").split()
        return dict(zip(said[::2], said[1::2], strict=True))


@pytest.fixture(scope="module")
def lab(project: Project, hypervisor: Hypervisor, neighbours: Neighbours) -> Lab:
    assert neighbours.changed() == []
    made_one = Lab(project, hypervisor)
    made_one.stack.up().ok()
    made_one.stack.print_ssh_config()
    made_one.stack.ssh("sys-0", "echo kept > /disk/kept; sync").ok()
    return made_one


def carried_out(lab: Lab, name: str) -> None:
    """Make a round's edits, all at once: each is told, and each is there."""
    edits = [edit for edit in EDITS if edit.round == name]
    was = lab.identity()
    said = " ".join(lab.edit(*edits).ok().out.split())
    missing = [edit.said for edit in edits if " ".join(edit.said.split()) not in said]
    assert missing == [], said
    unseen = [
        edit for edit in edits if edit.seen and edit.seen[1] not in lab.host.run(edit.seen[0])
    ]
    assert unseen == []
    assert lab.identity() == was
    lab.stack.unchanged().ok()


def test_what_is_live_restarts_nobody(lab: Lab) -> None:
    before, there = lab.pids(), lab.networks()
    carried_out(lab, "live")
    assert lab.pids().items() >= before.items()
    assert lab.networks().items() >= there.items()


def test_another_machine_is_a_restart_of_that_node(lab: Lab) -> None:
    before, there = lab.pids(), lab.networks()
    carried_out(lab, "restart")
    after = lab.pids()
    assert after["sys-0"] == before["sys-0"]
    assert not set(after.values()) & {before["box-0"], before["box-1"], before["box-2"]}
    assert lab.networks() == there


def test_another_seed_keeps_the_system(lab: Lab) -> None:
    there = lab.networks()
    carried_out(lab, "seed")
    assert lab.networks() == there
    lab.stack.print_ssh_config()
    assert lab.stack.ssh("sys-0", "cat /disk/kept").ok().out.strip() == "kept"


def test_a_network_made_anew_takes_its_nodes_along(lab: Lab) -> None:
    before, there = lab.pids(), lab.networks()
    carried_out(lab, "replace")
    assert not set(lab.pids().values()) & set(before.values())
    now = lab.networks()
    assert [name for name in there if now[name] == there[name]] == ["foo-spare", "foo-way"]
    lab.stack.print_ssh_config()
    assert lab.stack.ssh("sys-0", "cat /disk/kept").ok().out.strip() == "kept"


@pytest.mark.parametrize("edit", [e for e in EDITS if e.round == "refused"], ids=str)
def test_what_would_lose_data_is_refused(lab: Lab, edit: Edit) -> None:
    before = (lab.pids(), lab.host.inventory())
    assert edit.said in lab.edit(edit).refused().out
    assert (lab.pids(), lab.host.inventory()) == before


def test_a_protected_one_ends_once_it_is_not(lab: Lab) -> None:
    lab.stack.destroy().refused()
    lab.edit(Edit("", "stack", ("protect",), False, "protect", "")).ok()
    lab.stack.destroy().ok()
    assert lab.networks() == {}
    assert "foo-box" not in lab.host.run("virsh list --all --name")
