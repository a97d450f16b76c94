"""The image `tiny`: Debian's cloud kernel, busybox and dropbear in one initramfs."""

import gzip
import shutil
from pathlib import Path

from tools.demo.debian import bootstrap
from tools.demo.disks import write_disk
from tools.demo.shell import ToolError, run

PACKAGES = (
    "linux-image-cloud-amd64",
    "busybox-static",
    "dropbear-bin",
    "extlinux",
    "syslinux-common",
)
PROGRAMS = ("usr/sbin/dropbear", "usr/bin/dropbearconvert", "usr/bin/dropbearkey")
LIBRARIES = (
    "libtomcrypt.so.1",
    "libtommath.so.1",
    "libgmp.so.10",
    "libz.so.1",
    "libcrypt.so.1",
    "libc.so.6",
)
FOLDERS = (
    "bin",
    "sbin",
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "etc",
    "lib/modules",
    "usr/bin",
    "var/log",
)
LIBRARY_FOLDER = "lib/x86_64-linux-gnu"
DISK = ("-t", "ext2", "-L", "metalab-tiny", "64M")  # 20 MB used; the rest holds keys and logs


def build(recipe: Path, suite: str, out: Path) -> None:
    """Write tiny.qcow2, and its kernel and initramfs for direct and PXE boot, to `out`."""
    unpacked, inner, disk = out / "tools", out / "initramfs", out / "disk"
    bootstrap(suite, unpacked, PACKAGES, "--variant=extract")
    _fill(inner, unpacked, recipe)
    (out / "tiny.initrd").write_bytes(gzip.compress(_archive(inner), compresslevel=1, mtime=0))
    shutil.copyfile(next((unpacked / "boot").glob("vmlinuz-*")), out / "tiny.vmlinuz")
    disk.mkdir()
    shutil.copyfile(out / "tiny.vmlinuz", disk / "vmlinuz")
    shutil.copyfile(out / "tiny.initrd", disk / "initrd")
    shutil.copyfile(recipe / "extlinux.conf", disk / "extlinux.conf")
    write_disk(disk, ".", out / "tiny.qcow2", *DISK)


def _fill(inner: Path, unpacked: Path, recipe: Path) -> None:
    for folder in (*FOLDERS, LIBRARY_FOLDER, "lib64"):
        (inner / folder).mkdir(parents=True, exist_ok=True)
    (inner / "root/.ssh").mkdir(mode=0o700, parents=True)
    (inner / "root").chmod(0o700)  # dropbear reads no keys from a home that others can write
    shutil.copy(unpacked / "bin/busybox", inner / "bin")
    for applet in run(unpacked / "bin/busybox", "--list").split():
        if applet != "busybox":
            (inner / "bin" / applet).symlink_to("busybox")
    for program in PROGRAMS:
        shutil.copy(unpacked / program, inner / "bin")
    for library in LIBRARIES:
        shutil.copy(_find(unpacked, library), inner / LIBRARY_FOLDER)
    shutil.copy(_find(unpacked, "ld-linux-x86-64.so.2"), inner / "lib64")
    _copy_scripts(inner, recipe)
    _copy_modules(inner / "lib/modules", unpacked, recipe)
    (inner / "etc/passwd").write_text("root:*:0:0:root:/root:/bin/sh\n", encoding="ascii")
    (inner / "etc/group").write_text("root:x:0:\n", encoding="ascii")
    (inner / "etc/shells").write_text("/bin/sh\n", encoding="ascii")


def _copy_scripts(inner: Path, recipe: Path) -> None:
    for name, folder in (("init", "."), ("nic", "bin"), ("dhcp", "bin")):
        shutil.copyfile(recipe / name, inner / folder / name)
        (inner / folder / name).chmod(0o755)
    for name in ("tiny.sh", "yaml.awk", "nic.awk", "modules.first", "modules.cdrom"):
        shutil.copyfile(recipe / name, inner / "lib" / name)


def _copy_modules(folder: Path, unpacked: Path, recipe: Path) -> None:
    kernel = next((unpacked / "lib/modules").iterdir())
    for stage in ("modules.first", "modules.cdrom"):
        for module in (recipe / stage).read_text(encoding="ascii").split():
            shutil.copy(_find(kernel, f"{module}.ko"), folder)


def _find(tree: Path, name: str) -> Path:
    found = next(tree.rglob(name), None)
    if found is None:
        raise ToolError(
            f"Debian's packages bring no {name} any more; tools/images/tiny needs an update"
        )
    return found


def _archive(tree: Path) -> bytes:
    """Pack a tree as the kernel wants its initramfs."""
    members = sorted(path.relative_to(tree) for path in tree.rglob("*"))
    listing = "".join(f"{member}\n" for member in members)
    archive = tree.with_suffix(".cpio")
    run(
        "cpio",
        "--quiet",
        "-o",
        "-H",
        "newc",
        "-R",
        "0:0",
        "-D",
        tree,
        "-F",
        archive,
        text_in=listing,
    )
    return archive.read_bytes()
