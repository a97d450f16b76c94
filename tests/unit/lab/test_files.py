from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import LabError, Problem, attempt
from lab.files import (
    MAX_BYTES,
    Document,
    Source,
    dump_yaml,
    expand,
    load_yaml,
    sha256_of,
    unset_names,
)


def load(tmp_path: Path, text: str | bytes) -> Document:
    path = tmp_path / "f.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_yaml(path, "f.yaml")


def test_data_and_the_line_of_every_key(tmp_path: Path) -> None:
    document = load(tmp_path, "a: 1\nb:\n  c: [x, y]\n  d: {e: null}\n")
    assert document.raw == {"a": 1, "b": {"c": ["x", "y"], "d": {"e": None}}}
    assert document.source.where(("b", "d", "e")) == "f.yaml:4: b.d.e"
    assert document.source.where(("b", "c")) == "f.yaml:3: b.c"
    assert document.source.where(("nobody",)) == "f.yaml: nobody"


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing\n").raw == {}


def test_keys_are_texts(tmp_path: Path) -> None:
    assert list(load(tmp_path, "1: a\nnull: b\n").raw) == ["1", "None"]


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "rule", "says"),
    [
        pytest.param("a:\n\tb: 1\n", "file", "found character '\\t'", id="a tab"),
        pytest.param("a: 1\na: 2\n", "duplicate-key", "f.yaml:2: a", id="a key twice"),
        pytest.param("a: {b: 1, b: 2}\n", "duplicate-key", "a.b", id="an inner key twice"),
        pytest.param("1: a\n'1': b\n", "duplicate-key", "the key twice", id="a key in two types"),
        pytest.param("a: !!python/object/apply:os.system [id]\n", "file", "tag", id="a Python tag"),
        pytest.param("a: !mine {b: 1}\n", "file", "tag", id="a tag on a mapping"),
        pytest.param("a: !mine [1]\n", "file", "tag", id="a tag on a list"),
        pytest.param("a: !mine b\n", "file", "tag", id="a tag on a text"),
        pytest.param("a: !!set {b, c}\n", "file", "tag", id="a set"),
        pytest.param("a: !!binary aGk=\n", "file", "tag", id="bytes"),
        pytest.param("<<: {a: 1}\n", "file", "tag", id="a merge key"),
        pytest.param(BOMB, "file", "more than", id="a bomb of aliases"),
        pytest.param("a: &a [*a]\n", "file", "", id="a list in itself"),
        pytest.param("[" * 50_000, "file", "", id="no floor"),
        pytest.param("- a\n", "file", "a mapping of keys", id="a list"),
        pytest.param("a\n", "file", "a mapping of keys", id="a word"),
        pytest.param("a: 1\n---\nb: 2\n", "file", "document", id="two documents"),
        pytest.param(b"a: \xff\xfe\n", "file", "", id="not UTF-8"),
        pytest.param(b"a: \x00\n", "file", "", id="a zero byte"),
        pytest.param("a: " + "9" * 5000, "file", "", id="more digits than Python reads"),
        pytest.param("a: 2024-13-45\n", "file", "", id="a date that there is not"),
        pytest.param("a: *b\n", "file", "alias", id="an alias of nothing"),
        pytest.param("a: 'b\n", "file", "", id="an open quote"),
        pytest.param("#" * (MAX_BYTES + 1), "file", f"at most {MAX_BYTES} bytes", id="too large"),
        pytest.param("? [a]\n: b\n", "file", "", id="a list as a key"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, text: str | bytes, rule: str, says: str) -> None:
    with pytest.raises(LabError) as caught:
        load(tmp_path, text)
    (problem,) = caught.value.problems
    assert problem.rule == rule
    assert problem.where.startswith("f.yaml")
    assert says in str(problem)
    assert len(str(problem)) < 300


def test_aliases_are_fine(tmp_path: Path) -> None:
    assert load(tmp_path, "a: &a [x]\nb: *a\n").raw == {"a": ["x"], "b": ["x"]}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"gone.yaml: got No such file .*readable file.*\[file\]"):
        load_yaml(tmp_path / "gone.yaml", "gone.yaml")


def test_all_duplicate_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        load(tmp_path, "a: 1\na: 2\nb: 1\nb: 2\n")
    assert len(caught.value.problems) == 2


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: Any, data: bytes) -> None:
    path = tmp_path_factory.mktemp("y") / "f.yaml"
    path.write_bytes(data)
    problems: list[Problem] = []
    document = attempt(partial(load_yaml, path, "f.yaml"), problems)
    assert isinstance(document, Document) or problems


PLAIN = st.dictionaries(
    st.text(st.characters(codec="ascii"), min_size=1),
    st.text() | st.integers() | st.booleans() | st.lists(st.text(), max_size=3),
)


@given(PLAIN)
def test_what_is_written_reads_back(data: dict[str, Any]) -> None:
    assert yaml.safe_load(dump_yaml(data)) == data


def test_long_texts_are_literal_blocks() -> None:
    assert dump_yaml({"b": "x\ny\n", "a": 1}) == "b: |\n  x\n  y\na: 1\n"


def test_checksum(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"metalab")
    assert sha256_of(path) == hashlib.sha256(b"metalab").hexdigest()


def test_paths_expand_where_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("METALAB_CACHE", "/c")
    monkeypatch.delenv("NOBODY", raising=False)
    assert expand("~/x") == Path("/home/me/x")
    assert expand("$METALAB_CACHE/${NOBODY}/x") == Path("/c/${NOBODY}/x")
    assert unset_names("$METALAB_CACHE/${NOBODY}/$NEITHER") == ["NOBODY", "NEITHER"]


def test_a_place_without_lines() -> None:
    assert Source("f").where(()) == "f"
