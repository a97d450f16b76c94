"""The policies: each asks one rule of lab and bears its name.

Apart from `__main__`, which never returns once it is imported, so that tests can call them. A
resource policy stops the one resource before it is touched; a stack policy sees all of them
together, but when previews are skipped only after the fact. A policy is one or the other, hence
two of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from lab.declared import (
    Declared,
    check_declared_dhcp,
    check_declared_filter,
    check_declared_image,
    check_declared_lease,
    check_declared_memory,
    check_declared_name,
    check_declared_quota,
    check_declared_secrets,
)
from lab.errors import Problem

_NAMING = "What is on the hypervisor bears the environment's prefix, and bridges fit the kernel."
_MEMORY = "What domains may use at most, QEMU's overhead included, fits into the hypervisor."


_QUOTA = "An environment is no larger than the pack's configuration allows."
_IMAGE = "An image is known by its checksum."
_SECRETS = "Nobody logs in by a password that is written somewhere, or sees a screen without one."
_DHCP = "A network that is bridged to the LAN serves no DHCP."
_FILTER = "What a guest sends to the LAN is looked at, so that it answers no DHCP there."
QUOTA: dict[str, dict[str, Any]] = {
    "nodes": {"type": "integer", "minimum": 1},
    "memory": {"type": ["integer", "string"], "description": "MiB, or such as 64G"},
    "cpu": {"type": "integer", "minimum": 1},
    "disks": {"type": ["integer", "string"], "description": "GiB, or such as 500G"},
}


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


def quota(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Ask `quota` of a lease, by the pack's configuration; none allows all."""
    most = {key: value for key, value in args.get_config().items() if key in QUOTA}
    _report(check_declared_quota(_declared(args), most), report)


def image_checksum(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Ask `image-checksum` of an image."""
    _report(check_declared_image(_declared(args)), report)


def no_secrets(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Ask `secrets` of a seed or a domain."""
    _report(check_declared_secrets(_declared(args)), report)


def rogue_dhcp(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Ask `rogue-dhcp` of a network."""
    _report(check_declared_dhcp(_declared(args)), report)


def lan_filter(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Ask `lan-filter` of a domain: a layout may say that its guests serve DHCP on the LAN."""
    _report(check_declared_filter(_declared(args)), report)


POLICIES: list[Policy] = [
    ResourceValidationPolicy("naming", _NAMING, naming, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy("memory-overcommit", _MEMORY, memory, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy(
        "quota", _QUOTA, quota, EnforcementLevel.MANDATORY, PolicyConfigSchema(QUOTA)
    ),
    ResourceValidationPolicy("image-checksum", _IMAGE, image_checksum, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy("secrets", _SECRETS, no_secrets, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy("rogue-dhcp", _DHCP, rogue_dhcp, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy("lan-filter", _FILTER, lan_filter, EnforcementLevel.ADVISORY),
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
