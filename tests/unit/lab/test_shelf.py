from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab.shelf import judge, judge_all, shelf
from lab.topology import CATALOGUE
from lab.views.shelf import table_of, verdicts

NODE = "cpu: 1\nmemory: 128\ndisks: [1G]\n"
LAYOUT = "networks: {a: {}}\nnodes: {default: {interfaces: [a], external_network: a}}\n"


def test_the_shelf_has_everything_and_nothing_is_wrong_with_it() -> None:
    for kind in ("nodes", "networks"):
        found = shelf(kind)
        assert found.keys() == {path.stem for path in (CATALOGUE / kind).glob("*.yaml")}
        said = [each for judged in found.values() for each in (*judged.problems, *judged.notes)]
        assert said == []


def test_your_own_files_are_on_it(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes/mine.yaml").write_text(NODE)
    role = shelf("nodes", tmp_path)["mine"].role
    assert role
    assert role.vcpus == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(NODE, "", id="a role"),
        pytest.param(
            f"{NODE}interfaces: [x, y, x]\nexternal_network: y\n", "", id="on any networks"
        ),
        pytest.param(f"{NODE}interfaces: x, y\nexternal_network: y\n", "", id="in one text"),
        pytest.param(
            f"{NODE}interfaces: [x]\nexternal_network: y\n", "got 'y', expected one of x", id="SSH"
        ),
        pytest.param("cpu: lots\nmemory: 1\n", "cpu: got 'lots'", id="a bad role"),
        pytest.param(LAYOUT, "external_network: got 'a'", id="a layout without addresses"),
        pytest.param("networks: 3\n", "at least one network", id="a bad layout"),
        pytest.param("- a\n", "got list, expected a mapping", id="no mapping"),
        pytest.param("a: !!python/name:os.system x\n", "no tag", id="a tag"),
    ],
)
def test_a_file_is_judged_by_itself(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    judged = judge(file, "x.yaml")
    assert bool(judged.problems) is bool(says)
    assert says in "\n".join(map(str, judged.problems))


def test_a_network_that_no_role_is_on_is_worth_a_note(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(LAYOUT.replace("{a: {}}", "{a: {cidr: 192.0.2.0/24}, b: {}}"))
    said = verdicts([judge(file, "x.yaml")])
    assert said == "x.yaml: ok with notes\n    networks.b: no role of this file is on it\n"


@pytest.mark.parametrize("name", ["mine.yml", "UP.yaml", "a b.yaml"])
def test_a_role_that_no_stack_can_name_is_no_role(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text(f"name: up\n{NODE}")
    assert [problem.rule for problem in judge(file, name).problems] == ["role"]


def test_nothing_that_nobody_wrote_is_listed(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes/bad.yaml").write_text("cpu: many\n")
    (tmp_path / "nodes/worse.yaml").write_text("\t- x\n")
    said = table_of(shelf("nodes", tmp_path), {})
    rows = [line for line in said.splitlines() if "unfit" in line]
    assert [row.split()[0] for row in rows] == ["bad", "worse"]


def test_files_and_directories_are_judged_in_order(tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    for name, text in {"d/b.yaml": NODE, "d/e/a.yaml": "cpu: 1\n", "d/readme.md": "x"}.items():
        (tmp_path / name).write_text(text)
    said = verdicts(judge_all([tmp_path / "d", tmp_path / "gone.yaml"]))
    lines = [line.removeprefix(f"{tmp_path}/") for line in said.splitlines()]
    assert [line for line in lines if not line.startswith(" ")] == [
        "d/b.yaml: ok",
        "d/e/a.yaml: error",
        "gone.yaml: error",
    ]
    assert "memory: got nothing" in said


def test_a_hundred_files_take_no_time(tmp_path: Path) -> None:
    """Half a second is promised; ten times that is a defect on any machine."""
    for number in range(100):
        (tmp_path / f"r{number}.yaml").write_text(NODE)
    begun = time.monotonic()
    assert len(judge_all([tmp_path])) == 100
    assert time.monotonic() - begun < 5


def test_the_tables_say_what_people_look_for() -> None:
    said = table_of(shelf("nodes"), shelf("networks"))
    rows = {line.split()[0]: line for line in said.splitlines() if line}
    assert "ceph-0" in rows["cephext"]
    assert "46 GiB + 5 x 47 GiB" in rows["ceph"]
    assert "none" in rows["diskless"]
    assert "512 MiB" in rows["debian"]
    assert "storage (frames alone)" in rows["5_nets"]
    assert "data (192.168.24.0/24 nat dhcp)" in rows["split_nets"]
