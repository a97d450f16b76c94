"""How old a hypervisor's iPXE boot ROMs are, by the version of their package.

ROMs from before 2016 do not boot the machines of a lab over the network reliably, so the
predecessor's documents ask for `ipxe-roms-qemu` of "at least version 2016xxyy".
"""

from __future__ import annotations

import re

from lab.errors import Problem

# Prints the version of the installed ROMs, whichever package manager has them; else nothing.
ROM_VERSION = (
    "dpkg-query -W -f '${Version}\\n' ipxe-qemu 2>/dev/null || "
    "rpm -q --qf '%{VERSION}-%{RELEASE}\\n' ipxe-roms-qemu 2>/dev/null | grep -v ' '"
)
OLDEST_ROM = 20160101  # the day of iPXE's commit, as YYYYMMDD
FIRST_DATED = (1, 20)  # iPXE 1.20.1 is of 2020; 1.0.0 is any commit of the ten years before


def rom_is_old(version: str) -> bool:
    """Whether a package's version says that its ROMs are from before 2016.

    A version that says nothing is not old: distributions that are supported have newer ones.

    Args:
        version: "1.0.0+git-20190125.36a4c85-5.1", "1.21.1+git20250501.dad20602+dfsg-1" (Debian),
            "1.21.1+git-20220113.fbbdc3926-0ubuntu1", "20200823-9.git4bd064de.el9" (VERSION-RELEASE
            of an RPM); empty if the package is not installed.
    """
    words = re.split(r"[^0-9a-z]+", version)
    dates = [int(found[1]) for word in words if (found := re.fullmatch(r"(?:git)?(20\d{6})", word))]
    if dates:
        return dates[0] < OLDEST_ROM  # what comes after it may be a commit's hash of digits alone
    number = re.match(r"(?:\d+:)?(\d+)\.(\d+)", version)
    return number is not None and (int(number[1]), int(number[2])) < FIRST_DATED


def check_rom(version: str, where: str) -> list[Problem]:
    """Judge the ROMs that are installed; where there are none, those that come are judged then."""
    return [old_rom(version, where)] if rom_is_old(version) else []


def old_rom(version: str, where: str) -> Problem:
    """The host's boot ROMs are too old."""
    return Problem(
        where=where,
        got=f"iPXE boot ROMs of version {version}",
        allowed="ROMs of 2016 or later",
        rule="host-rom",
        next_step="Upgrade the package ipxe-qemu (apt) or ipxe-roms-qemu (dnf) there",
    )


def rom_is_old_script(version: str) -> str:
    """`rom_is_old` in shell: exits 0 if it is; `version` is a shell word, such as '"$v"'."""
    words = f"printf '%s\\n' {version} | tr -c '0-9a-z\\n' '\\n'"
    major, minor = FIRST_DATED
    return (
        f"d=$({words} | sed -nE 's/^(git)?(20[0-9]{{6}})$/\\2/p' | head -n 1); "
        f'if [ -n "$d" ]; then [ "$d" -lt {OLDEST_ROM} ]; else '
        f"printf '%s\\n' {version} | sed -nE 's/^([0-9]+:)?([0-9]+)\\.([0-9]+).*/\\2 \\3/p' | "
        f"{{ read -r major minor && [ $((major * 1000 + minor)) -lt {major * 1000 + minor} ]; }}; "
        "fi"
    )
