"""What a hypervisor keeps when the last environment has left it: the one list of it.

docs/hypervisor.md shows it, and the tests hold a full inventory of a host against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.storage import BASE_DIR, IMAGES_DIR


@dataclass(frozen=True, kw_only=True, slots=True)
class Remain:
    """One thing that stays."""

    what: str  # for the reader
    why: str
    patterns: tuple[str, ...]  # shell patterns of "<kind> <name>", such as "file /etc/libvirt/*"


# A rule is what libvirt's firewall driver makes once, for every network to come.
_RULES = (
    "counter jump LIBVIRT_???",
    "type filter hook * policy accept;",
    "type nat hook * policy accept;",
)

ALWAYS = (
    Remain(
        what=f"base images in `{BASE_DIR}`",
        why="they are a cache for the next environment; `rm -r` them when there is none",
        patterns=(
            f"file {IMAGES_DIR}",
            f"file {BASE_DIR}",
            f"file {BASE_DIR}/*.qcow2",
            f"mode {BASE_DIR}/*.qcow2",
        ),
    ),
    Remain(
        what="empty directories of libvirt's: `autostart` and `storage` in `/etc/libvirt`, "
        "`/var/lib/libvirt/dnsmasq`",
        why="libvirt makes them for its first network and pool, and expects them from then on",
        patterns=(
            "file /etc/libvirt/qemu/autostart",
            "file /etc/libvirt/storage",
            "file /etc/libvirt/storage/autostart",
            "file /var/lib/libvirt/dnsmasq",
        ),
    ),
    Remain(
        what="libvirt's own, empty chains `LIBVIRT_*` in the firewall, and the jumps to them; the "
        "empty table `bridge nat`",
        why="libvirt makes them with its first network, and with the first guest on a bridged one, "
        "and keeps them until the next boot",
        patterns=(
            *(f"firewall ip* * {rule}" for rule in _RULES),
            "firewall bridge nat * type filter hook * policy accept;",
        ),
    ),
    Remain(
        what="`net.ipv4.ip_forward = 1`, and `net.ipv6.conf.all.forwarding = 1` after networks "
        "with IPv6",
        why="libvirt turns them on for networks that lead out, and never off; until the next boot",
        patterns=("sysctl net.ipv4.ip_forward", "sysctl net.ipv?.conf.*.forwarding"),
    ),
    Remain(
        what="the copies that shadow keeps of its files as they were before the last change: "
        "`/etc/passwd-` and the like",
        why="the user `stack` came and went, and each of it is a change",
        patterns=tuple(
            f"file /etc/{name}-"
            for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
        ),
    ),
    Remain(
        what="kernel modules for bridges, taps, address translation and KVM",
        why="the kernel loads them when they are needed; until the next boot",
        patterns=("module *",),
    ),
)
SETTINGS = (
    Remain(
        what="packages with all that is theirs: files, users, groups, services, libvirt's "
        "network `default`",
        why="the next environment is ready in a second, and others may have come to rely on them; "
        "`host-restore: full` removes those that metalab brought",
        patterns=(),  # too much for a list; tests compare a host that had them before
    ),
)
FULL = (
    Remain(
        what="users and groups that packages made, such as `dnsmasq` and `polkitd`, and the last "
        "but one version of the files that hold them",
        why="Debian's packages leave their users, as files could still belong to them",
        patterns=(
            "user *",
            "group *",
            "file /etc/passwd*",
            "file /etc/shadow*",
            "file /etc/group*",
            "file /etc/gshadow*",
            "file /etc/subuid*",
            "file /etc/subgid*",
            "file /usr/share/polkit-1/rules.d",
        ),
    ),
    Remain(
        what="directories that packages share or leave: `/etc/libvirt`, `/var/lib/libvirt`, "
        "`/etc/apparmor.d`, `/var/lib/machines`, `/var/lib/portables`, `/var/lib/swtpm-localca`",
        why="the package manager removes no directory with something in it, nor what a package's "
        "script made",
        patterns=(
            "file /etc/libvirt",
            "file /etc/libvirt/qemu",
            "file /etc/libvirt/secrets",
            "file /var/lib/libvirt",
            "file /var/lib/libvirt/images",
            "file /var/lib/libvirt/qemu",
            "file /var/lib/libvirt/qemu/checkpoint",
            "file /etc/apparmor.d",
            "file /etc/apparmor.d/local",
            "file /etc/apparmor.d/local/abstractions",
            "file /etc/apparmor.d/local/abstractions/libvirt-*",
            "mode /etc/apparmor.d/local/abstractions/libvirt-*",
            "file /var/lib/machines",
            "file /var/lib/portables",
            "file /var/lib/swtpm-localca",
        ),
    ),
    Remain(
        what="the package manager's own memory: `status-old`, `extended_states`",
        why="it is the package manager's",
        patterns=(
            "file /var/lib/dpkg/status-old",
            "file /var/lib/apt/extended_states",
        ),
    ),
)


def table(remains: Iterable[Remain]) -> str:
    """The list as Markdown."""
    rows = [f"| {remain.what} | {remain.why} |" for remain in remains]
    return "\n".join(["| stays | because |", "|---|---|", *rows])
