"""Preparing a real hypervisor, looking at it, and leaving it as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lab.config import HypervisorSpec
from lab.errors import LabError
from lab.host.facts import read_facts
from lab.host.guests import Guest, GuestError
from lab.host.images import hold_image
from lab.host.leases import claim, read_leases
from lab.host.runner import Convergence, converge, restore
from lab.host.session import Hear
from lab.host.shell import Gateway, Outcome, Shell, connect
from lab.host.steps import HostStep, authorize_key_step, plan_steps
from lab.keys import derive_key
from lab.lease import Lease
from lab.storage import BASE_DIR, HOST_DIR
from tests.e2e.host.tiny import hold_tiny
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
KEY = derive_key("7" * 64, "client").public
# /etc/libvirt/storage is libvirt's: it makes it for its first pool, and keeps it.
TRACES = (
    "find /etc /var/lib /root /home -xdev | grep -v -e ^/etc/libvirt/storage | sort; "
    "cat /etc/group; sort /root/.ssh/authorized_keys; stat -c '%a %U' /root/.ssh/authorized_keys; "
    "systemctl list-unit-files --no-legend | grep -v scope"
)


class Counting:
    """A shell that counts its round trips."""

    def __init__(self, shell: Shell) -> None:
        self.shell, self.address, self.count = shell, shell.address, 0

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        self.count += 1
        return self.shell.run(command, timeout_s=timeout_s, stdin=stdin, hear=hear)

    def put(self, local: Path, remote: str) -> None:
        self.shell.put(local, remote)


def steps_of(hypervisor: Hypervisor, prefix: str, user: str = "root") -> tuple[HostStep, ...]:
    facts = read_facts(replace(hypervisor.spec, user=user))
    steps = plan_steps(facts, prefix=prefix, virt_type="qemu")
    return (*steps, authorize_key_step(prefix, user, KEY))


def prepare(hypervisor: Hypervisor, prefix: str, user: str = "root") -> Convergence:
    steps = steps_of(hypervisor, prefix, user)
    with connect(replace(hypervisor.spec, user=user)) as shell:
        return converge(steps, shell, prefix=prefix, progress=print)


def leave(hypervisor: Hypervisor, prefix: str) -> str:
    with connect(hypervisor.spec) as shell:
        return restore(steps_of(hypervisor, prefix), shell, prefix=prefix, progress=print)


def test_two_environments_prepare_a_fresh_host_at_once(bare_hypervisor: Hypervisor) -> None:
    facts = read_facts(bare_hypervisor.spec)
    assert (facts.networks, facts.domains, facts.pools) == ((), (), ())
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(partial(prepare, bare_hypervisor), ["foo", "foo2"]))
    assert [result.failure for result in made] == ["", ""]
    assert sum("install packages" in result.changed for result in made) == 1
    facts = read_facts(bare_hypervisor.spec)
    assert facts.pools == ("metalab-base",)
    assert [network.name for network in facts.networks] == ["default"]


def test_a_prepared_host_costs_one_round_trip_and_is_left_as_it_was(
    hypervisor: Hypervisor,
) -> None:
    before = hypervisor.run(TRACES)
    assert not prepare(hypervisor, "foo").failure
    steps = steps_of(hypervisor, "foo")
    with connect(hypervisor.spec) as shell:
        counting = Counting(shell)
        again = converge(steps, counting, prefix="foo", progress=print)
    assert (counting.count, again.changed, again.failure) == (1, (), "")
    assert not prepare(hypervisor, "foo2").failure
    assert leave(hypervisor, "foo") == ""
    keys = hypervisor.run("cat /root/.ssh/authorized_keys")
    assert "metalab:foo2" in keys
    assert "metalab:foo\n" not in keys
    assert prepare(hypervisor, "foo2").changed == ()  # nothing of it went with its neighbour
    assert leave(hypervisor, "foo2") == ""
    assert hypervisor.run(TRACES) == before


@pytest.fixture
def sudoer(hypervisor: Hypervisor) -> HypervisorSpec:
    """The login of a user called stack, who may become root without a password."""
    hypervisor.run(
        "command -v sudo || { apt-get -q update && apt-get -q -y install sudo; } >/dev/null;"
        " id stack 2>/dev/null || useradd -m -s /bin/bash stack;"
        " echo 'stack ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/stack;"
        " install -d -o stack -g stack -m 700 /home/stack/.ssh;"
        " install -o stack -g stack -m 600 /root/.ssh/authorized_keys /home/stack/.ssh/"
    )
    return replace(hypervisor.spec, user="stack")


def test_a_sudoer_does_it_as_well(hypervisor: Hypervisor, sudoer: HypervisorSpec) -> None:
    assert not prepare(hypervisor, "bar", user="stack").failure
    with connect(sudoer) as shell:
        assert shell.run("id -u").stdout == "0\n"
        hold_tiny(shell)
        facts = read_facts(sudoer)
        assert "you, over SSH" in {taken.by for taken in facts.taken}
    keys = hypervisor.run("cat /home/stack/.ssh/authorized_keys; stat -c %U /home/stack/.ssh/*")
    assert "metalab:bar" in keys
    assert "root" not in keys.split()
    steps = steps_of(hypervisor, "bar", user="stack")
    with connect(sudoer) as shell:
        assert restore(steps, shell, prefix="bar", progress=print) == ""
    assert "metalab:bar" not in hypervisor.run("cat /home/stack/.ssh/authorized_keys")
    hypervisor.run("echo 'stack ALL=(ALL) ALL' > /etc/sudoers.d/stack")
    with pytest.raises(LabError, match=r"password is required.*\[host-sudo\]"):
        read_facts(sudoer)


def test_a_host_that_is_not_known_or_not_the_same_is_refused(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    known = Path(hypervisor.spec.known_hosts).read_text()
    stranger = derive_key("8" * 64, "client")
    file = tmp_path / "known_hosts"
    spec = replace(hypervisor.spec, known_hosts=str(file))
    with pytest.raises(LabError, match=r"ssh-keyscan .*\[host-key-unknown\]"):
        read_facts(spec)
    file.write_text(f"{spec.address} {stranger.public}\n")
    with pytest.raises(LabError, match=r"CHANGED.*ssh-keygen -R.*\[host-key-changed\]"):
        read_facts(spec)
    assert file.read_text() == f"{spec.address} {stranger.public}\n"
    file.write_text(known)
    assert read_facts(spec).hostname
    key = tmp_path / "key"
    key.write_text(stranger.private)
    with pytest.raises(LabError, match=r"ssh-copy-id .*\[host-login\]"):
        read_facts(replace(spec, key=str(key)))


def test_the_labs_key_opens_the_way_to_guests_and_nothing_else(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    assert not prepare(hypervisor, "foo").failure
    file = tmp_path / "key"
    file.write_text(derive_key("7" * 64, "client").private)
    file.chmod(0o600)
    with connect(replace(hypervisor.spec, key=str(file))) as shell:
        assert not shell.run("touch /root/was-here").ok
        through = Guest(
            address="127.0.0.1",  # the host's own sshd stands for a guest
            private_key=file.read_text(),
            host_key=KEY,
        )
        with pytest.raises(GuestError) as caught, shell.guest(through):
            pass
        assert caught.value.rung == "host key"  # so it was reached
    assert "was-here" not in hypervisor.run("ls /root")
    assert leave(hypervisor, "foo") == ""


def test_a_step_that_fails_says_so_and_the_next_run_goes_on(hypervisor: Hypervisor) -> None:
    steps = (
        HostStep(name="one", probe="[ -f /tmp/one ]", commands=("touch /tmp/one",)),
        HostStep(name="two", probe="[ -f /tmp/two ]", commands=("echo no >&2; exit 3",)),
        HostStep(name="three", probe="false", commands=("sleep 30",), timeout_s=1),
    )
    with connect(hypervisor.spec) as shell:
        result = converge(steps, shell, prefix="foo", progress=print)
        assert result.done == ("one",)
        assert "two: `echo no >&2; exit 3` exited 3: no." in result.failure
        shell.run("touch /tmp/two")
        result = converge(steps, shell, prefix="foo", progress=print)
        assert result.done == ("one", "two")
        assert "three: `sleep 30` took more than 1 s" in result.failure
        shell.run(f"rm -rf /tmp/one /tmp/two {HOST_DIR}")


def claimed(hypervisor: Hypervisor, want: tuple[str, str]) -> str:
    prefix, subnet = want
    lease = Lease(prefix=prefix, virt_type="qemu", subnets={"data": subnet}, memory_mib=100)
    try:
        with connect(hypervisor.spec) as shell:
            claim(lease, shell, memory_limit_mib=400, progress=print)
    except LabError as error:
        return error.problems[0].rule
    return "claimed"


def test_of_concurrent_claims_only_those_that_fit_succeed(hypervisor: Hypervisor) -> None:
    wanted = [("a", "10.1.0.0/24"), ("b", "10.1.0.0/24"), ("c", "10.2.0.0/24")]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(partial(claimed, hypervisor), wanted))
    assert sorted(results) == ["claimed", "claimed", "lease-subnet"]
    wanted = [(f"d{number}", f"10.3.{number}.0/24") for number in range(4)]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(partial(claimed, hypervisor), wanted))
    assert sorted(results) == ["claimed", "claimed", "memory-overcommit", "memory-overcommit"]
    with connect(hypervisor.spec) as shell:
        leases = read_leases(shell)
        assert read_facts(hypervisor.spec).leases == leases
        for prefix in leases:
            assert restore((), shell, prefix=prefix, progress=print) == ""
        assert read_leases(shell) == {}


def held(shell: Gateway) -> list[str]:
    return shell.run(f"stat -c '%a %U %n' {BASE_DIR}/* {BASE_DIR}/../.new.*").stdout.splitlines()


def test_images_are_verified_and_parallel_uploads_end_well(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    def bring(_: int) -> str:
        with connect(hypervisor.spec) as shell:
            return hold_tiny(shell)

    with ThreadPoolExecutor() as pool:
        (sha256,) = set(pool.map(bring, range(3)))
    with connect(hypervisor.spec) as shell:
        assert held(shell) == [f"444 root {BASE_DIR}/{sha256}.qcow2"]
        counting = Counting(shell)
        hold_image(counting, sha256=sha256, source="/gone", progress=print)
        assert counting.count == 1
        (tmp_path / "bad").write_text("not what was promised")
        with pytest.raises(LabError, match="image-checksum"):
            hold_image(shell, sha256="0" * 64, source=str(tmp_path / "bad"), progress=print)
        with pytest.raises(LabError, match="image-fetch"):
            hold_image(shell, sha256="0" * 64, source="http://127.0.0.1:9/x", progress=print)
        assert len(held(shell)) == 1
        shell.run(f"rm -rf {BASE_DIR}/..")
