"""Builds with dependencies that are mended: copies of what go.sum vouches for, with other lines."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path, PurePosixPath

from tools.demo.shell import ToolError
from tools.engine.golang import copy_module
from tools.engine.mends import Mend


def mended_modfile(
    mends: Iterable[Mend], source: Path, go: Callable[[list[str]], str], folder: Path
) -> Path:
    """Write a go.mod, for `go build -modfile`, that takes mended copies.

    Args:
        mends: those of one module beside each other.
        source: the folder of the module that is built, with its go.mod and go.sum.
        go: runs go there and answers its stdout.
        folder: where the copies go; it exists and has to stay until the build has ended.

    Raises:
        ToolError: a dependency is not what the mend was written for.
    """
    modfile = folder / "go.mod"
    by_module = groupby(mends, attrgetter("module"))
    replaced = [
        f"replace {module} => {_copy(module, tuple(of_it), go, folder / str(number))}\n"
        for number, (module, of_it) in enumerate(by_module)
    ]
    modfile.write_text((source / "go.mod").read_text(encoding="utf-8") + "".join(replaced))
    shutil.copyfile(source / "go.sum", folder / "go.sum")
    return modfile


def _copy(module: str, mends: Sequence[Mend], go: Callable[[list[str]], str], folder: Path) -> Path:
    # Within a module it downloads the version of go.mod, and checks it against go.sum. `go mod
    # download` would ask the proxy for more than a build does, which it does not have of each.
    form = "{{.Module.Version}} {{.Module.Dir}}"
    package = str(PurePosixPath(module, mends[0].file).parent)  # the module itself may be none
    version, _, cached = go(["list", "-mod=readonly", "-find", "-f", form, package]).partition(" ")
    copy_module(cached.strip(), folder)
    for mend in mends:
        _mend(mend, folder, f"{module} {version}")
    return folder


def _mend(mend: Mend, folder: Path, what: str) -> None:
    file = folder / mend.file
    text = file.read_text(encoding="utf-8")
    for was, now in mend.lines:
        if text.count(was) != 1:
            found = f"{text.count(was)} of {was!r} in {mend.file}"
            raise ToolError(f"{what}: got {found}, expected one")
        text = text.replace(was, now)
    file.write_text(text, encoding="utf-8")
