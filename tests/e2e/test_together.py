"""Environments that come and go at the same moment, on a host that nobody prepared yet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from itertools import combinations

import pytest

from lab.host.leases import read_leases
from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
BLANK = "cpu: 1\nmemory: 128\ndisks: [1G]\ndeploy_os: false\n"


def test_two_first_ups_at_once_both_succeed(project: Project, hypervisor: Hypervisor) -> None:
    (project.folder / "topologies" / "nodes" / "blank.yaml").write_text(BLANK)
    stacks = [
        project.stack(prefix, topology_nodes="blank:1", **hypervisor.settings)
        for prefix in ("one", "two")
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda stack: stack.up().ok(), stacks))
    subnets = [subnet for stack in stacks for subnet in leased(hypervisor, stack)]
    assert len(subnets) == 6
    assert not [pair for pair in combinations(subnets, 2) if pair[0].overlaps(pair[1])]
    for stack in stacks:
        stack.pulumi("up", "--yes", "--expect-no-changes").ok()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda stack: stack.destroy().ok(), stacks))
    traces = ("/metalab", "metalab:", "/one", "/two", " one-", " two-")
    assert not [line for line in hypervisor.inventory() if any(t in line for t in traces)]


def leased(hypervisor: Hypervisor, stack: Stack) -> list[IPv4Network]:
    with hypervisor.shell() as shell:
        return [IPv4Network(s) for s in read_leases(shell)[stack.prefix].subnets.values()]
