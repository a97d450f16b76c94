"""What an environment holds on a hypervisor: one lease for each prefix, a JSON file over there.

The lease makes a plan repeatable: subnets, host numbers, disks and images of nodes that exist
come from here, and only what is new is chosen. Two leases of one host never overlap.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from lab.errors import Problem
from lab.naming import split_slot
from lab.storage import LEASES_DIR

FORMAT = 1  # of the file; a reader refuses what a newer metalab wrote
_LEFT_OUT = ("subnets6", "preferred6")  # where they are empty: younger than the format


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldNode:
    """What one node got when it was first planned, and keeps until it is removed."""

    numbers: Mapping[str, int]  # {"management": 12}: by network; "data.2" is a second NIC there
    disks_gib: Mapping[str, int]  # {"vda": 40}
    image: str = ""  # sha256 of its base image; empty for a blank node
    memory_mib: int = 0
    user: str = ""  # whom cloud-init made, who logs in; empty: root
    raw: tuple[str, ...] = ()  # ("vdb",): disks that are not qcow2
    # {"vdb": sha256}: what disks are overlays on, but for that of the system.
    bases: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """Everything that one prefix claims of one host.

    `leaving` keeps the host numbers of nodes that the last change of the node set removed: their
    domains go after new ones have started, and a number must not be two machines' at once.
    """

    prefix: str
    virt_type: str  # "kvm" or "qemu": decided once; a kvm node that appears later moves nobody
    subnets: Mapping[str, str] = field(default_factory=dict[str, str])  # {"data": "192.0.2.0/24"}
    preferred: Mapping[str, str] = field(default_factory=dict[str, str])  # what the file asked for
    subnets6: Mapping[str, str] = field(default_factory=dict[str, str])  # {"data": "fd12:.../64"}
    preferred6: Mapping[str, str] = field(default_factory=dict[str, str])  # one, or "any"
    nodes: Mapping[str, HeldNode] = field(default_factory=dict[str, HeldNode])  # by "tiny-0"
    leaving: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    memory_mib: int = 0  # of all nodes, QEMU's overhead included
    vcpus: int = 0
    disk_gib: int = 0  # virtual size of all disks: the worst case
    owner: str = ""  # the stack's public key: another state of the same prefix is somebody else

    @property
    def digest(self) -> str:
        """The same for leases that claim the same, whosever they are."""
        return sha256(replace(self, owner="").to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The text of the lease file; equal leases give equal bytes."""
        plain: dict[str, Any] = {
            key: value for key, value in asdict(self).items() if value or key not in _LEFT_OUT
        }
        for held in plain["nodes"].values():
            for word in ("raw", "bases", "user"):  # which leases of earlier days do not have
                if not held[word]:
                    del held[word]
        return json.dumps({"format": FORMAT, **plain}, sort_keys=True, indent=1) + "\n"


def parse_lease(text: str) -> Lease:
    """Read a lease file or what to_json gave.

    Raises:
        ValueError: not a lease, or of a format that this metalab does not know.
    """
    raw: Any = json.loads(text)
    try:
        if raw.pop("format", None) != FORMAT:
            raise ValueError(f"lease format is not {FORMAT}")
        nodes = {name: _held(words) for name, words in raw.pop("nodes").items()}
        lease = Lease(**raw, nodes=nodes)
        _check_values(lease)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a lease: {error}") from error
    return lease


def _held(raw: Any) -> HeldNode:  # noqa: ANN401 - JSON
    words: dict[str, Any] = {**raw, "raw": tuple(raw.get("raw", ()))}
    return HeldNode(**words)


def _check_values(lease: Lease) -> None:
    """Raise what tells that no plan wrote this: JSON takes any type where a plan reckons later."""
    for subnet in lease.subnets.values():
        IPv4Network(subnet)
    for subnet in lease.subnets6.values():
        IPv6Network(subnet)
    for node in lease.nodes.values():
        for name in node.numbers:
            split_slot(name)
    sums: list[object] = [lease.memory_mib, lease.vcpus, lease.disk_gib]
    held = [number for node in lease.nodes.values() for number in node.numbers.values()]
    if any(type(number) is not int for number in (*sums, *held)):
        raise TypeError("a number is not a whole number")


def check_claim(
    claim: Lease, others: Mapping[str, Lease], *, memory_limit_mib: int | None, where: str
) -> list[Problem]:
    """Judge a claim against the other prefixes' leases of the same host.

    The plan was made from facts that may be minutes old; this is asked again under the host's
    lock, so that two concurrent runs never share a subnet and never overcommit together.

    Args:
        claim: the lease about to be written.
        others: the leases that are on the host now; one of the claim's own prefix is ignored.
        memory_limit_mib: MiB that all leases together may claim; None: overcommit is allowed.
        where: the host's address, for the messages.
    """
    problems = _owned_by_another(claim, others.get(claim.prefix), where)
    foreign = {prefix: lease for prefix, lease in others.items() if prefix != claim.prefix}
    problems += [
        Problem(
            where=f"{where}: network {network}",
            got=f"{subnet}, which {prefix} leased as {their_network} meanwhile",
            allowed="a free subnet",
            rule="lease-subnet",
            next_step="Run the command again: the next plan takes another subnet",
        )
        for network, subnet in _subnets(claim)
        for prefix, lease in foreign.items()
        for their_network, theirs in _subnets(lease)
        if ip_network(subnet).overlaps(ip_network(theirs))
    ]
    total_mib = claim.memory_mib + sum(lease.memory_mib for lease in foreign.values())
    if memory_limit_mib is not None and total_mib > memory_limit_mib:
        problems.append(
            Problem(
                where=where,
                got=f"{total_mib} MiB leased by {', '.join(sorted([claim.prefix, *foreign]))}",
                allowed=f"at most {memory_limit_mib} MiB",
                rule="memory-overcommit",
                next_step="Shrink memory or counts, or set host-memory-overcommit",
            )
        )
    return problems


def _subnets(lease: Lease) -> Iterator[tuple[str, str]]:
    """Those of both families, by network; they overlap within one alone."""
    yield from lease.subnets.items()
    yield from lease.subnets6.items()


def _owned_by_another(claim: Lease, was: Lease | None, where: str) -> list[Problem]:
    """Two operators with one prefix and a state each would take each other's machines apart."""
    if was is None or was.owner in ("", claim.owner):
        return []
    return [
        Problem(
            where=where,
            got=f"an environment {claim.prefix} that another stack state owns",
            allowed="a prefix that is free on this host",
            rule="prefix-owned",
            next_step=(
                "Use the state it was made with, or another prefix; if that state is lost, "
                f"remove {LEASES_DIR}/{claim.prefix}.json there to take the environment over"
            ),
        )
    ]
