"""What a role says of disks, NICs, firmware and devices is what libvirt makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e

PASSWORD = "Vnc0word"  # noqa: S105 - of this test alone
LAYOUT = """\
networks:
  net1:
    name: data
    ip_address: "192.168.{{ data_net }}.254"
    netmask: 255.255.255.0
  net2:
    name: management
    ip_address: "172.16.{{ net }}.1"
    netmask: 255.255.255.0
    forward: nat
    dhcp: {range: {start: "172.16.{{ net }}.2", end: "172.16.{{ net }}.100"}}
nodes:
  default:
    interfaces: [{network: data}, {network: management}]
    external_network: {network: management}
"""
DEPLOYED = """\
name: served
cpu: "1"
cpumodel: Nehalem
memory: "128"
deploy_os: true
import_url: tiny
os: {type: linux, variant: debian12}
disks:
  disk1: {size: 1G, cache: unsafe, preallocation: metadata, dev: /dev/vda}
  disk2: {size: 1G, bus: scsi, cache: none}
  disk3: {size: 1G, bus: sata, preallocation: full}
  disk4: {size: 1G, bus: scsi, import_url: tiny}
interfaces: null
groups: [served]
"""
BLANK = """\
cpu: 1
memory: 256
deploy_os: false
disks: [{size: 1G, bus: scsi}]
bootmode: uefi-secure
interfaces: [data, {network: data, model: e1000e, mac: "52:54:00:00:00:77"}]
external_network: data
devices: <watchdog model="i6300esb" action="reset"/>
"""


@pytest.fixture(scope="module")
def odd(project: Project, hypervisor: Hypervisor) -> Iterator[Stack]:
    shelf = project.folder / "topologies"
    (shelf / "networks" / "long.yml").write_text(LAYOUT)
    (shelf / "nodes" / "served.yml").write_text(DEPLOYED)
    (shelf / "nodes" / "blank.yaml").write_text(BLANK)
    (shelf / "nodes" / "plain-uefi.yaml").write_text(
        BLANK.replace("uefi-secure", "uefi").replace("52:54:00:00:00:77", "52:54:00:00:00:78")
    )
    settings = {"topology_nodes": "served:1,blank:1,plain-uefi:1", "topology_network": "long"}
    stack = project.stack("odd", **settings, **hypervisor.settings)
    secret = ("pulumi", "config", "set", "-s", "odd", "--secret", "vnc-password", PASSWORD)
    project.run(*secret).ok()
    stack.up("--yes").ok()
    stack.print_ssh_config()
    yield stack
    stack.destroy()


def described(hypervisor: Hypervisor, name: str) -> Element:
    return ElementTree.fromstring(hypervisor.run(f"virsh dumpxml --security-info {name}"))  # noqa: S314


def test_disks_on_their_buses(odd: Stack, hypervisor: Hypervisor) -> None:
    disks = described(hypervisor, "odd-served-0").findall("devices/disk[@device='disk']")
    seen = [
        [disk.find(f"{part}").get(word, "") for part, word in WORDS]  # type: ignore[union-attr]
        for disk in disks
    ]
    assert seen == [
        ["vda", "virtio", "unsafe"],
        ["sda", "scsi", "none"],
        ["sdb", "scsi", ""],
        ["sdc", "sata", ""],
    ]


WORDS = (("target", "dev"), ("target", "bus"), ("driver", "cache"))


def test_claimed_blocks_are_claimed(odd: Stack, hypervisor: Hypervisor) -> None:
    shown = hypervisor.run(f"cd {pool(hypervisor)} && stat -c '%n %b' odd-served-0-vd?.*")
    blocks = {name: int(count) for name, count in map(str.split, shown.splitlines())}
    assert blocks["odd-served-0-vdc.raw"] * 512 >= 1 << 30
    assert blocks["odd-served-0-vdb.qcow2"] * 512 < 1 << 20


def test_images_of_a_role_and_of_a_disk(odd: Stack, hypervisor: Hypervisor) -> None:
    files = ("odd-served-0-vda", "odd-served-0-vdd")
    backing = [
        hypervisor.run(f"qemu-img info -U {pool(hypervisor)}/{name}.qcow2 | grep '^backing file:'")
        for name in files
    ]
    assert backing[0] == backing[1]
    assert odd.ssh("served-0", "true").ok().code == 0


def pool(hypervisor: Hypervisor) -> str:
    shown = hypervisor.run("virsh pool-dumpxml metalab.odd")
    return str(ElementTree.fromstring(shown).findtext("target/path"))  # noqa: S314


def test_machine_firmware_and_devices(odd: Stack, hypervisor: Hypervisor) -> None:
    secure = described(hypervisor, "odd-blank-0")
    assert "q35" in secure.find("os/type").get("machine", "")  # type: ignore[union-attr]
    assert secure.find("os/loader").get("secure") == "yes"  # type: ignore[union-attr]
    assert secure.find("devices/watchdog").get("model") == "i6300esb"  # type: ignore[union-attr]
    plain = described(hypervisor, "odd-plain-uefi-0")
    loader = plain.find("os/loader")
    assert loader is not None
    assert loader.get("type") == "pflash"
    assert loader.get("secure") != "yes"
    served = described(hypervisor, "odd-served-0")
    assert served.findtext("cpu/model") == "Nehalem"
    assert "debian.org/debian/12" in ElementTree.tostring(served, encoding="unicode")


def test_nics_have_the_model_and_the_mac_that_were_asked_for(
    odd: Stack, hypervisor: Hypervisor
) -> None:
    second = described(hypervisor, "odd-blank-0").findall("devices/interface")[1]
    assert second.find("model").get("type") == "e1000e"  # type: ignore[union-attr]
    assert second.find("mac").get("address") == "52:54:00:00:00:77"  # type: ignore[union-attr]


def test_the_host_has_the_address_that_the_layout_gives_it(
    odd: Stack, hypervisor: Hypervisor
) -> None:
    assert "192.168.24.254/24" in hypervisor.run("ip -4 -o addr show dev odd-data")
    odd.ssh("served-0", "ping -c 1 -W 5 192.168.24.254").ok()


def test_vnc_has_its_password_and_nobody_else_sees_it(odd: Stack, hypervisor: Hypervisor) -> None:
    screen = described(hypervisor, "odd-served-0").find("devices/graphics")
    assert screen is not None
    assert (screen.get("passwd"), screen.get("listen")) == (PASSWORD, "127.0.0.1")
    state = odd.project.run("pulumi", "stack", "export", "-s", "odd").ok().out
    assert PASSWORD not in state
    assert PASSWORD not in odd.file.read_text()


def test_libvirt_would_take_what_it_shows(odd: Stack, hypervisor: Hypervisor) -> None:
    for name in ("served-0", "blank-0", "plain-uefi-0"):
        file = f"/tmp/{name}.xml"  # noqa: S108 - on a hypervisor of this test's own
        hypervisor.run(f"virsh dumpxml --inactive --security-info odd-{name} > {file}")
        hypervisor.run(f"virsh define --validate {file}")


def test_nothing_of_it_is_drift(odd: Stack) -> None:
    odd.pulumi("refresh", "--yes", "--expect-no-changes").ok()
    odd.unchanged().ok()
