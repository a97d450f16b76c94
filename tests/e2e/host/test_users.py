"""Users, keys and sshd's limits on a real host: made, used, and given back as they were."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.host.facts import read_facts
from lab.host.runner import Convergence, converge, restore
from lab.host.shell import connect
from lab.host.step import HostStep
from lab.host.steps import authorize_steps, plan_steps
from lab.keys import derive_key
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
CLIENT = derive_key("7" * 64, "client")
CROWD = 60  # connections that sshd's own 10:30:100 cannot all admit: the chance is 1 in 10^17
ACCOUNTS = (
    "sha256sum /etc/passwd /etc/shadow /etc/group /etc/gshadow; ls -lnA /home /home/*; "
    "find /etc/polkit-1 /etc/ssh | sort; sshd -T | grep -i maxstartups"
)

# A session that ended a moment ago still has a process.
DELETE = (
    "loginctl terminate-user {user} 2>/dev/null; left=40; until userdel -r {user} 2>/dev/null; do "
    "left=$((left - 1)); [ $left -gt 0 ] || break; sleep 0.5; done"
)


def steps_of(spec: HypervisorSpec, prefix: str, nodes: int = 0) -> tuple[HostStep, ...]:
    planned = plan_steps(
        read_facts(spec), prefix=prefix, virt_type="qemu", user=spec.user or "root", nodes=nodes
    )
    return (*planned, *authorize_steps(prefix, spec.user or "root", CLIENT.public))


def prepare(spec: HypervisorSpec, prefix: str = "foo", nodes: int = 0) -> Convergence:
    steps = steps_of(spec, prefix, nodes)
    with connect(spec) as shell:
        result = converge(steps, shell, prefix=prefix, progress=print)
    assert not result.failure, result.failure
    return result


def leave(spec: HypervisorSpec, prefix: str = "foo") -> None:
    steps = steps_of(spec, prefix)
    with connect(spec) as shell:
        assert restore(steps, shell, prefix=prefix, progress=print) == ""


@pytest.fixture
def accounts(hypervisor: Hypervisor) -> Iterator[Hypervisor]:
    """A host whose accounts are the same afterwards."""
    before = hypervisor.run(ACCOUNTS)
    yield hypervisor
    assert hypervisor.run(ACCOUNTS) == before


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(CLIENT.private)
    return file


def ssh(spec: HypervisorSpec, user: str, key: Path) -> list[str]:
    options = ("IdentitiesOnly=yes", "BatchMode=yes", f"UserKnownHostsFile={spec.known_hosts}")
    flags = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", *flags, "-i", str(key), f"{user}@{spec.address}"]


def test_stack_leaves_with_the_last_prefix_even_while_it_is_logged_in(
    accounts: Hypervisor, key: Path
) -> None:
    spec = accounts.spec
    prepare(spec, "foo")
    prepare(spec, "foo2")
    leave(spec, "foo")
    command = [*ssh(spec, "stack", key), "virsh -q -c qemu:///system uri; exec sleep 300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout
        assert session.stdout.readline() == "qemu:///system\n"
        leave(spec, "foo2")
        assert session.wait(timeout=20) != 0


def test_a_stack_that_was_there_stays_and_loses_our_line_only(
    hypervisor: Hypervisor, key: Path
) -> None:
    hypervisor.run(
        "useradd -m -u 4711 -s /bin/sh -c 'Stacy K.' stack; echo hers > /home/stack/hers;"
        "install -d -o stack -g stack -m 700 /home/stack/.ssh;"
        "echo 'ssh-ed25519 AAAA hers' > /home/stack/.ssh/authorized_keys;"
        "chown stack: /home/stack/.ssh/authorized_keys; chmod 600 /home/stack/.ssh/authorized_keys"
    )
    seen = "getent passwd stack; ls -lnAR /home/stack; cat /home/stack/.ssh/authorized_keys"
    before = hypervisor.run(f"{seen}; {ACCOUNTS}")
    try:
        assert "make the user stack" not in prepare(hypervisor.spec).changed
        said = subprocess.run(
            [*ssh(hypervisor.spec, "stack", key), "virsh -q -c qemu:///system uri"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.stdout == "qemu:///system\n", said.stderr
        leave(hypervisor.spec)
        after = hypervisor.run(f"{seen}; {ACCOUNTS}")
        assert without_times(after) == without_times(before)
    finally:
        hypervisor.run(DELETE.format(user="stack"))


def test_a_group_and_a_directory_of_its_name_stay(accounts: Hypervisor) -> None:
    accounts.run("groupadd -g 4712 stack; mkdir /home/stack; echo theirs > /home/stack/theirs")
    before = accounts.run(ACCOUNTS)
    try:
        prepare(accounts.spec)
        assert ":/home/metalab-stack:" in accounts.run("getent passwd stack")
        leave(accounts.spec)
        assert accounts.run(ACCOUNTS) == before
        assert accounts.run("cat /home/stack/theirs") == "theirs\n"
    finally:
        accounts.run("groupdel stack; rm -r /home/stack")


def test_a_sudoer_manages_libvirt_while_the_lab_stands(accounts: Hypervisor) -> None:
    accounts.run(
        "command -v sudo >/dev/null || { apt-get -q update && apt-get -q -y install sudo; } >&2;"
        "useradd -m ops; echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops;"
        "install -d -o ops -g ops -m 700 /home/ops/.ssh;"
        "install -o ops -g ops -m 600 /root/.ssh/authorized_keys /home/ops/.ssh/"
    )
    uri = "runuser -u ops -- virsh -q -c qemu:///system uri 2>&1; :"
    try:
        prepare(replace(accounts.spec, user="ops"))
        assert accounts.run(uri) == "qemu:///system\n"
        # Two prefixes, two logins: what one of them leaves serves the other.
        prepare(accounts.spec, "foo2")
        leave(replace(accounts.spec, user="ops"))
        assert accounts.run(uri) == "qemu:///system\n"
        leave(accounts.spec, "foo2")
        assert "authentication unavailable" in accounts.run(uri)
    finally:
        accounts.run(DELETE.format(user="ops") + "; rm -f /etc/sudoers.d/ops")


def test_many_nodes_are_reached_at_the_same_moment(accounts: Hypervisor) -> None:
    started = "systemctl show -p ExecMainStartTimestamp ssh"
    was = accounts.run(started)
    assert admitted(accounts) < CROWD
    prepare(accounts.spec, nodes=40)
    assert admitted(accounts) == CROWD
    assert prepare(accounts.spec, nodes=40).changed == ()
    leave(accounts.spec)
    assert admitted(accounts) < CROWD
    assert accounts.run(started) == was  # reloaded, never restarted


def test_a_limit_that_somebody_has_raised_is_left_alone(accounts: Hypervisor) -> None:
    theirs = "/etc/ssh/sshd_config.d/10-theirs.conf"
    accounts.run(f"echo 'MaxStartups 500:30:900' > {theirs}; systemctl reload ssh; sleep 1")
    try:
        prepare(accounts.spec, nodes=40)
        assert accounts.run("ls /etc/ssh/sshd_config.d") == "10-theirs.conf\n"
        leave(accounts.spec)
    finally:
        accounts.run(f"rm {theirs}; systemctl reload ssh; sleep 1")


def admitted(host: Hypervisor) -> int:
    """How many of a crowd, none of which logs in, sshd greets."""
    with ExitStack() as stack:
        address = (host.spec.address, 22)
        crowd = [
            stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(CROWD)
        ]
        return sum(greeted(each) for each in crowd)


def greeted(connection: socket.socket) -> bool:
    try:
        return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def without_times(listing: str) -> list[str]:
    """`ls -ln` without sizes of directories and times: the file of keys was written."""
    return [" ".join(line.split()[:4] + line.split()[-1:]) for line in listing.splitlines()]
