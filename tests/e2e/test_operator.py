"""`fab doctor`, `fab prepare` and `fab restore` on a host as Debian installs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.host.facts import read_facts
from lab.host.runner import converge, restore
from lab.host.steps import HostStep, plan_steps
from lab.storage import BASE_POOL, PREFIXES_DIR
from tests.e2e.engine import Project, Run
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
# Every file with its mode, size and time, and what else a preparation could have changed. The logs
# of the visits themselves are no trace of them; /etc/libvirt/storage is libvirt's for its first
# pool.
# The user `stack` comes and goes: what the files of users say is asked below, not when.
TRACES = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /var/log -o -path /tmp \
    -o -path /var/lib/systemd -o -path /etc/libvirt/storage -o -path /var/lib/libvirt/dnsmasq \
    -o -path /var/cache -o -path /var/lib/libvirt/qemu \) -prune -o -type f \
    -printf '%p %m %u %s %T@\n' | sort |
  grep -vE '^/etc/(\.pwd\.lock|(passwd|g?shadow|group|sub[ug]id)-?) '
getent passwd; getent group; cat /proc/modules | cut -d' ' -f1 | sort
systemctl list-unit-files --no-legend | grep -v scope
virsh -c qemu:///system pool-list --all --name 2>/dev/null; true
"""


@pytest.fixture(scope="module", name="host")
def bare(bare_hypervisor: Hypervisor) -> Hypervisor:
    return bare_hypervisor


def fab(project: Project, host: Hypervisor, task: str, *words: str) -> Run:
    login = {"--key": host.spec.key, "--known-hosts": host.spec.known_hosts}
    options = login | dict(zip(words[::2], words[1::2], strict=True))
    given = (word for option in options.items() for word in option)
    return project.run("uv", "run", "--frozen", "fab", task, host.spec.address, *given)


def other_steps(host: Hypervisor) -> tuple[HostStep, ...]:
    """What an environment does to the host."""
    return plan_steps(read_facts(host.spec), prefix="foo", virt_type="qemu")


def test_a_bare_host_is_looked_at_prepared_and_given_back(
    host: Hypervisor, project: Project
) -> None:
    count = len(other_steps(host))
    before = host.run(TRACES)
    looked = fab(project, host, "doctor").ok().out
    assert f"steps: 1 of {count} true" in looked  # there are no ROMs, so none is too old
    assert "used by             nobody; 0 domains" in looked
    assert "lab undercloud:1,controller:1,compute:1" in looked
    assert host.run(TRACES) == before  # it only reads

    made = fab(project, host, "prepare").ok().out
    assert "install packages: done in" in made
    assert f" of {count} steps had to run" in made
    looked = fab(project, host, "doctor", "--nodes", "tiny:1").ok().out
    assert f"steps: {count} of {count} true" in looked
    assert "to do" not in looked
    assert "_operator; 0 domains" in looked
    assert "lab tiny:1 fits" in looked
    assert f"0 of {count} steps had to run" in fab(project, host, "prepare").ok().out
    assert "given back" in fab(project, host, "restore").ok().out

    packaged = host.run(TRACES)  # packages stay, and all else goes
    fab(project, host, "prepare").ok()
    assert host.run(TRACES) != packaged
    fab(project, host, "restore").ok()
    assert host.run(TRACES) == packaged
    assert "given back" in fab(project, host, "restore").ok().out


def test_what_an_operator_keeps_no_environment_takes(host: Hypervisor, project: Project) -> None:
    fab(project, host, "prepare").ok()
    steps = other_steps(host)
    with host.shell() as shell:
        assert converge(steps, shell, prefix="foo", progress=print).failure == ""
        assert "stays prepared for foo" in fab(project, host, "restore").ok().out
        assert host.run(f"ls {PREFIXES_DIR}").split() == ["foo"]
        fab(project, host, "prepare").ok()
        assert restore(steps, shell, prefix="foo", progress=print) == ""
    assert "to do" not in fab(project, host, "doctor").ok().out
    assert BASE_POOL in host.run("virsh pool-list --name")
    assert "given back" in fab(project, host, "restore").ok().out


def test_a_stack_brings_its_host_and_its_lab(host: Hypervisor, project: Project) -> None:
    (project.folder / "base.qcow2").write_text("only its checksum is asked for")
    stack = project.stack("foo", **host.settings, topology_nodes="tiny:2", image_url="./base.qcow2")
    looked = stack.fab("doctor").ok().out
    assert "lab foo: tiny:2 fits" in looked
    stack.configure(topology_nodes="tiny:2,controller:4")
    refused = stack.fab("doctor").refused()
    assert refused.code == 1
    assert "lab foo: tiny:2,controller:4 does not fit" in refused.out
    assert "refused  memory-overcommit" in refused.out


@pytest.mark.parametrize(
    ("task", "words", "says"),
    [
        pytest.param("doctor", ["--virt-type", "kvm"], "refused  kvm", id="no KVM"),
        pytest.param("prepare", ["--virt-type", "kvm"], "[kvm]", id="no KVM to prepare for"),
        pytest.param("doctor", ["--nodes", "tny:1"], "Did you mean tiny?", id="no such role"),
        pytest.param("doctor", ["--user", "a b"], "--user: got 'a b'", id="no user"),
        pytest.param("doctor", ["--nodes", "controller:9"], "memory-overcommit", id="too much"),
        pytest.param("prepare", ["--user", "nobody"], "[host-login]", id="no login"),
        pytest.param("restore", ["--known-hosts", "/dev/null"], "ssh-keyscan", id="no host key"),
    ],
)
def test_what_is_refused_is_said_in_a_line_and_changes_nothing(
    host: Hypervisor, project: Project, task: str, words: list[str], says: str
) -> None:
    if "kvm" in words and read_facts(host.spec).kvm:
        pytest.skip("KVM works on this machine")
    before = host.inventory()
    refused = fab(project, host, task, *words).refused()
    assert refused.code == 1
    assert says in refused.out
    assert "Traceback" not in refused.out
    assert host.inventory() == before


def test_nobody_answers(project: Project, tmp_path: Path) -> None:
    words = ("uv", "run", "--frozen", "fab", "doctor", "nobody.invalid")
    refused = project.run(*words, limit_s=60).refused()
    assert "[host-unreachable]" in refused.out
    assert "Traceback" not in refused.out
