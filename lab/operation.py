"""What an operator's hand tools work on: a host by its address, or the one of a stack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from lab.config import StackConfig, parse_config
from lab.errors import LabError
from lab.files import load_yaml

OPERATOR = "_operator"  # a marker like a prefix's; no prefix begins with an underscore
DEFAULT_LAB = "undercloud:1,controller:1,compute:1"  # the smallest lab that the predecessor names
_PROJECT = "metalab:"  # the namespace of the keys in a stack file
_OPTIONS = {  # what a setting is called on the command line
    "host-address": "HOST",
    "host-user": "--user",
    "host-key": "--key",
    "host-known-hosts": "--known-hosts",
    "topology-nodes": "--nodes",
    "virt-type": "--virt-type",
}
_HIDDEN = "********"  # in place of a secret: as long as a password of VNC may be
_SETTING = re.compile(r"stacks/Pulumi\.\w+\.yaml: ([\w-]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A hypervisor, and a lab to try on it."""

    config: StackConfig
    of_stack: bool  # whether a stack's file says what the lab is
    wanted: bool  # whether anybody asked for this lab; else it is a yardstick

    @property
    def lab(self) -> str:
        """The lab in the words of `topology-nodes`; for a stack with its name."""
        counts = ",".join(f"{role}:{count}" for role, count in self.config.nodes.items())
        without = f" without {', '.join(self.config.removed)}" if self.config.removed else ""
        return f"{self.config.prefix}: {counts}{without}" if self.of_stack else counts


def parse_target(host: str, stacks: Path, **options: str) -> Target:
    """Find out which hypervisor is meant, and how to reach it.

    Args:
        host: an address, or the name of a stack that has a file.
        stacks: the folder of the stacks' files.
        options: settings by the words of a stack file with underscores; empty ones were not given.

    Raises:
        LabError: what was given, or the stack's file, cannot be understood.
    """
    given = {key.replace("_", "-"): value for key, value in options.items() if value}
    file = stacks / f"Pulumi.{host}.yaml"
    if re.fullmatch(r"[\w-]+", host) and file.is_file():
        config = stack_config(host, stacks, given)
        return Target(config=config, of_stack=True, wanted=True)
    least = {"host-address": host, "topology-nodes": DEFAULT_LAB}
    try:
        config = parse_config({**least, **given}, prefix="operator")
    except LabError as error:
        raise as_options(error) from None
    wanted = "topology-nodes" in given
    return Target(config=replace(config, prefix=OPERATOR), of_stack=False, wanted=wanted)


def stack_config(
    prefix: str, stacks: Path, given: Mapping[str, object] | None = None
) -> StackConfig:
    """Read the file of one stack; what is given wins.

    Raises:
        LabError: there is no such file, or it cannot be understood.
    """
    file = stacks / f"Pulumi.{prefix}.yaml"
    return parse_config({**_settings(file), **(given or {})}, prefix=prefix)


def as_options(error: LabError) -> LabError:
    """The same problems, in the words of the command line."""
    return LabError(
        replace(problem, where=_SETTING.sub(lambda seen: _OPTIONS[seen[1]], problem.where))
        for problem in error.problems
    )


def _settings(file: Path) -> Mapping[str, object]:
    raw: object = load_yaml(file, f"stacks/{file.name}").raw.get("config")
    entries: dict[str, object] = cast("Any", raw) if isinstance(raw, dict) else {}
    return {
        key.removeprefix(_PROJECT): _HIDDEN if _is_secret(value) else value
        for key, value in entries.items()
        if key.startswith(_PROJECT)
    }


def _is_secret(value: object) -> bool:
    """Whether only the engine can read it."""
    return isinstance(value, dict) and list(cast("dict[str, object]", value)) == ["secure"]
