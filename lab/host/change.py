"""A step that may cut off the connection that asks for it: confirmed from a new one, or undone.

The host does it by itself, in a scope of its own that a lost session does not end, and under the
lock until the matter is settled. Before the change it arms a timer of systemd that takes it back.
Who comes from a connection that was opened after the change stops the timer. Renaming one file
decides between the two, so that no change is both confirmed and undone.

    unconfirmed ─► confirmed            by `confirm`, over a new connection
                └► undoing ─► undone    by the timer; at once if a command or the probe said no
                │          └► stuck     the undo failed, too: its record stays, for the next run
                └► refused              systemd would not run it: nothing was changed
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from shlex import quote
from typing import TypeAlias

from lab.errors import LabError
from lab.host.lock import Turn, run_locked
from lab.host.records import (
    CHANGE_DIR,
    PROBE_TIMEOUT_S,
    UNCONFIRMED,
    UNDO_TIMEOUT_S,
    probe,
    record,
    take_back,
)
from lab.host.session import TIMED_OUT, Outcome
from lab.host.shell import Shell
from lab.host.step import HostStep

Again: TypeAlias = Callable[[], AbstractContextManager[Shell]]

UNIT = "metalab-undo"
HEAD_START_S = 0.5  # for the answer to leave before the change takes its way
ASK_EVERY_S = 0.3
_ASK_TIMEOUT_S = 5
_TO_COME = ("changing", "undoing")

# Whoever has the lock finds a change unconfirmed only if its scope was killed, lock and all.
SETTLE = f"""if [ -e {UNCONFIRMED} ]; then
  systemctl start {UNIT}.service 2>/dev/null; systemctl stop {UNIT}.timer 2>/dev/null
fi"""


def change(step: HostStep, number: int, shell: Shell, turn: Turn, again: Again) -> Outcome:
    """Make a step true that needs to be confirmed; it is settled when this returns.

    Args:
        step: with confirm_within_s.
        number: its place among the steps.
        shell: of the hypervisor; it may not answer any more afterwards.
        turn: on whose behalf.
        again: opens another connection.

    Returns:
        Exit 0 and "@@metalab already" or "@@metalab made", or a failure that says what the host
        says, whether it took the change back, and what was heard of it.
    """
    token = f"{turn.holder} {time.time_ns()} {os.getpid()}"
    launched = run_locked(shell, _launch(step, number, token), turn, timeout_s=60)
    if "@@metalab launched" not in launched.stdout:
        return launched
    turn.progress(f"changing; the host takes it back unless confirmed in {step.confirm_within_s} s")
    until = time.monotonic() + step.confirm_within_s + UNDO_TIMEOUT_S
    last = Outcome(1, "", "no new connection was to be had")
    while time.monotonic() < until:
        time.sleep(ASK_EVERY_S)
        last = _over(again, _ask(token))
        state = _state(last)
        if state == "made":
            last = _over(again, _confirm(token))
            state = _state(last)
        if state and state not in (*_TO_COME, "made"):
            return _told(step, state, last)
    return Outcome(1, "", f"{_silence(step)} ({last.tail})")


def _over(again: Again, script: str) -> Outcome:
    """Ask over a connection of its own; that there is none is an answer, too."""
    try:
        with again() as shell:
            return shell.run(script, timeout_s=_ASK_TIMEOUT_S)
    except LabError as error:
        return Outcome(1, "", error.problems[0].got)


def _state(outcome: Outcome) -> str:
    lines = [line for line in outcome.stdout.splitlines() if line.startswith("@@state ")]
    return lines[-1].removeprefix("@@state ") if lines and outcome.ok else ""


def _told(step: HostStep, state: str, last: Outcome) -> Outcome:
    if state == "confirmed":
        return Outcome(0, last.stdout)
    ends = {
        "undone": "the host has taken the change back",
        "stuck": f"the host could not take it back: `journalctl -u {UNIT}` says why",
        "refused": "systemd would not run it: nothing was changed",
        "none": "the change never began, or another one has followed",
    }
    failed = "@@metalab failed" in last.stdout or "@@metalab unproven" in last.stdout
    begun = state in ("undone", "stuck") and not failed
    why = f"not confirmed within {step.confirm_within_s} s; " if begun else ""
    stderr = f"{last.stderr.rstrip()}\n{why}{ends.get(state, state)}"
    return Outcome(1, last.stdout if failed else "", stderr.strip())


def _silence(step: HostStep) -> str:
    return (
        f"no new connection since the change; the host was to take it back after "
        f"{step.confirm_within_s} s: look at its console, `journalctl -u {UNIT}`"
    )


def _launch(step: HostStep, number: int, token: str) -> str:
    """Under the lock: what is abandoned is settled, the undo is noted, and the change detached."""
    return f"""{SETTLE}
if {probe(step)} 9>&-; then echo '@@metalab already'; exit 0; fi
[ -d /run/systemd/system ] && command -v systemd-run >/dev/null || {{
  echo 'nothing was changed: this host has no running systemd with systemd-run, which is to' \
    'take the change back if it cuts the host off' >&2
  echo '@@metalab unable'; exit 1; }}
{record(step, number)}
rm -rf {CHANGE_DIR} && mkdir -m 700 {CHANGE_DIR} || exit 1
printf '%s\\n' {quote(token)} >{CHANGE_DIR}/token
printf '%s\\n' {quote(_undo(step))} >{CHANGE_DIR}/undo
printf '%s\\n' {quote(_detached(step))} >{CHANGE_DIR}/change || exit 1
: >{UNCONFIRMED} || exit 1
(setsid systemd-run --scope --quiet --collect sh {CHANGE_DIR}/change \
  || [ -e {CHANGE_DIR}/began ] || mv {UNCONFIRMED} {CHANGE_DIR}/refused) \
  </dev/null >{CHANGE_DIR}/output 2>&1 &
echo '@@metalab launched'"""


def _detached(step: HostStep) -> str:
    """What the host does by itself. It inherits the lock, and keeps it until all is settled."""
    seconds = step.confirm_within_s
    commands = "\n".join(
        f"left=$((end - $(date +%s))); [ $left -gt 0 ] || give_up failed {index} {TIMED_OUT}\n"
        f"[ $left -le {step.timeout_s} ] || left={step.timeout_s}\n"
        f"timeout -k 1 $left sh -c {quote(command)} </dev/null 9>&- || give_up failed {index} $?"
        for index, command in enumerate(step.commands, start=1)
    )
    proof = f"timeout {PROBE_TIMEOUT_S} sh -c {quote(step.probe)} </dev/null >/dev/null 2>&1 9>&-"
    return f"""PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; cd {CHANGE_DIR} && : >began || exit 1
say() {{ echo "@@metalab $*" >.answer; mv .answer answer; }}
give_up() {{
  say "$@"; systemctl start {UNIT}.service 9>&-; systemctl stop {UNIT}.timer 9>&-; exit 1
}}
end=$(($(date +%s) + {seconds} - 1))
systemd-run --quiet --unit={UNIT} --on-active={seconds} --timer-property=AccuracySec=100ms \
  --property=Type=oneshot --setenv=PATH="$PATH" --setenv=LC_ALL=C sh {CHANGE_DIR}/undo 9>&- \
  || {{ mv unconfirmed refused; exit 1; }}
sleep {HEAD_START_S}
{commands}
{proof} || give_up unproven
say made
while [ -e unconfirmed ] || [ -e undoing ]; do sleep 0.2; done"""


def _undo(step: HostStep) -> str:
    return f"""cd {CHANGE_DIR} && mv unconfirmed undoing || exit 0
if {take_back(step)}; then mv undoing undone; else mv undoing stuck; exit 1; fi"""


def _ask(token: str) -> str:
    return f"""{_ours(token)}
if [ -e answer ] && [ -e unconfirmed ] && grep -q made answer; then echo '@@state made'
elif [ -e unconfirmed ]; then echo '@@state changing'
else {_END}
fi"""


def _confirm(token: str) -> str:
    return f"""{_ours(token)}
if mv unconfirmed confirmed 2>/dev/null; then systemctl stop {UNIT}.timer; fi
{_END}"""


_END = """[ ! -e answer ] || cat answer
grep -s '^note: ' output; tail -n 5 output >&2
for s in confirmed undoing undone stuck refused; do [ ! -e $s ] || echo "@@state $s"; done"""


def _ours(token: str) -> str:
    mine = f'[ "$(cat token 2>/dev/null)" = {quote(token)} ]'
    return f"cd {CHANGE_DIR} 2>/dev/null && {mine} || {{ echo '@@state none'; exit 0; }}"
