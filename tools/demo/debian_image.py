"""The image `debian`: a minimal Debian with systemd, OpenSSH and the real cloud-init."""

import shutil
from pathlib import Path

from tools.demo.debian import bootstrap
from tools.demo.disks import write_disk
from tools.demo.shell import run

PACKAGES = (
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "systemd-sysv",
    "dbus",
    "udev",
    "openssh-server",
    "iproute2",
    "iputils-ping",
    "sudo",
    "lz4",
    "cloud-init",  # brings python3, so Ansible works
    "netplan.io",
    "systemd-resolved",  # else the DNS servers that DHCP names are used by nobody
    "cloud-guest-utils",  # growpart
    "e2fsprogs",
)
UNREAD = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
DISABLED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
)
MASKED = (  # each costs a second or more under emulation, and a short-lived guest misses none
    "systemd-networkd-wait-online.service",  # the seed is a disk: cloud-init needs no network
    "getty@tty1.service",
    "systemd-hwdb-update.service",
    "systemd-update-utmp.service",
    "systemd-journal-flush.service",
    "modprobe@drm.service",
    "modprobe@fuse.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
)
# no journal and no checksums: extlinux 6.04 reads neither 64-bit nor checksummed file systems
DISK = ("-t", "ext4", "-L", "metalab-debian", "-O", "^64bit,^metadata_csum,^has_journal", "1500M")


def build(recipe: Path, suite: str, out: Path) -> None:
    """Write debian.qcow2 to `out`."""
    tree, tools = out / "tree", out / "tools"
    bootstrap(suite, tools, ("extlinux", "syslinux-common"), "--variant=extract")
    setup = out / "setup"
    shutil.copytree(recipe / "files", setup)
    bootstrap(
        suite,
        tree,
        PACKAGES,
        "--variant=minbase",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in UNREAD),
        # before the kernel is unpacked, so that its initramfs is made once and as we want it
        f'--essential-hook=cp -a {setup}/. "$1/"',
    )
    _settle(tree)
    write_disk(tree, "boot", out / "debian.qcow2", *DISK)


def _settle(tree: Path) -> None:
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()  # cloud-init brings or makes them
    (tree / "etc/machine-id").write_text("", encoding="ascii")
    (tree / "etc/resolv.conf").unlink(missing_ok=True)  # mmdebstrap's copy of this machine's
    (tree / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    shutil.rmtree(tree / "var/lib/apt/lists")
    (tree / "var/lib/apt/lists/partial").mkdir(parents=True)
    for kept, name in (("vmlinuz-*", "vmlinuz"), ("initrd.img-*", "initrd")):
        next((tree / "boot").glob(kept)).rename(tree / "boot" / name)
    run(
        "systemctl",
        f"--root={tree}",
        "-q",
        "enable",
        "systemd-networkd.service",
        "systemd-resolved.service",
    )
    run("systemctl", f"--root={tree}", "-q", "disable", *DISABLED)
    run("systemctl", f"--root={tree}", "-q", "mask", *MASKED)
