"""A random walk of edits of the node set: whoever stays does not notice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

ROLES = ("box", "rack", "cell")
ROLE = "cpu: 1\nmemory: 64\ndisks: [1G]\ndeploy_os: false\n"
MOST = 6  # nodes at a time: each is a QEMU that emulates
POOL = "/var/lib/libvirt/images/metalab/prefixes"


class Walk:
    """One environment whose set of nodes is edited at random."""

    def __init__(self, project: Project, host: Hypervisor, prefix: str = "foo") -> None:
        self.host, self.prefix = host, prefix
        for role in ROLES:
            (project.folder / "topologies" / "nodes" / f"{role}.yaml").write_text(ROLE)
        self.counts = {"box": 2, "rack": 1}
        self.removed: list[str] = []
        self.stack: Stack = project.stack(prefix, **host.settings)
        self.carry_out()

    def nodes(self) -> list[str]:
        """Who is asked for."""
        every = [f"{role}-{n}" for role, count in self.counts.items() for n in range(count)]
        return [node for node in every if node not in self.removed]

    def edit(self, random: Random) -> str:
        """Make one edit, without carrying it out; answers which."""
        edits = [self._extend, self._remove, self._add, self._drop]
        while not (said := random.choice(edits)(random)):
            pass
        return said

    def _extend(self, random: Random) -> str:
        role, more = random.choice(list(self.counts)), random.randint(1, 2)
        if len(self.nodes()) + more > MOST:
            return ""
        self.counts[role] += more
        return f"+{more} {role}"

    def _remove(self, random: Random) -> str:
        node = random.choice(self.nodes())
        role = node.partition("-")[0]
        if sum(other.startswith(f"{role}-") for other in self.nodes()) == 1:
            return ""  # the last of a role: a rule refuses that
        self.removed.append(node)
        return f"-{node}"

    def _add(self, random: Random) -> str:
        free = [role for role in ROLES if role not in self.counts]
        if not free or len(self.nodes()) >= MOST:
            return ""
        self.counts[random.choice(free)] = 1
        return "a role"

    def _drop(self, random: Random) -> str:
        if len(self.counts) == 1:
            return ""
        role = random.choice(list(self.counts))
        del self.counts[role]
        self.removed = [node for node in self.removed if not node.startswith(f"{role}-")]
        return f"no {role}"

    def carry_out(self) -> None:
        """One `pulumi up`."""
        self.stack.configure(topology_nodes=self.counts, remove_nodes=self.removed or None)
        self.stack.up().ok()

    def seen(self) -> dict[str, str]:
        """What a node may not notice: UUID, MACs, addresses, disks, and since when it runs."""
        outputs = self.stack.outputs()["nodes"]
        said = self.host.run(
            f"cd /run/libvirt/qemu; for p in {self.prefix}-*.pid; do d=${{p%.pid}}; "
            "echo $d $(cat $p) $(cut -d' ' -f22 /proc/$(cat $p)/stat) $(virsh domuuid $d) "
            f"$(stat -c %i {POOL}/{self.prefix}/$d-vda.qcow2) "
            "$(virsh -q domiflist $d | awk '{print $3, $5}'); done"
        )
        name = re.compile(rf"{self.prefix}-((?:{'|'.join(ROLES)})-\d+) .*")
        found = {m[1]: m[0] for line in said.splitlines() if (m := name.fullmatch(line))}
        addresses = {node: outputs[node]["addresses"] for node in outputs}
        return {node: f"{line} {addresses.get(node)}" for node, line in found.items()}


def walked(walk: Walk, steps: int, seed: int) -> Iterator[str]:
    """Take random steps of one to three edits and an `up` each; assert what stays as it was."""
    random = Random(seed)  # noqa: S311 - repeatable is what it has to be
    for _ in range(steps):
        before = walk.seen()
        edits = [walk.edit(random) for _ in range(random.randint(1, 3))]
        walk.carry_out()
        after, wanted = walk.seen(), walk.nodes()
        assert sorted(after) == sorted(wanted), edits
        stayed = {node: seen for node, seen in before.items() if node in after}
        # Who went and came back within one step is the one it was: no run has seen it go.
        assert {node: after[node] for node in stayed} == stayed, edits
        yield f"{', '.join(edits)}: {len(stayed)} stayed, {len(wanted)} there"
