"""Does KVM really run a guest here? A node that can be opened proves nothing.

Run as a program, this module starts the smallest virtual machine there is (one page, one CPU that
halts, sixteen-bit) and exits 0 once it has halted. It is a program because on some hosts the guest
comes back late or never, and only another process can give up on it.
"""

import ctypes
import fcntl
import json
import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path

from tools.demo.cache import cache_root
from tools.demo.instance import boot_id
from tools.demo.shell import say

NODE = Path("/dev/kvm")
LIMIT_S = 2  # the guest below needs 0.05 s where KVM works, Python before it 0.1 s

# from linux/kvm.h: request numbers, and the layout of the structs that they take
KVM_CREATE_VM = 0xAE01
KVM_SET_TSS_ADDR = 0xAE47
KVM_GET_VCPU_MMAP_SIZE = 0xAE04
KVM_CREATE_VCPU = 0xAE41
KVM_SET_USER_MEMORY_REGION = 0x4020AE46
KVM_GET_SREGS = 0x8138AE83
KVM_SET_SREGS = 0x4138AE84
KVM_SET_REGS = 0x4090AE82
KVM_RUN = 0xAE80
KVM_EXIT_HLT = 5
SREGS_BYTES = 312
TSS_ADDRESS = 0x7FFFD000  # three unused pages that older Intel CPUs need for sixteen-bit code
CS_BASE = slice(0, 8)
CS_SELECTOR = slice(12, 14)
REGS = struct.Struct("<16QQQ")  # sixteen registers, rip, rflags
RFLAGS = 2  # the bit that is always set
EXIT_REASON_OFFSET = 8  # in the page that the kernel shares with us

# mov bx, 300; mov cx, 65535; loop $; dec bx; jnz -8; hlt: 20 million rounds. A CPU needs 0.05 s for
# them. Where nesting is emulated instruction by instruction they take 13 s (seen on a cloud
# machine): there a guest seems to hang in its firmware, and QEMU's own emulation is far quicker.
PROGRAM = bytes.fromhex("bb2c01 b9ffff e2fe 4b 75f8 f4")


def usable_kvm() -> list[str]:
    """Answer the nodes to give a container for KVM; none when guests do not run.

    The verdict is kept until the next boot, because giving up on a hanging guest takes seconds.
    """
    if not NODE.exists():
        return []
    verdict = cache_root() / "kvm.json"
    if (known := _load(verdict)).get("boot") == boot_id():
        return [str(NODE)] if known["works"] else []
    works = _runs_a_guest()
    verdict.write_text(json.dumps({"boot": boot_id(), "works": works}), encoding="ascii")
    if not works:
        say("/dev/kvm is here but runs no guest at speed: the lab will use emulation")
    return [str(NODE)] if works else []


def _load(file: Path) -> dict[str, object]:
    try:
        return json.loads(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}


def _runs_a_guest() -> bool:
    probe = subprocess.Popen(
        [sys.executable, "-m", "tools.demo.kvm"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return probe.wait(LIMIT_S) == 0
    except subprocess.TimeoutExpired:
        probe.kill()  # not waited for: it may sit in the kernel for longer than we do
        return False


def run_guest() -> bool:
    """Run PROGRAM in a virtual machine; answers whether it came to its halt."""
    node = os.open(NODE, os.O_RDWR | os.O_CLOEXEC)
    machine = fcntl.ioctl(node, KVM_CREATE_VM, 0)
    fcntl.ioctl(machine, KVM_SET_TSS_ADDR, TSS_ADDRESS)
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    memory[: len(PROGRAM)] = PROGRAM
    where = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    region = struct.pack("<IIQQQ", 0, 0, 0, mmap.PAGESIZE, where)
    fcntl.ioctl(machine, KVM_SET_USER_MEMORY_REGION, region)
    cpu = fcntl.ioctl(machine, KVM_CREATE_VCPU, 0)
    shared = mmap.mmap(cpu, fcntl.ioctl(node, KVM_GET_VCPU_MMAP_SIZE, 0))
    special = bytearray(SREGS_BYTES)
    fcntl.ioctl(cpu, KVM_GET_SREGS, special)
    special[CS_BASE], special[CS_SELECTOR] = bytes(8), bytes(2)
    fcntl.ioctl(cpu, KVM_SET_SREGS, bytes(special))
    fcntl.ioctl(cpu, KVM_SET_REGS, REGS.pack(*[0] * 16, 0, RFLAGS))
    fcntl.ioctl(cpu, KVM_RUN, 0)
    return struct.unpack_from("<I", shared, EXIT_REASON_OFFSET)[0] == KVM_EXIT_HLT


if __name__ == "__main__":
    sys.exit(0 if run_guest() else 1)
