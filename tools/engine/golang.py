"""Finds a Go that can build the engine, or gets one."""

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.demo.cache import cache_root, locked, workshop
from tools.demo.shell import ToolError, run, say, tail
from tools.engine.pins import GO_VERSION

# Go's own releases are modules too, so whoever reaches a module proxy gets the right one. These
# are their go.sum hashes; GOTOOLCHAIN=auto would do the same, but Debian's Go turns that off, and
# before 1.21 it does not exist.
TOOLCHAIN_SUMS = {
    "amd64": "h1:owmNw4SPM9h46FGOeGJVUWzFEEDSmO6g7gAtWoXp28s=",
    "arm64": "h1:YU5g0Kv9+YZGTJQ8l89vdVDpHOHzXHCuxsoUJm1d1TU=",
}
PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}
OWN_GO = f"install Go {GO_VERSION} or newer, or a pulumi that Pulumi.yaml allows, and try again"


def find_go() -> str:
    """Answer the path of a Go that is new enough: the one on PATH, ours, or one fetched now.

    Raises:
        ToolError: there is none, and none can be had; says what to install.
    """
    ours = cache_root() / f"go-{GO_VERSION}"
    if (ours / "bin/go").is_file():
        return str(ours / "bin/go")
    found = shutil.which("go") or install_go()
    version = go_version(run(found, "version"))
    if version >= tuple(int(number) for number in GO_VERSION.split(".")):
        return found
    say(f"engine: fetching Go {GO_VERSION}, because {found} is {'.'.join(map(str, version))}")
    shelf = cache_root() / "building-go"
    with locked(shelf), workshop(shelf) as folder:
        if not ours.is_dir():
            fetch_go(found, folder / "go")
            (folder / "go").rename(ours)
    return str(ours / "bin/go")


def has_go() -> bool:
    """Whether there is a Go, of any version: it can fetch the right one."""
    return (cache_root() / f"go-{GO_VERSION}").is_dir() or shutil.which("go") is not None


def go_version(printed: str) -> tuple[int, ...]:
    """Read `go version`: "go version go1.19.8 linux/amd64" is (1, 19, 8); unreadable is ()."""
    found = re.search(r"\bgo(\d+(?:\.\d+)*)", printed)
    return tuple(int(number) for number in found[1].split(".")) if found else ()


def install_go() -> str:
    """Install the distribution's Go, and answer its path.

    Raises:
        ToolError: not root, not Debian or Ubuntu, or apt failed.
    """
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ToolError(f"building the engine needs Go: {OWN_GO}")
    say("engine: installing with apt: golang-go")
    run("apt-get", "update", "-qq")
    run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qq", "-y",
        "--no-install-recommends", "golang-go")  # fmt: skip
    if found := shutil.which("go"):
        return found
    raise ToolError(f"apt installed golang-go, but there is no go on PATH: {OWN_GO}")


def fetch_go(old_go: str, place: Path) -> None:
    """Let an older Go fetch the pinned one as a module, check it, and copy it to `place`.

    Raises:
        ToolError: no release is pinned for this processor, the fetch failed, or the hash differs.
    """
    processor = PROCESSORS.get(platform.machine(), platform.machine())
    if processor not in TOOLCHAIN_SUMS:
        raise ToolError(f"no Go is pinned for the processor {processor}: {OWN_GO}")
    module = f"golang.org/toolchain@v0.0.1-go{GO_VERSION}.linux-{processor}"
    answer = download(old_go, module)
    if answer["Sum"] != TOOLCHAIN_SUMS[processor]:
        raise ToolError(
            f"{module}: got {answer['Sum']}, expected {TOOLCHAIN_SUMS[processor]}: {OWN_GO}"
        )
    copy_module(answer["Dir"], place)
    make_runnable(place)


def download(old_go: str, module: str) -> dict[str, str]:
    """Run `go mod download`, outside of any module; answers what it prints."""
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(  # noqa: S603 - an argument list, never a shell line
            [old_go, "mod", "download", "-json", module],
            cwd=nowhere,
            # Our own hash is what counts; a checksum database need not be reachable.
            env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GONOSUMDB": "golang.org/*"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise ToolError(f"cannot fetch {module}: {OWN_GO}. {tail(done.stdout + done.stderr)}")
    return json.loads(done.stdout)


def copy_module(source: str, place: Path) -> None:
    """Copy a module out of the module cache, whose files and folders are read-only."""
    shutil.copytree(source, place, copy_function=shutil.copyfile)
    for folder, _, _ in os.walk(place):
        Path(folder).chmod(0o755)


def make_runnable(place: Path) -> None:
    """Undo what a module cannot hold: executable bits, and go.mod files inside."""
    for folder, _, files in os.walk(place):
        for name in files:
            if name == "_go.mod":
                (Path(folder) / name).rename(Path(folder) / "go.mod")
    for program in [*place.glob("bin/*"), *place.glob("pkg/tool/*/*")]:
        program.chmod(0o755)
