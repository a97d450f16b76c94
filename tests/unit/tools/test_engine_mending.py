"""Dependencies that are built otherwise: copies, a go.mod that takes them, and no guess."""

from itertools import groupby
from pathlib import Path

import pytest

from tools.demo.shell import ToolError
from tools.engine.mending import mended_modfile
from tools.engine.mends import Mend
from tools.engine.pins import PARTS, SOURCES, Part

STREAMS = "package x\n\nfunc f() {\n\tc := make(chan int)\n}\n"


def mended(folder: Path, *mends: Mend, code: str = STREAMS) -> Path:
    source, cached, copies = (folder / name for name in ("source", "cached", "copies"))
    for made in (source, cached / "inner", copies):
        made.mkdir(parents=True)
    (source / "go.mod").write_text("module y\n")
    (source / "go.sum").write_text("x v1 h1:=\n")
    (cached / "inner" / "f.go").write_text(code)
    for read_only in (cached / "inner" / "f.go", cached / "inner", cached):
        read_only.chmod(0o555)

    def go(words: list[str]) -> str:
        assert words[-1] == "x/inner"  # a package: a module need not be one
        return f"v1 {cached}\n"

    return mended_modfile(mends, source, go, copies)


def test_a_mended_copy_takes_the_place_of_the_module(tmp_path: Path) -> None:
    mend = Mend(module="x", file="inner/f.go", lines=(("(chan int)", "(chan int, 1)"),))
    modfile = mended(tmp_path, mend)
    copy = tmp_path / "copies" / "0"
    assert modfile.read_text() == f"module y\nreplace x => {copy}\n"
    assert modfile.with_suffix(".sum").read_text() == "x v1 h1:=\n"
    assert (copy / "inner/f.go").read_text() == STREAMS.replace("int)", "int, 1)")
    assert (tmp_path / "cached/inner/f.go").read_text() == STREAMS


def test_two_files_of_a_module_are_in_one_copy(tmp_path: Path) -> None:
    first, second = (("(chan int)", "(chan bool)"),), (("(chan bool)", "(chan rune)"),)
    mends = [Mend(module="x", file="inner/f.go", lines=lines) for lines in (first, second)]
    assert mended(tmp_path, *mends).read_text().count("replace") == 1
    assert "chan rune" in (tmp_path / "copies" / "0" / "inner" / "f.go").read_text()


@pytest.mark.parametrize("code", [STREAMS.replace("int", "bool"), STREAMS * 2])
def test_a_module_that_is_another_by_now_is_not_built(tmp_path: Path, code: str) -> None:
    """Built without the mend it would hang again, once in a while."""
    mend = Mend(module="x", file="inner/f.go", lines=(("(chan int)", "(chan int, 1)"),))
    with pytest.raises(ToolError, match=r"x v1: got \d of '\(chan int\)' in inner/f.go, expected"):
        mended(tmp_path, mend, code=code)


@pytest.mark.parametrize(
    "part", [part for part in PARTS if part.mends], ids=lambda part: part.title
)
def test_what_is_mended_is_pinned(part: Part) -> None:
    modules = [mend.module for mend in part.mends]
    text = (SOURCES / part.module / "go.mod").read_text(encoding="utf-8")
    assert [module for module in modules if f"\t{module} v" not in text] == []
    assert len(list(groupby(modules))) == len(set(modules))
