"""dnf for real: metalab's own steps on a host of rpm, dnf and a local repository."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.host.distributions import EL9, check_os
from lab.host.facts import read_facts
from lab.host.lock import BUSY
from lab.host.packages import install_packages
from lab.host.runner import Convergence, converge
from lab.host.steps import HostStep, plan_steps
from tests.e2e.host.rpms import APPSTREAM, BASEOS, OLD_ROM, ROM, Rpm, dnf_host, publish, withdrawn
from tests.e2e.hypervisors import Hypervisor, release

pytestmark = pytest.mark.e2e
LAB = [name for names in EL9.packages.values() for name in names]
OWN = {"install packages", "check the iPXE ROMs"}
INSTALLED = "rpm -qa --qf '%{NAME} %{VERSION}\\n' | sort"


@pytest.fixture(scope="module")
def host(worker: str, layer: str) -> Iterator[Hypervisor]:
    assert layer  # whatever installs on this machine is done by now
    with dnf_host(f"{worker.removeprefix('gw')}dnf") as made:
        yield made


@pytest.fixture(autouse=True)
def clean(host: Hypervisor) -> None:
    host.run("rpm -qa | xargs -r rpm -e --nodeps; rm -rf /var/lib/metalab /srv/extra")
    host.run("rm -f /etc/yum.repos.d/extra.repo")


def steps(host: Hypervisor, *, tools: bool = False) -> tuple[HostStep, ...]:
    planned = plan_steps(read_facts(host.spec), prefix="foo", virt_type="qemu", tools=tools)
    return tuple(step for step in planned if step.name in OWN)


def prepare(host: Hypervisor, *, tools: bool = False) -> tuple[Convergence, list[str]]:
    said: list[str] = []
    with host.shell() as shell:
        made = steps(host, tools=tools)
        return converge(made, shell, prefix="foo", progress=said.append), said


def installed(host: Hypervisor) -> list[str]:
    return [line.split()[0] for line in host.run(INSTALLED).splitlines()]


def test_what_is_missing_is_installed_once(host: Hypervisor) -> None:
    made, _ = prepare(host)
    assert (made.failure, made.changed) == ("", ("install packages",))
    assert installed(host) == sorted(LAB)
    assert read_facts(host.spec).rom_version == ROM
    again, _ = prepare(host)
    assert (again.failure, again.changed) == ("", ())
    more, _ = prepare(host, tools=True)
    assert (more.failure, more.changed) == ("", ("install packages",))
    assert installed(host) == sorted([*APPSTREAM, *BASEOS])


def test_what_is_there_is_neither_replaced_nor_upgraded(host: Hypervisor) -> None:
    older = Rpm("qemu-img", "17:8.2.0-11.el9_4")
    publish(host, "extra", [older, Rpm("curl-minimal", "7.76.1-31.el9", "Provides: curl")])
    host.run("dnf -q -y install qemu-img-8.2.0 curl-minimal")
    made, _ = prepare(host)
    assert made.failure == ""
    versions = host.run(INSTALLED).splitlines()
    assert "qemu-img 8.2.0" in versions
    assert "curl-minimal 7.76.1" in versions
    assert not [line for line in versions if line.startswith("curl ")]


def test_all_that_no_repository_has_are_named_before_anything_is_installed(
    host: Hypervisor,
) -> None:
    with withdrawn(host, "appstream", "swtpm", "edk2-ovmf"), withdrawn(host, "baseos", "curl"):
        made, _ = prepare(host)
    assert "has edk2-ovmf, swtpm (AppStream); curl (BaseOS), expected" in made.failure
    assert "subscription-manager" in made.failure
    assert "[host-packages]" in made.failure
    assert installed(host) == []
    assert prepare(host)[0].failure == ""


def test_a_host_without_any_repository_lacks_them_all(host: Hypervisor) -> None:
    host.run("mkdir /tmp/away && mv /etc/yum.repos.d/* /tmp/away/")
    try:
        made, _ = prepare(host)
    finally:
        host.run("mv /tmp/away/* /etc/yum.repos.d/ && rmdir /tmp/away")
    assert ", ".join(EL9.packages["BaseOS"]) + " (BaseOS)" in made.failure
    assert installed(host) == []


def test_another_dnf_is_waited_for_and_named(host: Hypervisor) -> None:
    until = 'posix.mkdir("/run/slow") while not posix.access("/run/go") do posix.sleep(1) end'
    publish(host, "extra", [Rpm("slow", "1-1", post=until)])
    host.run("rm -f /run/go; nohup dnf -q -y install slow >/tmp/slow.log 2>&1 &")
    host.run("until [ -d /run/slow ]; do sleep 0.2; done")
    limited = install_packages(EL9, tools=False, lock_wait_s=1)[-1]
    with host.shell() as shell:
        outcome = shell.run(limited)
    assert outcome.exit_code == BUSY
    assert "dnf -q -y install slow" in outcome.stderr
    assert "[host-packages-busy]" in outcome.stderr
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(prepare, host)
        release(host)
        made, said = waiting.result()
    assert made.failure == ""
    (told,) = [line for line in said if "waiting" in line]
    assert "dnf -q -y install slow" in told
    assert set(LAB) < set(installed(host))


def test_old_roms_are_refused(host: Hypervisor) -> None:
    publish(host, "extra", [Rpm("ipxe-roms-qemu", OLD_ROM)])
    host.run("dnf -q -y install ipxe-roms-qemu-20130517")
    problems = check_os(read_facts(host.spec), "lab42")
    assert [problem.rule for problem in problems] == ["host-rom"]
    made, _ = prepare(host)
    assert OLD_ROM in made.failure
    assert "[host-rom]" in made.failure
    assert made.done == ("install packages",)


def test_a_system_that_is_replaced_as_a_whole_is_refused(host: Hypervisor) -> None:
    host.run("touch /run/ostree-booted")
    try:
        made, _ = prepare(host)
    finally:
        host.run("rm /run/ostree-booted")
    assert "ostree" in made.failure
    assert installed(host) == []
