"""What differs between Linux distributions, as data: versions, packages, services.

A distribution is supported once its row stands in DISTRIBUTIONS. To widen: write a row, and a
Family if its packages have other names; then put its os-release among the recorded ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lab.errors import Problem
from lab.facts import HostFacts
from lab.host.rom import check_rom

Version = tuple[int, ...]  # (22, 4) for "22.04"
Packages = Mapping[str, tuple[str, ...]]  # names by the repository that is expected to have them

NEWEST: Version = (1_000_000,)
ARCHITECTURES = ("x86_64",)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Family:
    """Releases that share package names and the way libvirt's services are cut."""

    manager: Literal["apt", "dnf"]
    packages: Packages  # what a lab needs and a minimal host lacks
    tools: Packages  # what people use on a hypervisor and no lab needs; see lab.host.packages
    rom: str  # the one of `packages` with iPXE's boot ROMs
    modular: bool  # a libvirt daemon for each driver, or libvirtd for all
    hint: str  # where to look if a repository is missing

    def wanted(self, *, tools: bool) -> Packages:
        """The packages, with or without the tools, by repository."""
        if not tools:
            return self.packages
        names = [*self.packages, *(self.tools.keys() - self.packages.keys())]
        return {name: (*self.packages.get(name, ()), *self.tools.get(name, ())) for name in names}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distribution:
    """What os-release calls it, and its family from each version on."""

    name: str  # for people
    ids: frozenset[str]  # os-release's ID; a derivative has one of them in ID_LIKE
    families: Mapping[Version, Family]  # ascending; the first key is the oldest one supported
    platform: str = ""  # "el", where PLATFORM_ID is "platform:el9"
    codenames: Mapping[str, Version] = field(default_factory=dict[str, Version])
    rolling: bool = False  # has releases without VERSION_ID, which are newer than any with one

    @property
    def supported(self) -> str:
        """For messages: "Ubuntu from 22.04 on"."""
        return f"{self.name} from {version_text(next(iter(self.families)))} on"


_DEBIAN = (
    "libvirt-daemon-system",
    "libvirt-daemon-driver-qemu",  # only recommended by some releases of libvirt-daemon
    "libvirt-clients",
    "qemu-system-x86",
    "qemu-utils",
    "ipxe-qemu",  # the NICs' boot ROMs; only recommended by qemu-system-x86
    "seabios",
    "ovmf",  # UEFI
    "swtpm",
    "swtpm-tools",  # makes the TPM's state when a domain first starts
    "dnsmasq-base",  # DHCP and DNS of libvirt's networks
    "curl",
    "ca-certificates",  # for curl; only recommended by its library
)
_DEBIAN_TOOLS = ("virtinst", "libguestfs-tools", "libguestfs-xfs")
DEBIAN = Family(
    manager="apt",
    packages={"main": _DEBIAN},
    tools={"main": _DEBIAN_TOOLS},
    rom="ipxe-qemu",
    modular=False,
    hint="Look at `apt-cache policy` and the files of /etc/apt/sources.list.d there",
)
UBUNTU = Family(
    manager="apt",
    packages={"main": _DEBIAN},
    tools={"universe": _DEBIAN_TOOLS},
    rom="ipxe-qemu",
    modular=False,
    hint="Look at `apt-cache policy` there; `add-apt-repository universe` adds that one",
)

_EL = {
    "AppStream": (
        "libvirt",
        "libvirt-client",
        "qemu-kvm",
        "qemu-img",
        "ipxe-roms-qemu",
        "edk2-ovmf",
        "swtpm",
        "swtpm-tools",
        "dnsmasq",
    ),
    "BaseOS": ("curl", "ca-certificates"),
}
_EL_HINT = (
    "Look at `dnf repolist` there; RHEL shows none until it is registered with "
    "`subscription-manager register`"
)
EL8 = Family(
    manager="dnf",
    packages=_EL,
    tools={"AppStream": ("virt-install", "libguestfs-tools-c", "libguestfs-xfs")},
    rom="ipxe-roms-qemu",
    modular=False,
    hint=f"{_EL_HINT}; these are of the module virt, so look at `dnf module list virt`, too",
)
EL9 = Family(
    manager="dnf",
    packages=_EL,
    tools={"AppStream": ("virt-install", "guestfs-tools", "libguestfs-xfs")},
    rom="ipxe-roms-qemu",
    modular=True,
    hint=_EL_HINT,
)
FEDORA = Family(
    manager="dnf",
    packages={"fedora or updates": tuple(name for names in _EL.values() for name in names)},
    tools={"fedora or updates": ("virt-install", "guestfs-tools", "libguestfs-xfs")},
    rom="ipxe-roms-qemu",
    modular=True,
    hint="Look at `dnf repolist` there; releases past their end of life have no repositories",
)

DISTRIBUTIONS = (
    Distribution(
        name="Debian",
        ids=frozenset({"debian"}),
        families={(12,): DEBIAN},
        codenames={
            "buster": (10,),
            "bullseye": (11,),
            "bookworm": (12,),
            "trixie": (13,),
            "forky": (14,),
            "duke": (15,),
        },
        rolling=True,
    ),
    Distribution(
        name="Ubuntu",
        ids=frozenset({"ubuntu"}),
        families={(22, 4): UBUNTU},
        codenames={
            "bionic": (18, 4),
            "focal": (20, 4),
            "jammy": (22, 4),
            "noble": (24, 4),
            "plucky": (25, 4),
            "questing": (25, 10),
            "resolute": (26, 4),
        },
    ),
    Distribution(
        name="RHEL, CentOS Stream, Rocky Linux, AlmaLinux and Oracle Linux",
        ids=frozenset({"rhel", "centos", "rocky", "almalinux", "ol"}),
        families={(8,): EL8, (9,): EL9},
        platform="el",
    ),
    Distribution(
        name="Fedora",
        ids=frozenset({"fedora"}),
        families={(35,): FEDORA},  # the first one with a daemon for each driver
        platform="f",
    ),
)


def family_of(facts: HostFacts) -> Family | None:
    """The family of a supported host; None for any other.

    A distribution counts by its own VERSION_ID. A derivative numbers its releases as it likes, so
    it counts by what it says of its base: PLATFORM_ID, or the codename of a Debian or Ubuntu.
    One that says nothing of the kind is not supported: it may be of any age.
    """
    distribution, version = _recognized(facts)
    if distribution is None:
        return None
    fitting = [family for since, family in distribution.families.items() if since <= version]
    return fitting[-1] if fitting else None


def check_os(facts: HostFacts, where: str) -> list[Problem]:
    """Judge whether metalab can prepare this host, before anything is changed on it.

    Args:
        facts: what was seen.
        where: the host's address, for the messages.
    """
    problems: list[Problem] = []
    if family_of(facts) is None:
        problems.append(
            Problem(
                where=where,
                got=_seen(facts),
                allowed=f"{'; '.join(row.supported for row in DISTRIBUTIONS)}; or a derivative "
                "of one whose os-release names such a base",
                rule="host-os",
                next_step="Upgrade it, or name another hypervisor with host-address",
            )
        )
    if facts.arch not in ARCHITECTURES:
        problems.append(
            Problem(
                where=where,
                got=f"the architecture {facts.arch}",
                allowed=", ".join(ARCHITECTURES),
                rule="host-arch",
            )
        )
    return [*problems, *check_rom(facts.rom_version, where)]


def _recognized(facts: HostFacts) -> tuple[Distribution | None, Version]:
    for row in DISTRIBUTIONS:
        if facts.os_id in row.ids:
            return row, _own_version(row, facts)
    for row in DISTRIBUTIONS:
        if row.ids & set(facts.os_like) and (version := _base_version(row, facts)):
            return row, version
    return None, ()


def _own_version(row: Distribution, facts: HostFacts) -> Version:
    numbers = tuple(int(number) for number in re.findall(r"\d+", facts.os_version))
    return NEWEST if row.rolling and not numbers else numbers


def _base_version(row: Distribution, facts: HostFacts) -> Version:
    platform = re.fullmatch(rf"platform:{row.platform or '-'}(\d+)", facts.os_platform)
    named = [row.codenames[name] for name in facts.os_codenames if name in row.codenames]
    return (int(platform[1]),) if platform else next(iter(named), ())


def _seen(facts: HostFacts) -> str:
    name = facts.os_name or facts.os_id or "an unknown operating system"
    row, version = _recognized(facts)
    if row is not None and facts.os_id not in row.ids:
        return f"{name}, built on {row.name} {version_text(version)}"
    related = row is None and any(known.ids & set(facts.os_like) for known in DISTRIBUTIONS)
    return f"{name}, like {_listed(facts.os_like)} of unknown version" if related else name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def version_text(version: Version) -> str:
    """As the distribution writes it: "12", "22.04"."""
    return ".".join([str(version[0]), *(f"{number:02d}" for number in version[1:])])
