"""Which hosts are supported, and as what, by the os-release texts of real distributions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.facts import HostFacts
from lab.host.distributions import (
    DEBIAN,
    DISTRIBUTIONS,
    EL8,
    EL9,
    FEDORA,
    UBUNTU,
    Family,
    check_os,
    family_of,
    version_text,
)
from lab.host.facts import parse_facts
from tests.golden import check_golden
from tests.unit.lab.samples import FACTS

RECORDED = Path(__file__).parent / "recorded"
BARE = (RECORDED / "bare_debian.txt").read_text()
FAMILIES: dict[Family | None, str] = {
    DEBIAN: "debian-12 debian-13 debian-sid proxmox-8 raspbian-12 lmde-6",
    UBUNTU: "ubuntu-22.04 ubuntu-23.10 ubuntu-24.04 linuxmint-21.3 linuxmint-22.1 pop-22.04 "
    "elementary-7",
    EL8: "rhel-8 centos-stream-8 rocky-8 almalinux-8 ol-8 cloudlinux-8",
    EL9: "rhel-9 centos-stream-9 rocky-9 almalinux-9 ol-9 "
    "rhel-10 centos-stream-10 rocky-10 almalinux-10 ol-10",
    FEDORA: "fedora-41 fedora-43 nobara-40",
    None: "debian-11 ubuntu-20.04 rhel-7 centos-7 ol-7 fedora-34 linuxmint-20.3 kali devuan-5 "
    "amzn-2 amzn-2023 openeuler-24.03 opensuse-leap-15.6 arch alpine-3.20 xcp-ng-8.2",
}
CASES = [(name, family) for family, names in FAMILIES.items() for name in names.split()]


def facts(name: str) -> HostFacts:
    """Of a host with that os-release."""
    release = (RECORDED / "os-release" / f"{name}.txt").read_text()
    start, rest = BARE.split("@@metalab os\n")
    return parse_facts(
        f"{start}@@metalab os\n{release}\n@@metalab {rest.partition('@@metalab ')[2]}", "lab42"
    )


@pytest.mark.parametrize(("name", "family"), CASES)
def test_the_family_of_a_distribution(name: str, family: Family | None) -> None:
    seen = facts(name)
    assert family_of(seen) is family
    assert [problem.rule for problem in check_os(seen, "lab42")] == ([] if family else ["host-os"])


def test_every_recorded_text_is_in_the_table() -> None:
    recorded = {path.stem for path in (RECORDED / "os-release").iterdir()}
    assert recorded == {name for name, _ in CASES}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("debian-11", "got Debian GNU/Linux 11 (bullseye), expected", id="too old"),
        pytest.param("centos-7", "got CentOS Linux 7 (Core), expected", id="EL 7"),
        pytest.param(
            "linuxmint-20.3", "got Linux Mint 20.3, built on Ubuntu 20.04, expected", id="base"
        ),
        pytest.param(
            "xcp-ng-8.2",
            "got XCP-ng 8.2.1, like centos, rhel, fedora of unknown version, expected",
            id="a base of unknown age",
        ),
        pytest.param("arch", "got Arch Linux, expected", id="another family"),
    ],
)
def test_a_refusal_says_what_was_seen_and_lists_what_is_supported(name: str, says: str) -> None:
    (problem,) = check_os(facts(name), "lab42")
    assert says in str(problem)
    for wanted in ("Debian from 12 on", "Ubuntu from 22.04 on", "Oracle Linux from 8 on"):
        assert wanted in problem.allowed


@pytest.mark.parametrize(
    ("os_id", "arch", "rules"),
    [
        pytest.param("debian", "aarch64", ["host-arch"], id="another CPU"),
        pytest.param("", "riscv64", ["host-os", "host-arch"], id="both at once"),
        pytest.param("debian", "x86_64", ["host-rom"], id="old ROMs"),
    ],
)
def test_all_that_is_wrong_is_said_at_once(os_id: str, arch: str, rules: list[str]) -> None:
    rom = "1.0.0+git-20131111.c3d1e78-2" if "host-rom" in rules else ""
    seen = replace(FACTS, os_id=os_id, arch=arch, rom_version=rom)
    assert [problem.rule for problem in check_os(seen, "lab42")] == rules


@pytest.mark.parametrize("family", [DEBIAN, UBUNTU, EL8, EL9, FEDORA])
def test_a_family_brings_what_a_lab_needs(family: Family) -> None:
    lab = {name for names in family.packages.values() for name in names}
    every = {name for names in family.wanted(tools=True).values() for name in names}
    assert family.rom in lab
    for kind in ("libvirt", "qemu", "ipxe", "swtpm", "dnsmasq", "curl"):
        assert any(name.startswith(kind) for name in lab), kind
    assert lab & {"ovmf", "edk2-ovmf"}
    assert {"libguestfs-xfs"} <= every - lab
    assert every & {"virtinst", "virt-install"}
    assert every & {"libguestfs-tools", "libguestfs-tools-c", "guestfs-tools"}
    names = [name for names in family.wanted(tools=True).values() for name in names]
    assert len(names) == len(set(names))
    assert not any("=" in name or ":" in name for name in names)  # no pins


def test_versions_are_ascending() -> None:
    for row in DISTRIBUTIONS:
        assert list(row.families) == sorted(row.families)


HEAD = """\
# Distributions of hypervisors

What metalab installs on a hypervisor, by distribution: only what is missing, in one transaction,
and only once every package was found in a repository. Nothing that is installed is upgraded for its
own sake, and packages stay when the last environment leaves. A newer version counts like the last
one listed. Derivatives count by the base that their os-release names, whatever their own version.

The tools come with `host-tools: true` only. No lab needs them, and on a fresh Debian 12 they are
170 packages, 54 MB to download and 23 s of CPU time to install, beside 103 packages, 56 MB and
16 s for the lab; their units (LVM, mdadm, device mapper, uuidd) start with the host from then on.

A host that runs libvirt the other way (`libvirtd` alone, or a daemon for each driver) keeps its
way.
"""
SERVICES = {False: "`libvirtd`", True: "a daemon for each driver (`virtqemud`, ...)"}


def test_the_documentation_lists_what_is_installed() -> None:
    parts = [HEAD]
    for row in DISTRIBUTIONS:
        for since, family in row.families.items():
            lines = [
                f"## {row.name} from {version_text(since)} on",
                "",
                f"libvirt runs as {SERVICES[family.modular]}.",
                "",
                "| set | repository | packages |",
                "|---|---|---|",
            ]
            for kind, packages in (("lab", family.packages), ("tools", family.tools)):
                lines += [
                    f"| {kind} | {repository} | {', '.join(f'`{name}`' for name in names)} |"
                    for repository, names in packages.items()
                ]
            parts.append("\n".join(lines) + "\n")
    root = Path(__file__).parents[4]
    check_golden(root / "docs/reference/distributions.md", "\n".join(parts))
