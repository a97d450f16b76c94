"""Tiny guests without the program: just enough of a domain to try lab.host on."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.files import dump_yaml, sha256_of
from lab.host.images import hold_image
from lab.host.readiness import ReadyNode
from lab.host.shell import Shell
from lab.keys import KeyPair, derive_key
from lab.storage import BASE_DIR, base_volume, console_log
from tests.e2e.hypervisors import ROOT, cache

SEED = "5" * 64
CLIENT = derive_key(SEED, "client")
NETWORK = "default"  # libvirt's own: 192.168.122.0/24, NAT and DHCP
DISKS = "/var/lib/libvirt/images"


@dataclass(frozen=True)
class TinyGuest:
    """A domain with one NIC on NETWORK, at a static address."""

    name: str
    number: int  # 2..254, the last byte of its address

    @property
    def uuid(self) -> str:
        return f"5afe5afe-0000-4000-8000-{self.number:012x}"

    @property
    def host_key(self) -> KeyPair:
        return derive_key(SEED, f"host/{self.name}")

    @property
    def node(self) -> ReadyNode:
        return ReadyNode(
            name=self.name,
            address=f"192.168.122.{self.number}",
            mac=f"52:54:00:00:00:{self.number:02x}",
            network=NETWORK,
            host_key=self.host_key.public,
        )

    def start(self, shell: Shell) -> None:
        """Define and start it on a hypervisor that holds the tiny image."""
        sha256 = hold_tiny(shell)
        seed = base64.b64encode(self._seed()).decode()
        base = f"{BASE_DIR}/{base_volume(sha256)}"
        disk, iso = f"{DISKS}/{self.name}.qcow2", f"{DISKS}/{self.name}.iso"
        _must(shell, f"base64 -d > {iso}", seed)
        _must(shell, f"qemu-img create -q -f qcow2 -b {base} -F qcow2 {disk}")
        _must(
            shell, f"virsh net-info {NETWORK} | grep -q 'Active: *yes' || virsh net-start {NETWORK}"
        )
        _must(shell, "virsh define /dev/stdin", self._xml(disk, iso))
        _must(shell, f"virsh start {self.name}")

    def remove(self, shell: Shell) -> None:
        """Remove every trace."""
        shell.run(f"virsh destroy {self.name}; virsh undefine {self.name}")
        shell.run(f"rm -f {DISKS}/{self.name}.* {console_log(self.name)}*")

    def _xml(self, disk: str, iso: str) -> str:
        return f"""<domain type='qemu'>
  <name>{self.name}</name><uuid>{self.uuid}</uuid>
  <memory unit='MiB'>128</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features><cpu mode='maximum'/>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{iso}'/><target dev='vdb' bus='virtio'/><readonly/></disk>
    <interface type='network'><source network='{NETWORK}'/>
      <mac address='{self.node.mac}'/><model type='virtio'/></interface>
    <serial type='file'><source path='{console_log(self.name)}'/></serial>
  </devices>
</domain>"""

    def _seed(self) -> bytes:
        user = {
            "hostname": self.name,
            "ssh_authorized_keys": [CLIENT.public],
            "ssh_keys": {
                "ed25519_private": self.host_key.private,
                "ed25519_public": self.host_key.public,
            },
        }
        nic = {"match": {"macaddress": self.node.mac}, "addresses": [f"{self.node.address}/24"]}
        files = {
            "meta-data": dump_yaml({"instance-id": self.uuid, "local-hostname": self.name}),
            "user-data": f"#cloud-config\n{dump_yaml(user)}",
            "network-config": dump_yaml({"version": 2, "ethernets": {"lan": nic}}),
        }
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / name).write_text(text)
            command = ["genisoimage", "-quiet", "-V", "cidata", "-r", "-J", folder]
            done = subprocess.run(command, check=True, capture_output=True)
            return done.stdout


def hold_tiny(shell: Shell) -> str:
    """Bring the tiny image to a hypervisor; answer its checksum."""
    image = cache() / "images" / "tiny.qcow2"
    if not image.exists():
        command = [ROOT / "tools" / "image", "tiny"]
        subprocess.run(command, check=True, capture_output=True)
    sha256 = sha256_of(image)
    hold_image(shell, sha256=sha256, source=str(image), progress=print)
    return sha256


def _must(shell: Shell, command: str, stdin: str = "") -> None:
    outcome = shell.run(command, stdin=stdin)
    assert outcome.ok, f"{command}: {outcome.tail}"
