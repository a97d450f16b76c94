"""Debian root file systems by mmdebstrap, from wherever this machine takes its own packages."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.demo.shell import ToolError, run

SUITES = ("bookworm", "trixie")
TARGETS = "$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(CREATED_BY)"
# Namespaces of its own, and an end with ours even by kill -9: no process and no mount stays behind.
ALONE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
KEPT_APT_SETTINGS = (  # what a machine behind a mirror or a proxy needs inside as well
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Retries",
)


def machine_sources(suite: str) -> str:
    """Answer sources.list lines of `suite` at this machine's Debian mirror.

    Empty when the machine has none (Ubuntu): mmdebstrap then uses Debian's own mirror.
    """
    listed = run("apt-get", "indextargets", "--format", TARGETS)
    if not listed:
        run("apt-get", "-q", "update")
        listed = run("apt-get", "indextargets", "--format", TARGETS)
    return sources_for(suite, listed.splitlines())


def sources_for(suite: str, targets: Iterable[str]) -> str:
    """Turn the machine's index targets into sources of another suite, in their order.

    Args:
        suite: a codename such as "trixie".
        targets: lines of `apt-get indextargets` in the form of TARGETS.
    """
    lines: dict[str, None] = {}
    for target in targets:
        origin, uri, codename, component, created_by = target.split("|")
        if origin == "Debian" and created_by == "Packages" and component == "main":
            _, dash, pocket = codename.partition("-")  # bookworm-security: the pocket is security
            lines[f"deb {uri} {suite}{dash}{pocket} main"] = None
    return "".join(f"{line}\n" for line in lines)


def apt_settings() -> str:
    """Answer this machine's apt settings that a container on it needs too."""
    kept = (
        line
        for line in run("apt-config", "dump").splitlines()
        if line.partition(" ")[0] in KEPT_APT_SETTINGS
    )
    return "".join(f"{line}\n" for line in kept)


def bootstrap(suite: str, root: Path, packages: Sequence[str], *options: str) -> None:
    """Make a Debian tree at `root`, which must not exist.

    Args:
        suite: one of SUITES.
        root: the folder to make.
        packages: what to install beside the variant's own.
        options: more options of mmdebstrap, such as "--variant=minbase".

    Raises:
        ToolError: the packages cannot be had or installed; carries mmdebstrap's last lines.
    """
    sources = machine_sources(suite)
    settings = apt_settings().splitlines()
    try:
        run(
            *ALONE,
            "mmdebstrap",
            "--quiet",
            f"--include={','.join(packages)}",
            "--aptopt=APT::Install-Recommends false",
            *(f"--aptopt={line}" for line in settings),
            *options,
            suite,
            root,
            *(["-"] if sources else []),
            text_in=sources,
        )
    except ToolError as error:
        raise ToolError(
            f"Debian {suite} could not be built; check that `apt-get update` works "
            f"here, then run the same command again: {error}"
        ) from None
