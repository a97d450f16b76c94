"""Whoever else lives on the hypervisor, and whether anything of theirs was changed."""

from __future__ import annotations

from tests.e2e.engine import Project
from tests.e2e.hypervisors import Hypervisor
from tests.soak.crowd import FOREIGN, changed, everybody

ALIKE = ("f", "foo2", "foo-compute")  # begin like foo, or like the names of its nodes


class Neighbours:
    """Environments whose prefixes begin like foo's, and foreign things; one's node runs."""

    def __init__(self, project: Project, host: Hypervisor) -> None:
        self.project, self.host = project, host
        project.add_blank()
        host.run(FOREIGN)
        nodes = {"topology_nodes": "blank:1", **host.settings}
        self.stacks = [project.stack(prefix, **nodes) for prefix in ALIKE]
        for stack in self.stacks:
            stack.up().ok()
        for prefix in ALIKE[1:]:  # a blank node's power is its lab's affair, and costs much here
            host.run(f"virsh destroy {prefix}-blank-0")
        self.was = everybody(host)

    def changed(self) -> list[str]:
        """Lines of theirs that are not as they were; what has come since is somebody else's."""
        theirs = everybody(self.host)
        return changed(self.was, {who: lines for who, lines in theirs.items() if who in self.was})

    def leave(self) -> None:
        """Take them away again, but for what is foreign."""
        for stack in self.stacks:
            stack.destroy().ok()
