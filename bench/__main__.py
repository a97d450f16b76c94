"""What metalab costs, measured: `uv run python -m bench [PART ...]`. Ratios count.

Everything runs in one go on one hypervisor container, so that a figure and its floor share the
weather. Nothing here passes or fails: read the table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import preparation, scale
from bench.bare import empty_program
from bench.floor import Floor, floor
from bench.measuring import best, show, timed
from bench.slow_link import slow_link
from tests.e2e.engine import Project, Stack, build_tiny
from tests.e2e.hypervisors import Hypervisor, hypervisor, packaged_layer

SETTLED_S = 40  # ten guests' firmware tries the network under emulation, and takes all cores for it
FAR_S = 0.05  # a round trip
BLANK = "cpu: 1\nmemory: 128\ndisks: [1G]\ndeploy_os: false\n"


def _prepare(_project: Project, host: Hypervisor) -> None:
    preparation.prepare(host.spec)
    again = [preparation.prepare(host.spec) for _ in range(3)]
    show("second preparation, round trips", again[0][1], "2", unit="")
    show("second preparation", min(seconds for seconds, _, _ in again), "1.5 s")
    with (
        tempfile.TemporaryDirectory() as folder,
        slow_link(host, FAR_S / 2, Path(folder)) as far,
    ):
        again = [preparation.prepare(far) for _ in range(3)]
    show(f"the same, {FAR_S * 1000:.0f} ms away", min(again)[0], "2.0 s")
    preparation.leave(host.spec)
    with hypervisor("fresh") as fresh:
        seconds, packages_s = preparation.first_time(fresh)
    show("first preparation, besides its packages", seconds - packages_s, "15 s")


def _ten(project: Project, host: Hypervisor) -> None:
    stack = project.stack("ten", topology_nodes="blank:10", **host.settings)
    ups, downs, floors = list[float](), list[float](), list[Floor]()
    bare, bare_downs = empty_program(project), list[float]()
    for _ in range(3):
        ups.append(timed(lambda: stack.up().ok()))
        time.sleep(SETTLED_S)
        if not floors:
            show("no-op up with preview, 10 nodes", best(lambda: scale.no_op(stack)), "2.5 s")
            show("the same, of an empty program", best(lambda: scale.no_op(bare)))
            show("no-op up -f, 10 nodes", best(lambda: stack.up().ok()))
        floors.append(floor(host, "ten", 10, SETTLED_S))
        time.sleep(SETTLED_S)
        downs.append(_destroy_s(stack))
        bare_downs.append(_destroy_s(bare))
        bare.up().ok()
    for what, ours, plain, aim in (
        ("up -f, 3 networks + 10 blank nodes", ups, [it.make for it in floors], "1.6 x"),
        ("destroy -f, the same", downs, [it.remove for it in floors], "1.2 x"),
    ):
        show(what, min(ours))
        show("plain parallel libvirt calls", min(plain))
        show("ratio of the two", min(ours) / min(plain), aim, unit="x")
    show("destroy -f, of an empty program", min(bare_downs))


def _destroy_s(stack: Stack) -> float:
    return timed(lambda: stack.pulumi("destroy", "--yes", "--skip-preview").ok())


def _tiny(project: Project, host: Hypervisor) -> None:
    """From the first domain's start to the end of `up`: what a user waits, a second of it ours."""
    build_tiny()
    stack = project.stack("three", topology_nodes="tiny:3", image_url="tiny", **host.settings)
    stack.up().ok()
    ended = time.time()
    started = host.run("stat -c %Y /run/libvirt/qemu/three-*.pid").split()
    waited = ended - min(int(second) for second in started)
    show("3 tiny nodes, domain start to SSH", waited, "12 s")
    stack.destroy().ok()


def _far(project: Project, host: Hypervisor) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scale.far(project, host, FAR_S, Path(folder))


PARTS: dict[str, Callable[[Project, Hypervisor], None]] = {
    "plans": lambda _project, _host: scale.plans(),
    "preparation": _prepare,
    "claims": lambda _project, host: scale.claims(host),
    "ten": _ten,
    "far": _far,
    "some": scale.some,
    "many": scale.many,
    "tiny": _tiny,
}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    chosen = parser.parse_args().parts
    with tempfile.TemporaryDirectory() as folder, hypervisor("bench", packaged_layer("b")) as host:
        project = Project.copy(Path(folder))
        (project.folder / "topologies" / "nodes" / "blank.yaml").write_text(BLANK)
        # Makes the host ready, so that later figures are the lab's.
        warm = project.stack("warm", topology_nodes="blank:1", **host.settings)
        if {*chosen} - {"plans", "preparation"}:
            show("preparation, packages there", timed(lambda: warm.up().ok()))
        for part in chosen:
            PARTS[part](project, host)


if __name__ == "__main__":
    sys.exit(main())
