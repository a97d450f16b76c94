"""The environment in which pulumi and fab work as documented, as lines for a shell's `eval`."""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.demo.cache import cache_root
from tools.demo.shell import ToolError, say
from tools.engine.pins import (
    PLUGIN,
    PROJECT_FILE,
    own_cli,
    plugin_dir,
    toolchain_dir,
    without_ours,
)

ROOT = PROJECT_FILE.parent
# Published, so it protects nothing: the demo holds no secret that is worth it.
DEMO_PASSPHRASE = "metalab-demo"  # noqa: S105


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What was found on this machine."""

    cache: Path
    toolchain: Path | None  # the engine built here; None when the user's own pulumi is used
    plugin: Path | None  # folder of the plugin built here for the user's own pulumi
    uv: Path | None  # folder of the uv installed here; None when the user's own is used
    python: Path  # the interpreter that .venv is made of
    policy_pack: Path | None
    home: Path  # the user's home, below which Pulumi keeps credentials
    threads: int  # of this machine
    backend: str  # where the user has logged in to; "" for nowhere


def main() -> int:
    """Print the lines; answers the exit code."""
    try:
        lines = exports(os.environ, look_around(os.environ))
    except (ToolError, ValueError) as error:
        say(f"error: {error}")
        return 1
    for name, value in lines.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    return 0


def look_around(environ: Mapping[str, str]) -> Surroundings:
    """See what is there. Nothing is built or installed from here."""
    uv = cache_root() / f"uv-{pinned_uv()}" / "bin"
    own = own_cli(environ)
    toolchain = None if own else toolchain_dir()
    plugin = (plugin_dir() / PLUGIN.output).parent
    if toolchain and not toolchain.is_dir():
        say("env: no pulumi yet: `tools/toolchain` builds one, and so does `make up`")
        toolchain = None
    pack = ROOT / "policies"
    home = Path(environ.get("HOME") or Path.home())
    return Surroundings(
        cache=cache_root(),
        toolchain=toolchain,
        plugin=plugin if own and plugin.is_dir() else None,
        uv=uv if uv.is_dir() else None,
        python=Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}",
        policy_pack=pack if (pack / "PulumiPolicy.yaml").is_file() else None,
        home=home,
        threads=os.cpu_count() or 1,
        backend=logged_in_to(credentials_dir(environ, home, cache_root()) / "credentials.json"),
    )


def exports(environ: Mapping[str, str], seen: Surroundings) -> dict[str, str]:
    """Decide every variable; what the user has set himself to a purpose of his own is left out."""
    # On PATH the engine takes it before the official one, and says so.
    ours = [seen.toolchain / "bin" if seen.toolchain else None, seen.plugin, seen.uv]
    path = [str(entry) for entry in ours if entry]
    lines = {
        "METALAB_CACHE": str(seen.cache),
        "PATH": os.pathsep.join([*path, without_ours(environ["PATH"], seen.cache)]),
        "UV_PYTHON_DOWNLOADS": "never",  # they come from a host that need not be reachable
        # For `uv run`: looking for a Python is half of its time.
        "UV_PYTHON": str(seen.python),
        # The language host asks pip what there is, and pip would ask the index for a newer pip.
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "",  # where it is set, every run compiles our modules anew
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Of engine and plugin: what two hundred nodes take is a sixth less, for 300 MB at most.
        "GOGC": environ.get("GOGC", "400"),
        # They wait for the host, not for this machine, which may have two threads: eight at a time
        # made ten nodes from 50 ms away in 16 s, and sixteen do in 14.
        "PULUMI_PARALLEL": environ.get("PULUMI_PARALLEL", str(max(16, 4 * seen.threads))),
    }
    if seen.policy_pack:
        lines["PULUMI_OPTION_POLICY_PACK"] = str(seen.policy_pack)
    if not environ.keys() & {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"}:
        lines["PULUMI_CONFIG_PASSPHRASE"] = DEMO_PASSPHRASE
    if seen.backend and "PULUMI_BACKEND_URL" not in environ:
        # Pulumi.yaml names a backend for those who have none; it would win over their login.
        lines["PULUMI_BACKEND_URL"] = seen.backend
    return lines | _engine(environ, seen)


def _engine(environ: Mapping[str, str], seen: Surroundings) -> dict[str, str]:
    """What only the engine built here needs; the official one fetches its plugins itself."""
    if seen.toolchain is None:
        return {}
    credentials = credentials_dir(environ, seen.home, seen.cache)
    return {
        "PULUMI_HOME": str(seen.toolchain / "home"),
        "PULUMI_CREDENTIALS_PATH": str(credentials),  # a login outlives a rebuilt PULUMI_HOME
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PULUMI_OPTION_SKIP_PLUGIN_PRE_INSTALL": "true",  # there is nothing to install
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def credentials_dir(environ: Mapping[str, str], home: Path, cache: Path) -> Path:
    """Where the user's own pulumi keeps its logins; a PULUMI_HOME of ours does not count."""
    if named := environ.get("PULUMI_CREDENTIALS_PATH"):
        return Path(named)
    own = environ.get("PULUMI_HOME", "")
    return Path(own) if own and not own.startswith(f"{cache}/") else home / ".pulumi"


def logged_in_to(credentials: Path) -> str:
    """Return the URL of the backend that `pulumi login` chose last, "" if there is none."""
    try:
        content: dict[str, object] = json.loads(credentials.read_text(encoding="utf-8") or "{}")
    except (OSError, ValueError):
        return ""
    if content and not content.keys() & {"current", "accessTokens", "accounts"}:
        say(
            f"env: {credentials} is encrypted, so your login cannot be seen; "
            "set PULUMI_BACKEND_URL to keep state there"
        )
    return str(content.get("current", ""))


def pinned_uv() -> str:
    """Return the version that tools/uv.txt pins."""
    first = (ROOT / "tools" / "uv.txt").read_text(encoding="utf-8").split()[0]
    return first.removeprefix("uv==")
