"""What ships, planned: every role on every layout that takes it, in one short text a layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.plan import plan_lab
from lab.plans import LabPlan, NetworkPlan, NicPlan
from lab.shelf import shelf
from lab.topology import catalogue, load_topology
from tests.golden import check_golden
from tests.unit.lab.samples import IMAGE, WITH_NICS, config

GOLDEN = Path(__file__).parent / "golden"
LAYOUTS = {name: judged.layout for name, judged in shelf("networks").items()}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_what_a_layout_makes_of_every_role(layout: str) -> None:
    """Node 0 of each role, alone in its lab. SSH takes the NIC with the star."""
    groups: dict[str, list[str]] = {}
    for file in takes(layout):
        lab = planned(layout, file)
        (node,) = lab.nodes.values()
        nics = ", ".join(nic(each, node.access) for each in node.nics)
        groups.setdefault(nics, []).append(file)
    networks = [network(each) for each in lab.networks]
    roles = [f"{', '.join(files)}:\n    {nics}" for nics, files in short(groups).items()]
    check_golden(GOLDEN / f"{layout}.txt", "\n".join([*networks, "", *roles]) + "\n")


def takes(layout: str) -> list[str]:
    """The roles that have NICs there, by the names of their files."""
    known = LAYOUTS[layout]
    assert known
    roles = {file: judged.role for file, judged in shelf("nodes").items()}
    return [file for file, role in roles.items() if role and known.has_nics_of(role.role)]


def planned(layout: str, file: str) -> LabPlan:
    wanted = config(network=layout, nodes={file: 1}, memory_overcommit=True)
    return plan_lab(wanted, load_topology(wanted), IMAGE, WITH_NICS)


def network(plan: NetworkPlan) -> str:
    if plan.lan:
        return f"{plan.network}: on {plan.bridge}"
    if not plan.subnet:
        return f"{plan.network}: frames alone"
    words = [plan.subnet, plan.forward]
    if plan.dhcp:
        given = [address for _mac, address in plan.reservations]
        words.append(f"dhcp {given[0]} to {given[-1]}")
    if plan.pool:
        words.append(f"others {plan.pool[0]} to {plan.pool[1]}")
    return f"{plan.network}: {', '.join(words)}"


def nic(plan: NicPlan, access: str) -> str:
    how = "dhcp" if plan.dhcp else "static"
    address = f"{plan.address} {how}" if plan.address else "the LAN" if plan.bridge else "frames"
    return f"{plan.slot}{'*' if plan.slot == access else ''} {address}"


def short(groups: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Most roles have the NICs of `default`: one more of them is no news of a layout."""
    most = max(groups, key=lambda nics: len(groups[nics]))
    named = {nics: files for nics, files in groups.items() if nics != most or len(files) <= 3}
    return named if most in named else {**named, most: ["every other role"]}


def test_the_golden_files_are_of_what_ships() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == catalogue("networks").keys()
