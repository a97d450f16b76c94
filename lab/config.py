"""The stack's configuration: infrared's option words, read into types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Any

from lab.errors import LabError, Problem, shown
from lab.files import Source
from lab.naming import PREFIX, PREFIX_FORM, ROLE_FILE, ROLE_FILE_FORM
from lab.reader import Reader

VIRT_TYPES = ("auto", "kvm", "qemu")
RESTORE = ("settings", "full")  # the last one out undoes settings alone, or removes packages, too
MOST_NODES = 10_000  # of one role: past any host, and short of a slip of the keyboard
MOST_RATIO = 1_000  # vCPUs of one thread
MOST_MEMORY_MIB, MOST_DISK_GIB = 1 << 30, 1 << 30
QUOTA_FORM = "any of nodes, memory, cpu and disks, such as {nodes: 20, memory: 64G}"
SSH_PORT = 22
MOST_PORT = 65_535
_NAME = r"\w[\w.-]*"  # no hyphen first: ssh would take it for an option
_IPV6 = r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?"
_PORT = r"(?::[1-9]\d{0,4})?"
_PLACE = rf"{_NAME}{_PORT}|{_IPV6}|\[{_IPV6}\]{_PORT}"
_PLACE_FORM = "a host as ssh takes it, with a port if need be: lab, lab:2222 or [fd00::1]:2222"
_USER = r"[A-Za-z_][\w.-]*"
_VNC_WORD = "[!-~]{6,8}"  # RFC 6143 takes eight
SHA256 = "[0-9a-f]{64}"
SHA256_FORM = "64 hexadecimal digits in lower case"


@dataclass(frozen=True, kw_only=True, slots=True)
class HypervisorSpec:
    """How to reach one hypervisor over SSH. What is empty is for OpenSSH's configuration to say.

    Paths stay as written: `~` and `$NAME` are expanded where they are used, so that the state
    holds no path of one operator's machine.
    """

    address: str  # host name, alias of ~/.ssh/config, or IP address without brackets
    port: int = 0
    user: str = ""
    key: str = ""  # path of the private key; it alone is used then
    known_hosts: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """The most that one environment may have; 0 of a thing: any amount."""

    nodes: int = 0
    memory_mib: int = 0  # QEMU's overhead included
    vcpus: int = 0
    disk_gib: int = 0  # virtual sizes


@dataclass(frozen=True, kw_only=True, slots=True)
class StackConfig:
    """One environment as its user configured it. The fields' names are ours, keys infrared's."""

    prefix: str
    hypervisor: HypervisorSpec
    nodes: Mapping[str, int]  # {"compute": 3}: how many of each role, by the name of its file
    removed: tuple[str, ...] = ()  # names of those that were taken out for good
    network: str = "3_nets"  # a layout of the catalogue, or a path
    override: Mapping[str, Any] = field(default_factory=dict[str, Any])  # see lab.override
    image_url: str = ""  # an image of the catalogue, a URL, or a path; empty: only blank nodes
    image_sha256: str = ""  # of the file at image_url; needed for URLs
    memory_overcommit: bool = False
    vcpu_ratio: int = 0  # vCPUs that may share a thread of the host; 0: any number
    disk_overcommit: bool = True
    quota: Quota = Quota()
    host_tools: bool = False  # virt-install and libguestfs on the hypervisor: no lab needs them
    virt_type: str = "auto"
    vnc_external: bool = False  # the screens of nodes answer on every address of the host
    vnc_password: str = field(default="", repr=False)  # from a secret of the stack
    host_restore: str = "settings"
    protect: bool = False  # `pulumi destroy` refuses
    ready_timeout_s: int = 300  # from a started domain to SSH, for all nodes together
    shutdown_timeout_s: int = 30  # for a guest to power itself off before it is cut

    @property
    def vnc_listen(self) -> str:
        """Where VNC answers on the hypervisor."""
        return "0.0.0.0" if self.vnc_external else "127.0.0.1"  # noqa: S104 - as its user asks


def parse_config(settings: Mapping[str, Any], prefix: str) -> StackConfig:
    """Read the settings of one stack.

    Args:
        settings: the stack file's keys without `metalab:`; values as the engine hands them over:
            texts, and JSON text for mappings and lists.
        prefix: the stack's name.

    Raises:
        LabError: every problem of the stack's configuration.
    """
    problems: list[Problem] = []
    source = Source(f"stacks/Pulumi.{prefix}.yaml")
    if not PREFIX.fullmatch(prefix):
        problems.append(
            Problem(
                "stack name, which is the prefix",
                shown(prefix),
                PREFIX_FORM,
                "prefix",
                "Choose another with `pulumi stack init`, or `pulumi stack rename`",
            )
        )
    config = parse_settings(Reader(settings, source, problems), prefix)
    if problems:
        raise LabError(problems)
    return config


def parse_settings(entry: Reader, prefix: str) -> StackConfig:
    """Read the settings themselves; problems gather in the Reader."""
    config = StackConfig(
        prefix=prefix,
        hypervisor=_hypervisor(entry),
        nodes=counts_of(entry),
        removed=tuple(dict.fromkeys(entry.names("remove-nodes"))),
        network=entry.text("topology-network", default="3_nets"),
        override=entry.plain("override"),
        image_url=entry.text("image-url", default=""),
        image_sha256=entry.text("image-sha256", default="", pattern=SHA256, means=SHA256_FORM),
        memory_overcommit=entry.boolean("host-memory-overcommit", default=False),
        vcpu_ratio=_at_most(entry, "host-vcpu-ratio", MOST_RATIO),
        disk_overcommit=entry.boolean("host-disk-overcommit", default=True),
        quota=parse_quota(entry.mapping("quota", required=False, means=QUOTA_FORM)),
        host_tools=entry.boolean("host-tools", default=False),
        virt_type=entry.choice("virt-type", VIRT_TYPES, default="auto"),
        vnc_external=entry.boolean("vnc-external", default=False),
        vnc_password=_vnc_password(entry),
        host_restore=entry.choice("host-restore", RESTORE, default=RESTORE[0]),
        protect=entry.boolean("protect", default=False),
        ready_timeout_s=entry.integer("ready-timeout", at_least=5, at_most=86_400, default=300),
        shutdown_timeout_s=entry.integer("shutdown-timeout", at_least=0, at_most=3_600, default=30),
    )
    entry.close()
    return config


def parse_quota(entry: Reader) -> Quota:
    """Read `{nodes: 20, memory: 64G, cpu: 32, disks: 500G}`, or a part of it."""
    quota = Quota(
        nodes=_at_most(entry, "nodes", MOST_NODES),
        memory_mib=entry.size_mib("memory", at_least=0, at_most=MOST_MEMORY_MIB, default=0),
        vcpus=_at_most(entry, "cpu", MOST_NODES),
        disk_gib=entry.size_gib("disks", at_least=1, at_most=MOST_DISK_GIB)
        if entry.has("disks")
        else 0,
    )
    entry.close()
    return quota


def _at_most(entry: Reader, key: str, most: int) -> int:
    return entry.integer(key, at_least=1, at_most=most) if entry.has(key) else 0


def _vnc_password(entry: Reader) -> str:
    """A password of VNC; what the outside can reach has one. It is never shown."""
    got = entry.raw("vnc-password")
    word = got if isinstance(got, str) else ""
    outside = entry.boolean("vnc-external", default=False)
    if re.fullmatch(_VNC_WORD, word) or (got is None and not outside):
        return word
    found = "nothing, with vnc-external" if got is None else "another text"
    step = "`pulumi config set --secret vnc-password`"
    entry.note("vnc-password", found, "6 to 8 printable characters", "vnc-password", step)
    return ""


def _hypervisor(entry: Reader) -> HypervisorSpec:
    place = entry.text("host-address", pattern=_PLACE, means=_PLACE_FORM)
    address, port = split_place(place)
    if port > MOST_PORT or (":" in address and not is_ipv6(address)):
        entry.refuse("host-address", place, _PLACE_FORM, "text")
    return HypervisorSpec(
        address=address,
        port=port,
        user=entry.text("host-user", default="", pattern=_USER, means="a user"),
        key=entry.text("host-key", default=""),
        known_hosts=entry.text("host-known-hosts", default=""),
    )


def split_place(place: str) -> tuple[str, int]:
    """The host and port of `lab`, `lab:22`, `fd00::1`, `[fd00::1]` or `[fd00::1]:22`; 0: none."""
    seen = re.fullmatch(r"(?:\[(.+)\]|([^:]+))(?::(\d+))?", place)
    return (seen[1] or seen[2], int(seen[3] or 0)) if seen else (place, 0)


def is_ipv6(address: str) -> bool:
    """Whether it is an IPv6 address, with or without a zone."""
    try:
        return isinstance(ip_address(address), IPv6Address)
    except ValueError:
        return False


def counts_of(entry: Reader) -> dict[str, int]:
    """Read `undercloud:1,controller:3` or the same as a mapping."""
    key = "topology-nodes"
    got = entry.raw(key)
    if isinstance(got, str) and got.strip() and not got.lstrip().startswith("{"):
        return _counts_of_text(entry, key, got)
    roles = entry.mapping(key, means="role:count, such as controller:3,compute:2")
    return {
        role: roles.integer(role, at_least=1, at_most=MOST_NODES)
        for role in filter(partial(_check_role, entry, key), roles.keys())
    }


def _counts_of_text(entry: Reader, key: str, text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in (part.strip() for part in text.split(",")):
        role, colon, count = (piece.strip() for piece in part.partition(":"))
        if not colon or not re.fullmatch(r"\d{1,6}", count) or not 1 <= int(count) <= MOST_NODES:
            allowed = f"role:count with a count from 1 to {MOST_NODES}"
            entry.refuse(key, part, allowed, "node-count", _with_a_count(role, colon, count))
        elif role in counts:
            entry.refuse(key, part, "each role once", "node-count")
        elif _check_role(entry, key, role):
            counts[role] = int(count)
    return counts


def _with_a_count(role: str, colon: str, count: str) -> str:
    """What somebody who wrote `controller1` or `controller:0` may have meant."""
    if re.fullmatch(r"-[0-9]+|0+", count):
        return f"Leave {role} out to have none"
    stem = role.rstrip("0123456789")
    digits = role[len(stem) :]
    return f"Did you mean {stem}:{digits or 1}?" if stem and not colon else ""


def _check_role(entry: Reader, key: str, role: str) -> bool:
    if ROLE_FILE.fullmatch(role):
        return True
    entry.refuse(key, role, f"a role's name of {ROLE_FILE_FORM}", "role")
    return False
