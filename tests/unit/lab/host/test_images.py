from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host.images import hold_image
from lab.host.session import Outcome
from tests.unit.lab.host.shells import ScriptedShell

SHA = "a" * 64
HELD, MISSING, STORED = Outcome(0), Outcome(1), Outcome(0, "@@metalab stored\n")
ROOM = Outcome(0, "@@metalab new /images/.new.x\n")
URL = "https://user:secret@example.org/image.qcow2?token=secret"


def hold(outcomes: list[Outcome], source: str, said: list[str]) -> ScriptedShell:
    shell = ScriptedShell(outcomes)
    hold_image(shell, sha256=SHA, source=source, progress=said.append)
    assert shell.outcomes == []
    return shell


def test_an_image_that_is_there_costs_one_round_trip() -> None:
    said: list[str] = []
    hold([HELD], "/gone", said)
    assert said == []


def test_a_file_is_uploaded_and_stored(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"x")
    said: list[str] = []
    shell = hold([MISSING, ROOM, STORED], f"file://{tmp_path}/image", said)
    assert shell.sent[2] == "put image /images/.new.x"
    assert [line.split(": ")[1].split()[0] for line in said] == ["uploading", "done"]


def test_a_url_is_fetched_by_the_host_and_its_password_is_nowhere_to_be_seen() -> None:
    said: list[str] = []
    shell = hold([MISSING, STORED], URL, said)
    assert "secret" not in str(shell.sent) + str(said)
    assert shell.stdin[1] == f'url = "{URL}"\n'
    assert "fetches https://example.org/image.qcow2" in said[0]


@pytest.mark.parametrize(
    ("outcome", "rule", "says"),
    [
        pytest.param("failed checksum bbb", "image-checksum", f"bbb, expected {SHA}", id="sum"),
        pytest.param("failed format vmdk", "image-format", "format vmdk", id="not qcow2 or raw"),
        pytest.param(
            "failed outside backing file: /etc/x", "image-format", "backing file", id="backing file"
        ),
        pytest.param("failed fetch", "image-fetch", "said so", id="HTTP error"),
        pytest.param("failed full 12", "image-space", "only 12 MiB free", id="no room"),
        pytest.param("failed store", "image-store", "said so", id="anything else"),
        pytest.param("", "image-store", "said so", id="a connection that broke"),
    ],
)
def test_what_is_wrong_with_an_image(outcome: str, rule: str, says: str) -> None:
    failed = Outcome(1, f"@@metalab {outcome}\n" if outcome else "", "said so")
    with pytest.raises(LabError) as caught:
        hold([MISSING, failed], URL, [])
    (problem,) = caught.value.problems
    assert problem.rule == rule
    assert says in str(problem)
    assert "secret" not in str(problem)


def test_a_disk_that_fills_up_meanwhile() -> None:
    failed = Outcome(1, "@@metalab failed fetch\n", "write error: No space left on device")
    with pytest.raises(LabError, match="image-space"):
        hold([MISSING, failed], URL, [])


def test_a_file_that_is_missing_is_named_before_anything_is_made() -> None:
    with pytest.raises(LabError, match=r"image-url: got /no/such: no such file"):
        hold([MISSING], "/no/such", [])
