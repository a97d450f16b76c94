"""Operations that are not desired state: `uv run fab -l` lists them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabric import task  # type: ignore[import-untyped]
from invoke import Exit

from lab.config import StackConfig
from lab.edit import extended, parse_more, shift, shrunk
from lab.errors import LabError
from lab.host import operator
from lab.host.cleanup import Wish, clean
from lab.host.drift import find_drift
from lab.host.shell import connect
from lab.operation import DEFAULT_LAB, Target, parse_target, stack_config
from lab.shelf import judge_all, shelf
from lab.specs import Topology
from lab.stackfile import with_nodes
from lab.topology import load_topology
from lab.views.doctor import doctor as report
from lab.views.drift import drifted
from lab.views.edit import edit as edit_view
from lab.views.places import home
from lab.views.shelf import table_of, verdicts

STACKS = Path(__file__).parent / "stacks"
HOST = {
    "host": "the hypervisor's address, or a stack's name: then its file says the rest",
    "user": "who logs in: root, or a user with sudo (root)",
    "key": "the file of the private key (the SSH agent, and the default keys)",
    "known_hosts": "the file that vouches for the host (~/.ssh/known_hosts)",
}
LAB = {
    "virt_type": "auto, kvm or qemu (auto)",
    "nodes": f"a lab to try on it ({DEFAULT_LAB}, as a yardstick)",
}
NO_OUTPUTS = "Build it with `pulumi up -s {0}`; `pulumi stack ls` lists what there is."


@task(positional=["prefix"], help={"prefix": "the environment, which is the stack's name"})
def ssh_config(_context: object, prefix: str) -> None:
    """Print the OpenSSH configuration of an environment, and keep it with its key and host keys."""
    sys.stdout.write(_write_files(prefix).read_text())


@task(
    positional=["prefix", "node"],
    help={"prefix": "the environment", "node": "a node, such as compute-0"},
)
def ssh(_context: object, prefix: str, node: str, command: str = "") -> None:
    """Open a shell on a node, or run one command there (`-c`)."""
    config = _write_files(prefix)
    known = _outputs(prefix)["nodes"]
    if node not in known:
        raise Exit(f"{prefix}: got {node!r}, expected one of {', '.join(sorted(known))}.")
    if not known[node]["deployed"]:
        raise Exit(f"{prefix}: {node} is a blank node: nothing on it answers SSH.")
    words = ["ssh", "-F", str(config), known[node]["name"], *([command] if command else [])]
    os.execvp("ssh", words)  # noqa: S606, S607 - the user's own ssh, with the user's own terminal


@task
def topologies(_context: object) -> None:
    """List the roles and layouts that there are, yours in topologies/ included."""
    sys.stdout.write(table_of(shelf("nodes"), shelf("networks")))


# fab takes as many words as a task has arguments: for more than one path, --also or a directory.
@task(
    positional=["path"],
    iterable=["also"],
    help={"path": "a file, or a directory with all below it", "also": "another one; repeatable"},
)
def check_topology(_context: object, path: str, also: list[str]) -> None:
    """Judge files of roles and layouts without a hypervisor; exit 1 if any has an error."""
    judged = judge_all(map(Path, [path, *also]))
    sys.stdout.write(verdicts(judged))
    if not judged:
        raise Exit(f"{path}: got no YAML file, expected some below it")
    if any(one.problems and not one.unsupported for one in judged):
        raise Exit(code=1)


@task(
    positional=["prefix", "nodes"],
    help={"prefix": "the environment", "nodes": "how many more of which role: compute:1,ceph:2"},
)
def extend(_context: object, prefix: str, nodes: str) -> None:
    """Ask for more nodes in a stack's file, and say what the next `pulumi up` will do."""
    with _said_plainly():
        more = parse_more(nodes)
        _edit(prefix, lambda config, _topology: extended(config, more))


@task(
    positional=["prefix", "nodes"],
    help={
        "prefix": "the environment",
        "nodes": "who goes for good: compute-1,compute-3",
        "last": "let a role go with its last node",
    },
)
def remove_nodes(_context: object, prefix: str, nodes: str, *, last: bool = False) -> None:
    """Take nodes out in a stack's file, and say what the next `pulumi up` will do."""
    names = [word.strip() for word in nodes.split(",") if word.strip()]
    with _said_plainly():
        _edit(prefix, lambda config, topology: shrunk(config, topology, names, last=last))


@task(positional=["host"], help={**HOST, **LAB})
def doctor(  # noqa: PLR0913, PLR0917 - each is an option
    _context: object,
    host: str,
    user: str = "",
    key: str = "",
    known_hosts: str = "",
    virt_type: str = "",
    nodes: str = "",
) -> None:
    """Look at a hypervisor, changing nothing; exit 1 if something would be refused."""
    lab = {"virt_type": virt_type, "topology_nodes": nodes}
    with _said_plainly():
        found = operator.examine(_target(host, user, key, known_hosts, **lab))
    sys.stdout.write(report(found))
    if found.refused:
        raise Exit(code=1)


@task(positional=["host"], help={**HOST, "virt_type": LAB["virt_type"]})
def prepare(
    _context: object,
    host: str,
    user: str = "",
    key: str = "",
    known_hosts: str = "",
    virt_type: str = "",
) -> None:
    """Prepare a hypervisor without a lab, and keep it prepared until `fab restore`."""
    with _said_plainly():
        target = _target(host, user, key, known_hosts, virt_type=virt_type)
        _say(operator.prepare(target.config, _say))


@task(positional=["host"], help=HOST)
def restore(
    _context: object, host: str, user: str = "", key: str = "", known_hosts: str = ""
) -> None:
    """Take `fab prepare` back; the last user of a hypervisor leaves it as it was."""
    with _said_plainly():
        target = _target(host, user, key, known_hosts)
        _say(operator.give_back(target.config, _say))


@task(
    positional=["prefix"],
    help={
        "prefix": "the environment",
        "mend": "repair what needs no engine: the preparation, what is stopped or paused",
    },
)
def drift(_context: object, prefix: str, *, mend: bool = False) -> None:
    """Compare an environment with its stack's file and its lease; exit 1 if they differ."""
    with _said_plainly():
        found = find_drift(stack_config(prefix, STACKS), mend=mend, progress=_say)
    sys.stdout.write(drifted(prefix, found))
    if found:
        raise Exit(code=1)


@task(
    positional=["host"],
    help={
        **HOST,
        "prefix": "the environment to remove",
        "all": "remove every environment, and what is not metalab's: all but the network default",
        "yes": "ask nothing",
        "yes_remove_foreign": "ask nothing, though with --all foreign machines go, too",
    },
)
def cleanup(  # noqa: PLR0913 - each is an option
    _context: object,
    host: str,
    prefix: str = "",
    user: str = "",
    key: str = "",
    known_hosts: str = "",
    *,
    all: bool = False,  # noqa: A002 - the option's name
    yes: bool = False,
    yes_remove_foreign: bool = False,
) -> None:
    """Remove an environment whose state is lost, by what the hypervisor knows of it."""
    wish = Wish(prefix=prefix, everything=all, sure=yes, sure_of_foreign=yes_remove_foreign)
    with _said_plainly():
        config = _target(host, user, key, known_hosts).config
        with connect(config.hypervisor) as shell:
            clean(shell, wish, shutdown_s=config.shutdown_timeout_s, ask=_ask, progress=_say)


def _ask(question: str) -> str:
    try:
        return input(question)
    except EOFError:  # nobody is there
        return ""


def _edit(prefix: str, change: Callable[[StackConfig, Topology], StackConfig]) -> None:
    """Judge an edit of a stack's file, then make it: nobody is left with half of one."""
    file = STACKS / f"Pulumi.{prefix}.yaml"
    before = stack_config(prefix, STACKS)
    was = load_topology(before)
    after = change(before, was)
    now = load_topology(after)
    text = with_nodes(file.read_text(), after.nodes, after.removed)
    new = file.with_name(f".{file.name}.new")
    new.write_text(text)
    shutil.copymode(file, new)
    new.replace(file)
    sys.stdout.write(edit_view(prefix, shift(was, now)))
    _say(f"\n{file.parent.name}/{file.name} says so now; to have it: pulumi up -s {prefix}")


def _target(host: str, user: str, key: str, known_hosts: str, **lab: str) -> Target:
    login = {"host_user": user, "host_key": key, "host_known_hosts": known_hosts}
    return parse_target(host, STACKS, **login, **lab)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - an operator reads it


@contextmanager
def _said_plainly() -> Generator[None]:
    """What a user can cause comes without a traceback, and with exit code 1."""
    try:
        yield
    except (LabError, RuntimeError) as error:
        raise Exit(str(error)) from None


def _write_files(prefix: str) -> Path:
    """Keep the environment's key, known hosts, inventory and ssh_config; answer the last one."""
    outputs = _outputs(prefix)
    folder = Path(home(prefix)).expanduser()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, key in {
        "id_ed25519": "private_key",
        "known_hosts": "known_hosts",
        "inventory.yaml": "inventory",
        "ssh_config": "ssh_config",
    }.items():
        text = outputs[key]
        _write(folder / name, _concrete(text) if name in ("ssh_config", "inventory.yaml") else text)
    return folder / "ssh_config"


def _concrete(config: str) -> str:
    """Paths of this machine and this shell, so that the file works in any other shell, too."""
    return os.path.expandvars(config).replace(" ~/", f" {Path.home()}/")


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else may read, not even for a moment."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)


def _outputs(prefix: str) -> dict[str, Any]:
    """The stack's outputs, secrets included: what they are goes into files of mode 600 alone."""
    words = ["pulumi", "stack", "output", "-s", prefix, "--json", "--show-secrets"]
    try:
        run = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise Exit('pulumi is not on PATH; `eval "$(make -s env)"` puts it there.') from None
    if run.returncode:
        raise Exit(f"{run.stderr.strip()}\n{NO_OUTPUTS.format(prefix)}")
    outputs: dict[str, Any] = json.loads(run.stdout)
    if "ssh_config" not in outputs:
        raise Exit(f"Environment {prefix} has no nodes yet. {NO_OUTPUTS.format(prefix)}")
    return outputs
