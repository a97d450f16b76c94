"""What metalab costs, measured: `uv run python -m bench`. Ratios count; machines are noisy.

Everything runs in one go on one hypervisor container, so that a figure and its floor share the
weather. Nothing here passes or fails: read the table.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

from bench import preparation
from bench.floor import floor_s
from bench.slow_link import slow_link
from lab.config import parse_config
from lab.facts import HostFacts
from lab.plan import plan_lab
from lab.specs import NetworkSpec
from lab.topology import load_topology
from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor, hypervisor, packaged_layer

SETTLED_S = 40  # ten guests' firmware tries the network under emulation, and takes all cores for it
FAR_S = 0.05  # a round trip
BLANK = "cpu: 1\nmemory: 128\ndisks: [1G]\ndeploy_os: false\n"


def main() -> None:
    """Measure, and print a table."""
    rows = [("plan of 1,000 nodes", _plan_s(1_000), "0.5 s")]
    _show(rows[-1])
    with tempfile.TemporaryDirectory() as folder, hypervisor("bench", packaged_layer("b")) as host:
        _preparation(host, Path(folder))
        project = Project.copy(Path(folder))
        (project.folder / "topologies" / "nodes" / "blank.yaml").write_text(BLANK)
        _show(("preparation, packages there", _prepared_s(project, host), ""))
        _ten_blank(project, host)
        _show(("3 tiny nodes, domain start to SSH", _tiny_s(project, host), "12 s"))


def _plan_s(count: int) -> float:
    config = parse_config({"host-address": "h", "topology-nodes": f"ironic:{count}"}, "foo")
    topology = load_topology(config)
    wide = tuple(_widened(network, i) for i, network in enumerate(topology.networks))
    facts = HostFacts(hostname="h", os_id="debian", memory_mib=1 << 30)
    return _timed(lambda: plan_lab(config, replace(topology, networks=wide), None, facts))


def _widened(network: NetworkSpec, index: int) -> NetworkSpec:
    return replace(network, subnet=IPv4Network((0x0A800000 + (index << 16), 20)))


def _prepared_s(project: Project, host: Hypervisor) -> float:
    """An environment of blank nodes makes the host ready, so that later figures are the lab's."""
    stack = project.stack("warm", topology_nodes="blank:1", **host.settings)
    return _timed(lambda: stack.up().ok())


def _preparation(host: Hypervisor, folder: Path) -> None:
    preparation.prepare(host.spec)
    again = [preparation.prepare(host.spec) for _ in range(3)]
    print(f"{'second preparation, round trips':44} {again[0][1]:8}    aim 2")
    _show(("second preparation", min(seconds for seconds, _, _ in again), "1.5 s"))
    with slow_link(host, FAR_S / 2, folder) as far:
        again = [preparation.prepare(far) for _ in range(3)]
    _show((f"the same, {FAR_S * 1000:.0f} ms away", min(again)[0], "2.0 s"))
    preparation.leave(host.spec)
    with hypervisor("fresh") as fresh:
        seconds, packages_s = preparation.first_time(fresh)
    _show(("first preparation, besides its packages", seconds - packages_s, "15 s"))


def _ten_blank(project: Project, host: Hypervisor) -> None:
    stack = project.stack("ten", topology_nodes="blank:10", **host.settings)
    ups: list[float] = []
    floors: list[float] = []
    for _ in range(3):
        ups.append(_timed(lambda: stack.up().ok()))
        time.sleep(SETTLED_S)
        if not floors:
            _show(("no-op up with preview, 10 nodes", _best(lambda: _no_op(stack)), "3.5 s"))
            _show(("no-op up -f, 10 nodes", _best(lambda: stack.up().ok()), ""))
        floors.append(floor_s(host, "ten"))
        time.sleep(SETTLED_S)
        destroyed = _timed(lambda: stack.destroy().ok())
    _show(("up -f, 3 networks + 10 blank nodes", min(ups), ""))
    _show(("plain parallel libvirt calls, the same", min(floors), ""))
    print(f"{'ratio of the two':44} {min(ups) / min(floors):8.2f} x  aim 1.6 x")
    _show(("destroy, 10 blank nodes", destroyed, ""))


def _no_op(stack: Stack) -> None:
    """A plain up without the policy pack, which costs half a second a phase."""
    stack.pulumi("up", "--yes", "--expect-no-changes", PULUMI_OPTION_POLICY_PACK="").ok()


def _tiny_s(project: Project, host: Hypervisor) -> float:
    """From the first domain's start to the end of `up`: what a user waits, a second of it ours."""
    stack = project.stack("three", topology_nodes="tiny:3", image_url="tiny", **host.settings)
    stack.up().ok()
    ended = time.time()
    started = host.run("stat -c %Y /run/libvirt/qemu/three-*.pid").split()
    return ended - min(int(second) for second in started)


def _timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def _best(action: Callable[[], object]) -> float:
    return min(_timed(action) for _ in range(3))


def _show(row: tuple[str, float, str]) -> None:
    what, seconds, aim = row
    print(f"{what:44} {seconds:8.2f} s{f'  aim {aim}' if aim else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
