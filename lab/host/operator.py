"""An operator's hand tools: examine a hypervisor, prepare it without a lab, give it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from shlex import quote

from lab.checks import Examination, check_host, check_lab
from lab.config import StackConfig
from lab.errors import LabError, Problem, attempt, refuse
from lab.facts import HostFacts
from lab.host.facts import look
from lab.host.kvm import pending
from lab.host.runner import PROBE_TIMEOUT_S, Progress, converge, restore
from lab.host.session import Outcome
from lab.host.shell import Shell, connect
from lab.host.step import HostStep
from lab.host.steps import check_os, mark_step, steps_as_set, steps_for
from lab.images import Image, load_lab
from lab.lease import Lease
from lab.operation import OPERATOR, Target, as_options
from lab.plan import plan_lab
from lab.plans import LabPlan
from lab.rules import check_kvm, check_plan
from lab.storage import LEASES_DIR, PREFIXES_DIR
from lab.topology import load_topology
from lab.verdict import plan_virt_type

_ANY_IMAGE = Image(sha256="0" * 64, source="")  # whether a lab fits does not hang on its image
_USERS = (
    f"for f in {PREFIXES_DIR}/* {LEASES_DIR}/*.json; do "
    '[ ! -f "$f" ] || { f=${f##*/}; echo "user ${f%.json}"; }; done'
)


def examine(target: Target) -> Examination:
    """Look at a hypervisor, changing nothing.

    Raises:
        LabError: no connection, no facts, or a topology that cannot be read.
    """
    problems: list[Problem] = []
    plan_for = _planner(target)
    with connect(target.config.hypervisor) as shell:
        facts = look(shell)
        plan = attempt(partial(plan_for, facts), problems)
        unfit = _unfit(target.config, facts)
        steps = () if unfit else _steps(target.config, facts, plan)
        true, users = survey(steps, shell)
    problems += check_plan(plan, facts) if plan else []
    problems = [problem for problem in problems if problem not in unfit]  # said already
    return Examination(
        title=f"{target.config.hypervisor.address} ({facts.hostname})",
        host=tuple(check_host(facts, unfit, users)),
        steps=tuple(zip((step.name for step in steps), true, strict=True)),
        lab_title=target.lab,
        fits=not problems,
        lab=tuple(check_lab(plan, problems, facts, wanted=target.wanted)),
    )


def prepare(config: StackConfig, progress: Progress) -> str:
    """Make a hypervisor ready for labs, and keep it so until give_back.

    The marker counts like an environment's: who leaves last does not take the host apart.

    Args:
        config: of which the hypervisor and the virtualization type count.
        progress: told in one short line when a step starts and ends.

    Returns:
        What was done, in a line or more.

    Raises:
        LabError: no connection, or a host that metalab cannot prepare.
        RuntimeError: a step failed; says which, why, and what to do.
    """
    begun = time.monotonic()
    with connect(config.hypervisor) as shell:
        facts = look(shell)
        refuse(_unfit(config, facts))
        steps = _steps(config, facts, None)
        again = partial(connect, config.hypervisor)
        result = converge(steps, shell, prefix=OPERATOR, progress=progress, again=again)
        if result.failure:
            raise RuntimeError(result.failure)
        left = pending(steps, shell)
    took = f"prepared in {time.monotonic() - begun:.1f} s"
    ran = f"{len(result.changed)} of {len(steps)} steps had to run"
    return "\n".join([f"{shell.address}: {took}, {ran}", *left])


def give_back(config: StackConfig, progress: Progress) -> str:
    """Take the operator's marker off; the last user out undoes what metalab did to the host.

    Returns:
        Who uses the host still, in a line.

    Raises:
        LabError: no connection.
        RuntimeError: an undo failed; says which and why.
    """
    with connect(config.hypervisor) as shell:
        failure = restore([mark_step(OPERATOR)], shell, prefix=OPERATOR, progress=progress)
        if failure:
            raise RuntimeError(failure)
        _, users = survey((), shell)
    still = f"stays prepared for {', '.join(users)}" if users else "given back"
    return f"{shell.address}: {still}"


def _planner(target: Target) -> Callable[[HostFacts], LabPlan]:
    """Read what a lab is made of, before anybody is asked anything."""
    config = target.config
    if target.of_stack:
        return partial(plan_lab, config, *load_lab(config))
    try:
        return partial(plan_lab, config, load_topology(config), _ANY_IMAGE)
    except LabError as error:
        raise as_options(error) from None


def _unfit(config: StackConfig, facts: HostFacts) -> list[Problem]:
    """Why a host cannot be prepared as it was asked to."""
    where = config.hypervisor.address
    kvm = check_kvm(where, "kvm", facts) if config.virt_type == "kvm" else []
    return [*check_os(facts, where), *kvm]


def _steps(config: StackConfig, facts: HostFacts, plan: LabPlan | None) -> tuple[HostStep, ...]:
    if plan:
        return steps_for(plan, facts)
    return steps_as_set(config, facts, prefix=OPERATOR, virt_type=_virt_type(config, facts))


def _virt_type(config: StackConfig, facts: HostFacts) -> str:
    nobody = Lease(prefix=config.prefix, virt_type="")
    return plan_virt_type(config.virt_type, nobody, facts)[0]


def survey(steps: Sequence[HostStep], shell: Shell) -> tuple[list[bool], list[str]]:
    """Ask in one round trip which steps are true, and who uses the host."""
    script = "\n".join([*map(_asked, steps), _USERS])
    outcome = shell.run(script, timeout_s=PROBE_TIMEOUT_S * (len(steps) + 1))
    words = [line.partition(" ") for line in outcome.stdout.splitlines()]
    true = [answer == "true" for kind, _, answer in words if kind == "step"]
    if len(true) != len(steps):
        raise LabError([_unanswered(shell.address, outcome)])
    return true, sorted({name for kind, _, name in words if kind == "user"})


def _asked(step: HostStep) -> str:
    probe = f"timeout {PROBE_TIMEOUT_S} sh -c {quote(step.probe)} </dev/null >/dev/null 2>&1"
    return f"if {probe}; then echo 'step true'; else echo 'step false'; fi"


def _unanswered(where: str, outcome: Outcome) -> Problem:
    return Problem(
        where=where,
        got=f"no answer to what is true there (exit {outcome.exit_code}: {outcome.tail})",
        allowed="a Linux host with sh, ip and /proc",
        rule="host-facts",
        next_step="Log in and look whether the host works",
    )
