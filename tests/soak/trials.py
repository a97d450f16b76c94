"""Environments on both sides of a host's limits, and of those that a stack sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from random import Random

import yaml

from lab.capacity import OVERHEAD_MIB, disk_room, memory_room, vcpus_of_others
from lab.facts import HostFacts
from lab.host.facts import look
from tests.e2e.engine import Stack
from tests.e2e.hypervisors import Hypervisor

OVERHEAD = OVERHEAD_MIB["qemu"]
NODES = 9  # at most, of a trial


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Some nodes of a shape and one that makes the sum; it is one more where it is not to fit."""

    rule: str
    nodes: int
    memory: int = 64  # MiB of each
    cpu: int = 1
    disk: int = 1  # GiB
    last: int  # of what the rule counts: MiB, vCPUs, GiB or nodes
    settings: dict[str, object]

    def write(self, stack: Stack, *, fits: bool) -> None:
        """Have the stack ask for it."""
        many = {"memory": self.memory, "cpu": self.cpu, "disks": [f"{self.disk}G"]}
        last = self.last if fits else self.last + 1
        counts = {"many": self.nodes, "last": last if self.rule == "quota" else 1}
        shapes = {
            "memory-overcommit": {"memory": last},
            "vcpu-overcommit": {"cpu": last},
            "disk-overcommit": {"disks": [f"{last}G"]},
            "quota": {},
        }
        one = {**many, **shapes[self.rule]}
        for role, shape in (("many", many), ("last", one)):
            text = yaml.safe_dump({**shape, "deploy_os": False})
            (stack.project.folder / "topologies" / "nodes" / f"{role}.yaml").write_text(text)
        none = dict.fromkeys(("host_vcpu_ratio", "host_disk_overcommit", "quota"))
        stack.configure(**{**none, **self.settings, "topology_nodes": counts})


def _memory(facts: HostFacts, random: Random) -> Trial:
    room = memory_room(facts, "full").available - OVERHEAD
    nodes = random.randint(1, NODES)
    each = random.randint(64, (room - 64) // nodes - OVERHEAD)
    last = room - nodes * (each + OVERHEAD)
    return Trial(rule="memory-overcommit", nodes=nodes, memory=each, last=last, settings={})


def _vcpus(facts: HostFacts, random: Random) -> Trial:
    nodes, cpu = random.randint(1, NODES), random.randint(1, 4)
    others = vcpus_of_others(facts, "full")
    ratio = (nodes * cpu + others) // facts.cpu_count + random.randint(1, 3)
    last = ratio * facts.cpu_count - others - nodes * cpu
    return Trial(
        rule="vcpu-overcommit", nodes=nodes, cpu=cpu, last=last,
        settings={"host_vcpu_ratio": ratio},
    )  # fmt: skip


def _disks(facts: HostFacts, random: Random) -> Trial:
    room = disk_room(facts, "full")
    left = room.available - room.others
    nodes = random.randint(1, min(NODES, left - 2))
    each = random.randint(1, (left - 1) // nodes - 1) if left > 2 * nodes + 1 else 1
    return Trial(
        rule="disk-overcommit", nodes=nodes, disk=each, last=left - nodes * each,
        settings={"host_disk_overcommit": False},
    )  # fmt: skip


def _quota(_facts: HostFacts, random: Random) -> Trial:
    nodes, last = random.randint(1, NODES), random.randint(1, NODES)
    return Trial(
        rule="quota", nodes=nodes, last=last, settings={"quota": {"nodes": nodes + last}}
    )  # fmt: skip


KINDS: tuple[Callable[[HostFacts, Random], Trial], ...] = (_memory, _vcpus, _disks, _quota)


def trials(host: Hypervisor, seed: int) -> Iterator[Trial]:
    """Without end, each kind in turn, by what the host has at the moment."""
    random = Random(seed)  # noqa: S311 - repeatable is what it has to be
    for kind in cycle(KINDS):
        with host.shell() as shell:
            facts = look(shell)
        yield kind(facts, random)
