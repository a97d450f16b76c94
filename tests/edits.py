"""One edit of each field: what its preview says, and what libvirt has of it afterwards.

The unit tests make them one by one, on plans; the end-to-end test in rounds, on a hypervisor.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

Files = dict[str, dict[str, Any]]  # "stack", "box" and "sys" (roles), "layout"

# Two blank nodes and one with a system; the last network is a bridge that the host has.
BASE: Files = {
    "stack": {
        "topology-nodes": "box:2,sys:1",
        "topology-network": "edits",
        "image-url": "tiny",
        "host-address": "lab42",
    },
    "box": {
        "cpu": 1,
        "memory": 64,
        "deploy_os": False,
        "disks": [{"size": "1G"}, {"size": "1G"}],
        "groups": ["box"],
    },
    "sys": {"cpu": 1, "memory": 128, "disks": [{"size": "1G"}], "groups": ["sys"]},
    "layout": {
        "networks": {
            "data": {"cidr": "10.71.0.0/24"},
            "way": {"cidr": "10.72.0.0/24", "forward": "nat", "dhcp": True},
            "more": {"cidr": "10.73.0.0/24", "forward": "nat", "dhcp": True},
            "lan": {"forward": "bridge", "bridge": "br8"},
        },
        "nodes": {
            "default": {"interfaces": ["way", "more"], "external_network": "way"},
            "box": {"interfaces": ["data", "more", "lan"], "external_network": "more"},
        },
    },
}
BOX = "virsh dumpxml --security-info foo-box-0"
SRV = {"service": "ldap", "target": "box-0", "port": 389}


@dataclass(frozen=True)
class Edit:
    """One field's other value, and everything that comes of it."""

    round: str
    file: str
    path: tuple[str | int, ...]  # to what is put there; empty: keys of the file itself
    value: Any
    field: str  # of lab.fields
    said: str  # by the preview; empty: nothing, as nothing that exists changes
    seen: tuple[str, ...] = ()  # what to run on the hypervisor afterwards, and what it shows

    def __str__(self) -> str:
        return f"{self.file} {self.field}"


def made(files: Files, *edits: Edit) -> Files:
    """The files with edits made."""
    files = deepcopy(files)
    for edit in edits:
        place: Any = files[edit.file]
        for step in edit.path[:-1]:
            place = place[step]
        if edit.path:
            place[edit.path[-1]] = edit.value
        else:
            place.update(edit.value)
    return files


def stack(key: str, value: object, said: str, sees: str = "") -> Edit:
    effect = "restart" if sees else "live"
    look = (BOX, sees) if sees else ()
    words = f"the stack: {key} {said}: {effect}"
    return Edit("seed" if sees else "live", "stack", (key,), value, key, words, look)


def box(key: str, value: object, said: str, sees: str) -> Edit:
    words = f"{key} {said}"
    return Edit("restart", "box", (key,), value, key, words, (BOX, sees))


def net(place: str, value: object, said: str, sees: str, look: str = "") -> Edit:
    """A key of a network, such as "data.mtu", which is made anew with it."""
    name, key = place.split(".")
    look = look or f"virsh net-dumpxml foo-{name}"
    words = f"network {name}: {said}" if not said.startswith(" ") else said
    return Edit("replace", "layout", ("networks", name, key), value, key, words, (look, sees))


def live(edit: Edit) -> Edit:
    """The same in the round of what no node notices."""
    return replace(edit, round="live")


EDITS = (
    # live
    stack("ready-timeout", 310, "300 → 310 s"),
    stack("shutdown-timeout", 20, "30 → 20 s"),
    stack("host-memory-overcommit", True, "false → true"),
    stack("host-vcpu-ratio", 50, "none → 50"),
    stack("host-disk-overcommit", False, "true → false"),
    stack("quota", {"nodes": 9, "memory": "4G"}, "none → nodes 9, memory 4096 MiB"),
    stack("protect", True, "false → true"),
    Edit("live", "box", ("groups",), ["box", "other"], "groups",
         "box-0, box-1: groups box → box, other: live"),
    Edit("live", "sys", (),
         {"interfaces": ["way", "more"], "external_network": "way", "provision_network": "more"},
         "provision_network",
         "sys-0: provision_network way → more: live"),
    live(net("way.hosts", {"printer": "10.72.0.99"}, "hosts none → printer 10.72.0.99: live",
             "printer")),
    live(net("data.autostart", False, "autostart true → false: live", "no",
             "virsh net-info foo-data | grep Autostart")),
    Edit("live", "layout", ("networks", "spare"), {"cidr": "10.9.0.0/24"}, "networks",
         "network spare", ("virsh net-list --name", "foo-spare")),
    Edit("live", "stack", ("topology-nodes",), "box:3,sys:1", "topology-nodes", "box-2: new",
         ("virsh list --name", "foo-box-2")),
    # a blank machine, all at once
    box("cpu", 2, "1 → 2: restart", ">2</vcpu>"),
    box("memory", 72, "64 → 72 MiB: restart", ">73728</memory>"),
    Edit("restart", "box", (),
         {"interfaces": [{"network": "data", "model": "e1000"}, "more", "lan"],
          "external_network": "more"}, "interfaces",
         "box-1: interfaces", (BOX, "<model type='e1000'/>")),
    Edit("restart", "box", ("disks", 1), {"size": "1G", "bus": "scsi", "cache": "unsafe"}, "bus",
         "bus vda virtio, vdb virtio → vda virtio, vdb scsi unsafe: restart",
         (BOX, "cache='unsafe'")),
    box("bootmode", "uefi", "bios → uefi: restart", "OVMF"),
    box("machine_type", "q35", "none → q35: restart", "q35"),
    box("cpumodel", "Nehalem", "maximum → custom Nehalem: restart", "Nehalem"),
    box("os_variant", "debian12", "none → debian12: restart", "debian/12"),
    box("devices", "<watchdog model='i6300esb' action='none'/>", "none →",
        "<watchdog model='i6300esb' action='none'"),
    # a system, whose seed is another one; and the screens of all
    Edit("seed", "sys", ("timezone",), "Europe/Prague", "timezone",
         "sys-0: timezone none → Europe/Prague: restart"),
    Edit("seed", "sys", ("swap",), 64, "swap", "sys-0: swap none → 64 MiB: restart"),
    Edit("seed", "sys", ("packages",), ["vim"], "packages",
         "sys-0: packages none → vim: restart"),
    Edit("seed", "sys", (),
         {"interfaces": ["way", "more"], "external_network": "more", "provision_network": "more"},
         "external_network",
         "sys-0: external_network way → more: restart"),
    Edit("seed", "sys", ("user",), "lab", "user", ""),
    Edit("seed", "stack", (), {"vnc-external": True, "vnc-password": "geheim11"}, "vnc-external",
         "the stack: vnc-external false → true: restart", (BOX, "listen='0.0.0.0'")),
    stack("vnc-password", "geheim12", "none → another", "passwd='geheim12'"),
    # networks
    net("data.cidr", "192.0.3.0/24",
        " → 192.0.3.1 of 192.0.3.0/24: replace; ", "192.0.3.1"),
    net("data.forward", "nat", "forward none → nat: replace; ", "mode='nat'"),
    net("data.mtu", 1400, "mtu none → 1400: replace; ", "size='1400'"),
    net("more.dhcp", "2-99", "dhcp 10.73.0.2 to 10.73.0.250 → 10.73.0.2 to 10.73.0.9",
        "10.73.0.9"),
    net("more.pool", 3, "pool 10.73.0.251 to 10.73.0.254 → ", "end='10.73.0.99'"),
    net("more.ipv6", True, "ipv6 none → fd", "ipv6"),
    net("more.domain", "lab.example", "domain none → lab.example: replace; ", "lab.example"),
    net("more.srv", [SRV], "srv none → _ldap._tcp foo-box-0", "ldap"),
    replace(net("lan.bridge", "br9", "nic br8 → br9: replace; ", "br9", BOX), field="nic"),
    net("lan.allow-dhcp-server", True, "allow-dhcp-server false → true: restart; ", "br9", BOX),
    # what would lose data
    Edit("refused", "box", ("disks", 0, "size"), "2G", "disks", "[disk-size]"),
    Edit("refused", "box", ("disks", 0, "preallocation"), "full", "preallocation", "[disk-kind]"),
    Edit("refused", "box", ("deploy_os",), True, "deploy_os", "[deploy-os]"),
    Edit("refused", "stack", ("host-address",), "localhost", "host-address", "[host-moved]"),
)  # fmt: skip

# What no round edits, and where it is seen instead.
ELSEWHERE = {
    "host-user": "tests/e2e/test_users.py",
    "host-key": "tests/e2e/test_changes.py::test_another_way_to_log_in_touches_nothing",
    "host-known-hosts": "tests/e2e/test_changes.py::test_another_way_to_log_in_touches_nothing",
    "host-restore": "tests/e2e/test_restored.py",
    "host-tools": "tests/e2e/host/test_packages.py",
    "remove-nodes": "tests/e2e/test_lab.py",
    "topology-network": "tests/e2e/test_layouts.py",
    "override": "tests/e2e/test_layouts.py",
    "virt-type": "tests/graph/test_program.py",  # the test machines have no KVM to change to
    "image-url": "tests/e2e/test_changes.py",
    "image_url": "tests/e2e/test_roles.py",
    "name": "tests/unit/lab/test_topology.py",
    "nodes": "tests/e2e/test_layouts.py",
}
