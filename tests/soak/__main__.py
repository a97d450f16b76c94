"""`make soak`: what takes too long for every test run. Each part prints what it counted.

All of it happens on one hypervisor beside the same neighbours, who notice nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from tests.e2e.engine import Project, Stack, build_tiny
from tests.e2e.hypervisors import Hypervisor, hypervisor, packaged_layer
from tests.soak.crowd import Crowd, changed, everybody
from tests.soak.neighbours import ALIKE, Neighbours
from tests.soak.trials import trials
from tests.soak.walk import Walk, walked

# Each network with DHCP is a dnsmasq, which takes one; a kernel has 128 for root, and so for about
# sixty environments: docs/operations.md. Containers have this machine's.
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


def crowd(project: Project, host: Hypervisor, chosen: argparse.Namespace) -> None:
    """16 first `up`s at once, a hundred environments, half of them gone, back, and all gone."""
    INOTIFY.write_text(f"{max(int(INOTIFY.read_text()), 4 * chosen.environments)}\n")
    before = host.inventory()
    many = Crowd(project, host, at_once=16, running=4)
    begun = time.monotonic()
    many.make(16)
    say(f"16 first runs at once: all succeeded, {time.monotonic() - begun:.0f} s")
    many.at_once, begun = 4, time.monotonic()
    many.make(chosen.environments)
    took = time.monotonic() - begun
    leases = many.leases()
    subnets = sum(map(len, leases.values()))
    assert many.overlapping() == []
    say(f"{len(leases)} environments, {subnets} subnets, none twice, {took:.0f} s for the rest")
    took = many.each(["env0"], Stack.unchanged)
    say(f"a run that changes nothing, among them: {took:.1f} s")
    there, half = everybody(host), list(many.stacks)[::2]
    took = many.each(half, Stack.destroy)
    check_same(changed(there, everybody(host), half))
    say(f"{len(half)} destroyed in {took:.0f} s, {len(there) - len(half)} others to the byte")
    many.each(half[:8], many.up)
    again = many.leases()
    assert {p: again[p] for p in half[:8]} == {p: leases[p] for p in half[:8]}
    say("8 of them are back, with the subnets that they had")
    took = many.each([prefix for prefix in many.stacks if prefix in again], Stack.destroy)
    assert host.inventory() == before
    say(f"all destroyed in {took:.0f} s: nothing is left")


def walk(project: Project, host: Hypervisor, chosen: argparse.Namespace) -> None:
    """Random sequences of edits of the node set of one environment."""
    one = Walk(project, host)
    for number, line in enumerate(walked(one, chosen.sequences, chosen.seed), start=1):
        say(f"{number}: {line}")
    one.stack.unchanged().ok()
    one.stack.fab("drift").ok()
    say(f"{chosen.sequences} sequences: whoever stayed did not notice")
    one.stack.destroy().ok()


def noops(project: Project, host: Hypervisor, chosen: argparse.Namespace) -> None:
    """Runs that change nothing, one after the other."""
    build_tiny()
    settings = {"topology_nodes": "blank:1,tiny:1", "image_url": "tiny", **host.settings}
    stack = project.stack("still", **settings)
    stack.up().ok()
    for number in range(chosen.runs):
        run = stack.pulumi("up", "--yes", "--expect-no-changes", *(["--refresh"] * (number % 2)))
        run.ok()
    say(f"{chosen.runs} runs, every other one with --refresh: nothing changed")
    stack.destroy().ok()


def refusals(project: Project, host: Hypervisor, chosen: argparse.Namespace) -> None:
    """What is one too large for a limit, and what just fits, through the engine."""
    before, there = host.inventory(), everybody(host)
    stack = project.stack("full", **host.settings)
    for number, trial in enumerate(islice(trials(host, chosen.seed), chosen.trials), start=1):
        trial.write(stack, fits=False)
        said = stack.up().refused().out
        assert f"[{trial.rule}]" in said, said
        assert (host.inventory(), everybody(host)) == (before, there), trial
        trial.write(stack, fits=True)
        stack.pulumi("preview").ok()
        say(f"{number}: {trial}")
    say(f"{chosen.trials} refused without one mutation, {chosen.trials} at the limit accepted")


PARTS: dict[str, Callable[[Project, Hypervisor, argparse.Namespace], None]] = {
    "crowd": crowd,
    "walk": walk,
    "noops": noops,
    "refusals": refusals,
}


def main(words: list[str]) -> int:
    """Run the parts, one after the other."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--environments", type=int, default=100)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(words)
    with (
        hypervisor("soak", packaged_layer("soak")) as host,
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
    ):
        neighbours = Neighbours(Project.copy(Path(folder)), host)
        for part in chosen.parts:
            say(f"== {part}: {PARTS[part].__doc__}")
            PARTS[part](neighbours.project, host, chosen)
            check_same(neighbours.changed())
            say(f"{', '.join(ALIKE)} and what is foreign: to the byte as before")
        neighbours.leave()
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
