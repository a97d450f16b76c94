"""What a step leaves on the host for the day it is undone, and how it is asked whether it holds."""

from __future__ import annotations

import re
from shlex import quote

from lab.host.step import HostStep
from lab.storage import HOST_DIR

DONE_DIR = f"{HOST_DIR}/done"  # undo records: NN-<slug>, a script for each step that had to run
CHANGE_DIR = "/run/metalab"  # root's; of the one change that is under way, and gone with a reboot
UNCONFIRMED = f"{CHANGE_DIR}/unconfirmed"
PROBE_TIMEOUT_S = 10
UNDO_TIMEOUT_S = 60


def probe(step: HostStep) -> str:
    """Shell that exits 0 if a step is true. A change that may yet be taken back is not."""
    asked = f"timeout {PROBE_TIMEOUT_S} sh -c {quote(step.probe)} </dev/null >/dev/null 2>&1"
    return f"[ ! -e {UNCONFIRMED} ] && {asked}" if step.confirm_within_s else asked


def record(step: HostStep, number: int) -> str:
    """Shell lines that note the undo before the step runs; else they exit 1.

    A run that is killed halfway has changed something. What was there before is asked once: when
    the step runs again, what it would remember is its own work. A record is there whole, or not at
    all. Its number orders the undoing; it is known by its name, as other lists of steps count
    otherwise.
    """
    if step.scope != "host" or not (step.undo or step.remember):
        return ":"
    new = f"{DONE_DIR}/.new"
    undo = quote("\n".join(step.undo))
    remember = (
        f"timeout {PROBE_TIMEOUT_S} sh -c {quote(step.remember)} </dev/null 9>&- >>{new} "
        f'|| {{ echo "@@metalab failed 0 $?"; exit 1; }}'
        if step.remember
        else ":"
    )
    return f"""if ! ls {_any(step)} >/dev/null 2>&1; then
  mkdir -p {DONE_DIR} && printf '%s\\n' {undo} >{new} || exit 1
  {remember}
  sync {new} && mv -f {new} {DONE_DIR}/{number:02d}-{slug(step)} || exit 1
fi"""


def take_back(step: HostStep) -> str:
    """Shell that undoes one step by its record, and forgets the record; exits 0 if it did."""
    return (
        f"r=$(ls {_any(step)} | head -n 1) && "
        f'timeout -k 5 {UNDO_TIMEOUT_S} sh -e "$r" </dev/null && rm -f "$r"'
    )


def slug(step: HostStep) -> str:
    """A step's name, fit for a file."""
    return re.sub(r"[^a-z0-9]+", "-", step.name.lower()).strip("-")


def _any(step: HostStep) -> str:
    return f"{DONE_DIR}/[0-9][0-9]-{slug(step)}"
