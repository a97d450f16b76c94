"""A hypervisor's address on Pulumi's wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.config import HypervisorSpec

FIELDS = ("address", "user", "key", "known_hosts", "port")
LOGIN = FIELDS[1:]  # may change on a host that stays: every resource has to remember the new ones
# What states hold of stacks that set neither, when these were the defaults: no reason to change.
_FORMER = {"user": "root", "known_hosts": "~/.ssh/known_hosts"}


def to_wire(spec: HypervisorSpec) -> dict[str, str]:
    """The inputs that let every later operation, destroy included, reach the host again."""
    fields = {field: str(getattr(spec, field)) for field in FIELDS[:-1]}
    return {**fields, "port": str(spec.port)} if spec.port else fields


def from_wire(props: Mapping[str, Any]) -> HypervisorSpec:
    """The same, read back."""
    fields = {field: str(props[field]) for field in FIELDS[:-1]}
    return HypervisorSpec(**fields, port=int(props.get("port") or 0))


def changed_login(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """The fields of the login that differ."""
    return [
        key
        for key in LOGIN
        if olds.get(key) != news.get(key)
        and not (news.get(key) == "" and olds.get(key) == _FORMER.get(key))
    ]
