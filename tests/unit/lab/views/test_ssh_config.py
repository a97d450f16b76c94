from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.facts import LinkFact, LinkFacts
from lab.plan import plan_lab
from lab.plans import LabPlan
from lab.specs import LanSpec, NetworkSpec, Topology
from lab.views.ssh_config import known_hosts, ssh_config
from lab.views.summary import nodes
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, plan, role, topology

JUMP = (
    "ssh -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no"
    " -i ~/.local/state/metalab/foo/id_ed25519 -W [%h]:%p -- lab42"
)
TEXT = f"""\
Host tiny-0 foo-tiny-0
  HostName 172.16.0.3
  HostKeyAlias foo-tiny-0

Host tiny-0 foo-tiny-0
  User root
  ProxyCommand {JUMP}
  IdentityFile ~/.local/state/metalab/foo/id_ed25519
  UserKnownHostsFile ~/.local/state/metalab/foo/known_hosts
  IdentitiesOnly yes
  StrictHostKeyChecking yes
"""


def test_the_whole_file() -> None:
    """The blank node is not in it: nobody answers there."""
    assert ssh_config(plan(tiny=[0], compute=[0])) == TEXT


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            HypervisorSpec(address="rack"), " -W [%h]:%p -- rack\n", id="all is for ~/.ssh/config"
        ),
        pytest.param(
            HypervisorSpec(address="fd00::1", port=2222, user="ops"),
            " -p 2222 -l ops -W [%h]:%p -- fd00::1\n",
            id="the stack's settings win",
        ),
        pytest.param(
            HypervisorSpec(address="fe80::1%eth0"), " -- fe80::1%%eth0\n", id="no token of ssh's"
        ),
        pytest.param(
            HypervisorSpec(address="lab42", known_hosts="$METALAB_CACHE/known hosts"),
            " -o UserKnownHostsFile=${METALAB_CACHE}/known\\ hosts -i ",
            id="a variable and a blank",
        ),
        pytest.param(
            HypervisorSpec(address="lab42", known_hosts="${CACHE}/a;reboot"),
            " -o UserKnownHostsFile=${CACHE}/a\\;reboot -i ",
            id="nothing for the shell",
        ),
    ],
)
def test_the_hypervisor_is_reached_as_ssh_reaches_it(spec: HypervisorSpec, words: str) -> None:
    made = plan_lab(config(hypervisor=spec), topology(tiny=[0]), IMAGE, FACTS)
    assert words in ssh_config(made)


def on_lan() -> LabPlan:
    """One node that the LAN gives its address, and one of the usual kind."""
    lan = NetworkSpec(name="lan", subnet=None, forward="bridge", lan=LanSpec(bridge="br0"))
    roles = (role("near", [0], interfaces=("lan",), access="lan"), role("tiny", [0]))
    wires = LinkFacts(links={"br0": LinkFact(name="br0", bridge=True)})
    wanted = Topology(networks=(*NETWORKS, lan), roles=roles)
    return plan_lab(config(), wanted, IMAGE, replace(FACTS, wires=wires))


def test_nodes_of_a_lan_are_reached_straight_on_once_they_were_found() -> None:
    assert "near-0" not in ssh_config(on_lan())
    found = {"foo-near-0": "192.0.2.7"}
    text = ssh_config(on_lan(), found)
    assert "Host near-0 foo-near-0\n  HostName 192.0.2.7\n" in text
    through, direct = text.split("  User root\n")[1:]
    assert "ProxyCommand" in through
    assert "ProxyCommand" not in direct
    assert "StrictHostKeyChecking yes" in direct
    assert nodes(on_lan(), found)["near-0"]["addresses"] == {"lan": "192.0.2.7"}
    assert nodes(on_lan())["near-0"]["addresses"] == {}


def test_without_a_system_there_is_nothing_to_reach() -> None:
    assert ssh_config(plan(compute=[0])) == ""


@pytest.mark.skipif(not shutil.which("ssh"), reason="OpenSSH's client is not installed")
@pytest.mark.parametrize("alias", ["tiny-0", "foo-tiny-0"])
def test_openssh_reads_it(tmp_path: Path, alias: str) -> None:
    path = tmp_path / "config"
    path.write_text(ssh_config(plan()))
    command = ["ssh", "-F", str(path), "-G", alias]
    shown = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "hostname 172.16.0.2\n" in shown
    assert f"proxycommand {JUMP}\n" in shown
    assert "stricthostkeychecking true\n" in shown
    assert "hostkeyalias foo-tiny-0\n" in shown


def test_known_hosts() -> None:
    text = known_hosts(plan(), {"tiny-1": "ssh-ed25519 B", "tiny-0": "ssh-ed25519 A"})
    assert text == "foo-tiny-0 ssh-ed25519 A\nfoo-tiny-1 ssh-ed25519 B\n"
