from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host.orphans import LEASED_NODES, remove_orphan, sweep
from lab.host.session import Outcome
from lab.lease import HeldNode, Lease
from lab.naming import bridge
from lab.plans import OnHost
from tests.unit.lab.host.shells import ScriptedShell

DOMAIN = OnHost(kind="domain", name="foo-tiny-0", uuid="u")
NETWORK = OnHost(kind="network", name="foo-data", bridge="foo-data")
POOL = OnHost(kind="pool", name="metalab.foo")
SEED = OnHost(kind="seed", name="foo-tiny-0-seed.iso", pool="metalab.foo")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(DOMAIN, ["domuuid", "foo-tiny-0"], id="a domain is switched off"),
        pytest.param(
            NETWORK,
            ["net-undefine foo-data", "forget_bridge foo-data foo-data"],
            id="a network is undefined",
        ),
        pytest.param(POOL, ["pool-undefine metalab.foo"], id="a pool is undefined"),
        pytest.param(SEED, ["vol-delete foo-tiny-0-seed.iso --pool metalab.foo"], id="a seed goes"),
    ],
)
def test_what_is_sent(found: OnHost, words: list[str]) -> None:
    shell = ScriptedShell([Outcome(0), Outcome(0)])
    remove_orphan(shell, found)
    assert [word for word in words if word not in shell.sent[0]] == []


def test_files_of_a_pool_stay() -> None:
    """The provider adopts a volume that is there: its data survives."""
    shell = ScriptedShell([Outcome(0)])
    remove_orphan(shell, POOL)
    assert "pool-delete" not in shell.sent[0]
    assert "rm " not in shell.sent[0]


@pytest.mark.parametrize("found", [DOMAIN, NETWORK])
def test_one_that_stays_is_said(found: OnHost) -> None:
    shell = ScriptedShell([Outcome(1, "", "error: it is busy")])
    with pytest.raises(LabError, match=r"it is busy.*\[orphan\]"):
        remove_orphan(shell, found)


def test_a_sweep_asks_whose_each_object_is() -> None:
    """`foo` and `foo-compute` both have objects whose names begin with `foo-`."""
    shell = ScriptedShell([Outcome(0), Outcome(0)])
    sweep(shell, "foo")
    script = shell.sent[1]
    subprocess.run(["sh", "-n", "-c", script], check=True)  # it is shell, whatever is quoted in it
    assert script.count("| ours || continue") == 2
    assert 'prefix="foo"' in script
    assert "rm -rf /var/lib/libvirt/images/metalab/prefixes/foo" in script


def test_a_sweep_that_leaves_something_is_said() -> None:
    shell = ScriptedShell([Outcome(0), Outcome(1, "", "error: it is busy")])
    with pytest.raises(LabError, match=r"it is busy.*\[orphan\]"):
        sweep(shell, "foo")


def test_a_sweep_forgets_bridges_by_what_the_lease_knows() -> None:
    """Of frames alone no subnet tells, but the NICs there do; a long name is a stem and a hash."""
    held = HeldNode(numbers={"wire.2": 2, "data": 2}, disks_gib={})
    subnets = {"data": "10.1.0.0/24", "a-name-to-cut": "10.2.0.0/24"}
    lease = Lease(prefix="foo", virt_type="qemu", subnets=subnets, nodes={"a-0": held})
    shell = ScriptedShell([Outcome(0, lease.to_json()), Outcome(0)])
    sweep(shell, "foo")
    asked = [line.split()[1:] for line in shell.sent[1].splitlines() if line.startswith("forget")]
    asked = [words for words in asked if words[0] != "{"]
    assert ["foo-data", "foo-data"] in asked
    assert ["foo-wire", "foo-wire"] in asked
    assert ["foo-a-name-to-cut", bridge("foo", "a-name-to-cut")] in asked
    assert len(asked) == 3


def test_the_nodes_of_a_lease_are_read_off_its_file(tmp_path: Path) -> None:
    """The plugin removes a domain that it knows, and not its console's log."""
    held = HeldNode(numbers={"data": 2, "management": 2}, disks_gib={"vda": 1})
    lease = Lease(
        prefix="foo",
        virt_type="qemu",
        subnets={"data": "10.1.0.0/24"},
        nodes={"tiny-0": held, "big-node-11": held},
        leaving={"gone-1": {"data": 3}},
    )
    file = tmp_path / "foo.json"
    file.write_text(lease.to_json())
    said = subprocess.run(
        ["sh", "-c", f"{LEASED_NODES} {file}"], capture_output=True, text=True, check=True
    )
    assert sorted(said.stdout.split()) == ["big-node-11", "gone-1", "tiny-0"]
