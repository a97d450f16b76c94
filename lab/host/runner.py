"""Make steps true on a hypervisor, and take them back. Steps are data: see lab.host.step."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from shlex import quote

from lab.host.bridges import leave_bridges
from lab.host.change import SETTLE, Again, change
from lab.host.failures import advice, reason, step_failure
from lab.host.installed import REMOVE, REMOVE_TIMEOUT_S, WISH
from lab.host.lock import Progress, Turn, run_locked
from lab.host.records import CHANGE_DIR, DONE_DIR, PROBE_TIMEOUT_S, UNDO_TIMEOUT_S, probe, record
from lab.host.session import Outcome
from lab.host.shell import Shell
from lab.host.step import HostStep
from lab.storage import HOST_DIR, LEASES_DIR, PREFIXES_DIR, RESERVED_DIR

_UNDONE = re.compile(r"^@@metalab undo (\S+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Convergence:
    """How far converge came."""

    done: tuple[str, ...]  # names of steps that are true now
    changed: tuple[str, ...] = ()  # those of them that had to run
    failure: str = ""  # the step that resisted: what, why, what next; empty: none did


def converge(
    steps: Sequence[HostStep],
    shell: Shell,
    *,
    prefix: str,
    progress: Progress,
    again: Again | None = None,
) -> Convergence:
    """Make each step true, in order; stop at the first that resists.

    A host on which all is true costs one round trip. A step runs under the host's lock and is
    probed again there, so that two environments may prepare one host at the same time. A refusal
    is returned, not raised: a Python dynamic provider that raises in `create` leaves nothing in
    the state, and so forgets what it has already done to the host.

    Args:
        steps: in the order in which they build on each other; names are unique.
        shell: of the hypervisor.
        prefix: on whose behalf; for the messages.
        progress: told in one short line when a step starts, waits for another run, and ends.
        again: opens another connection to the same host, for steps that have to be confirmed.
    """
    done: list[str] = []
    changed: list[str] = []
    waiting = list(steps)
    turn = Turn(prefix=prefix, progress=progress)
    with ExitStack() as connections:
        while waiting:
            true, failure = _count_true(waiting, shell, turn)
            done += [step.name for step in waiting[:true]]
            waiting = waiting[true:]
            if waiting and not failure:
                # What comes after it is asked again: it may be true by now, or no longer be, if
                # another environment left the host before this one's marker stood.
                step = waiting.pop(0)
                number = len(steps) - len(waiting) - 1
                ran, failure = _apply(step, number, shell, turn, again)
                done += [] if failure else [step.name]
                changed += [step.name] if ran else []
                if step.confirm_within_s and again and not failure:
                    shell = connections.enter_context(again())  # the old one may be cut off
            if failure:
                failure = f"{shell.address}: preparing it for {prefix}: {failure}"
                return Convergence(done=tuple(done), changed=tuple(changed), failure=failure)
    return Convergence(done=tuple(done), changed=tuple(changed))


def restore(steps: Sequence[HostStep], shell: Shell, *, prefix: str, progress: Progress) -> str:
    """Take a prefix off the host; the last one out undoes what metalab changed there.

    Packages stay, unless whoever is last was marked with `full`: then those go that metalab
    brought. What was so before metalab came was never recorded, so it stays, too.

    Args:
        steps: as converged; the prefix's own among them are undone in reverse order.
        shell: of the hypervisor.
        prefix: who leaves.
        progress: told in one short line what happens.

    Returns:
        What failed, or an empty string.
    """
    own = [step for step in reversed(steps) if step.scope == "prefix"]
    commands = [(step, command) for step in own for command in step.undo]
    undo = "\n".join(
        f"timeout -k 5 {step.timeout_s} sh -c {quote(command)} </dev/null 9>&- "
        f"|| {{ echo @@metalab undo {quote(step.name.replace(' ', '-'))} $?; exit 1; }}"
        for step, command in commands
    )
    # A lease counts like a marker: whoever holds one uses the host. A hidden file is none: a run
    # that was killed left it.
    script = f"""{SETTLE}
{undo}
{leave_bridges(prefix)}
rm -f {LEASES_DIR}/{quote(prefix)}.json {RESERVED_DIR}/{quote(prefix)}.json
rmdir {RESERVED_DIR} 2>/dev/null || :
if [ -n "$(find {PREFIXES_DIR} {LEASES_DIR} -type f ! -name '.*' 2>/dev/null)" ]; then exit 0; fi
for record in $(ls -r {DONE_DIR} 2>/dev/null); do
  timeout -k 5 {UNDO_TIMEOUT_S} sh -e {DONE_DIR}/$record </dev/null 9>&- \
    || {{ echo "@@metalab undo $record $?"; exit 1; }}
  rm -f {DONE_DIR}/$record
done
if [ -f {WISH} ]; then
  timeout -k 5 {REMOVE_TIMEOUT_S} sh -c {quote(REMOVE)} </dev/null 9>&- \
    || {{ echo "@@metalab undo install-packages $?"; exit 1; }}
fi
rm -rf {HOST_DIR} {CHANGE_DIR}
echo '@@metalab last'"""
    progress("leave the host: started")
    begun = time.monotonic()
    turn = Turn(prefix=prefix, progress=lambda line: progress(f"leave the host: {line}"))
    limit_s = UNDO_TIMEOUT_S * (len(commands) + 8) + REMOVE_TIMEOUT_S
    outcome = run_locked(shell, script, turn, timeout_s=limit_s)
    if not outcome.ok:
        return f"{shell.address}: leaving it as {prefix}: {_left_halfway(outcome, turn)}"
    last = "it is as it was" if "@@metalab last" in outcome.stdout else "others still use it"
    progress(f"leave the host: done in {time.monotonic() - begun:.1f} s, {last}")
    return ""


def _left_halfway(outcome: Outcome, turn: Turn) -> str:
    if undone := _UNDONE.search(outcome.stdout):
        said = outcome.stderr and Outcome(1, "", outcome.stderr).tail
        what = re.sub(r"^\d+-", "", undone[1]).replace("-", " ")
        words = f"undoing `{what}` exited {undone[2]}: {said or 'no message'}"
        return f"{words}. {advice(said)}."
    return reason(outcome, turn)


def _count_true(steps: Sequence[HostStep], shell: Shell, turn: Turn) -> tuple[int, str]:
    """Ask in one round trip how many steps, from the first on, are true; or say what failed."""
    script = "\n".join(f"{probe(step)} || exit 0; echo true" for step in steps)
    outcome = shell.run(script, timeout_s=PROBE_TIMEOUT_S * (len(steps) + 1))
    true = outcome.stdout.split().count("true")
    return true, "" if outcome.ok else f"looking at it: {reason(outcome, turn)}"


def _apply(
    step: HostStep, number: int, shell: Shell, turn: Turn, again: Again | None
) -> tuple[bool, str]:
    """Run one step under the lock and let it prove itself; answer whether it had to, and failed."""
    own = Turn(prefix=turn.prefix, progress=lambda line: turn.progress(f"{step.name}: {line}"))
    own.progress("started")
    begun = time.monotonic()
    if step.confirm_within_s:
        if again is None:
            raise TypeError(f"{step.name}: needs a way to open another connection")
        outcome = change(step, number, shell, own, again)
        for note in re.findall(r"^note: (.*)$", outcome.stdout, re.MULTILINE):
            own.progress(note)
    else:
        limit_s = step.timeout_s * len(step.commands) + 4 * PROBE_TIMEOUT_S
        outcome = run_locked(shell, _script(step, number), own, timeout_s=limit_s)
    if not outcome.ok:
        return False, f"{step.name}: {step_failure(step, outcome, own)}"
    ran = "@@metalab made" in outcome.stdout
    by = "" if ran else ", by another run"
    own.progress(f"done in {time.monotonic() - begun:.1f} s{by}")
    return ran, ""


def _script(step: HostStep, number: int) -> str:
    commands = "\n".join(
        f"timeout -k 5 {step.timeout_s} sh -c {quote(command)} </dev/null 9>&- "
        f'|| {{ echo "@@metalab failed {index} $?"; exit 1; }}'
        for index, command in enumerate(step.commands, start=1)
    )
    return f"""if {probe(step)} 9>&-; then echo '@@metalab already'; exit 0; fi
{record(step, number)}
{commands}
{probe(step)} 9>&- || {{ echo '@@metalab unproven'; exit 1; }}
echo '@@metalab made'"""
