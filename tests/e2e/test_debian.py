"""A real distribution with the real cloud-init: slow, once."""

from __future__ import annotations

import subprocess
import time

import pytest

from lab.storage import console_log
from tests.e2e.engine import ROOT, Project, Stack
from tests.e2e.hypervisors import Hypervisor

REBOOT_LIMIT_S = 420  # shutdown and boot under emulation, beside three other workers

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("debian")]


@pytest.fixture(scope="module")
def lab(project: Project, hypervisor: Hypervisor) -> Stack:
    subprocess.run([ROOT / "tools" / "image", "debian"], check=True, capture_output=True)
    stack = project.stack(
        "deb",
        topology_nodes="debian:1",
        image_url="debian",
        override={"debian": {"user": "stack", "timezone": "Europe/Prague", "swap": 64}},
        **hypervisor.settings,
    )
    stack.up().ok()  # ready means that cloud-init is done and the pinned host key answered
    stack.print_ssh_config()
    return stack


def test_cloud_init_did_what_the_seed_says(lab: Stack) -> None:
    node = lab.outputs()["nodes"]["debian-0"]
    said = (
        lab.ssh(
            "debian-0",
            "hostname; cloud-init status; df --output=size -BM / | tail -1; ip -br addr; "
            "whoami; readlink /etc/localtime; cat /proc/swaps; "
            "sudo sh -c 'cat /root/.ssh/authorized_keys; grep -E ^root: /etc/shadow | cut -d: -f2'",
        )
        .ok()
        .out
    )
    lines = said.splitlines()
    assert lines[0] == "deb-debian-0"
    assert "done" in lines[1]
    assert int(lines[2].strip(" M")) > 2_700, "the root file system did not grow to its 3 GiB disk"
    for address in (*node["addresses"].values(), *node["addresses6"].values()):
        assert f" {address}/" in said
    assert said.count(" fd") == 1, "an address of what is advertised, beside the static one"
    assert lines[-1][:1] in "!*", "root has a password"
    assert "\nstack\n" in said, "SSH goes to the user that the role asks for"
    assert "/usr/share/zoneinfo/Europe/Prague" in said
    (swap,) = (line.split() for line in lines if line.startswith("/swapfile"))
    assert 60 << 10 <= int(swap[2]) <= 64 << 10, "KiB of 64 MiB, less a header"


def test_it_reboots_with_the_same_host_key(lab: Stack, hypervisor: Hypervisor) -> None:
    before = _boot_id(lab)
    assert before
    hypervisor.run("virsh reboot deb-debian-0")
    lab.pulumi("up", "--yes", "--expect-no-changes").ok()
    deadline = time.monotonic() + REBOOT_LIMIT_S
    while time.monotonic() < deadline:
        if _boot_id(lab) not in ("", before):
            return
        time.sleep(2)
    console = hypervisor.run(f"tail -n 30 {console_log('deb-debian-0')}")
    pytest.fail(f"not back {REBOOT_LIMIT_S} s after the reboot: {console}")


def _boot_id(lab: Stack) -> str:
    """Of the boot that answers, with the host key that was pinned; empty while none does."""
    try:
        run = lab.ssh("debian-0", "cat /proc/sys/kernel/random/boot_id", limit_s=30)
    except subprocess.TimeoutExpired:  # it went down while ssh was talking to it
        return ""
    assert "identification has changed" not in run.out.lower()
    return run.out.strip() if run.code == 0 else ""
