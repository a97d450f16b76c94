"""The root layer of hypervisors: a fresh Debian with systemd and sshd, shared and read-only."""

import shutil
from pathlib import Path

from tools.demo.cache import cache_root, locked, recipe_hash, workshop
from tools.demo.debian import apt_settings, bootstrap
from tools.demo.shell import run, say

PACKAGES = (  # a server as the installer leaves it: nothing that the host preparation brings
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "udev",
    "kmod",
    "openssh-server",
    "sudo",
    "iproute2",
    "iputils-ping",
    "nftables",
    "python3",
    "ca-certificates",
    "procps",
    "less",
    "debian-archive-keyring",
)
RECIPE = "1"  # raise it when `_build` changes what a layer holds: its hash then is another one
DISABLED = ("systemd-networkd-wait-online.service", "apt-daily.timer", "apt-daily-upgrade.timer")
MASKED = ("systemd-udev-trigger.service", "console-getty.service")  # no devices, no terminal here


def root_layer(suite: str) -> Path:
    """Answer the root layer of a suite, built first if this recipe has none yet."""
    layer = root_layer_path(suite)
    shelf = layer.parent
    if layer.is_dir():
        return layer
    with locked(shelf), workshop(shelf) as folder:
        if not layer.is_dir():
            say(f"building a fresh Debian {suite} for hypervisors (about 20 s) ...")
            _build(suite, folder / "root")
            (folder / "root").rename(layer)
    return layer


def root_layer_path(suite: str) -> Path:
    """Answer where the root layer of a suite is, or would be."""
    return cache_root() / "rootfs" / f"{suite}-{recipe_hash([RECIPE, suite, *PACKAGES])}"


def _build(suite: str, root: Path) -> None:
    bootstrap(suite, root, PACKAGES, "--variant=minbase")
    (root / "etc/apt/apt.conf.d/90metalab").write_text(apt_settings(), encoding="utf-8")
    (root / "etc/machine-id").write_text(
        "", encoding="utf-8"
    )  # systemd draws one at each first boot
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # one set of host keys for the layer: clients know them before the first boot, which is quicker
    run("ssh-keygen", "-q", "-A", "-f", root)
    run("systemctl", f"--root={root}", "-q", "enable", "systemd-networkd.service")
    run("systemctl", f"--root={root}", "-q", "disable", *DISABLED)
    run("systemctl", f"--root={root}", "-q", "mask", *MASKED)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)


def host_keys(layer: Path) -> list[str]:
    """Answer the public host keys of a layer, as "type base64"."""
    files = sorted((layer / "etc/ssh").glob("ssh_host_*_key.pub"))
    return [" ".join(file.read_text(encoding="utf-8").split()[:2]) for file in files]
