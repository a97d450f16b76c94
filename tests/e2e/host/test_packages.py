"""apt and libvirt's units for real, on each Debian, whatever was there before metalab."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from lab.host.distributions import DEBIAN
from lab.host.facts import read_facts
from lab.host.lock import BUSY
from lab.host.packages import install_packages
from lab.host.rom import rom_is_old
from lab.host.runner import Convergence, converge, restore
from lab.host.steps import HostStep, plan_steps
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
INSTALLED = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'"
UNITS = (
    "systemctl is-active libvirtd.service libvirtd.socket;"
    " systemctl list-unit-files --no-legend --state=enabled 'virt*' 'libvirt*'; true"
)
# A lock as apt and unattended-upgrades take it, until /run/go is there.
HOLD = """rm -f /run/go; nohup python3 -c '
import fcntl, os, time
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
while not os.path.exists("/run/go"): time.sleep(0.2)
' >/dev/null 2>&1 &
sleep 1"""


@dataclass
class Prepared:
    """What came of one preparation."""

    made: Convergence
    said: list[str]


@pytest.fixture(params=["hypervisor", "trixie"])
def host(request: pytest.FixtureRequest) -> Hypervisor:
    """One that is prepared, so that each test takes away what it needs."""
    made: Hypervisor = request.getfixturevalue(request.param)
    assert prepare(made).made.failure == ""
    return made


def steps(host: Hypervisor) -> tuple[HostStep, ...]:
    return plan_steps(read_facts(host.spec), prefix="foo", virt_type="qemu")


def prepare(host: Hypervisor, said: list[str] | None = None) -> Prepared:
    """Prepare it; `said` grows while that goes on."""
    said = [] if said is None else said
    with host.shell() as shell:
        made = converge(steps(host), shell, prefix="foo", progress=said.append)
    return Prepared(made, said)


def leave(host: Hypervisor) -> None:
    with host.shell() as shell:
        assert restore(steps(host), shell, prefix="foo", progress=print) == ""


def started(host: Hypervisor) -> str:
    """Another text after each start of the daemon."""
    host.run("virsh uri")
    return host.run("systemctl show -p InvocationID -p NRestarts libvirtd.service")


def test_a_second_run_restarts_nothing_and_the_roms_are_new(host: Hypervisor) -> None:
    was = started(host)
    assert prepare(host).made.changed == ()
    assert started(host) == was
    version = read_facts(host.spec).rom_version
    assert "git" in version
    assert not rom_is_old(version)


def test_packages_under_a_running_daemon_restart_it_once(host: Hypervisor) -> None:
    was = started(host)
    host.run("apt-get -q -y remove swtpm")
    assert prepare(host).made.changed == ("install packages", "run libvirt")
    now = started(host)
    assert now != was
    assert prepare(host).made.changed == ()
    assert started(host) == now


def test_units_that_were_off_are_off_again(host: Hypervisor) -> None:
    leave(host)
    host.run("systemctl disable -q --now libvirtd.service libvirtd{,-ro,-admin}.socket")
    # Stopped while it starts, the daemon may end with an error: such a host is not meant here.
    host.run("systemctl reset-failed")
    was = host.run(UNITS)
    assert prepare(host).made.changed[1:2] == ("run libvirt",)
    assert host.run("systemctl is-enabled libvirtd.service libvirtd.socket").split() == (
        ["enabled"] * 2
    )
    leave(host)
    assert host.run(UNITS) == was
    assert host.run("systemctl --failed --no-legend") == ""


def test_what_was_left_half_installed_is_finished(host: Hypervisor) -> None:
    host.run(
        "cd /var/tmp && apt-get -q download swtpm swtpm-tools && dpkg -r swtpm-tools"
        " && dpkg --unpack swtpm_*.deb swtpm-tools_*.deb && rm -f swtpm*.deb"
    )
    assert "swtpm" in host.run("dpkg --audit")
    assert prepare(host).made.failure == ""
    assert host.run("dpkg --audit") == ""


def test_what_is_provided_is_not_replaced(host: Hypervisor) -> None:
    host.run("apt-get -q -y --no-install-recommends install dnsmasq-base-lua")
    assert "dnsmasq-base " not in host.run(f"{INSTALLED} | grep ' installed$'")
    assert "install packages" not in prepare(host).made.changed
    host.run("apt-get -q -y --no-install-recommends install dnsmasq-base")


def test_all_that_no_repository_has_are_named_before_anything_is_installed(
    host: Hypervisor,
) -> None:
    host.run("apt-get -q -y remove swtpm ovmf curl")
    pin = "Package: swtpm ovmf\\nPin: release *\\nPin-Priority: -1\\n"
    host.run(f"printf '{pin}' > /etc/apt/preferences.d/none")
    was = host.run(INSTALLED)
    failure = prepare(host).made.failure
    assert "no repository that has ovmf, swtpm (main), expected" in failure
    assert "[host-packages]" in failure
    assert host.run(INSTALLED) == was
    host.run("rm /etc/apt/preferences.d/none")
    assert prepare(host).made.failure == ""


def test_another_apt_is_waited_for_and_named(host: Hypervisor) -> None:
    host.run("apt-get -q -y remove curl")
    host.run(HOLD)
    with host.shell() as shell:
        outcome = shell.run(install_packages(DEBIAN, tools=False, lock_wait_s=1)[0])
    assert outcome.exit_code == BUSY
    assert "(python3 -c" in outcome.stderr
    assert "[host-packages-busy]" in outcome.stderr
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(prepare, host, said)
        deadline = time.monotonic() + 60
        while not (told := [line for line in said if "waiting for process" in line]):
            assert time.monotonic() < deadline, "nobody was told while it waited"
            time.sleep(0.2)
        host.run("touch /run/go")
        result = waiting.result()
    assert result.made.failure == ""
    assert "(python3 -c" in told[0]


def test_no_mirror_answers(host: Hypervisor) -> None:
    host.run("apt-get -q -y remove curl; apt-get clean; mv /etc/apt/sources.list /etc/apt/away")
    gone = "deb http://127.0.0.1:9/debian nowhere main"
    host.run(f"mv /var/lib/apt/lists /var/lib/apt/away; echo '{gone}' > /etc/apt/sources.list")
    try:
        failure = prepare(host).made.failure
    finally:
        host.run("mv -f /etc/apt/away /etc/apt/sources.list; rm -rf /var/lib/apt/lists")
        host.run("mv /var/lib/apt/away /var/lib/apt/lists")
    assert "127.0.0.1" in failure
    assert "has curl (main)" in failure
    assert prepare(host).made.failure == ""
