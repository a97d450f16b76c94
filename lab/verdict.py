"""Whether guests can run with KVM on a host, and what stands in the way if not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lab.facts import HostFacts, KvmFacts
from lab.lease import Lease
from lab.naming import host_name

# Zhaoxin and its ancestor Centaur have Intel's extension; AMD's is what Hygon has.
_INTEL_ALIKE = ("GenuineIntel", "CentaurHauls", "Shanghai")
_QEMU_GROUPS = ("kvm", "qemu", "libvirt-qemu")  # which QEMU's user is a member of
_FORBIDDEN = ("Permission denied", "Operation not permitted")
_EMULATED = "qemu, which is emulation and many times slower"
_AS_MADE = "as its nodes were made; KVM works here by now: virt-type: kvm restarts them with it"
NESTED = "nested virtualization"  # begins what is said of it

Cause = Literal["", "unloaded", "firmware", "nested", "module", "permission"]


@dataclass(frozen=True, slots=True)
class KvmVerdict:
    """What stands between guests and KVM."""

    cause: Cause  # empty: nothing; "unloaded": a step of the preparation loads the module
    seen: str = ""  # what was found, as a clause: "the kernel 6.1.0 has no module kvm_amd"
    next_step: str = ""  # what to do about it, without a full stop
    opens: bool = False  # the node can be used all the same: who insists may try

    @property
    def works(self) -> bool:
        """Whether guests run with KVM once the host is prepared."""
        return self.cause in ("", "unloaded")


def judge_kvm(facts: HostFacts) -> KvmVerdict:
    """Find the one cause that has to be removed first."""
    if not facts.cpu_virtualization:
        return _without_flags(facts)
    return _closed(facts) or (KvmVerdict("") if facts.kvm else _without_node(facts))


def plan_virt_type(wish: str, held: Lease, facts: HostFacts) -> tuple[str, str]:
    """KVM where it works, and a note on what one may not expect; an empty one if all is well.

    The lease remembers what `auto` meant: a kvm node that appears with the host's preparation must
    not replace every domain on the second run. Where KVM is gone it is asked anew, but only while
    there are no domains.

    Args:
        wish: "auto", "kvm" or "qemu"; the last two are what they are.
        held: the prefix's lease so far.
        facts: the host.
    """
    if wish != "auto":
        return wish, ""
    found = judge_kvm(facts)
    kept = held.virt_type if found.works or _has_domains(held, facts) else ""
    chosen = kept or ("kvm" if found.works else "qemu")
    if chosen == "qemu":
        why = f"because {found.seen}. {found.next_step}"
        return chosen, f"virt-type auto: {_EMULATED}, {_AS_MADE if found.works else why}"
    return chosen, f"virt-type auto: kvm; {found.seen}" if found.cause == "unloaded" else ""


def _has_domains(held: Lease, facts: HostFacts) -> bool:
    names = {host_name(held.prefix, node) for node in held.nodes}
    return any(domain.name in names for domain in facts.domains)


def kvm_module(cpu_vendor: str) -> str:
    """The kernel's module for a CPU, by the vendor that /proc/cpuinfo names."""
    return "kvm_intel" if cpu_vendor in _INTEL_ALIKE else "kvm_amd"


def cpu_flag(cpu_vendor: str) -> str:
    """The flag of a CPU that can run guests, and the name that firmware has for it."""
    return "vmx (VT-x)" if cpu_vendor in _INTEL_ALIKE else "svm (AMD-V)"


def still_pending(pending: Iterable[str], facts: HostFacts) -> list[str]:
    """What a preparation left for later and the host, seen anew, has not made true since."""
    active = kvm_module(facts.cpu_vendor) in facts.around_kvm.nested
    return [said for said in pending if not (active and said.startswith(NESTED))]


def _closed(facts: HostFacts) -> KvmVerdict | None:
    """What is wrong with a node that is there."""
    around = facts.around_kvm
    if facts.kvm:
        if _for_qemu(around):
            return None
        seen = f"its node /dev/kvm has mode {around.mode} and group {around.group}"
        return KvmVerdict("permission", f"{seen}, so QEMU cannot open it", _node_step(around))
    asleep = kvm_module(facts.cpu_vendor) not in around.loaded and around.error not in _FORBIDDEN
    if not around.mode or asleep:  # a node may be there before its module
        return None
    seen = f"its node /dev/kvm does not open: {around.error or 'no reason given'}"
    return KvmVerdict("permission", seen, _node_step(around))


def _for_qemu(around: KvmFacts) -> bool:
    """Whether QEMU's own user may read and write the node; root may anyway."""
    if not around.mode or around.qemu_is_root:
        return True
    *_, group, others = (int(digit) & 6 for digit in f"{around.mode:0>3}")
    return others == 6 or (group == 6 and around.group in _QEMU_GROUPS)  # noqa: PLR2004 - rw


def _node_step(around: KvmFacts) -> str:
    if around.container:
        return f"Allow {around.container} the device /dev/kvm, open for the group kvm or for all"
    return "Give it back to the group kvm: `chgrp kvm /dev/kvm && chmod 660 /dev/kvm`"


def _without_flags(facts: HostFacts) -> KvmVerdict:
    flag, opens = cpu_flag(facts.cpu_vendor), facts.kvm and _for_qemu(facts.around_kvm)
    if facts.inside:
        name = "" if facts.inside == "unknown" else f" ({facts.inside})"
        seen = f"it is itself a virtual machine{name} whose CPU does not show {flag}"
        step = "Enable nested virtualization for it in the hypervisor that runs it"
        return KvmVerdict("nested", seen, step, opens=opens)
    seen = f"its CPU does not show {flag}"
    return KvmVerdict("firmware", seen, _firmware_step(flag), opens=opens)


def _without_node(facts: HostFacts) -> KvmVerdict:
    """A CPU that could, and no node: the module is off, missing, or asleep."""
    around, module = facts.around_kvm, kvm_module(facts.cpu_vendor)
    if around.firmware_off:
        seen = "its kernel says that the firmware has switched virtualization off"
        return KvmVerdict("firmware", seen, _firmware_step(cpu_flag(facts.cpu_vendor)))
    if module in around.loaded:
        seen = f"{module} is loaded, but there is no node /dev/kvm"
        return KvmVerdict("permission", seen, _node_step(around))
    if module in around.loadable:
        return KvmVerdict("unloaded", f"{module} is not loaded yet, and the preparation loads it")
    seen = f"its kernel{f' {around.kernel}' if around.kernel else ''} has no module {module}"
    step = "Boot the kernel that is installed, or install the modules of the one that runs"
    if around.container:
        step = f"Load {module} on the machine that runs {around.container}, and pass /dev/kvm on"
    return KvmVerdict("module", seen, step)


def _firmware_step(flag: str) -> str:
    return f"Switch {flag} on in the firmware (BIOS, UEFI)"
