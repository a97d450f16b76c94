"""Guest images in the cache: whole or not at all, named by the hash of their recipe."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.demo import debian_image, disks, tiny_image
from tools.demo.cache import cache_root, locked, recipe_hash, workshop
from tools.demo.machine import IMAGE_PACKAGES, require_packages, require_root
from tools.demo.shell import ToolError, say

RECIPES = Path(__file__).parent.parent / "images"
SUITE = "bookworm"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One guest image: what it is made from, and how."""

    name: str
    sources: tuple[Path, ...]  # files and folders whose content makes the recipe
    build: Callable[[Path, str, Path], None]  # (recipe folder, suite, out folder): writes NAME.*
    suffixes: tuple[str, ...]  # of the files that `build` writes, the image itself first
    minutes: str  # for the progress line


KINDS: Mapping[str, Kind] = {
    "tiny": Kind(
        name="tiny",
        sources=(RECIPES / "tiny", Path(tiny_image.__file__), Path(disks.__file__)),
        build=tiny_image.build,
        suffixes=("qcow2", "vmlinuz", "initrd"),
        minutes="about 15 s",
    ),
    "debian": Kind(
        name="debian",
        sources=(RECIPES / "debian", Path(debian_image.__file__), Path(disks.__file__)),
        build=debian_image.build,
        suffixes=("qcow2",),
        minutes="about 1 minute",
    ),
}


def image(kind: Kind) -> Path:
    """Answer the path of an image, built first if this recipe has none yet.

    `NAME-HASH.qcow2` never changes; the link `NAME.qcow2` leads to the newest.

    Raises:
        ToolError: it cannot be built here; says why.
    """
    shelf = cache_root() / "images"
    stem = f"{kind.name}-{recipe_hash([*kind.sources, SUITE])}"
    finished = shelf / f"{stem}.{kind.suffixes[0]}"
    if not finished.exists():
        require_root(f"building the image {kind.name}")
        _require_amd64()
        require_packages(IMAGE_PACKAGES)
        with locked(shelf), workshop(shelf) as folder:
            if not finished.exists():
                say(f"building the guest image {kind.name} ({kind.minutes}) ...")
                kind.build(RECIPES / kind.name, SUITE, folder)
                for suffix in reversed(kind.suffixes):  # the image last: it says that all is there
                    (folder / f"{kind.name}.{suffix}").rename(shelf / f"{stem}.{suffix}")
    for suffix in kind.suffixes:
        _link(shelf / f"{kind.name}.{suffix}", f"{stem}.{suffix}")
    return finished


def _require_amd64() -> None:
    if platform.machine() != "x86_64":
        raise ToolError(
            f"guest images are built for x86_64 and this is {platform.machine()}; "
            "set image-url and image-sha256 to an image of your own"
        )


def _link(link: Path, target: str) -> None:
    if link.is_symlink() and str(link.readlink()) == target:
        return
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
