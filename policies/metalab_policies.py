"""The policies: each asks one rule of lab and bears its name.

Apart from `__main__`, which never returns once it is imported, so that tests can call them. A
resource policy stops the one resource before it is touched; a stack policy sees all of them
together, but when previews are skipped only after the fact. A policy is one or the other, hence
two of each.
"""

from __future__ import annotations

from collections.abc import Iterable

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from lab.declared import (
    Declared,
    check_declared_lease,
    check_declared_memory,
    check_declared_name,
)
from lab.errors import Problem

_NAMING = "What is on the hypervisor bears the environment's prefix, and bridges fit the kernel."
_MEMORY = "What domains may use at most, QEMU's overhead included, fits into the hypervisor."


def naming(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Ask `naming` of one resource."""
    _report(check_declared_name(_declared(args)), report)


def naming_of_stack(args: StackValidationArgs, report: ReportViolation) -> None:
    """Ask `naming` of each resource there is."""
    for resource in _visible(args.resources):
        _report(check_declared_name(_declared(resource)), report, resource.urn)


def memory(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Ask `memory-overcommit` of a lease."""
    _report(check_declared_lease(_declared(args)), report)


def memory_of_stack(args: StackValidationArgs, report: ReportViolation) -> None:
    """Ask `memory-overcommit` of all domains together."""
    _report(check_declared_memory(map(_declared, _visible(args.resources))), report)


POLICIES: list[Policy] = [
    ResourceValidationPolicy("naming", _NAMING, naming, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy("memory-overcommit", _MEMORY, memory, EnforcementLevel.MANDATORY),
    StackValidationPolicy("naming-of-stack", _NAMING, naming_of_stack, EnforcementLevel.MANDATORY),
    StackValidationPolicy(
        "memory-overcommit-of-stack", _MEMORY, memory_of_stack, EnforcementLevel.MANDATORY
    ),
]


def _declared(resource: ResourceValidationArgs | PolicyResource) -> Declared:
    return Declared(resource.resource_type, resource.urn, resource.props)


def _visible(resources: Iterable[PolicyResource]) -> list[PolicyResource]:
    """All but those of which nothing is known.

    In the first preview of an environment libvirt has no address yet, and the engine shows its
    resources empty. Their inputs were judged one by one.
    """
    return [resource for resource in resources if len(resource.props)]


def _report(problems: Iterable[Problem], report: ReportViolation, urn: str | None = None) -> None:
    for problem in problems:
        report(str(problem), urn)
