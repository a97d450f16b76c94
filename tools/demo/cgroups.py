"""A control group for each container: two systemds in one would end each other's units."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.demo.instance import Instance

SYSTEMD_RUNS = Path("/run/systemd/system")
MOUNTS = Path("/proc/self/mountinfo")
# enter the groups named up to "--", then become the command
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'


def confined(instance: Instance, command: Sequence[str | Path]) -> list[str | Path]:
    """Wrap a command so that it runs in the instance's own control group.

    Where systemd is PID 1 it delegates one; elsewhere (in a container, under another init) we
    make it. systemd-nspawn works below the group that it is started in, with --keep-unit.
    """
    if SYSTEMD_RUNS.is_dir():
        scope = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={_name(instance)}"]
        return [*scope, "--property=Delegate=yes", "--slice=machine.slice", *command]
    for group in _groups(instance):
        group.mkdir(exist_ok=True)
    return ["sh", "-c", ENTER, "sh", *_groups(instance), "--", *command]


def remove_groups(instance: Instance) -> bool:
    """Remove the groups that `confined` made; answers False while a process is still ending.

    Where systemd is PID 1 there are none: it removes the scope itself.
    """
    try:
        for group in _groups(instance):
            folders = (folder for folder in group.rglob("*") if folder.is_dir())
            for folder in sorted(folders, reverse=True):  # the innermost first
                folder.rmdir()
            if group.is_dir():
                group.rmdir()
    except OSError:
        return False
    return True


def _groups(instance: Instance) -> list[Path]:
    return [mount / _name(instance) for mount in hierarchies(MOUNTS.read_text(encoding="utf-8"))]


def _name(instance: Instance) -> str:
    return f"metalab-demo-{instance.name}"


def hierarchies(mountinfo: str) -> Iterator[Path]:
    """Find where the hierarchies are that systemd-nspawn looks at: v2, and v1's name=systemd."""
    for line in mountinfo.splitlines():
        place, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            yield Path(place.split(" ")[4])
