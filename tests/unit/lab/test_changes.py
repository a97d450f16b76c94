"""Edits, told apart field by field: from the words of files to the lines of a preview."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lab.changes import changes, shape_of
from lab.config import parse_config
from lab.errors import LabError
from lab.facts import Ipv6Facts, LinkFact
from lab.fields import LAYOUT, NEW_NODES, REFUSED, ROLE, STACK
from lab.plan import plan_lab
from lab.plans import LabPlan
from lab.rules import check_plan
from lab.topology import load_topology
from lab.views.changes import changes as told
from tests.edits import BASE, EDITS, ELSEWHERE, Edit, Files, made
from tests.unit.lab.samples import FACTS, IMAGE, WIRES

BRIDGES = {name: LinkFact(name=name, bridge=True) for name in ("br8", "br9")}
HOST = replace(
    FACTS,
    wires=replace(WIRES, links={**WIRES.links, **BRIDGES}),
    ipv6=Ipv6Facts(usable=True),
)
ROOT = Path(__file__).parents[3]


def planned(folder: Path, files: Files, before: LabPlan | None = None) -> LabPlan:
    """A plan of such files, on a host that has the lease of what was there before."""
    for kind, names in (("nodes", ("box", "sys")), ("networks", ("edits",))):
        (folder / kind).mkdir(exist_ok=True)
        for name in names:
            text = yaml.safe_dump(files["layout" if name == "edits" else name])
            (folder / kind / f"{name}.yaml").write_text(text)
    config = parse_config(files["stack"], "foo")
    leases = {"foo": before.lease} if before else {}
    topology = load_topology(config, folder)
    return plan_lab(config, topology, IMAGE, replace(HOST, leases=leases))


@pytest.fixture
def base(tmp_path: Path) -> LabPlan:
    return planned(tmp_path, BASE)


def lines(was: LabPlan, now: LabPlan) -> str:
    """Unfolded: where a line ends is not the matter here."""
    return "\n".join(told(changes(shape_of(was), shape_of(now)))).replace("\n    ", " ")


EDITED = [edit for edit in EDITS if edit.round != "refused"]


@pytest.mark.parametrize("edit", EDITED, ids=str)
def test_an_edit_is_told(edit: Edit, base: LabPlan, tmp_path: Path) -> None:
    said = lines(base, planned(tmp_path, made(BASE, edit), base))
    if edit.said:
        assert edit.said in said
    else:
        assert said == ""
    assert "geheim" not in said


@pytest.mark.parametrize("edit", [e for e in EDITS if e.round == "refused"], ids=str)
def test_what_is_refused_is_refused(edit: Edit, base: LabPlan, tmp_path: Path) -> None:
    if edit.field == "host-address":
        pytest.skip("the state knows where it was: tests/unit/components/test_host_provider.py")
    facts = replace(HOST, leases={"foo": base.lease})
    try:
        problems = check_plan(planned(tmp_path, made(BASE, edit), base), facts)
    except LabError as error:
        problems = error.problems
    assert edit.said in "\n".join(map(str, problems))


def test_a_shape_has_no_order(base: LabPlan, tmp_path: Path) -> None:
    files = made(BASE, *(edit for edit in EDITS if edit.round == "live"))
    was, now = shape_of(base), shape_of(planned(tmp_path, files, base))
    backwards = [dict(reversed(shape.items())) for shape in (was, now)]
    assert changes(*backwards) == changes(was, now)  # as Pulumi's messages keep none


def test_nothing_is_said_of_nothing(base: LabPlan, tmp_path: Path) -> None:
    assert lines(base, planned(tmp_path, BASE, base)) == ""


def test_what_comes_and_goes(base: LabPlan, tmp_path: Path) -> None:
    stack = {**BASE["stack"], "topology-nodes": "box:4", "remove-nodes": "box-0"}
    said = lines(base, planned(tmp_path, {**BASE, "stack": stack}, base))
    assert said == "box-0, sys-0: removed, with its disks\nbox-2, box-3: new"


def test_a_password_is_told_without_its_words(base: LabPlan, tmp_path: Path) -> None:
    stacks = [{**BASE["stack"], "vnc-password": word} for word in ("geheim11", "geheim12")]
    one, other = (planned(tmp_path, {**BASE, "stack": stack}, base) for stack in stacks)
    assert lines(one, other) == "the stack: vnc-password one → another: restart"
    assert lines(one, base) == "the stack: vnc-password one → none: restart"


def test_a_network_made_anew_names_who_restarts(base: LabPlan, tmp_path: Path) -> None:
    files = made(BASE, next(edit for edit in EDITS if edit.field == "mtu"))
    said = lines(base, planned(tmp_path, files, base))
    assert said == "network data: mtu none → 1400: replace; box-0, box-1 restart"


def test_every_field_is_edited_or_seen_elsewhere() -> None:
    fields = {field.name for field in (*STACK, *ROLE, *LAYOUT)}
    edited = {edit.field for edit in EDITS}
    assert sorted(edited | ELSEWHERE.keys()) == sorted(fields)
    assert edited & ELSEWHERE.keys() == set()
    missing = [test for test in ELSEWHERE.values() if not (ROOT / test.split("::")[0]).exists()]
    assert missing == []


def test_each_class_is_told_by_its_word() -> None:
    words = {field.name: field.effect for field in (*STACK, *ROLE, *LAYOUT)}
    for edit in EDITS:
        effect = words.get(edit.field, "")
        if edit.said.endswith(("live", "restart", "replace; ")):
            assert edit.said.removesuffix("; ").endswith(effect), edit
        if edit.round == "refused":
            assert effect == REFUSED, edit
        if not edit.said and edit.field:
            assert effect == NEW_NODES, edit
