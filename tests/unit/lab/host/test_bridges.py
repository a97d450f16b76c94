from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.facts import LinkFact, LinkFacts
from lab.host.bridges import bridge_steps, leave_bridges
from lab.host.nic_ways import WAYS
from lab.host.step import HostStep
from lab.host.steps import steps_for
from lab.plan import plan_lab
from lab.plans import LanPlan
from lab.specs import LanSpec, NetworkSpec
from lab.storage import HOST_DIR
from tests.unit.lab.host.shells import LocalShell
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, plan, role, topology

FILTER = "keep guests from serving DHCP to the LAN"
OF_ETH1 = [
    "use the bridge br-eth1",
    "move eth1 into the bridge br-eth1",
    "keep the bridge br-eth1 over a boot",
]


def steps(*lans: LanPlan) -> tuple[HostStep, ...]:
    network = next(iter(plan().networks))
    return bridge_steps("foo", [replace(network, lan=lan) for lan in lans])


def eth1(manager: str = "networkd", *, dhcp_server: bool = False) -> LanPlan:
    return LanPlan(bridge="br-eth1", nic="eth1", manager=manager, dhcp_server=dhcp_server)


@pytest.mark.parametrize(
    ("lans", "names"),
    [
        pytest.param((), [], id="no bridged network"),
        pytest.param((LanPlan(bridge="br0"),), [FILTER], id="a bridge of the host's own"),
        pytest.param((eth1(),), [FILTER, *OF_ETH1], id="a NIC"),
        pytest.param((eth1(dhcp_server=True),), OF_ETH1, id="guests serve DHCP"),
    ],
)
def test_what_bridged_networks_take(lans: tuple[LanPlan, ...], names: list[str]) -> None:
    assert [step.name for step in steps(*lans)] == names


def test_they_come_after_all_others() -> None:
    links = {"eth1": LinkFact(name="eth1", manager="networkd")}
    facts = replace(FACTS, wires=LinkFacts(links=links, rollback=True))
    lan = NetworkSpec(name="lan", subnet=None, forward="bridge", lan=LanSpec(nic="eth1"))
    wanted = replace(
        topology((*NETWORKS, lan)), roles=(role("tiny", [0], interfaces=("management", "lan")),)
    )
    made = [step.name for step in steps_for(plan_lab(config(), wanted, IMAGE, facts), facts)]
    assert made[-4:] == [FILTER, *OF_ETH1]
    plain = [step.name for step in steps_for(plan(), facts)]
    assert made[:-4] == plain


@pytest.mark.parametrize("manager", sorted(WAYS))
def test_a_move_is_confirmed_and_its_undo_noted(manager: str) -> None:
    _, use, move, keep = steps(eth1(manager))
    assert move.confirm_within_s >= 30
    assert [step.scope for step in (use, move, keep)] == ["prefix", "host", "host"]
    assert use.undo == keep.undo == ()  # that of the move takes both back
    texts = [text for step in (use, move, keep) for text in (*step.commands, step.probe)]
    texts += ["\n".join(move.undo), move.remember, leave_bridges("foo")]
    for text in texts:
        done = subprocess.run(["sh", "-n", "-c", text], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), text


@pytest.mark.parametrize(
    ("users", "stay", "given"),
    [
        pytest.param(["foo"], [], True, id="its only user"),
        pytest.param(["foo", "bar"], ["bar"], False, id="another one stays"),
        pytest.param(["foo", "gone"], [], True, id="another one left long ago"),
        pytest.param(["bar"], ["bar"], False, id="somebody else's"),
    ],
)
def test_who_leaves_last_gives_the_nic_back(
    tmp_path: Path, users: list[str], stay: list[str], given: bool
) -> None:
    host = tmp_path / HOST_DIR.lstrip("/")
    bridge, record = host / "bridges/br-eth1", host / "done/07-move-eth1-into-the-bridge-br-eth1"
    for folder in (bridge, record.parent, host / "prefixes"):
        folder.mkdir(parents=True)
    (host / "prefixes/bar").touch()
    (bridge / ".move").write_text("move-eth1-into-the-bridge-br-eth1\n")
    for user in users:
        (bridge / user).touch()
    record.write_text(f"touch {tmp_path}/given\n")
    assert LocalShell(tmp_path).run(leave_bridges("foo")).ok
    assert (tmp_path / "given").exists() is given is not record.exists()
    assert sorted(path.name for path in bridge.glob("[a-z]*")) == stay


def test_a_nic_that_cannot_be_given_back_is_named(tmp_path: Path) -> None:
    host = tmp_path / HOST_DIR.lstrip("/")
    (host / "bridges/br-eth1").mkdir(parents=True)
    (host / "bridges/br-eth1/.move").write_text("move-it\n")
    (host / "done").mkdir()
    (host / "done/03-move-it").write_text("exit 7\n")
    outcome = LocalShell(tmp_path).run(leave_bridges("foo"))
    assert (outcome.exit_code, outcome.stdout) == (1, "@@metalab undo 03-move-it 7\n")
    assert (host / "done/03-move-it").exists()
