"""Which Pulumi engine this checkout wants, and where it lies. Reads only; `builder` builds."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.demo.cache import cache_root, recipe_hash
from tools.engine.engine_mends import LOGS, PACKAGES, PACKS, SAVES
from tools.engine.mends import (
    DELAYS,
    DELETES,
    DIALS,
    HALVES,
    LOCKS,
    NAMES,
    OFFS,
    SECRETS,
    STREAMS,
    Mend,
)

SOURCES = Path(__file__).resolve().parent  # a folder for each part: go.mod, go.sum, perhaps code
PROJECT_FILE = SOURCES.parent.parent / "Pulumi.yaml"
GO_VERSION = "1.26.6"  # the `go` line of all three go.mod
CLI_VERSION = "3.259.0"
PLUGIN_VERSION = "0.5.4"

_COMPARISON = re.compile(r"(>=|<=|>|<|=|)v?(\d+)\.(\d+)\.(\d+)")
_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One program of the engine: a Go package in a module of its own below `tools/engine`."""

    title: str  # for people
    module: str  # folder below tools/engine: go.mod, go.sum, perhaps sources
    package: str  # what `go build` is given
    output: str  # path in the finished toolchain
    ldflags: str = "-s -w"
    mends: tuple[Mend, ...] = ()


LANGUAGE = Part(
    title="Pulumi's Python language host",
    module="language",
    package="github.com/pulumi/pulumi/sdk/python/cmd/pulumi-language-python/v3",
    output="bin/pulumi-language-python",
    mends=(PACKAGES, PACKS),
)
PLUGIN = Part(
    title=f"libvirt plugin {PLUGIN_VERSION}",
    module="plugin",
    package=".",
    output=f"home/plugins/resource-libvirt-v{PLUGIN_VERSION}/pulumi-resource-libvirt",
    mends=(STREAMS, *DELETES, NAMES, *SECRETS, *HALVES, OFFS, DIALS, LOCKS, DELAYS),
)
PARTS = (
    Part(
        title=f"Pulumi CLI {CLI_VERSION}",
        module="cli",
        package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        output="bin/pulumi",
        # Without it the CLI calls itself 0.0.0 and fails requiredPulumiVersion.
        ldflags="-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
        f"=v{CLI_VERSION}",
        mends=(LOGS, SAVES),
    ),
    LANGUAGE,
    PLUGIN,
)


def lock_hash(sources: Path = SOURCES, parts: Sequence[Part] = PARTS) -> str:
    """Hash whatever decides what the build yields: lock files, code, flags, processor."""
    files = [
        path
        for part in parts
        for path in sorted((sources / part.module).rglob("*"))
        if path.is_file()
    ]
    names = [str(path.relative_to(sources)) for path in files]
    return recipe_hash([platform.system(), platform.machine(), str(parts), *names, *files])


def toolchain_dir() -> Path:
    """Where the engine of this checkout is, or will be once it is built."""
    return cache_root() / f"toolchain-{lock_hash()}"


def plugin_dir() -> Path:
    """Where the plugin for a user's own pulumi is, or will be once it is built."""
    return cache_root() / f"plugin-{lock_hash(parts=[PLUGIN])}"


def required_version(project_file: str) -> str:
    """Return requiredPulumiVersion out of the text of Pulumi.yaml; ">=0.0.0" if it has none."""
    found = re.search(r"""^requiredPulumiVersion:\s*["']?([^"'#\n]+)""", project_file, re.MULTILINE)
    return found[1].strip() if found else ">=0.0.0"


def satisfies(version: str, wanted: str) -> bool:
    """Say whether a CLI's version lies in a range such as ">=3.238.0 <4.0.0".

    Blanks mean "and"; nothing else of the engine's own syntax is understood. A pre-release or a
    development build counts as the release it is named after.

    Raises:
        ValueError: `wanted` is not such a range.
    """
    release = _RELEASE.match(version.strip())
    return all(_holds(release, comparison) for comparison in wanted.split())


def _holds(release: re.Match[str] | None, comparison: str) -> bool:
    parsed = _COMPARISON.fullmatch(comparison)
    if parsed is None:
        message = f"requiredPulumiVersion: got {comparison!r}, expected such as '>=3.238.0 <4.0.0'."
        raise ValueError(message)
    if release is None:
        return False
    found = tuple(int(number) for number in release.groups())
    bound = tuple(int(number) for number in parsed.groups()[1:])
    return {
        ">=": found >= bound,
        "<=": found <= bound,
        ">": found > bound,
        "<": found < bound,
        "=": found == bound,
        "": found == bound,
    }[parsed[1]]


def without_ours(path: str, cache: Path) -> str:
    """PATH without what lies in the cache: engines of this or of older lock files, our uv."""
    kept = [entry for entry in path.split(os.pathsep) if not entry.startswith(f"{cache}/")]
    return os.pathsep.join(kept)


def own_cli(environ: Mapping[str, str]) -> Path | None:
    """Return the user's own `pulumi` if its version satisfies Pulumi.yaml.

    Raises:
        ValueError: Pulumi.yaml holds a range that `satisfies` does not understand.
    """
    path = without_ours(environ.get("PATH", os.defpath), cache_root())
    found = shutil.which("pulumi", path=path)
    if found is None:
        return None
    asked = subprocess.run(  # noqa: S603 - an argument list, never a shell line
        [found, "version"],
        capture_output=True,
        text=True,
        check=False,
        env={**environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
    )
    wanted = required_version(PROJECT_FILE.read_text(encoding="utf-8"))
    return Path(found) if asked.returncode == 0 and satisfies(asked.stdout, wanted) else None
