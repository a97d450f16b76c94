"""Operating systems by osinfo's names: a short one that people write, a long one for libvirt."""

from __future__ import annotations

import re

_FAMILIES = {
    "almalinux": "http://almalinux.org/almalinux",
    "centos": "http://centos.org/centos",
    "centos-stream": "http://centos.org/centos-stream",
    "debian": "http://debian.org/debian",
    "fedora": "http://fedoraproject.org/fedora",
    "freebsd": "http://freebsd.org/freebsd",
    "rhel": "http://redhat.com/rhel",
    "rocky": "http://rockylinux.org/rocky",
    "ubuntu": "http://ubuntu.com/ubuntu",
}
OS_VARIANT = re.compile(rf"({'|'.join(_FAMILIES)})([0-9][\w.-]*)")
OS_VARIANT_FORM = f"a system and its version, such as rhel9.2; one of {', '.join(_FAMILIES)}"


def os_id(variant: str) -> str:
    """The long name of `rhel9.2`: a URL that names, and need not answer."""
    found = OS_VARIANT.fullmatch(variant)
    return f"{_FAMILIES[found[1]]}/{found[2]}" if found else ""
