"""A LAN on the other side of a hypervisor's NIC: a DHCP server, and who else offers addresses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.hypervisors import Hypervisor, cache

NETWORK = "10.99.0"
# A client of DHCP that takes nothing: it asks, and prints who offers within five seconds.
ASK = """
import os, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
s.bind(("", 68))
s.settimeout(0.5)
ask = struct.pack("!4BIHH16x6s10x192xI", 1, 1, 6, 0, 7, 0, 0x8000, b"\\x52LAN\\0\\1", 0x63825363)
end, seen = time.time() + 5, set()
while time.time() < end:
    s.sendto(ask + b"\\x35\\1\\1\\xff", ("255.255.255.255", 67))
    try:
        answer = s.recv(1500)
    except TimeoutError:
        continue
    options = answer[240:]
    while options and options[0] != 255:
        if options[0] == 54:
            seen.add(socket.inet_ntoa(options[2:6]))
        options = options[2 + options[1] :] if options[0] else options[1:]
print(*sorted(seen))
"""


@dataclass(frozen=True)
class Lan:
    """The machine's end of a NIC, with a DHCP server at its first address."""

    link: str
    network: str  # of /24: "10.99.0"
    space: str  # the network namespace it is in; empty: the machine's own
    leases: Path

    def run(self, *words: str) -> str:
        """What a command prints that runs there; it must succeed."""
        command = [*self._enter, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def offers(self) -> set[str]:
        """Who offers addresses there."""
        return set(self.run(sys.executable, "-c", ASK, self.link).split())

    def leased(self, mac: str) -> str:
        """The address that the server gave to a MAC; empty: none."""
        lines = (line.split() for line in self.leases.read_text().splitlines())
        return next((line[2] for line in lines if line[1] == mac), "")

    @property
    def _enter(self) -> list[str]:
        return ["ip", "netns", "exec", self.space] if self.space else []


@contextmanager
def beside(host: Hypervisor) -> Generator[Lan]:
    """A LAN of its own on eth1; away from the machine's network, as the host's is."""
    link, space = f"ml{host.name}b", f"ml{host.name}"
    _ip("netns", "add", space)
    _ip("link", "set", link, "netns", space)
    try:
        for words in (
            ("addr", "add", f"{NETWORK}.1/24", "dev", link),
            ("link", "set", link, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", space, *words)
        with _served(Lan(link, NETWORK, space, _root(host) / "run/lan-leases")) as lan:
            yield lan
    finally:
        _ip("-n", space, "link", "set", link, "netns", "1")
        _ip("netns", "delete", space)


@contextmanager
def around(host: Hypervisor) -> Generator[Lan]:
    """The LAN of eth0: what is between the machine and the host, with a DHCP server there."""
    network = host.spec.address.rpartition(".")[0]
    with _served(Lan(f"ml{host.name}a", network, "", _root(host) / "run/main-leases")) as lan:
        yield lan


@contextmanager
def _served(lan: Lan) -> Generator[Lan]:
    """With the host's own dnsmasq, which runs outside of it."""
    root = lan.leases.parents[1]
    lan.leases.write_text("")
    words = (
        "--conf-file= --keep-in-foreground --user=root --port=0 --log-facility=- "
        f"--interface={lan.link} --except-interface=lo --bind-interfaces --no-ping "
        f"--dhcp-authoritative --dhcp-range={lan.network}.50,{lan.network}.99,1h "
        f"--dhcp-leasefile=/run/{lan.leases.name} --pid-file="
    ).split()
    enter = ["ip", "netns", "exec", lan.space] if lan.space else []
    command = [*enter, "chroot", str(root), "/usr/sbin/dnsmasq", *words]
    with (root / f"run/{lan.leases.name}.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield lan
    finally:
        server.terminate()
        server.wait()


def _root(host: Hypervisor) -> Path:
    return cache() / "hypervisors" / host.name / "root"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
