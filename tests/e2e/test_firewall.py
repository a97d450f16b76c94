"""Firewalls that drop what they do not know: named with the commands that let a lab through."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("firewall")]
NFT = """
table inet theirs {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
    icmp type echo-request accept
    tcp dport 22 accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
}
"""
INSTALL = "apt-get -q -y install --no-install-recommends {} >/dev/null"
FENCES = {
    "ufw": (f"{INSTALL.format('ufw')}; ufw allow 22/tcp; ufw --force enable", "ufw disable"),
    "firewalld": (
        f"{INSTALL.format('firewalld')}; systemctl start firewalld; firewall-cmd --add-service=ssh",
        "systemctl disable --now firewalld",
    ),
}
DROPPED = re.compile(r"a firewall \(table .*?`(.*?)`")


@pytest.fixture
def nft(hypervisor: Hypervisor) -> Iterator[None]:
    hypervisor.run(f"nft -f - <<'E'\n{NFT}\nE")
    yield
    hypervisor.run("nft delete table inet theirs")


@pytest.fixture(params=FENCES)
def fence(request: pytest.FixtureRequest, hypervisor: Hypervisor) -> Iterator[str]:
    """What distributions offer, as it comes, with SSH let in."""
    start, stop = FENCES[request.param]
    hypervisor.run(f"apt-get -q update >/dev/null; {start}")
    yield request.param
    hypervisor.run(stop)


@pytest.fixture
def stack(project: Project, hypervisor: Hypervisor) -> Iterator[Stack]:
    made = project.stack("fw", topology_nodes="tiny:1", image_url="tiny", **hypervisor.settings)
    yield made
    made.destroy().ok()
    made.pulumi("stack", "rm", "--yes").ok()


def works(stack: Stack, hypervisor: Hypervisor) -> tuple[bool, bool]:
    """Whether a guest gets its address by DHCP, and reaches what is behind its hypervisor."""
    stack.print_ssh_config()
    gateway = hypervisor.run("ip route show default").split()[2]
    lease = stack.ssh("tiny-0", "udhcpc -i eth1 -n -q -t 3 -T 1 -s /bin/true")
    way = stack.ssh("tiny-0", f"ping -c 1 -W 3 {gateway}")
    return lease.code == 0, way.code == 0


def test_chains_that_drop_are_named_with_what_opens_them(
    nft: None, stack: Stack, hypervisor: Hypervisor
) -> None:
    """Without DHCP no node comes up, so that is refused; without a way out a lab still stands."""
    refused = stack.up().refused().out
    assert "[firewall]" in refused
    assert hypervisor.run("ls /var/lib/metalab 2>/dev/null; :") == ""
    opened(hypervisor, "inet theirs input", refused)
    built = stack.up().ok().out
    assert works(stack, hypervisor) == (True, False)
    opened(hypervisor, "inet theirs forward", built)
    assert works(stack, hypervisor) == (True, True)
    assert DROPPED.findall(stack.unchanged().ok().out) == []


def opened(hypervisor: Hypervisor, chain: str, said: str) -> None:
    """Run what metalab says, word by word."""
    commands = [command for command in dict.fromkeys(DROPPED.findall(said)) if chain in command]
    assert len(commands) == 1, said
    hypervisor.run(commands[0])


def test_firewalls_that_libvirt_knows_let_a_lab_through(
    fence: str, stack: Stack, hypervisor: Hypervisor
) -> None:
    assert DROPPED.findall(stack.up().ok().out) == []
    assert works(stack, hypervisor) == (True, True)
