"""What a hypervisor says about KVM: the part of the fact script that asks, and its reading."""

from __future__ import annotations

from collections.abc import Iterator

from lab.facts import KvmFacts

# What the node says comes first. Why it does not open is asked only then: the kernel's log is long.
# `<>` makes a file that is not there, hence the look before. kmod's dry run loads nothing.
KVM_SCRIPT = """s kvm; opens=
if [ -c /dev/kvm ]; then
  stat -c 'node %a %G' /dev/kvm
  if why=$( (: <>/dev/kvm) 2>&1 ); then opens=yes; echo usable; else echo "no $why"; fi
fi
for m in kvm_intel kvm_amd; do n=/sys/module/$m
  if [ -d $n ]; then echo "loaded $m $(cat $n/parameters/nested)"
  elif [ -z "$opens" ] && modprobe -n -q $m; then echo "loadable $m"; fi
done
echo "inside $(systemd-detect-virt --vm)"
if [ -z "$opens" ]; then
  echo "kernel $(uname -r)"; echo "within $(systemd-detect-virt --container)"
  if dmesg | grep -qiE '(kvm|vmx|svm).*disabled.*bios'; then echo firmware; fi
elif grep -qsE '^ *user *= *"\\+?(0|root)"' /etc/libvirt/qemu.conf; then echo "qemu root"
fi"""


def read_kvm(lines: list[str]) -> KvmFacts:
    """Read what KVM_SCRIPT printed below its mark."""
    node = next(said(lines, "node"), "").split()
    loaded = [words.split() for words in said(lines, "loaded")]
    return KvmFacts(
        mode=node[0] if node else "",
        group=node[1] if node else "",
        error=next(said(lines, "no"), "").rpartition(": ")[2],
        loaded=frozenset(module for module, *_ in loaded),
        loadable=frozenset(said(lines, "loadable")),
        nested=frozenset(module for module, *value in loaded if value in (["1"], ["Y"])),
        kernel=next(said(lines, "kernel"), ""),
        container=_named(next(said(lines, "within"), "")),
        firmware_off="firmware" in lines,
        qemu_is_root="qemu root" in lines,
    )


def read_inside(lines: list[str], flags: list[str]) -> str:
    """The kind of virtual machine that the host is; empty: none.

    Hypervisors tell it by a flag of the CPU, and systemd knows their names.
    """
    name = _named(next(said(lines, "inside"), ""))
    return name or ("unknown" if "hypervisor" in flags else "")


def said(lines: list[str], word: str) -> Iterator[str]:
    """What follows a word at the beginning of a line."""
    pairs = (line.partition(" ") for line in lines)
    return (rest.strip() for first, _, rest in pairs if first == word)


def _named(kind: str) -> str:
    return "" if kind == "none" else kind
