"""The engine's pins: version ranges, the hash that names a build, lock files that agree."""

import re
from pathlib import Path

import pytest

from tools.engine.pins import (
    GO_VERSION,
    PARTS,
    PROJECT_FILE,
    SOURCES,
    lock_hash,
    required_version,
    satisfies,
    without_ours,
)

RANGE = ">=3.238.0 <4.0.0"


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        pytest.param("v3.259.0\n", RANGE, True, id="as `pulumi version` prints it"),
        pytest.param("3.238.0", RANGE, True, id="the lower bound is in"),
        pytest.param("3.237.9", RANGE, False, id="just below"),
        pytest.param("3.99.0", RANGE, False, id="numbers, not text: 99 is less than 238"),
        pytest.param("4.0.0", RANGE, False, id="the upper bound is out"),
        pytest.param("v3.260.0-alpha.x123", RANGE, True, id="a pre-release is its release"),
        pytest.param("", RANGE, False, id="a CLI that says nothing"),
        pytest.param("pulumi: not a version", RANGE, False, id="a CLI that says something else"),
        pytest.param("3.0.0", "3.0.0", True, id="a bare version"),
        pytest.param("3.0.1", "=3.0.0", False, id="exactly"),
        pytest.param("3.0.1", ">3.0.0 <=3.0.1", True, id="other operators"),
    ],
)
def test_satisfies_reads_the_range_as_the_engine_does(
    version: str, wanted: str, expected: bool
) -> None:
    assert satisfies(version, wanted) is expected


@pytest.mark.parametrize("wanted", ["^3.2.0", ">=3 <4", ">=3.1.0 || <2.0.0"])
def test_a_range_that_is_not_understood_is_an_error_and_not_a_yes(wanted: str) -> None:
    with pytest.raises(ValueError, match="requiredPulumiVersion"):
        satisfies("3.259.0", wanted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name: x\nrequiredPulumiVersion: ">=3.1.0 <4.0.0"  # why\n', ">=3.1.0 <4.0.0"),
        ("requiredPulumiVersion: 3.1.0\n", "3.1.0"),
        ("name: x\n# requiredPulumiVersion: 3.1.0\n", ">=0.0.0"),
    ],
)
def test_required_version_is_read_from_the_project_file(text: str, expected: str) -> None:
    assert required_version(text) == expected


def test_the_pinned_cli_satisfies_our_own_project_file() -> None:
    cli = next(part for part in PARTS if part.module == "cli")
    wanted = required_version(PROJECT_FILE.read_text(encoding="utf-8"))
    assert satisfies(cli.title.split()[-1], wanted)


def test_path_loses_what_lies_in_our_cache_and_nothing_else() -> None:
    path = "/c/metalab/toolchain-1/bin:/usr/bin:/c/metalab/uv-1/bin:/c/metalab-else/bin"
    assert without_ours(path, Path("/c/metalab")) == "/usr/bin:/c/metalab-else/bin"


def engine(folder: Path, **changed: str) -> Path:
    files = {part.module: "module x" for part in PARTS} | changed
    for module, content in files.items():
        (folder / module).mkdir(parents=True)
        (folder / module / "go.sum").write_text(content)
    return folder


def test_the_hash_follows_every_part_and_only_the_parts(tmp_path: Path) -> None:
    before = lock_hash(engine(tmp_path / "a"))
    (tmp_path / "a" / "README").write_text("not built")
    assert lock_hash(tmp_path / "a") == before == lock_hash(engine(tmp_path / "b"))
    others = {
        lock_hash(engine(tmp_path / part.module, **{part.module: "module y"})) for part in PARTS
    }
    assert len(others | {before}) == len(PARTS) + 1


def test_a_renamed_file_changes_the_hash(tmp_path: Path) -> None:
    before = lock_hash(engine(tmp_path / "a"))
    (tmp_path / "a" / "cli" / "go.sum").rename(tmp_path / "a" / "cli" / "go.mod")
    assert lock_hash(tmp_path / "a") != before


@pytest.mark.parametrize("part", [part.module for part in PARTS])
def test_every_module_asks_for_the_go_that_we_would_fetch(part: str) -> None:
    text = (SOURCES / part / "go.mod").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^go (.*)$", text) == [GO_VERSION]


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (
            "language",
            "github.com/pulumi/pulumi/sdk/python/cmd/pulumi-language-python/v3 "
            "v3.0.0-20250806165243-bee5e4fa4815 h1:bkvtySMos0ij3fWZWZaU5sVrvGvU0dZCusoxpgEtX6I=",
        ),
        (
            "language",
            "github.com/pulumi/pulumi/pkg/v3 v3.188.0 "
            "h1:GkpGmQVw3miDYFnn0HYuXNs9JqIIvJMgcyhuC6cZyuA=",
        ),
        (
            "language",
            "github.com/pulumi/pulumi/sdk/v3 v3.188.0 "
            "h1:rk6TGq6xyHtd1DhQ1R3uCeoPt3gGXIOciOYPo/T6WcU=",
        ),
        (
            "plugin",
            "github.com/dmacvicar/terraform-provider-libvirt v0.8.1 "
            "h1:ApYOkagwFTNP6eOuMxOX0x/zyTkhOItS9e1a+F33XQA=",
        ),
    ],
)
def test_go_sum_holds_the_sources_that_were_compared_with_their_repositories(
    part: str, line: str
) -> None:
    """Some of these versions are in no public checksum database: go.sum is all that vouches."""
    assert line in (SOURCES / part / "go.sum").read_text(encoding="utf-8").splitlines()
