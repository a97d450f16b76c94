"""A host with dnf: a Debian container with rpm, dnf, an EL's os-release and a local repository.

The packages are empty; their names, versions and provides are those of Enterprise Linux.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.hypervisors import Hypervisor, hypervisor, layered

TOOLS = "dnf rpm createrepo-c"
ROM = "20200823-9.git4bd064de.el9"
OLD_ROM = "20130517-8.gitc4bce43.el7"
APPSTREAM = {
    "libvirt": "10.10.0-7.el9",
    "libvirt-client": "10.10.0-7.el9",
    "qemu-kvm": "17:9.1.0-15.el9",
    "qemu-img": "17:9.1.0-15.el9",
    "ipxe-roms-qemu": ROM,
    "edk2-ovmf": "20241117-2.el9",
    "swtpm": "0.8.0-2.el9",
    "swtpm-tools": "0.8.0-2.el9",
    "dnsmasq": "2.85-16.el9",
    "virt-install": "4.1.0-7.el9",
    "guestfs-tools": "1.51.6-5.el9",
    "libguestfs-xfs": "1.54.0-3.el9",
}
BASEOS = {"curl": "7.76.1-31.el9", "ca-certificates": "2024.2.69-91.el9"}
OS_RELEASE = """NAME="Rocky Linux"
VERSION="9.6 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.6 (Blue Onyx)"
"""


@dataclass(frozen=True)
class Rpm:
    """An empty package."""

    name: str
    version: str  # [EPOCH:]VERSION-RELEASE
    header: str = ""  # more lines of its header, such as "Provides: curl"
    post: str = ""  # Lua that runs while it is installed; a shell would have to be a package, too


@contextmanager
def dnf_host(name: str) -> Iterator[Hypervisor]:
    """A fresh one that shows both repositories and has nothing of them installed."""
    with hypervisor(name, _layer(name)) as host:
        put(host, "/etc/os-release", OS_RELEASE)
        for repository, versions in (("appstream", APPSTREAM), ("baseos", BASEOS)):
            publish(host, repository, (Rpm(*item) for item in versions.items()))
        yield host


def _layer(name: str) -> str:
    install = f"apt-get -q update && apt-get -q -y --no-install-recommends install {TOOLS}"
    return layered(f"mk{name}", TOOLS, f"export DEBIAN_FRONTEND=noninteractive; {install}")


def publish(host: Hypervisor, repository: str, rpms: Iterable[Rpm]) -> None:
    """Build packages into a repository, which is made if need be and keeps what it has."""
    folder = f"/srv/{repository}"
    put(host, "/srv/bed.spec", _spec(list(rpms)))
    section = f"[{repository}]\nname={repository}\nbaseurl=file://{folder}\ngpgcheck=0\n"
    put(host, f"/etc/yum.repos.d/{repository}.repo", f"{section}metadata_expire=0\n")
    host.run(
        f"mkdir -p {folder} && rpmbuild -bb --quiet --define '_rpmdir {folder}' /srv/bed.spec 2>&1"
        f" && rm -f {folder}/noarch/bed-* && createrepo_c -q {folder}"
    )


@contextmanager
def withdrawn(host: Hypervisor, repository: str, *names: str) -> Iterator[None]:
    """Take packages out of a repository for a while."""
    folder, away = f"/srv/{repository}", f"/srv/{repository}.away"
    files = " ".join(f"{folder}/noarch/{name}-[0-9]*" for name in names)
    host.run(f"mkdir {away} && mv {files} {away}/ && createrepo_c -q {folder}")
    try:
        yield
    finally:
        host.run(f"mv {away}/* {folder}/noarch/ && rmdir {away} && createrepo_c -q {folder}")


def put(host: Hypervisor, path: str, text: str) -> None:
    """Write a file there."""
    with host.shell() as shell:
        folder = path.rpartition("/")[0]
        # Not through the link: /etc/os-release points at Debian's own.
        outcome = shell.run(f"mkdir -p {folder}; rm -f {path}; cat > {path}", stdin=text)
    assert outcome.ok, outcome.tail


def _spec(rpms: list[Rpm]) -> str:
    head = "Name: bed\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n"
    return f"{head}%description\nx\n" + "\n".join(_section(rpm) for rpm in rpms)


def _section(rpm: Rpm) -> str:
    epoch, colon, rest = rpm.version.rpartition(":")
    version, _, release = rest.partition("-")
    lines = [
        f"%package -n {rpm.name}",
        f"Version: {version}\nRelease: {release}\nSummary: x",
        *([f"Epoch: {epoch}"] if colon else []),
        rpm.header,
        f"%description -n {rpm.name}\nx",
        *([f"%post -n {rpm.name} -p <lua>\n{rpm.post}"] if rpm.post else []),
        f"%files -n {rpm.name}\n",
    ]
    return "\n".join(lines)
