"""What somebody changes behind metalab's back is named, and what is said of it repairs it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
POOL = "/var/lib/libvirt/images/metalab/prefixes/foo"
# Edits what a definition says the next time, as `virsh edit` does.
EDIT = """
edit() { virsh dumpxml --inactive $1 | sed -E "$2" > /root/x.xml; virsh -q define /root/x.xml; }
netedit() {
  virsh net-dumpxml --inactive $1 | sed -E "$2" > /root/n.xml; virsh -q net-define /root/n.xml
}
"""


@dataclass(frozen=True)
class Case:
    """One thing that somebody does, and what is said of it."""

    does: str
    where: str
    kind: str


def domain(does: str, kind: str, node: str = "blank-0") -> Case:
    return Case(does.replace("@", f"foo-{node}"), f"domain foo-{node}", kind)


def network(does: str, kind: str, name: str = "management") -> Case:
    return Case(does.replace("@", f"foo-{name}"), f"network foo-{name}", kind)


# In rounds: of two things in a round neither hides the other.
ROUNDS = {
    "mended on the host": [
        domain("virsh suspend @", "paused"),
        domain("virsh autostart --disable @", "autostart"),
        network("virsh net-autostart --disable @", "autostart"),
        network("virsh net-destroy @", "stopped", "data"),
        network("ip link set $(virsh net-info @ | awk '/Bridge/{print $2}') down", "bridge down"),
        Case("virsh pool-destroy metalab.foo", "pool metalab.foo", "stopped"),
        Case("rm /var/lib/metalab/prefixes/foo", "host", "marker"),
        Case("userdel -r stack", "host", "make the user stack"),
        Case("rm /etc/polkit-1/rules.d/*metalab*", "host", "let stack manage libvirt"),
        Case("sed -i '/metalab:foo$/d' /root/.ssh/authorized_keys", "host",
             "authorize the lab's key"),
    ],
    "made anew by the engine": [
        domain("edit @ 's/65536<.memory/131072<\\/memory/'", "memory"),
        domain("edit @ 's/>1<.vcpu/>2<\\/vcpu/'", "vCPUs", "blank-1"),
        domain("virsh detach-interface @ network --config --mac $(virsh domiflist @ | "
               "awk '/foo-data/{print $5}')", "MACs", "blank-1"),
        domain("edit @ '/<boot dev=.network/d'", "boot order"),
        domain("edit @ 's/foo-external/foo-data/'", "NICs"),
        domain("edit @ '/metalab:owner/d'", "owner"),
        domain("edit @ 's#/foo-blank-0.console#/other.console#'", "console"),
        domain("virsh detach-disk @ vda --config", "disks", "blank-1"),
        domain("edit @ \"s/listen='127.0.0.1'/listen='0.0.0.0'/; s/address='127.0.0.1'/"
               "address='0.0.0.0'/\"", "VNC"),
        domain("edit @ \"s/cpu mode='[a-z-]*'/cpu mode='host-model'/\"", "CPU", "blank-1"),
        network("netedit @ '0,/<host mac/{//d}'", "DHCP hosts"),
        network("netedit @ 's/(<range start=.)172.16.0.[0-9]+/\\1172.16.0.199/'", "DHCP range"),
        network("netedit @ '/metalab:owner/d'", "owner", "external"),
        network("netedit @ \"s/address='[0-9.]*'/address='10.77.0.1'/\"", "address", "data"),
    ],
    "a domain that is gone": [domain("virsh destroy @; virsh undefine @", "undefined")],
    "a network that is gone": [
        network("virsh net-destroy @; virsh net-undefine @", "undefined", "external"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def foo(project: Project, hypervisor: Hypervisor) -> Stack:
    """Two blank nodes: what they are made of is what counts."""
    project.add_blank()
    stack = project.stack("foo", topology_nodes="blank:2", **hypervisor.settings)
    stack.up().ok()
    return stack


def test_a_fresh_environment_has_none(foo: Stack) -> None:
    assert foo.fab("drift").ok().out.endswith("foo: as it was made\n")


def test_what_the_host_can_do_itself_is_mended(foo: Stack, hypervisor: Hypervisor) -> None:
    said = broken(foo, hypervisor, "mended on the host")
    assert "--mend" in said
    assert "foo: as it was made" in foo.fab("drift", "--mend").ok().out
    foo.unchanged().ok()


@pytest.mark.parametrize("name", list(ROUNDS)[1:])
def test_what_is_said_repairs_the_rest(foo: Stack, hypervisor: Hypervisor, name: str) -> None:
    disks = hypervisor.run(f"stat -c '%n %i' {POOL}/*")
    said = broken(foo, hypervisor, name)
    for urn in re.findall(r"--refresh --target '(.*)', twice", said):
        foo.up("--refresh", "--target", urn, "--skip-preview").ok()
    words = set(re.findall(r"pulumi up -s foo (--.*)", said))
    replaced = [word.split("'")[1] for word in words if word.startswith("--replace")]
    flags = [flag for urn in sorted(replaced) for flag in ("--replace", urn)]
    flags += ["--refresh"] if "--refresh" in said else []
    foo.up(*flags, "--skip-preview").ok()
    assert foo.fab("drift").ok().out.endswith("foo: as it was made\n")
    assert hypervisor.run(f"stat -c '%n %i' {POOL}/*") == disks
    foo.unchanged().ok()


def broken(foo: Stack, hypervisor: Hypervisor, name: str) -> str:
    """Do all of a round; what is said names each."""
    for case in ROUNDS[name]:
        hypervisor.run(f"{EDIT} {case.does}")
    run = foo.fab("drift").refused()
    missing = [case for case in ROUNDS[name] if f"{case.where}: {case.kind}: " not in run.out]
    assert not missing, run.out
    return run.out
