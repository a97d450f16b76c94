"""A host that resists: what the failure says, and that the next run after the repair finishes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab.host.facts import read_facts
from lab.host.runner import converge, restore
from lab.host.step import HostStep
from lab.host.steps import authorize_key_step, plan_steps
from lab.keys import derive_key
from lab.storage import HOST_DIR
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
KEY = derive_key("7" * 64, "client").public
LIBVIRT = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something wrong with a host."""

    cause: str
    repair: str
    told: tuple[str, ...]  # in the failure: step, command, the host's words, what to do
    virt_type: str = "qemu"


def full(place: str) -> Trouble:
    """A file system of its own, without a block to spare, where steps write."""
    return Trouble(
        cause=(
            f"mkdir -p {place}; mount -t tmpfs -o size=64k tmpfs {place};"
            f" cat /dev/zero > {place}/fill 2>/dev/null; true"
        ),
        repair=f"umount {place}; rmdir {place} 2>/dev/null; true",
        told=(
            "mark the host as used: `umask 077; echo ",
            "I/O error",
            "df -h",
            "it goes on from here.",
        ),
    )


TROUBLES = {
    "read-only root": Trouble(
        cause="mount --bind / /mnt && mount -o remount,bind,ro /mnt && mkdir -p /run/true && "
        "mount --bind /var/lib /run/true && mount --bind /mnt/var/lib /var/lib",
        repair="umount /var/lib /run/true /mnt",
        told=("mark the host as used: exit 1: mkdir:", "Read-only file system", "remount"),
    ),
    "disk full": full(HOST_DIR),
    "a masked libvirtd": Trouble(
        cause=f"for verb in stop 'disable -q' 'mask -q'; do systemctl $verb {LIBVIRT}; done",
        repair=f"systemctl unmask -q {LIBVIRT}",
        told=("run libvirt: `", "exited 1", "is masked", "systemctl unmask"),
    ),
    "a libvirtd that dies": Trouble(
        cause=f"systemctl stop {LIBVIRT}; mkdir -p /run/systemd/system/libvirtd.service.d;"
        " printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n'"
        " > /run/systemd/system/libvirtd.service.d/dies.conf; systemctl daemon-reload",
        repair="rm -r /run/systemd/system/libvirtd.service.d; systemctl daemon-reload;"
        f" systemctl reset-failed; systemctl start {LIBVIRT.split()[1]}",
        told=("run libvirt: ", "exited 1", "journalctl"),
    ),
    "KVM that root may not open": Trouble(
        cause="mount -t tmpfs -o nodev none /mnt; mknod /mnt/kvm c 10 232; touch /dev/kvm;"
        " mount --bind /mnt/kvm /dev/kvm;"
        " cd /usr/local/sbin;"
        " printf '#!/bin/sh\\n' > modprobe; chmod +x modprobe",
        repair="umount /dev/kvm /mnt; rm -f /dev/kvm /usr/local/sbin/modprobe",
        told=("load KVM: ", "/dev/kvm", "virt-type: qemu"),
        virt_type="kvm",
    ),
}


def steps_of(hypervisor: Hypervisor, virt_type: str = "qemu") -> tuple[HostStep, ...]:
    steps = plan_steps(read_facts(hypervisor.spec), prefix="foo", virt_type=virt_type)
    return (*steps, authorize_key_step("foo", "root", KEY))


def prepare(hypervisor: Hypervisor, steps: tuple[HostStep, ...]) -> str:
    with hypervisor.shell() as shell:
        return converge(steps, shell, prefix="foo", progress=print).failure


@pytest.fixture(autouse=True)
def clean(hypervisor: Hypervisor) -> Iterator[None]:
    """Each trouble meets a host that nobody has prepared."""
    yield
    with hypervisor.shell() as shell:
        assert restore(steps_of(hypervisor), shell, prefix="foo", progress=print) == ""
    assert hypervisor.run(f"ls -d {HOST_DIR} 2>/dev/null; true") == ""


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_is_named_and_the_run_after_its_repair_finishes(
    hypervisor: Hypervisor, name: str
) -> None:
    trouble = TROUBLES[name]
    steps = steps_of(hypervisor, trouble.virt_type)
    hypervisor.run(trouble.cause)
    try:
        failure = prepare(hypervisor, steps)
    finally:
        hypervisor.run(trouble.repair)
    assert failure.startswith(f"{hypervisor.spec.address}: preparing it for foo: ")
    assert [word for word in trouble.told if word not in failure] == [], failure
    assert "\n" not in failure
    assert prepare(hypervisor, steps_of(hypervisor)) == ""


def test_a_full_disk_leaves_no_half_record(hypervisor: Hypervisor) -> None:
    """The record of an undo does not fit: then nothing has been changed, either."""
    step = HostStep(
        name="fill",
        probe="[ -f /root/made ]",
        commands=("touch /root/made",),
        remember="head -c 200000 /dev/zero | tr '\\0' '#'",
    )
    hypervisor.run(f"mkdir -p {HOST_DIR} && mount -t tmpfs -o size=128k tmpfs {HOST_DIR}")
    try:
        failure = prepare(hypervisor, (step,))
        left = hypervisor.run(f"ls {HOST_DIR}/done /root")
    finally:
        hypervisor.run(f"umount {HOST_DIR}")
    assert "No space left on device" in failure
    assert "made" not in left
    assert "fill" not in left
    assert prepare(hypervisor, (step,)) == ""
    hypervisor.run("rm /root/made")
