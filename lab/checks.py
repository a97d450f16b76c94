"""What an examination of a hypervisor found: rows for people, each with a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from lab import capacity
from lab.errors import Problem
from lab.facts import HostFacts
from lab.plans import LabPlan
from lab.storage import IMAGES_DIR
from lab.verdict import judge_kvm, kvm_module

Verdict = Literal["ok", "note", "refused"]


@dataclass(frozen=True, slots=True)
class Check:
    """One row."""

    verdict: Verdict
    name: str  # a word or two: "memory"
    text: str  # what was found, with numbers; for a refusal also what to do


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """All rows of one hypervisor."""

    title: str  # its address and host name
    host: tuple[Check, ...]
    steps: tuple[tuple[str, bool], ...]  # of its preparation, in order: name, already true
    lab_title: str  # the lab that was tried on it
    fits: bool
    lab: tuple[Check, ...]

    @property
    def refused(self) -> bool:
        """Whether metalab would refuse to prepare this host, or to build that lab on it."""
        return any(check.verdict == "refused" for check in (*self.host, *self.lab))


def check_host(facts: HostFacts, problems: Iterable[Problem], users: Iterable[str]) -> list[Check]:
    """Judge a host by itself.

    Args:
        facts: what was seen.
        problems: why metalab would not prepare it as it was asked to, if it would not.
        users: prefixes that have a marker there.
    """
    refusals = list(refusals_of(problems))
    kvm = [row for row in refusals if row.name == "kvm"]
    system = f"{facts.os_name or facts.os_id}, {facts.arch}"
    return [
        *([row for row in refusals if row not in kvm] or [Check("ok", "system", system)]),
        _threads(facts),
        *(kvm or _kvm(facts)),
        _memory(facts),
        _disk(facts),
        _environments(facts, users),
    ]


def check_lab(
    plan: LabPlan | None, problems: Iterable[Problem], facts: HostFacts, *, wanted: bool
) -> list[Check]:
    """Judge a lab on a host.

    Args:
        plan: the lab; None when there can be none.
        problems: what is wrong with it.
        facts: the host.
        wanted: whether somebody asked for this lab; else it is a yardstick, and refuses nothing.
    """
    rows = list(refusals_of(problems))
    if plan and not rows:
        rows.append(Check("ok", f"{len(plan.nodes)} nodes", _sums(plan, facts)))
    if plan:
        rows += [Check("note", *_topic(note)) for note in plan.notes if wanted or _of_size(note)]
    return rows if wanted else [replace(row, verdict=_mild(row.verdict)) for row in rows]


def refusals_of(problems: Iterable[Problem]) -> Iterator[Check]:
    """Problems as rows: each by its rule."""
    for problem in problems:
        step = f" {problem.next_step.rstrip('.')}." if problem.next_step else ""
        yield Check("refused", problem.rule, f"{problem.got}; expected {problem.allowed}.{step}")


def _mild(verdict: Verdict) -> Verdict:
    return "note" if verdict == "refused" else verdict


def _topic(note: str) -> tuple[str, str]:
    """A plan's note begins with what it is about."""
    topic, colon, text = note.partition(": ")
    return (topic, text) if colon else ("", note)


def _of_size(note: str) -> bool:
    return note.startswith(("CPU: ", "disk: ", "memory: "))


def _threads(facts: HostFacts) -> Check:
    text = f"{facts.cpu_count} threads, {facts.cpu_vendor or 'of an unknown vendor'}"
    if facts.cpu_count >= capacity.ADVISED_THREADS:
        return Check("ok", "CPU", text)
    return Check("note", "CPU", f"{text}; fewer than {capacity.ADVISED_THREADS} are slow for labs")


def _kvm(facts: HostFacts) -> Iterator[Check]:
    found, module = judge_kvm(facts), kvm_module(facts.cpu_vendor)
    if not found.works:
        also = "; its node opens, so virt-type: kvm may be tried" if found.opens else ""
        text = f"no, so labs run under emulation: {found.seen}{also}. {found.next_step}."
        yield Check("note", "KVM", text)
        return
    yield Check("ok", "KVM", f"yes{f': {found.seen}' if found.seen else ''}")
    if module in facts.around_kvm.nested:
        yield Check("ok", "nested", f"on ({module})")
    elif module in facts.around_kvm.loaded:
        yield Check("note", "nested", f"off ({module}): the preparation turns it on")


def _memory(facts: HostFacts) -> Check:
    room = capacity.memory_room(facts, "")
    text = (
        f"{room.available} MiB for nodes ({room.installed} installed, {room.reserve} reserved, "
        f"{room.used_by_others} taken)"
    )
    if room.available >= capacity.ADVISED_MEMORY_MIB:
        return Check("ok", "memory", text)
    return Check("note", "memory", f"{text}; a server asks for {capacity.ADVISED_MEMORY_MIB}")


def _disk(facts: HostFacts) -> Check:
    room = capacity.disk_room(facts, "")
    text = f"{room.free} GiB free of {facts.disk_total_gib} at {IMAGES_DIR}"
    if room.others:
        text += f"; disks there occupy {room.held} GiB and can grow to {room.others}"
    if room.others > room.available:
        return Check("note", "disk", f"{text}, more than there is room for")
    if room.available - room.others >= capacity.ADVISED_DISK_GIB:
        return Check("ok", "disk", text)
    return Check("note", "disk", f"{text}; a server asks for {capacity.ADVISED_DISK_GIB}")


def _environments(facts: HostFacts, users: Iterable[str]) -> Check:
    names = sorted({*users, *facts.leases})
    domains = len(facts.domains)
    of_any = f"{domains} {'domain' if domains == 1 else 'domains'}"
    return Check("ok", "used by", f"{', '.join(names) or 'nobody'}; {of_any}")


def _sums(plan: LabPlan, facts: HostFacts) -> str:
    claim, disks = plan.lease, capacity.disk_room(facts, plan.prefix)
    room = capacity.memory_room(facts, plan.prefix)
    return (
        f"{claim.memory_mib} of {room.available} MiB, "
        f"{claim.vcpus} vCPUs on {facts.cpu_count} threads, "
        f"disks of up to {claim.disk_gib} GiB with room for {disks.available - disks.others}"
    )
