"""The command line of tools/hypervisor."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.demo import hypervisor, layers
from tools.demo.debian import SUITES
from tools.demo.instance import Instance, address, guests, instances, named
from tools.demo.rootfs import root_layer_path
from tools.demo.shell import ToolError, say

COLUMNS = ("NAME", "STATE", "ADDRESS", "SUITE", "LAYER", "SINCE", "GUESTS")


def main(arguments: Sequence[str]) -> int:
    """Run one command; answers the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return chosen.run(chosen)
    except (ToolError, OSError) as error:  # OSError: disk full, read-only, not permitted
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where this one stopped")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/hypervisor", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    up = verbs.add_parser("up", help="make a fresh Debian hypervisor run; prints its address")
    up.add_argument("name", nargs="?", default="demo")
    up.add_argument("--suite", choices=SUITES, default=SUITES[0])
    up.add_argument("--layer", default="", help="start from this layer instead of a fresh Debian")
    up.set_defaults(run=_up)
    down = verbs.add_parser("down", help="remove a hypervisor and everything it holds")
    down.add_argument("name", nargs="?", default="demo")
    down.add_argument("--all", action="store_true", help="every hypervisor of this cache")
    down.set_defaults(run=_down)
    status = verbs.add_parser("status", help="list the hypervisors")
    status.set_defaults(run=_status)
    ssh = verbs.add_parser("ssh", help="open a shell in a hypervisor, or run a command in it")
    ssh.add_argument("name")
    ssh.add_argument("command", nargs=argparse.REMAINDER)
    ssh.set_defaults(run=_ssh)
    layer = verbs.add_parser("layer", help="print, make or remove a layer to start others from")
    layer.add_argument("name")
    layer.add_argument("--suite", choices=SUITES, default=SUITES[0])
    layer.add_argument("--from", dest="source", help="shut this hypervisor down and keep its disk")
    layer.add_argument("--remove", action="store_true")
    layer.set_defaults(run=_layer)
    return parser


def _up(chosen: argparse.Namespace) -> int:
    record = hypervisor.up(named(chosen.name), chosen.suite, chosen.layer)
    sys.stdout.write(f"{address(record.index)}\n")
    return 0


def _down(chosen: argparse.Namespace) -> int:
    for instance in instances() if chosen.all else [named(chosen.name)]:
        hypervisor.down(instance)
    return 0


def _ssh(chosen: argparse.Namespace) -> int:
    instance = named(chosen.name)
    record = instance.record()
    if not record or not instance.init():
        raise ToolError(
            f"{instance.name} does not run; start it with `tools/hypervisor up {instance.name}`"
        )
    sys.stdout.flush()
    command = hypervisor.ssh_command(instance, record, *chosen.command)
    os.execvp(command[0], command)  # noqa: S606 - ssh takes our place, terminal and all


def _status(_chosen: argparse.Namespace) -> int:
    rows = [COLUMNS, *(_row(instance) for instance in instances())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")
    return 0


def _row(instance: Instance) -> tuple[str, ...]:
    record, init = instance.record(), instance.init()
    if not record:
        return (instance.name, "broken", "-", "-", "-", "-", "-")
    made = (address(record.index), record.suite, record.layer or "-")
    if not init:
        return (instance.name, "stopped", *made, "-", "-")
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(init.since_s))
    return (instance.name, "running", *made, since, str(guests(init)))


def _layer(chosen: argparse.Namespace) -> int:
    root = root_layer_path(chosen.suite)
    if chosen.remove:
        layers.remove(chosen.name, root)
        return 0
    if chosen.source:
        folder: Path = layers.keep(named(chosen.source), chosen.name)
    else:
        folder = Path(layers.stack_of(chosen.name, root)[0]).parent
    sys.stdout.write(f"{folder}\n")
    return 0
