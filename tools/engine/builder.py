"""Builds the engine into the cache, whole or not at all."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tools.demo.cache import cache_root, locked, workshop
from tools.demo.shell import ToolError, say, tail
from tools.engine.golang import find_go, has_go
from tools.engine.mending import mended_modfile
from tools.engine.pins import (
    GO_VERSION,
    LANGUAGE,
    PARTS,
    PLUGIN,
    SOURCES,
    Part,
    own_cli,
    plugin_dir,
    toolchain_dir,
)

# They come with the SDK's Go module as plain scripts; the engine looks for them beside itself.
SCRIPTS = (
    "cmd/pulumi-language-python-exec",
    "dist/pulumi-resource-pulumi-python",
    "dist/pulumi-analyzer-policy-python",
)


def main(arguments: Sequence[str]) -> int:
    """Build if need be; answers the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        if "--anyway" in arguments or not own_cli(os.environ):
            provide(toolchain_dir(), PARTS, "no suitable pulumi on PATH: 3 to 8 minutes")
        else:
            provide_plugin()
    except ToolError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next run builds again what is missing")
        return 130
    return 0


def _stop(number: int, _: object) -> None:
    """Leave by an exception, so that a half-done folder is removed and a running go is killed."""
    sys.exit(128 + number)


def provide_plugin() -> None:
    """Build the plugin alone, for a pulumi of the user's own. Nothing is installed for that."""
    if not plugin_dir().is_dir() and not has_go():
        say(f"engine: without Go {GO_VERSION} your pulumi takes the official libvirt plugin, whose")
        say("engine: downloads hang at times; install Go, and the next run builds a better one")
        return
    provide(plugin_dir(), [PLUGIN], "the official one hangs at times: a minute")


def provide(target: Path, parts: Sequence[Part], why: str) -> None:
    """Build parts of the engine, or wait for the build of somebody else.

    Raises:
        ToolError: there is no Go and no way to get one, or a part does not build.
    """
    if target.is_dir():
        return
    shelf = cache_root() / "building-toolchain"
    say(f"engine: building {parts[0].title} from Go modules, once; {why}")
    with locked(shelf):
        if target.is_dir():
            return
        go = find_go()
        with workshop(shelf) as folder:
            for part in parts:
                compile_part(go, part, folder)
            if LANGUAGE in parts:
                copy_scripts(go, folder / "toolchain")
            (folder / "toolchain").rename(target)


def compile_part(go: str, part: Part, folder: Path) -> None:
    """Build one program into `folder`/toolchain, with a line before and a line after it."""
    say(f"engine: building {part.title}")
    began = time.monotonic()
    command = ["build", "-mod=readonly", "-trimpath", "-tags=osusergo,grpcnotrace"]
    if part.mends:
        copies = folder / f"mended-{part.module}"
        copies.mkdir()
        ask = partial(run_go, go, part=part)
        command += [f"-modfile={mended_modfile(part.mends, SOURCES / part.module, ask, copies)}"]
    output = folder / "toolchain" / part.output
    run_go(go, [*command, f"-ldflags={part.ldflags}", "-o", str(output), part.package], part)
    say(f"engine: {part.title} is built, {time.monotonic() - began:.0f} s")


def copy_scripts(go: str, toolchain: Path) -> None:
    """Put the SDK's scripts beside the programs."""
    command = ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"]
    sdk = Path(run_go(go, command, LANGUAGE).strip())
    for script in SCRIPTS:
        copied = toolchain / "bin" / Path(script).name
        shutil.copyfile(sdk / "python" / script, copied)
        copied.chmod(0o755)  # a module carries no executable bit


def run_go(go: str, command: list[str], part: Part) -> str:
    """Run go in the part's module and answer its stdout.

    Raises:
        ToolError: go failed; carries the last lines that it wrote.
    """
    # GOWORK, GOFLAGS: a workspace or a -mod of the user's own would change what is built.
    settings = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(  # noqa: S603 - an argument list, never a shell line
        [go, *command],
        cwd=SOURCES / part.module,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ToolError(f"{part.title} does not build: {tail(done.stderr)}")
    return done.stdout
