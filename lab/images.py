"""Base images: what `image-url` names, and the checksum that its content must have."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from lab.config import StackConfig
from lab.errors import LabError, Problem, attempt, both, refuse
from lab.files import expand, load_yaml, sha256_of, unset_names
from lab.reader import Reader, near
from lab.specs import Image, NodeSpec, Topology
from lab.topology import CATALOGUE, load_topology

__all__ = ["Image", "image_names", "load_image", "load_lab", "with_images"]

URL_SCHEMES = ("http://", "https://")


def load_lab(config: StackConfig) -> tuple[Topology, Image | None]:
    """Read all that a configuration names: the topology, and the image of its nodes.

    Raises:
        LabError: every problem of either.
    """
    return both(lambda: with_images(load_topology(config)), lambda: load_image(config))


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
    return _found(Image(sha256=config.image_sha256, source=config.image_url), where)


def with_images(topology: Topology) -> Topology:
    """Look at every image that a role names for a disk of its own.

    Raises:
        LabError: as for load_image, of all of them.
    """
    problems: list[Problem] = []
    roles = tuple(_with_images(role, problems) for role in topology.roles)
    refuse(problems)
    return replace(topology, roles=roles)


def _with_images(role: NodeSpec, problems: list[Problem]) -> NodeSpec:
    disks = tuple(
        replace(
            disk,
            image=attempt(
                partial(_found, disk.image, disk.image.place or f"{role.role}: image_url"), problems
            ),
        )
        if disk.image
        else disk
        for disk in role.disks
    )
    return role if disks == role.disks else replace(role, disks=disks)


def _found(wish: Image, where: str) -> Image:
    source, expected = _entry(wish.source)
    expected = wish.sha256 or expected
    if source.startswith(URL_SCHEMES):
        if not expected:
            got, allowed = "a URL without a checksum", "the sha256 of the image beside its URL"
            raise LabError([Problem(where, got, allowed, "image-checksum", _checksum_step(where))])
        return Image(sha256=expected, source=source)
    path = expand(source.removeprefix("file://"))
    if not path.is_file():
        raise LabError([_no_file(where, wish.source, source)])
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


def _checksum_step(where: str) -> str:
    key = where.rpartition(" ")[2].replace("url", "sha256")
    return f"Set {key}; the place that offers the image lists it"
