from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.facts import DomainFact, HostFacts, KvmFacts
from lab.lease import HeldNode, Lease
from lab.verdict import judge_kvm, kvm_module, plan_virt_type, still_pending
from tests.unit.lab.samples import FACTS

INTEL, AMD = frozenset({"kvm_intel"}), frozenset({"kvm_amd"})
NODE: dict[str, Any] = {"mode": "660", "group": "kvm"}


def host(around: dict[str, Any] | None = None, **fields: Any) -> HostFacts:
    """A host with an Intel CPU that could."""
    around = {"kernel": "6.1.0", **(around or {})}
    facts = {"cpu_vendor": "GenuineIntel", "cpu_virtualization": True, **fields}
    return replace(FACTS, around_kvm=KvmFacts(**around), **facts)


WORKING = host({**NODE, "loaded": INTEL}, kvm=True)
ASLEEP = host({"loadable": INTEL})
VIRTUAL = host(cpu_virtualization=False, inside="vmware")


@pytest.mark.parametrize(
    ("facts", "cause", "seen", "step"),
    [
        pytest.param(WORKING, "", "", "", id="all is well"),
        pytest.param(host({"mode": "666", "group": "UNKNOWN"}, kvm=True), "", "", "", id="for all"),
        pytest.param(
            host({"mode": "600", "group": "root", "qemu_is_root": True}, kvm=True),
            "",
            "",
            "",
            id="a node for root alone, who runs QEMU",
        ),
        pytest.param(ASLEEP, "unloaded", "kvm_intel is not loaded yet", "", id="not loaded"),
        pytest.param(
            host({**NODE, "loadable": INTEL, "error": "No such device"}),
            "unloaded",
            "kvm_intel is not loaded yet",
            "",
            id="a static node, which is there before its module",
        ),
        pytest.param(
            host(cpu_virtualization=False),
            "firmware",
            "its CPU does not show vmx (VT-x)",
            "in the firmware (BIOS, UEFI)",
            id="no flag on bare metal",
        ),
        pytest.param(
            host({"firmware_off": True, "loadable": AMD}, cpu_vendor="AuthenticAMD"),
            "firmware",
            "its kernel says that the firmware has switched virtualization off",
            "Switch svm (AMD-V) on",
            id="a flag that the firmware does not mean",
        ),
        pytest.param(
            VIRTUAL,
            "nested",
            "it is itself a virtual machine (vmware) whose CPU does not show vmx (VT-x)",
            "nested virtualization for it in the hypervisor that runs it",
            id="no flag in a virtual machine",
        ),
        pytest.param(
            host(cpu_virtualization=False, inside="unknown"),
            "nested",
            "it is itself a virtual machine whose CPU",
            "in the hypervisor that runs it",
            id="no flag in somebody's virtual machine",
        ),
        pytest.param(
            host(NODE, cpu_virtualization=False, inside="kvm", kvm=True),
            "nested",
            "(kvm) whose CPU does not show",
            "",
            id="a node that opens, without the flag",
        ),
        pytest.param(
            host(inside="kvm"),
            "module",
            "its kernel 6.1.0 has no module kvm_intel",
            "Boot the kernel that is installed",
            id="no module, as after an upgrade without a reboot",
        ),
        pytest.param(
            host({"loadable": AMD}), "module", "no module kvm_intel", "", id="the other's module"
        ),
        pytest.param(
            host({"container": "systemd-nspawn"}),
            "module",
            "has no module kvm_intel",
            "on the machine that runs systemd-nspawn, and pass /dev/kvm on",
            id="no module in a container",
        ),
        pytest.param(
            host({**NODE, "error": "Operation not permitted", "container": "lxc"}),
            "permission",
            "its node /dev/kvm does not open: Operation not permitted",
            "Allow lxc the device /dev/kvm",
            id="a device that a container may not use",
        ),
        pytest.param(
            host({**NODE, "loaded": INTEL, "error": "Permission denied"}),
            "permission",
            "Permission denied",
            "chgrp kvm /dev/kvm",
            id="a node that does not open",
        ),
        pytest.param(
            host({"mode": "600", "group": "root", "loaded": INTEL}, kvm=True),
            "permission",
            "has mode 600 and group root, so QEMU cannot open it",
            "chmod 660 /dev/kvm",
            id="a node for root alone",
        ),
        pytest.param(
            host({"mode": "660", "group": "UNKNOWN", "loaded": INTEL}, kvm=True),
            "permission",
            "group UNKNOWN",
            "",
            id="a node of a group that is not there",
        ),
        pytest.param(
            host({"loaded": INTEL, "container": "docker"}),
            "permission",
            "kvm_intel is loaded, but there is no node /dev/kvm",
            "Allow docker the device",
            id="no node",
        ),
    ],
)
def test_what_stands_in_the_way_of_kvm(facts: HostFacts, cause: str, seen: str, step: str) -> None:
    found = judge_kvm(facts)
    assert found.cause == cause
    assert seen in found.seen
    assert step in found.next_step
    assert found.works is (cause in ("", "unloaded"))
    assert bool(found.next_step) is not found.works


@pytest.mark.parametrize(
    ("vendor", "module"),
    [
        pytest.param("GenuineIntel", "kvm_intel", id="Intel"),
        pytest.param("AuthenticAMD", "kvm_amd", id="AMD"),
        pytest.param("HygonGenuine", "kvm_amd", id="Hygon"),
        pytest.param("Shanghai", "kvm_intel", id="Zhaoxin"),
    ],
)
def test_the_module_of_a_cpu(vendor: str, module: str) -> None:
    assert kvm_module(vendor) == module


def held(virt_type: str) -> Lease:
    nodes = {"tiny-0": HeldNode(numbers={}, disks_gib={})}
    return Lease(prefix="foo", virt_type=virt_type, nodes=nodes)


def inhabited(facts: HostFacts, name: str = "foo-tiny-0") -> HostFacts:
    return replace(facts, domains=(DomainFact(name=name, uuid="u", memory_mib=1, vcpus=1),))


@pytest.mark.parametrize(
    ("wish", "was", "facts", "chosen", "note"),
    [
        pytest.param("auto", "", WORKING, "kvm", "", id="KVM works"),
        pytest.param("auto", "", ASLEEP, "kvm", "the preparation loads it", id="to be loaded"),
        pytest.param("auto", "", VIRTUAL, "qemu", "(vmware) whose CPU", id="no KVM"),
        pytest.param("auto", "qemu", VIRTUAL, "qemu", "(vmware) whose CPU", id="no KVM, still"),
        pytest.param("auto", "qemu", WORKING, "qemu", "KVM works here by now", id="KVM appeared"),
        pytest.param("auto", "kvm", WORKING, "kvm", "", id="KVM stays"),
        pytest.param("auto", "kvm", VIRTUAL, "qemu", "(vmware)", id="KVM is gone, before any node"),
        pytest.param(
            "auto",
            "kvm",
            inhabited(VIRTUAL, "foo2-tiny-0"),
            "qemu",
            "(vmware)",
            id="KVM is gone, and the nodes are another's",
        ),
        pytest.param("auto", "kvm", inhabited(VIRTUAL), "kvm", "", id="KVM is gone under nodes"),
        pytest.param("kvm", "qemu", VIRTUAL, "kvm", "", id="a wish is a wish"),
        pytest.param("qemu", "kvm", WORKING, "qemu", "", id="this one, too"),
    ],
)
def test_what_auto_means(wish: str, was: str, facts: HostFacts, chosen: str, note: str) -> None:
    found, said = plan_virt_type(wish, held(was), facts)
    assert found == chosen
    assert bool(said) is bool(note)
    assert note in said


@pytest.mark.parametrize(
    ("nested", "left"),
    [
        pytest.param(frozenset[str](), ["nested virtualization waits", "more"], id="not yet"),
        pytest.param(AMD, ["nested virtualization waits", "more"], id="of another module"),
        pytest.param(INTEL, ["more"], id="since the last boot"),
    ],
)
def test_what_a_boot_has_made_true_is_pending_no_more(
    nested: frozenset[str], left: list[str]
) -> None:
    facts = host({"loaded": INTEL, "nested": nested})
    assert still_pending(["nested virtualization waits", "more"], facts) == left
