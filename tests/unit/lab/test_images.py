from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.images import Image, image_names, load_image
from tests.unit.lab.samples import config

CONTENT = b"an image"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METALAB_CACHE", str(tmp_path))
    (tmp_path / "images").mkdir()
    (tmp_path / "images/tiny.qcow2").write_bytes(CONTENT)
    return tmp_path


def refusal(**fields: str) -> str:
    with pytest.raises(LabError) as caught:
        load_image(config(**fields))
    (problem,) = caught.value.problems
    assert problem.where == "stacks/Pulumi.foo.yaml: image-url"
    return str(problem)


def test_no_image_is_none() -> None:
    assert load_image(config(image_url="")) is None


def test_an_image_of_the_catalogue(cache: Path) -> None:
    image = load_image(config(image_url="tiny"))
    assert image == Image(sha256=SHA256, source="$METALAB_CACHE/images/tiny.qcow2")


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_file(cache: Path, form: str) -> None:
    url = form.format(cache / "images/tiny.qcow2")
    assert load_image(config(image_url=url, image_sha256=SHA256)) == Image(
        sha256=SHA256, source=url
    )


def test_a_url_is_fetched_by_the_hypervisor() -> None:
    image = load_image(config(image_url="https://example.org/i.qcow2", image_sha256="a" * 64))
    assert image == Image(sha256="a" * 64, source="https://example.org/i.qcow2")


def test_a_url_needs_its_checksum() -> None:
    line = refusal(image_url="https://example.org/i.qcow2")
    assert "a URL without a checksum" in line
    assert "Set image-sha256" in line


def test_a_file_with_another_checksum_is_refused(cache: Path) -> None:
    line = refusal(image_url="tiny", image_sha256="a" * 64)
    assert f"with sha256 {SHA256}, expected sha256 {'a' * 64}" in line


@pytest.mark.parametrize(
    ("image_url", "says"),
    [
        pytest.param("debian", "Build it with `tools/image debian`", id="known, not yet built"),
        pytest.param("debain", "Did you mean debian?", id="a slip"),
        pytest.param("/gone.qcow2", "/gone.qcow2: no such file", id="a path"),
        pytest.param("$NOBODY/x.qcow2", "Set NOBODY", id="a name that is not set"),
    ],
)
def test_a_missing_image(
    cache: Path, monkeypatch: pytest.MonkeyPatch, image_url: str, says: str
) -> None:
    monkeypatch.delenv("NOBODY", raising=False)
    line = refusal(image_url=image_url)
    assert says in line
    assert "a file, a URL, or one of debian, tiny" in line


def test_the_catalogue_without_its_cache_says_how_to_set_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("METALAB_CACHE", raising=False)
    assert 'Set METALAB_CACHE; `eval "$(make -s env)"` does' in refusal(image_url="tiny")


def test_a_file_that_may_not_be_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal is played."""

    def refuse(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("lab.images.sha256_of", refuse)
    assert "Permission denied" in refusal(image_url="tiny")


def test_the_shipped_catalogue_reads() -> None:
    assert set(image_names()) == {"tiny", "debian"}
