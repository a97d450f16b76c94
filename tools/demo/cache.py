"""The cache outside the checkout: where it is, how things come into it whole or not at all."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.demo.shell import ToolError, run

HASH_LENGTH = 12  # hexadecimal digits of a recipe's hash in file names
UNSAFE = ":,\\ \n"  # mount options of an overlay and /proc/mounts would need escapes for these


def cache_root() -> Path:
    """Answer $METALAB_CACHE, else $XDG_CACHE_HOME/metalab, else ~/.cache/metalab.

    Raises:
        ToolError: the path holds a character that overlay mount options cannot carry.
    """
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    chosen = os.environ.get("METALAB_CACHE") or f"{home}/metalab"
    root = Path(chosen).expanduser().absolute()
    if any(character in str(root) for character in UNSAFE):
        raise ToolError(
            f"the cache path {str(root)!r} has a blank, colon, comma or backslash; "
            "set METALAB_CACHE to a path without them"
        )
    return root


def recipe_hash(parts: Iterable[str | bytes | Path]) -> str:
    """Hash a recipe: texts as they are, files by content, folders by their files in order."""
    digest = hashlib.sha256()
    for part in parts:
        for chunk in _chunks(part):
            digest.update(f"{len(chunk)}:".encode() + chunk)  # lengths keep "ab","c" off "a","bc"
    return digest.hexdigest()[:HASH_LENGTH]


def _chunks(part: str | bytes | Path) -> Iterator[bytes]:
    if isinstance(part, Path):
        for file in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if file.is_file() and file.suffix != ".pyc":
                yield file.name.encode()
                yield file.read_bytes()
    else:
        yield part.encode() if isinstance(part, str) else part


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory for ourselves; it is made if need be.

    The lock lies on the directory itself, so nothing stays behind when its holder removes it.
    Who waited for a directory that is gone by then starts over on the new one.
    """
    while True:
        handle = _opened(directory)
        if handle is None:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_still(directory, handle):
                yield
                return
        finally:
            os.close(handle)


def _opened(directory: Path) -> int | None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, FileExistsError):  # removed by another one between two steps
        if directory.is_file():
            raise ToolError(f"{directory} is a file and should be a folder; remove it") from None
        return None


def _is_still(directory: Path, handle: int) -> bool:
    try:
        return os.path.samestat(directory.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


@contextmanager
def workshop(shelf: Path) -> Iterator[Path]:
    """Lend a temporary folder beside the finished things of `shelf`, which the caller has locked.

    What an interrupted run left there is removed first; what is finished leaves by a rename.
    """
    for stale in shelf.glob(".tmp-*"):
        remove_tree(stale)
    folder = shelf / f".tmp-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        yield folder
    finally:
        remove_tree(folder)


def mounts_below(folder: Path) -> list[str]:
    """List the mount points at and below `folder`, the innermost first."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    points = [line.split(" ")[1] for line in lines]
    return [at for at in reversed(points) if at == str(folder) or at.startswith(f"{folder}/")]


def remove_tree(folder: Path) -> None:
    """Remove a folder, whatever is still mounted in it first: never through a mount."""
    for point in mounts_below(folder):
        run("umount", point)
    if folder.exists():
        shutil.rmtree(folder)
