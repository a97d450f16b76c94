"""What many nodes cost: to plan, to change nothing, to add one; and what a long way costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from random import Random

from bench.measuring import best, show, timed
from bench.slow_link import slow_link
from lab.config import StackConfig, parse_config
from lab.facts import HostFacts
from lab.host.leases import claim
from lab.lease import Lease
from lab.plan import plan_lab
from lab.removal import indexes_left
from lab.specs import NetworkSpec, Topology
from lab.topology import load_topology
from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

FACTS = HostFacts(hostname="h", os_id="debian", memory_mib=1 << 30)
SEQUENCES, STEPS = 1_000, 5
MANY, SOME = 200, 50
LEASES = 30  # of other environments, on the host where one is claimed


def plans() -> None:
    """No host: the planner alone."""
    config, topology = _wide("ironic:1000")
    took = timed(lambda: plan_lab(config, topology, None, FACTS))
    show("plan of 1,000 nodes", took, "0.5 s")
    show(f"{SEQUENCES:,} sequences of {STEPS} edits, planned", timed(_sequences), "10 s")


def _sequences() -> None:
    config = parse_config({"host-address": "h", "topology-nodes": "ironic:1"}, "foo")
    topology = load_topology(config)
    random = Random(1)  # noqa: S311 - repeatable is what it has to be
    for _ in range(SEQUENCES):
        count, removed, facts = 3, set[str](), FACTS
        for _ in range(STEPS):
            if random.random() < 0.5:  # noqa: PLR2004
                count += random.randint(1, 3)
            else:
                removed.add(f"ironic-{random.randrange(count)}")
            left = indexes_left({"ironic": count}, removed)["ironic"]
            roles = (replace(topology.roles[0], indexes=left),)
            plan = plan_lab(config, replace(topology, roles=roles), None, facts)
            facts = replace(FACTS, leases={"foo": plan.lease})


def _wide(nodes: str) -> tuple[StackConfig, Topology]:
    config = parse_config({"host-address": "h", "topology-nodes": nodes}, "foo")
    topology = load_topology(config)
    wide = tuple(_widened(network, i) for i, network in enumerate(topology.networks))
    return config, replace(topology, networks=wide)


def _widened(network: NetworkSpec, index: int) -> NetworkSpec:
    return replace(network, subnet=IPv4Network((0x0A800000 + (index << 16), 20)))


def claims(host: Hypervisor) -> None:
    """One lease, beside many."""
    nobody = Lease(prefix="x", virt_type="qemu")
    with host.shell() as shell:
        for number in range(LEASES):
            other = replace(nobody, prefix=f"x{number}", subnets={"a": f"10.9.{number}.0/24"})
            claim(other, shell, memory_limit_mib=None, progress=print)
        mine = replace(nobody, prefix="mine")
        took = best(lambda: claim(mine, shell, memory_limit_mib=None, progress=print), times=9)
        show(f"lease claim, beside {LEASES} others", took * 1000, "50 ms", unit="ms")
        shell.run("rm -f /var/lib/metalab/leases/x*.json /var/lib/metalab/leases/mine.json")


def some(project: Project, host: Hypervisor) -> None:
    """Fifty nodes and one more, a few times."""
    stack = _made(project, host, "some", SOME)
    fast, seen = list[float](), list[float]()
    for more in range(0, 6, 2):
        fast.append(_extended_s(host, stack, SOME + more + 1))
        seen.append(_extended_s(host, stack, SOME + more + 2, "--yes"))
    show(f"extend {SOME} nodes by one, up -f", min(fast), "4 s")
    show("the same with preview", min(seen), "")
    stack.destroy().ok()


def _extended_s(host: Hypervisor, stack: Stack, count: int, *flags: str) -> float:
    stack.configure(topology_nodes=f"blank:{count}")
    took = timed(lambda: stack.up(*flags).ok())
    _off(host, stack.prefix)
    return took


def many(project: Project, host: Hypervisor) -> None:
    """Two hundred nodes, and nothing to do."""
    stack = _made(project, host, "many", MANY)
    show(f"no-op up with preview, {MANY} nodes", best(lambda: no_op(stack)), "8 s")
    show(f"no-op up -f, {MANY} nodes", best(lambda: stack.up().ok()), "")
    show(f"destroy, {MANY} nodes that are off", timed(lambda: stack.destroy().ok()), "")


def far(project: Project, host: Hypervisor, round_trip_s: float, folder: Path) -> None:
    """Ten nodes made from far away, and from here."""
    near = project.stack("near", topology_nodes="blank:10", **host.settings)
    here = min(_up_s(host, near) for _ in range(2))
    with slow_link(host, round_trip_s / 2, folder) as spec:
        settings = {"host_address": spec.address, "host_known_hosts": spec.known_hosts}
        stack = project.stack("far", **{**host.settings, **settings, "topology_nodes": "blank:10"})
        there = min(_up_s(host, stack) for _ in range(2))
    show(f"up -f of 10 blank nodes, {round_trip_s * 1000:.0f} ms away", there, "")
    show("the same, here", here, "")
    show("ratio of the two", there / here, "2.5 x", unit="x")


def no_op(stack: Stack) -> None:
    """A plain up without the policy pack, which costs half a second a phase."""
    stack.pulumi("up", "--yes", "--expect-no-changes", PULUMI_OPTION_POLICY_PACK="").ok()


def _up_s(host: Hypervisor, stack: Stack) -> float:
    took = timed(lambda: stack.up().ok())
    _off(host, stack.prefix)
    stack.destroy().ok()
    return took


def _made(project: Project, host: Hypervisor, prefix: str, count: int) -> Stack:
    """Blank nodes that are switched off: their power is their lab's affair, and costs much."""
    stack = project.stack(
        prefix, topology_nodes=f"blank:{count}", host_memory_overcommit=True, **host.settings
    )
    with _paused(host, prefix):
        stack.up().ok()
    _off(host, prefix)
    return stack


@contextmanager
def _paused(host: Hypervisor, prefix: str) -> Generator[None]:
    """Stop guests as they come: two hundred that look for a network under emulation take all."""
    running = f"$(virsh list --state-running --name | grep '^{prefix}-')"
    over = threading.Event()

    def pause() -> None:
        while not over.wait(1):
            host.run(f"for d in {running}; do virsh -q suspend $d; done; true")

    with ThreadPoolExecutor(1) as pool:
        pausing = pool.submit(pause)
        try:
            yield
        finally:
            over.set()
        pausing.result()


def _off(host: Hypervisor, prefix: str) -> None:
    names = f"$(virsh list --name | grep '^{prefix}-')"
    host.run(f"for d in {names}; do virsh -q destroy $d; done")
    time.sleep(2)
