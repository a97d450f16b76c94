"""Builds with dependencies that are mended: copies of what go.sum vouches for, with other lines."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.demo.shell import ToolError
from tools.engine.golang import copy_module
from tools.engine.mends import Mend


def mended_modfile(
    mends: Iterable[Mend], source: Path, go: Callable[[list[str]], str], folder: Path
) -> Path:
    """Write a go.mod, for `go build -modfile`, that takes mended copies.

    Args:
        mends: at most one for each module.
        source: the folder of the module that is built, with its go.mod and go.sum.
        go: runs go there and answers its stdout.
        folder: where the copies go; it exists and has to stay until the build has ended.

    Raises:
        ToolError: a dependency is not what the mend was written for.
    """
    modfile = folder / "go.mod"
    replaced = [
        f"replace {mend.module} => {_copy(mend, go, folder / str(number))}\n"
        for number, mend in enumerate(mends)
    ]
    modfile.write_text((source / "go.mod").read_text(encoding="utf-8") + "".join(replaced))
    shutil.copyfile(source / "go.sum", folder / "go.sum")
    return modfile


def _copy(mend: Mend, go: Callable[[list[str]], str], folder: Path) -> Path:
    # Within a module it downloads the version of go.mod, and checks it against go.sum.
    downloaded = json.loads(go(["mod", "download", "-json", mend.module]))
    copy_module(downloaded["Dir"], folder)
    file = folder / mend.file
    text = file.read_text(encoding="utf-8")
    for was, now in mend.lines:
        if text.count(was) != 1:
            found = f"{text.count(was)} of {was!r} in {mend.file}"
            raise ToolError(f"{mend.module} {downloaded['Version']}: got {found}, expected one")
        text = text.replace(was, now)
    file.write_text(text, encoding="utf-8")
    return folder
