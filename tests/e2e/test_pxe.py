"""What the labs exist for: a blank node boots over `data` from what another node serves there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab.storage import console_log
from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e

BOOT_LIMIT_S = 90  # firmware, DHCP and a system under emulation, beside three other workers
BLANK = "cpu: 1\nmemory: 256\ndisks: [1G]\ndeploy_os: false\n"
DEPLOYED = "cpu: 1\nmemory: 128\ndisks: [1G]\n"
LOG = console_log("pxe-ironic-0")

# The undercloud's part, with what a tiny guest has: its own kernel over HTTP, and DHCP that names
# the script. `data` is its first NIC.
SERVE = """
set -e
mkdir -p /tmp/www
ln -sf /disk/vmlinuz /disk/initrd /tmp/www
cat >/tmp/www/boot.ipxe <<END
#!ipxe
kernel vmlinuz console=ttyS0 quiet net.ifnames=0 mitigations=off random.trust_cpu=on tsc=reliable
initrd initrd
boot
END
cat >/tmp/udhcpd.conf <<END
interface eth0
start {subnet}.200
end {subnet}.200
boot_file http://{server}/boot.ipxe
opt subnet 255.255.255.0
pidfile /run/udhcpd.pid
lease_file /run/udhcpd.leases
END
touch /run/udhcpd.leases
httpd -p {server}:80 -h /tmp/www
udhcpd /tmp/udhcpd.conf
"""


@pytest.fixture(scope="module")
def lab(project: Project, hypervisor: Hypervisor) -> Iterator[Stack]:
    """The shipped layout with the shipped roles' names, as small as emulation asks for."""
    for role, text in {"undercloud": DEPLOYED, "ironic": BLANK}.items():
        (project.folder / "topologies" / "nodes" / f"{role}.yaml").write_text(text)
    stack = project.stack(
        "pxe", topology_nodes="undercloud:1,ironic:1", image_url="tiny", **hypervisor.settings
    )
    stack.up().ok()
    stack.print_ssh_config()
    yield stack
    stack.destroy()


def test_data_serves_nothing_of_its_own(lab: Stack, hypervisor: Hypervisor) -> None:
    """The blank node was switched on by `up`; its firmware asked, and nobody answered."""
    mac = lab.outputs()["nodes"]["ironic-0"]["macs"]["data"]
    said = console(hypervisor, "No configuration methods succeeded")
    assert f"Configuring (net0 {mac})" in said


def test_a_blank_node_boots_what_the_undercloud_serves(lab: Stack, hypervisor: Hypervisor) -> None:
    server = lab.outputs()["nodes"]["undercloud-0"]["addresses"]["data"]
    subnet = server.rpartition(".")[0]
    lab.ssh("undercloud-0", SERVE.format(server=server, subnet=subnet)).ok()
    before = len(hypervisor.run(f"cat {LOG}"))
    hypervisor.run("virsh destroy pxe-ironic-0 && virsh start pxe-ironic-0")
    said = console(hypervisor, f"{subnet}.200/24 by DHCP", after=before)
    assert f"net0: {subnet}.200/255.255.255.0" in said, "iPXE, by the undercloud's DHCP"
    for file in ("boot.ipxe", "vmlinuz", "initrd"):
        assert f"{file}... " in said, said  # its end may be lost: the kernel takes the line over
    assert "no disk of its own (started over the network?)" in said, "the system that was served"


def test_the_power_of_a_blank_node_is_its_labs_affair(lab: Stack, hypervisor: Hypervisor) -> None:
    hypervisor.run("virsh destroy pxe-ironic-0")
    lab.unchanged().ok()
    assert hypervisor.run("virsh domstate pxe-ironic-0").strip() == "shut off"


def console(hypervisor: Hypervisor, wanted: str, after: int = 0) -> str:
    """What the blank node's firmware and system said, once `wanted` is among it.

    Without line breaks: the firmware makes one wherever its line of 80 characters is full.
    """
    deadline = time.monotonic() + BOOT_LIMIT_S
    while wanted not in (said := hypervisor.run(f"cat {LOG}")[after:].replace("\n", "")):
        assert time.monotonic() < deadline, said
        time.sleep(1)
    return said
