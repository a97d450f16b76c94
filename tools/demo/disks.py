"""Bootable disks: one file system on the whole disk, started by extlinux from its first sector."""

from pathlib import Path

from tools.demo.shell import run


def write_disk(tree: Path, boot: str, out: Path, *filesystem: str) -> None:
    """Write a tree to a qcow2 image that a BIOS starts.

    A file system without a partition table needs no MBR code: extlinux fills its boot sector.

    Args:
        tree: what the disk holds.
        boot: the folder in it with extlinux.conf, relative; "." is the top.
        out: the qcow2 file to make; its folder takes the intermediate ones.
        filesystem: size and options of mke2fs, such as "-t", "ext2", "64M" last.
    """
    raw, mounted = out.with_suffix(".raw"), out.with_suffix(".mounted")
    *options, size = filesystem
    run("mke2fs", "-q", "-F", *options, "-d", tree, raw, size)
    mounted.mkdir()
    run("mount", "-o", "loop", raw, mounted)  # extlinux maps blocks, so it needs the real mount
    try:
        run(*extlinux(tree.parent / "tools"), "--install", mounted / boot)
    finally:
        run("umount", mounted)
    run("qemu-img", "convert", "-O", "qcow2", "-c", raw, out)
    raw.unlink()
    mounted.rmdir()


def extlinux(tree: Path) -> list[str | Path]:
    """Write the call of the extlinux unpacked in `tree`, with that tree's C library.

    Its installer must match the boot code beside it, and the machine may be another Debian.
    """
    loader = next(tree.rglob("ld-linux-x86-64.so.2"))
    libraries = next(tree.rglob("libc.so.6")).parent
    return [loader, "--library-path", libraries, tree / "usr/bin/extlinux"]
