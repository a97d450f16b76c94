"""What this machine must be and have before a container or an image is made on it."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tools.demo.shell import ToolError, run, say

FAMILIES = ("debian", "ubuntu")
WAIT = ("-o", "DPkg::Lock::Timeout=300")  # seconds, for another apt on this machine to finish
HYPERVISOR_PACKAGES = {  # command that must be there, and the package that brings it
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "qemu-img": "qemu-utils",
    "mkisofs": "genisoimage",  # pulumi-libvirt writes seeds with it, on the machine Pulumi runs on
    "xsltproc": "xsltproc",  # pulumi-libvirt applies its XSLT with it
}
IMAGE_PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "cpio": "cpio",
    "mke2fs": "e2fsprogs",
    "losetup": "mount",
}
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def require_root(purpose: str) -> None:
    """Refuse to go on as an ordinary user.

    Raises:
        ToolError: not root.
    """
    if os.geteuid() != 0:
        raise ToolError(
            f"{purpose} needs root: run the same command with sudo; only a hypervisor of your own "
            "does without (`pulumi config set host-address HOST`)"
        )


def require_family(os_release: str) -> None:
    """Refuse a machine that is neither Debian nor Ubuntu nor made from one of them.

    Raises:
        ToolError: another distribution.
    """
    release = parse_os_release(os_release)
    kin = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if kin.isdisjoint(FAMILIES):
        name = release.get("PRETTY_NAME") or release.get("ID") or "unknown"
        raise ToolError(
            f"the demo needs Debian or Ubuntu and this is {name}: use a hypervisor of "
            "your own with `pulumi config set host-address HOST`"
        )


def parse_os_release(text: str) -> dict[str, str]:
    """Read the KEY=value lines of os-release(5), quotes removed."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def require_packages(wanted: Mapping[str, str]) -> None:
    """Install the packages whose commands are missing, after one line that names them."""
    missing = sorted({pkg for command, pkg in wanted.items() if not shutil.which(command)})
    if not DEBIAN_KEYRING.exists():
        missing.append("debian-archive-keyring")
    if not missing:
        return
    os_release = Path("/etc/os-release")
    require_family(os_release.read_text(encoding="utf-8") if os_release.exists() else "")
    require_root(f"installing {', '.join(missing)}")
    say(f"installing packages: {' '.join(missing)}")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", *WAIT, "-q", "update")
    run("apt-get", *WAIT, "-q", "-y", "--no-install-recommends", "install", *missing)
