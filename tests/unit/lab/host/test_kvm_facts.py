"""What the script asks about KVM, run by a real shell over a tree that stands for the host's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.facts import KvmFacts
from lab.host.kvm_facts import KVM_SCRIPT, read_inside, read_kvm

PROGRAMS = {
    "modprobe": "[ \"$*\" = '-n -q kvm_amd' ]",  # it is there for this kernel, and the other is not
    "systemd-detect-virt": "[ $1 = --vm ] && echo vmware || echo none",
    "uname": "echo 6.1.0",
    "dmesg": "cat {root}/log",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("bin", "dev", "sys/module", "etc/libvirt"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "log").write_text("[    0.1] Linux version 6.1.0\n")
    for name, line in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{line.format(root=tmp_path)}\n")
        program.chmod(0o755)
    return tmp_path


def ask(root: Path) -> list[str]:
    """The script's lines, without the mark."""
    script = f"PATH={root}/bin:$PATH; s() {{ :; }}\n{KVM_SCRIPT}"
    for path in ("/dev/kvm", "/sys/module", "/etc/libvirt"):
        script = script.replace(path, f"{root}{path}")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def load(root: Path, module: str, nested: str) -> None:
    parameters = root / "sys/module" / module / "parameters"
    parameters.mkdir(parents=True)
    (parameters / "nested").write_text(f"{nested}\n")


def test_a_host_without_a_node_is_asked_why(root: Path) -> None:
    lines = ask(root)
    assert read_kvm(lines) == KvmFacts(kernel="6.1.0", loadable=frozenset({"kvm_amd"}))
    assert read_inside(lines, []) == "vmware"
    assert not (root / "dev/kvm").exists()  # `<>` would have made it


def test_a_node_that_opens_is_enough(root: Path) -> None:
    (root / "dev/kvm").symlink_to("/dev/null")
    load(root, "kvm_amd", "1")
    load(root, "kvm_intel", "N")
    lines = ask(root)
    assert "usable" in lines
    found = read_kvm(lines)
    assert (found.loaded, found.nested) == (
        frozenset({"kvm_amd", "kvm_intel"}),
        frozenset({"kvm_amd"}),
    )
    assert (found.kernel, found.loadable, found.qemu_is_root) == ("", frozenset(), False)
    assert found.mode
    (root / "etc/libvirt/qemu.conf").write_text('#user = "root"\nuser = "+0"\n')
    assert read_kvm(ask(root)).qemu_is_root


def test_a_file_is_no_node(root: Path) -> None:
    (root / "dev/kvm").touch()
    assert read_kvm(ask(root)).mode == ""


@pytest.mark.parametrize(
    ("line", "off"),
    [
        pytest.param("[ 2.1] kvm: disabled by bios", True, id="Intel, older kernels"),
        pytest.param("[ 0.2] x86/cpu: VMX (outside TXT) disabled by BIOS", True, id="Intel"),
        pytest.param(
            "[ 2.1] kvm_amd: SVM disabled (by BIOS) in MSR_VM_CR on CPU 0", True, id="AMD"
        ),
        pytest.param("[ 0.0] DMI: QEMU Standard PC, BIOS 1.16", False, id="another line"),
        pytest.param("[ 0.3] x2apic: disabled by BIOS", False, id="another thing"),
    ],
)
def test_what_the_kernel_s_log_says_of_the_firmware(root: Path, line: str, off: bool) -> None:
    (root / "log").write_text(f"{line}\n")
    assert read_kvm(ask(root)).firmware_off is off
