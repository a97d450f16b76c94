from __future__ import annotations

from typing import Any

import pytest

from lab.devices import ALLOWED
from lab.errors import Problem
from lab.files import Source
from lab.layout import Layout
from lab.osinfo import os_id
from lab.reader import Reader
from lab.role import parse_role
from lab.specs import DiskSpec, MachineSpec, NetworkSpec, NicSpec, NodeSpec, SystemSpec
from tests.unit.lab.samples import NETWORKS

LEAST: dict[str, Any] = {"cpu": 1, "memory": 128, "disks": ["1G"]}


def read(**keys: Any) -> tuple[NodeSpec, list[str]]:
    problems: list[Problem] = []
    entry = Reader({**LEAST, **keys}, Source("f.yaml"), problems)
    networks = (*NETWORKS, NetworkSpec(name="wire", subnet=None))
    return parse_role("node", entry, Layout(networks)), [str(problem) for problem in problems]


def test_what_is_not_said_is_as_it_was_before_these_keys() -> None:
    role, problems = read()
    assert problems == []
    assert role.disks == (DiskSpec(size_gib=1),)
    assert (role.system, role.machine) == (SystemSpec(), MachineSpec())


def test_disks_one_by_one() -> None:
    whole = {"size": "2G", "bus": "scsi", "cache": "unsafe", "preallocation": "falloc"}
    role, problems = read(disks=["1G", whole, {"size": 3, "preallocation": "metadata"}])
    assert problems == []
    assert role.disks == (
        DiskSpec(size_gib=1),
        DiskSpec(size_gib=2, bus="scsi", cache="unsafe", preallocation="full"),
        DiskSpec(size_gib=3),
    )


def test_nics_one_by_one() -> None:
    nics = ["data", {"network": "external", "model": "e1000", "mac": "52:54:00:AB:CD:EF"}]
    role, problems = read(interfaces=nics, external_network="external")
    assert problems == []
    assert role.nics == (
        NicSpec(network="data"),
        NicSpec(network="external", model="e1000", mac="52:54:00:ab:cd:ef"),
    )


def test_ssh_may_take_another_network_than_the_default_route() -> None:
    words = {"interfaces": ["data", "external"], "external_network": "external"}
    role, _ = read(**words)
    assert (role.access, role.route) == ("external", "external")
    role, problems = read(**words, provision_network="data")
    assert (role.access, role.route, problems) == ("data", "external", [])


def test_the_system_and_the_machine() -> None:
    role, problems = read(
        user="stack",
        timezone="Europe/Prague",
        swap="2G",
        packages=["vim", "tmux"],
        cpumodel="Nehalem",
        bootmode="uefi-secure",
        os_variant="rhel9.2",
        devices="<watchdog model='i6300esb'/>\n<rng model='virtio'><backend model='random'>"
        "/dev/urandom</backend></rng>\n",
    )
    assert problems == []
    assert role.system == SystemSpec(
        user="stack", timezone="Europe/Prague", swap_mib=2048, packages=("vim", "tmux")
    )
    assert (role.machine.cpu_model, role.machine.machine) == ("Nehalem", "q35")
    assert (role.machine.firmware, role.machine.os_variant) == ("uefi-secure", "rhel9.2")
    assert role.machine.devices == (
        '<watchdog model="i6300esb" />',
        '<rng model="virtio"><backend model="random">/dev/urandom</backend></rng>',
    )


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param({"disks": [{"size": 1, "bus": "nvme"}]}, "disks.0.bus: got 'nvme'", id="bus"),
        pytest.param({"disks": [{"size": 1, "cache": "fast"}]}, "disks.0.cache", id="cache"),
        pytest.param({"disks": [{"size": 1, "sise": 2}]}, "Did you mean size?", id="a disk's key"),
        pytest.param({"disks": [{"bus": "scsi"}]}, "disks.0.size: got nothing", id="no size"),
        pytest.param(
            {"disks": [{"size": 1, "preallocation": "full"}]}, "off or metadata", id="overlay"
        ),
        pytest.param({"timezone": "; reboot"}, "timezone: got", id="a time zone"),
        pytest.param({"timezone": "../../etc/shadow"}, "timezone: got", id="a path"),
        pytest.param({"user": "Root"}, "user: got 'Root'", id="a user"),
        pytest.param({"swap": "-1"}, "swap: got '-1'", id="swap"),
        pytest.param({"cpumodel": "a b"}, "cpumodel: got", id="a CPU"),
        pytest.param({"machine_type": "isapc"}, "machine_type: got 'isapc'", id="a machine"),
        pytest.param({"bootmode": "uefy"}, "Did you mean uefi?", id="a boot mode"),
        pytest.param({"os_variant": "plan9"}, "os_variant: got 'plan9'", id="a system"),
        pytest.param({"devices": "<disk/>"}, "got <disk>, expected one of", id="a disk as device"),
        pytest.param({"devices": "<rng>"}, "got no XML", id="no XML"),
        pytest.param({"devices": "watchdog"}, "got text between", id="a word"),
        pytest.param(
            {"devices": "<!DOCTYPE x [<!ENTITY a 'b'>]><rng/>"}, "no <! or <?", id="entities"
        ),
        pytest.param({"devices": "<rng/>" * 5000}, "at most 20000", id="very long"),
        pytest.param(
            {"devices": "</devices><devices><emulator>/bin/sh</emulator>"}, "got no XML", id="out"
        ),
        pytest.param(
            {"devices": "<x:template xmlns:x='http://www.w3.org/1999/XSL/Transform'/>"},
            "expected one of",
            id="a stylesheet's word",
        ),
        pytest.param({"devices": "<rng model='{system-property(1)}'/>"}, "{ or }", id="braces"),
        pytest.param(
            {"devices": "<watchdog model='&#123;document(1)&#125;'/>"},
            "{ or }",
            id="braces by number",
        ),
        pytest.param(
            {"devices": "<rng xmlns:x='http://www.w3.org/1999/XSL/Transform' x:a='b'/>"},
            "a namespace",
            id="an attribute of a namespace",
        ),
        pytest.param(
            {"devices": "<rng><backend model='egd' type='unix'/></rng>"}, "a socket", id="a socket"
        ),
        pytest.param(
            {"devices": "<rng><backend><source path='/etc/shadow'/></backend></rng>"},
            "got a file",
            id="a file",
        ),
        pytest.param({"image_sha256": "a" * 64}, "image_url beside it", id="a checksum of nothing"),
        pytest.param(
            {"interfaces": [{"network": "data", "mac": "fe:00:00:00:00:01"}]}, "mac", id="a tap's"
        ),
        pytest.param(
            {
                "devices": "<rng><y:b xmlns:y='http://www.w3.org/1999/XSL/Transform'/></rng>",
            },
            "a namespace",
            id="a stylesheet's word further in",
        ),
        pytest.param(
            {"interfaces": [{"network": "data", "mac": "01:00:00:00:00:01"}]}, "mac", id="multicast"
        ),
        pytest.param({"interfaces": [{"network": "data", "model": "ne2k"}]}, "model", id="model"),
        pytest.param(
            {
                "interfaces": ["data", "wire"],
                "external_network": "data",
                "provision_network": "wire",
            },
            "provision_network: got 'wire', expected one of data",
            id="SSH over frames alone",
        ),
    ],
)
def test_bad_words(keys: dict[str, Any], says: str) -> None:
    _, problems = read(**keys)
    assert says in "\n".join(problems)


def test_no_device_is_a_disk_or_runs_a_program() -> None:
    assert {"disk", "interface", "emulator", "filesystem", "serial"} & set(ALLOWED) == set()


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        ("rhel9.2", "http://redhat.com/rhel/9.2"),
        ("centos-stream9", "http://centos.org/centos-stream/9"),
        ("debian12", "http://debian.org/debian/12"),
        ("rhel8-unknown", "http://redhat.com/rhel/8-unknown"),
    ],
)
def test_osinfo(variant: str, name: str) -> None:
    assert os_id(variant) == name
