"""Base images: what `image-url` names, and the checksum that its content must have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.config import StackConfig
from lab.errors import LabError, Problem
from lab.files import expand, load_yaml, sha256_of, unset_names
from lab.reader import Reader, near
from lab.topology import CATALOGUE

URL_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A base image. Its checksum is its identity; the source only says where to get it."""

    sha256: str
    source: str  # a URL that the hypervisor fetches, or a path as written that is uploaded once


def load_image(config: StackConfig) -> Image | None:
    """Find the image that a configuration names: in the catalogue, at a URL, or in a file.

    Returns:
        None when `image-url` is empty.

    Raises:
        LabError: no such file; a URL without a checksum; a file with another checksum.
    """
    if not config.image_url:
        return None
    where = f"stacks/Pulumi.{config.prefix}.yaml: image-url"
    source, expected = _entry(config.image_url)
    expected = config.image_sha256 or expected
    if source.startswith(URL_SCHEMES):
        if not expected:
            got, allowed = "a URL without image-sha256", "the checksum of the image beside its URL"
            raise LabError([Problem(where, got, allowed, "image-checksum", _checksum_step())])
        return Image(sha256=expected, source=source)
    path = expand(source.removeprefix("file://"))
    if not path.is_file():
        raise LabError([_no_file(where, config.image_url, source)])
    try:
        found = sha256_of(path)
    except OSError as error:
        got, allowed = f"{source}: {error.strerror}", "a readable file"
        raise LabError([Problem(where, got, allowed, "image")]) from error
    if expected and found != expected:
        got, allowed = f"{source} with sha256 {found}", f"sha256 {expected}"
        raise LabError([Problem(where, got, allowed, "image-checksum", "Fetch the image anew")])
    return Image(sha256=found, source=source)


def image_names() -> dict[str, tuple[str, str]]:
    """The catalogue: (source, checksum or nothing) by name."""
    problems: list[Problem] = []
    document = load_yaml(CATALOGUE / "images.yaml", "topologies/images.yaml")
    names: dict[str, tuple[str, str]] = {}
    for name in document.raw:
        entry = Reader(document.raw, document.source, problems).mapping(name)
        names[name] = (entry.text("url"), entry.text("sha256", default=""))
        entry.close()
    if problems:
        raise LabError(problems)
    return names


def _entry(image_url: str) -> tuple[str, str]:
    if "/" in image_url or Path(image_url).suffix:
        return image_url, ""
    return image_names().get(image_url, (image_url, ""))


def _no_file(where: str, written: str, source: str) -> Problem:
    known = sorted(image_names())
    if unset := unset_names(source):
        step = f'Set {", ".join(unset)}; `eval "$(make -s env)"` does'
    elif written in known:
        step = f"Build it with `tools/image {written}`"
    else:
        step = near(written, known)
    allowed = f"a file, a URL, or one of {', '.join(known)}"
    return Problem(where, f"{source}: no such file", allowed, "image", step)


def _checksum_step() -> str:
    return "Set image-sha256; the place that offers the image lists it"
