"""What the engine hands to a program: the stack's settings."""

from __future__ import annotations

import shutil
from typing import Any

from pulumi.runtime.config import CONFIG, get_config_env

from lab.errors import Problem

_PROJECT = "metalab:"  # the namespace of the keys in a stack file; the project's name


def stack_settings() -> dict[str, Any]:
    """Every setting of the stack's own namespace, unknown ones included, without the namespace.

    pulumi.Config answers only what it is asked; a mistyped key would pass unseen.
    """
    settings = {**get_config_env(), **CONFIG.get()}
    return {
        key.removeprefix(_PROJECT): value
        for key, value in settings.items()
        if key.startswith(_PROJECT)
    }


def check_programs() -> list[Problem]:
    """What the libvirt plugin runs on this machine, asked for before the host is touched."""
    programs = {"xsltproc": "xsltproc", "mkisofs": "genisoimage"}  # by package of Debian's
    missing = [name for name in programs if shutil.which(name) is None]
    packages = " ".join(programs[name] for name in missing)
    step = f"Install them, on Debian with `apt-get install {packages}`"
    got = f"no {' and no '.join(missing)} on PATH"
    allowed = "the programs that the libvirt plugin runs here"
    return [Problem("this machine", got, allowed, "programs", step)] if missing else []
