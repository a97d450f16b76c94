"""What a failed step says: command, exit code, the host's own last words, and what to do."""

from __future__ import annotations

import re

from lab.host.lock import BUSY, Turn, busy
from lab.host.session import CONNECTION_LOST, TIMED_OUT, Outcome
from lab.host.step import HostStep

SHOWN_COMMAND = 100  # characters of a command that a failure shows
ANSWER = re.compile(
    r"^@@metalab (already|made|unproven|unable|failed|undo)(?: (\S+) (\d+))?$", re.MULTILINE
)
AGAIN = "Run the command again: it goes on from here"
_REPAIR = "Repair that on the host and run the command again: it goes on from here"

# What to do about what a command said, most telling first. The texts are those of the C locale.
ADVICE = (
    (
        r"Read-only file system",
        "A file system of the host is read-only: `dmesg` says why; remount it with "
        "`mount -o remount,rw` once it is sound",
    ),
    (
        # The last one is all that dash's own echo and printf say of it.
        r"No space left on device|Disk quota exceeded|enough free space|I/O error",
        "A file system of the host is full, or fails: `df -h; df -i; dmesg` show which; make room",
    ),
    (
        r"Unit (?:file )?\S+ is masked|unit is masked",
        "An administrator masked that unit: `systemctl unmask` allows it again",
    ),
    (
        r"[Ff]ailed to connect (?:to the hypervisor|socket)|Cannot recv data|End of file while",
        "libvirt does not answer: `journalctl -b -u 'libvirtd*' -u 'virtqemud*'` on the host",
    ),
    (
        r"[Cc]ould not (?:get lock|open lock)|frontend lock was locked|Waiting for process",
        "Another package manager is at work on the host: let it end",
    ),
    (
        r"/dev/kvm|Module kvm\S* not found|could not insert 'kvm",
        "The host cannot use KVM: enable virtualization in its firmware or in the outer "
        "hypervisor, or set virt-type: qemu",
    ),
    (
        r"No medium found|Permission denied",
        "root itself may not do that there: `id; mount` shows why",
    ),
)


def step_failure(step: HostStep, outcome: Outcome, turn: Turn) -> str:
    """Say how a step ended: one line."""
    answer = ANSWER.search(outcome.stdout)
    said = Outcome(outcome.exit_code, ANSWER.sub("", outcome.stdout), outcome.stderr).tail
    if answer and answer[1] == "failed":
        command, code = _command(step, int(answer[2])), int(answer[3])
        limit_s = min(step.timeout_s, step.confirm_within_s or step.timeout_s)
        ended = f"took more than {limit_s} s" if code == TIMED_OUT else f"exited {code}"
        return f"`{shown_command(command)}` {ended}: {_words(said)} {advice(said)}."
    if answer and answer[1] == "unproven":
        words = f"done, yet `{shown_command(step.probe)}` still says no."
        return f"{words} {_words(said) + ' ' if said else ''}{advice(f'{step.probe} {said}')}."
    return reason(outcome, turn)


def reason(outcome: Outcome, turn: Turn) -> str:
    """Say why a script as a whole did not end well: one line."""
    if outcome.exit_code == BUSY:
        return f"waited for {busy(outcome, turn)}. {AGAIN}."
    if outcome.exit_code == CONNECTION_LOST:
        last = outcome.tail
        lost = last if "connection was lost" in last else f"the connection was lost after: {last}"
        return (
            f"{lost}. The host may still be at work; run the command again: it waits for that, "
            "and goes on from there."
        )
    if outcome.exit_code == TIMED_OUT:
        return f"took too long: {_words(outcome.tail)} {AGAIN}."
    return f"exit {outcome.exit_code}: {_words(outcome.tail)} {advice(outcome.tail)}."


def advice(said: str) -> str:
    """What to do about a command's last words; without a full stop."""
    for pattern, step in ADVICE:
        if re.search(pattern, said):
            return f"{step}. Then run the command again: it goes on from here"
    return _REPAIR


def shown_command(command: str) -> str:
    """A command on one line, cut to size."""
    line = " ".join(command.split())
    return line if len(line) <= SHOWN_COMMAND else line[: SHOWN_COMMAND - 3] + "..."


def _words(said: str) -> str:
    """A command's last words, as a sentence."""
    return f"{(said or 'no message').rstrip('.')}."


def _command(step: HostStep, index: int) -> str:
    """Number 0 is `remember`, the others follow."""
    return step.commands[index - 1] if index else step.remember
