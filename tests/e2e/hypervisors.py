"""Hypervisors of the tests: containers by tools/hypervisor, reached over SSH like any other."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lab.config import SSH_PORT, HypervisorSpec
from lab.host.distributions import DEBIAN
from lab.host.facts import read_facts
from lab.host.packages import packages_installed
from lab.host.runner import converge
from lab.host.shell import Gateway, connect
from lab.host.steps import plan_steps

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "hypervisor"
SUITE = "bookworm"

SUDOER = "ops"
MAKE_SUDOER = f"""
command -v sudo >/dev/null || {{ apt-get -q update && apt-get -q -y install sudo; }} >/dev/null
id {SUDOER} >/dev/null 2>&1 || useradd -m -s /bin/bash {SUDOER}
echo '{SUDOER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{SUDOER}
install -d -o {SUDOER} -g {SUDOER} -m 700 /home/{SUDOER}/.ssh
install -o {SUDOER} -g {SUDOER} -m 600 /root/.ssh/authorized_keys /home/{SUDOER}/.ssh/
"""

_DOOR = "/etc/ssh/sshd_config.d/10-full.conf"
# What an environment may leave or take: everything that people would call a trace of it.
INVENTORY = r"""
for kind in list net-list pool-list; do
  virsh $kind --all --name 2>/dev/null | grep . | sort | sed "s/^/$kind /"
done
ip -o link | cut -d: -f2 | cut -d@ -f1 | sort | sed 's/^/link/'
ps -eo comm= | grep -E 'qemu-system|dnsmasq' | sort | sed 's/^/process /'
find /var/lib/metalab /var/lib/libvirt /var/log/libvirt /etc/libvirt /root/.ssh 2>/dev/null | sort
find /tmp /var/tmp -name '*metalab*' | sort
sort /root/.ssh/authorized_keys | sed 's/^/key /'
"""


@dataclass(frozen=True)
class Hypervisor:
    """A running one."""

    name: str
    spec: HypervisorSpec

    @property
    def settings(self) -> dict[str, str]:
        """What a stack file says of it."""
        return {
            "host_address": self.spec.address,
            "host_user": self.spec.user,
            "host_key": self.spec.key,
            "host_known_hosts": self.spec.known_hosts,
        }

    def shell(self) -> AbstractContextManager[Gateway]:
        """A connection, as the program makes it."""
        return connect(self.spec)

    def run(self, command: str) -> str:
        """What a command prints there; it must succeed."""
        return _tool("ssh", self.name, command)

    def make_sudoer(self) -> Hypervisor:
        """Let SUDOER in as root is, with sudo that asks for no password; the same host by it."""
        self.run(MAKE_SUDOER)
        return replace(self, spec=replace(self.spec, user=SUDOER))

    def inventory(self) -> list[str]:
        """What is there, in lines to compare."""
        return self.run(INVENTORY).splitlines()


@contextmanager
def hypervisor(name: str, layer: str = "", suite: str = SUITE) -> Iterator[Hypervisor]:
    """A fresh hypervisor, gone afterwards."""
    _tool("down", name)
    words = ["--suite", suite, *(["--layer", layer] if layer else [])]
    address = _tool("up", name, *words).split()[-1]
    folder = cache() / "hypervisors" / name
    spec = HypervisorSpec(
        address=address,
        key=str(folder / "id_ed25519"),
        known_hosts=str(folder / "known_hosts"),
    )
    try:
        yield Hypervisor(name, spec)
    finally:
        _tool("down", name)


@contextmanager
def full_door(host: Hypervisor, seconds: float) -> Iterator[None]:
    """For a while sshd drops whoever comes: somebody has not logged in yet, and one is the most."""
    reload = "kill -HUP $(cat /run/sshd.pid) && sleep 0.5"
    host.run(f"echo MaxStartups 1:100:1 > {_DOOR} && {reload}")
    with socket.create_connection((host.spec.address, SSH_PORT)) as first:
        first.recv(1)  # sshd has said something, so it counts
        leaves = threading.Timer(seconds, first.shutdown, [socket.SHUT_RDWR])
        leaves.start()
        try:
            yield
        finally:
            leaves.join()
            host.run(f"rm {_DOOR} && {reload}")


def packaged_layer(worker: str, suite: str = SUITE) -> str:
    """A layer with the packages installed by metalab's own step; made once for each list."""
    names = packages_installed(DEBIAN, tools=False)
    layer = f"packages-{hashlib.sha256(names.encode()).hexdigest()[:8]}"
    if _known(layer, suite):
        return layer
    with hypervisor(f"mk{worker}", suite=suite) as maker:
        facts = read_facts(maker.spec)
        steps = plan_steps(facts, prefix="layer", virt_type="qemu")
        packages = [step for step in steps if "packages" in step.name]
        with maker.shell() as shell:
            result = converge(packages, shell, prefix="layer", progress=print)
        assert not result.failure, result.failure
        maker.run("apt-get clean; rm -rf /var/lib/metalab")
        _tool("layer", layer, "--suite", suite, "--from", maker.name)
    return layer


def layered(name: str, recipe: str, command: str) -> str:
    """A layer of what `command` makes of a fresh hypervisor; made once for each recipe."""
    layer = f"test-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"
    if not _known(layer, SUITE):
        with hypervisor(name) as maker:
            maker.run(f"{command}; apt-get clean")
            _tool("layer", layer, "--from", maker.name)
    return layer


def release(host: Hypervisor) -> None:
    """Once a step waits there for somebody's lock, make the file that this one waits for."""
    # What else would sleep a second on such a host?
    host.run("until pgrep -fx 'sleep 1'; do sleep 0.2; done; touch /run/go")


def cache() -> Path:
    """Where tools/hypervisor keeps things."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("METALAB_CACHE") or Path(home) / "metalab")


def _known(layer: str, suite: str) -> bool:
    words = [TOOL, "layer", layer, "--suite", suite]
    done = subprocess.run(words, capture_output=True, check=False)
    return done.returncode == 0


def _tool(*words: str) -> str:
    done = subprocess.run([TOOL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"tools/hypervisor {' '.join(words)}: {done.stderr}{done.stdout}"
    return done.stdout
