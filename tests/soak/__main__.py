"""`make soak`: what takes too long for every test run. Each part prints what it counted."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor, hypervisor, packaged_layer
from tests.soak.crowd import FOREIGN, Crowd, changed
from tests.soak.walk import Walk, walked

# Each network with DHCP is a dnsmasq, which takes one; a kernel has 128 for root, and so for about
# sixty environments: docs/operations.md. Containers have this machine's.
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


def crowd(project: Project, host: Hypervisor, chosen: argparse.Namespace) -> None:
    """16 first `up`s at once, a hundred environments, half of them gone, back, and all gone."""
    INOTIFY.write_text(f"{max(int(INOTIFY.read_text()), 4 * chosen.environments)}\n")
    host.run(FOREIGN)
    project.add_blank()
    nobody = Crowd(project, host, at_once=1, running=0)
    nobody.warm_up()
    before, foreign = host.inventory(), nobody.everybody()
    first = Crowd(project, host, at_once=16, running=4)
    begun = time.monotonic()
    first.make(16)
    say(f"16 first runs at once: all succeeded, {time.monotonic() - begun:.0f} s")
    first.at_once, begun = 4, time.monotonic()
    first.make(chosen.environments)
    took = time.monotonic() - begun
    leases = first.leases()
    subnets = sum(map(len, leases.values()))
    assert first.overlapping() == []
    say(f"{len(leases)} environments, {subnets} subnets, none twice, {took:.0f} s for the rest")
    took = first.each(["foo"], Stack.unchanged)
    say(f"a run that changes nothing, among them: {took:.1f} s")
    everybody, half = first.everybody(), list(first.stacks)[::2]
    took = first.each(half, Stack.destroy)
    check_same(changed(everybody, first.everybody(), half))
    say(f"{len(half)} destroyed in {took:.0f} s, {len(everybody) - len(half)} others to the byte")
    first.bring_back(half[:8], leases)
    again = first.leases()
    assert {p: again[p] for p in half[:8]} == {p: leases[p] for p in half[:8]}
    say("8 of them are back, with the subnets that they had")
    there = [prefix for prefix in first.stacks if prefix in again]
    took = first.each(there, Stack.destroy)
    assert host.inventory() == before
    assert nobody.everybody() == foreign
    say(f"all destroyed in {took:.0f} s: nothing is left, and what is foreign is as it was")


def walk(project: Project, host: Hypervisor, chosen: argparse.Namespace) -> None:
    """Random sequences of edits of the node set on one environment, beside a neighbour."""
    one = Walk(project, host)
    neighbour = Walk(project, host, "foo-box")
    others = Crowd(project, host, at_once=1, running=0)
    was = others.everybody()
    for number, line in enumerate(walked(one, chosen.sequences, chosen.seed), start=1):
        say(f"{number}: {line}")
    one.stack.unchanged().ok()
    one.stack.fab("drift").ok()
    check_same(changed(was, others.everybody(), ["foo"]))
    one.stack.destroy().ok()
    check_same(changed(was, others.everybody(), ["foo"]))
    say(f"{chosen.sequences} sequences: whoever stayed did not notice, nor did the neighbour")
    neighbour.stack.destroy().ok()


def noops(project: Project, host: Hypervisor, chosen: argparse.Namespace) -> None:
    """Runs that change nothing, one after the other."""
    project.add_blank()
    settings = {"topology_nodes": "blank:1,tiny:1", "image_url": "tiny", **host.settings}
    stack = project.stack("foo", **settings)
    stack.up().ok()
    for number in range(chosen.runs):
        run = stack.pulumi("up", "--yes", "--expect-no-changes", *(["--refresh"] * (number % 2)))
        run.ok()
    say(f"{chosen.runs} runs, every other one with --refresh: nothing changed")


PARTS: dict[str, Callable[[Project, Hypervisor, argparse.Namespace], None]] = {
    "crowd": crowd,
    "walk": walk,
    "noops": noops,
}


def main(words: list[str]) -> int:
    """Run the parts, each on a hypervisor of its own."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--environments", type=int, default=100)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(words)
    layer = packaged_layer("soak")
    for part in chosen.parts:
        say(f"== {part}: {PARTS[part].__doc__}")
        with (
            hypervisor(f"soak{part}", layer) as host,
            tempfile.TemporaryDirectory(prefix="soak-") as folder,
        ):
            PARTS[part](Project.copy(Path(folder)), host, chosen)
    return 0


def check_same(found: list[str]) -> None:
    """Fail with what was changed."""
    if found:
        raise AssertionError("\n".join(found))


def say(line: str) -> None:
    """Progress and result."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
