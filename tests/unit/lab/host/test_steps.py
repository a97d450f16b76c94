from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

import pytest

from lab.facts import GuardFacts
from lab.host.steps import HostStep, authorize_steps, plan_steps, steps_for
from lab.plan import plan_lab
from tests.unit.lab.samples import FACTS, IMAGE, config, topology

DEBIAN = ["mark the host as used", "install packages", "check the iPXE ROMs", "run libvirt"]
USERS = ["make the user stack", "let stack manage libvirt"]
KVM = ["load KVM", "enable nested virtualization"]
STORE = ["make the image store"]


@pytest.mark.parametrize(
    ("vendor", "virt_type", "names"),
    [
        pytest.param(
            "GenuineIntel", "qemu", [*DEBIAN, *USERS, *STORE], id="emulation touches no module"
        ),
        pytest.param("GenuineIntel", "kvm", [*DEBIAN, *USERS, *KVM, *STORE], id="KVM on Intel"),
        pytest.param("AuthenticAMD", "kvm", [*DEBIAN, *USERS, *KVM, *STORE], id="KVM on AMD"),
    ],
)
def test_the_steps_of_a_host(vendor: str, virt_type: str, names: list[str]) -> None:
    steps = plan_steps(replace(FACTS, cpu_vendor=vendor), prefix="foo", virt_type=virt_type)
    assert [step.name for step in steps] == names
    modules = {"GenuineIntel": "kvm_amd", "AuthenticAMD": "kvm_intel"}
    assert modules[vendor] not in str(steps)


def test_a_lab_asks_for_what_its_login_and_its_size_take() -> None:
    def names(user: str, nodes: int) -> set[str]:
        made = plan_lab(config(), topology(tiny=range(nodes)), IMAGE, FACTS)
        return {step.name for step in steps_for(made, replace(FACTS, login=user))}

    small = names("root", 10)
    assert names("root", 11) - small == {"admit many connections at once"}
    assert names("ops", 10) - small == {"let ops manage libvirt"}


def test_only_a_confined_host_with_its_images_elsewhere_gets_a_label() -> None:
    guards = GuardFacts(selinux="enforcing", images_path="/srv/i", images_type="default_t")
    steps = plan_steps(replace(FACTS, guards=guards), prefix="foo", virt_type="kvm")
    plain = {step.name for step in plan_steps(FACTS, prefix="foo", virt_type="kvm")}
    (label,) = [step for step in steps if step.name not in plain]
    assert "semanage fcontext -a -t virt_image_t '/srv/i/metalab(/.*)?'" in label.commands[0]
    assert subprocess.run(["sh", "-n", "-c", label.commands[0]], check=False).returncode == 0


def test_what_a_run_changes_on_the_host_does_not_change_the_steps() -> None:
    after = replace(FACTS, kvm=True, pools=("metalab-base",), disk_free_gib=1, memory_mib=1)
    first = plan_steps(FACTS, prefix="foo", virt_type="kvm")
    assert plan_steps(after, prefix="foo", virt_type="kvm") == first


def test_only_what_is_the_prefixs_own_differs_between_prefixes() -> None:
    foo, bar = (plan_steps(FACTS, prefix=prefix, virt_type="kvm") for prefix in ("foo", "bar"))
    differing = [one.scope for one, other in zip(foo, bar, strict=True) if one != other]
    assert differing == ["prefix"]
    assert foo[0].scope == "prefix"  # the marker comes before anything that a leaver might undo


def test_steps_survive_the_wire() -> None:
    steps = (
        *plan_steps(FACTS, prefix="foo", virt_type="kvm", user="ops", nodes=40),
        *authorize_steps("foo", "ops", "ssh-ed25519 AAAA"),
    )
    for step in steps:
        for plain in (step.as_dict(), asdict(step)):
            wired = json.loads(json.dumps(plain))
            wired["timeout_s"] = float(wired["timeout_s"])
            assert HostStep.from_dict(wired) == step


@pytest.mark.parametrize("host", [("debian", "13"), ("ubuntu", "24.04"), ("rocky", "8.10")])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_line_of_shell_parses(host: tuple[str, str], shell: str) -> None:
    facts = replace(FACTS, os_id=host[0], os_version=host[1])
    steps = (
        *plan_steps(facts, prefix="foo", virt_type="kvm", tools=True, user="ops", nodes=40),
        *authorize_steps("foo", "ops", "ssh-ed25519 AAAA"),
    )
    for line in chain.from_iterable((step.probe, *step.commands, *step.undo) for step in steps):
        command = [shell, "-n", "-c", line]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, (line, done.stderr)


def test_people_get_their_tools_if_they_ask() -> None:
    for os_id, tool in (("debian", "libguestfs-xfs"), ("rocky", "virt-install")):
        facts = replace(FACTS, os_id=os_id, os_version="12" if os_id == "debian" else "9.6")
        for tools in (False, True):
            steps = plan_steps(facts, prefix="foo", virt_type="qemu", tools=tools)
            assert (tool in str(steps)) is tools


def test_the_documentation_lists_every_step() -> None:
    guards = GuardFacts(selinux="enforcing", images_path="/srv/i", images_type="default_t")
    facts = replace(FACTS, guards=guards)
    steps = plan_steps(facts, prefix="foo", virt_type="kvm", user="ops", nodes=40)
    keys = authorize_steps("foo", "ops", "ssh-ed25519 AAAA")
    told = Path(__file__).resolve().parents[4].joinpath("docs/hypervisor.md").read_text()
    rows = [line.partition(" | ")[0].removeprefix("| ") for line in told.splitlines()]
    listed = ", ".join(rows).replace("*user*", "ops").split(", ")
    assert [step.name for step in (*steps, *keys) if step.name not in listed] == []
