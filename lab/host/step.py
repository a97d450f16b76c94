"""The shape of a step: one thing to make true on a hypervisor, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

Scope = Literal["host", "prefix"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HostStep:
    """One thing to make true on the hypervisor. `lab.host.runner` alone acts on it.

    A step with `confirm_within_s` may cut off the connection that asks for it, such as one that
    moves the NIC with the host's address into a bridge. The host takes it back by itself, by
    `undo` and what `remember` printed, unless a connection that was opened after the change says
    in time that the host still answers. Such a step changes what runs; what makes it last over a
    reboot belongs into the step that follows, which runs only once this one is confirmed.
    """

    name: str  # imperative and unique; recorded in the state, so a rename shows in the preview
    probe: str  # exit 0 says that it is already true; reads only, within 10 seconds
    commands: tuple[str, ...]  # idempotent; run in order when the probe says no
    undo: tuple[str, ...] = ()  # empty: stays, because others may rely on it; harmless if not done
    # Prints shell lines that bring back what is there now; asked once, before the first command
    # ever runs, and within 10 seconds. The lines are run after `undo`.
    remember: str = ""
    timeout_s: int = 60  # seconds for each command
    scope: Scope = "host"  # whom it serves, so when it is undone
    # Seconds for the change and a new connection, better 30 than 10; 0: nothing to confirm.
    confirm_within_s: int = 0

    def __post_init__(self) -> None:
        if self.confirm_within_s and (self.scope != "host" or not (self.undo or self.remember)):
            raise ValueError(
                f"{self.name}: to be taken back, it has to be the host's, with an undo"
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a wire that knows no tuples.

        What few steps have is left out where it says nothing, as states of earlier days have it.
        """
        plain: dict[str, Any] = {
            "name": self.name,
            "probe": self.probe,
            "commands": list(self.commands),
            "undo": list(self.undo),
            "timeout_s": self.timeout_s,
            "scope": self.scope,
        }
        rare = {"remember": self.remember, "confirm_within_s": self.confirm_within_s}
        return plain | {key: value for key, value in rare.items() if value}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> HostStep:
        """Read what as_dict gave, after a wire on which every number is a float."""
        return cls(
            name=str(raw["name"]),
            probe=str(raw["probe"]),
            commands=tuple(str(command) for command in raw["commands"]),
            undo=tuple(str(command) for command in raw["undo"]),
            remember=str(raw.get("remember", "")),
            timeout_s=int(raw["timeout_s"]),
            scope=cast("Scope", raw["scope"]),
            confirm_within_s=int(raw.get("confirm_within_s", 0)),
        )
