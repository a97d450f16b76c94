"""What somebody changes behind metalab's back is named, and what is said of it repairs it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor
from tests.soak.neighbours import Neighbours

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


# In rounds: of two things in a round neither hides the other. docs/reference/drift.md is made of
# them.
MENDED = "`fab drift foo --mend`"
ANEW = "`pulumi up` with the `--replace` that is said"
REFRESHED = "`pulumi up --refresh`"
BY_HAND = "put back by hand, as is said"
ROUNDS = {
    MENDED: [
        domain("virsh suspend @", "paused"),
        domain("virsh autostart --disable @", "autostart"),
        network("virsh net-autostart --disable @", "autostart"),
        network("virsh net-destroy @", "stopped", "data"),
        network("ip link set $(virsh net-info @ | awk '/Bridge/{print $2}') down", "bridge down"),
        Case("virsh pool-destroy metalab.foo", "pool metalab.foo", "stopped"),
        Case("rm /var/lib/metalab/prefixes/foo", "host", "marker"),
        Case("sed -i 's/\"memory_mib\": [0-9]*/\"memory_mib\": 7/' "
             "/var/lib/metalab/leases/foo.json", "host", "lease"),
        Case("userdel -r stack", "host", "make the user stack"),
        Case("rm /etc/polkit-1/rules.d/*metalab*", "host", "let stack manage libvirt"),
        Case("sed -i '/metalab:foo$/d' /root/.ssh/authorized_keys", "host",
             "authorize the lab's key"),
        Case("virsh pool-destroy metalab-base", "host", "make the image store"),
    ],
    ANEW: [
        domain("edit @ 's/65536<.memory/131072<\\/memory/'", "memory"),
        domain("edit @ 's/>1<.vcpu/>2<\\/vcpu/'", "vCPUs", "blank-1"),
        domain("virsh detach-interface @ network --config --mac $(virsh domiflist @ | "
               "awk '/foo-data/{print $5}')", "MACs", "blank-1"),
        domain("virsh attach-interface @ network foo-data --config", "MACs", "blank-0"),
        domain("edit @ '/<boot dev=.network/d'", "boot order"),
        domain("edit @ 's/foo-external/foo-data/'", "NICs"),
        domain("edit @ \"0,/<source network=/s#<source network=#"
               "<filterref filter='clean-traffic'/>&#\"", "NICs", "blank-1"),
        domain("edit @ '/metalab:owner/d'", "owner"),
        domain("edit @ 's#/foo-blank-0.console#/other.console#'", "console"),
        domain("virsh detach-disk @ vda --config", "disks", "blank-1"),
        domain("edit @ \"s/listen='127.0.0.1'/listen='0.0.0.0'/; s/address='127.0.0.1'/"
               "address='0.0.0.0'/\"", "VNC"),
        domain("edit @ \"s/cpu mode='[a-z-]*'/cpu mode='host-model'/\"", "CPU", "blank-1"),
        network("netedit @ '0,/<host mac/{//d}'", "DHCP hosts"),
        network("netedit @ 's/(<range start=.([0-9]+\\.){3})[0-9]+/\\1199/'", "DHCP range"),
        network("netedit @ \"s#<bridge name=#<domain name='x.y'/>&#\"", "domain"),
        network("netedit @ '/<host ip=/,/<.host>/d'", "names"),
        network("netedit @ '/metalab:owner/d'", "owner", "external"),
        network("netedit @ \"s#(<range start='(([0-9]+\\.){3})[^>]*>)#\\1"
                "<host mac='52:54:00:00:00:01' ip='\\2251'/>#\"", "DHCP hosts", "external"),
        network("netedit @ \"s#<bridge name=#<forward mode='nat'/>&#\"", "forward", "data"),
        network("netedit @ \"s/address='[0-9.]*'/address='10.77.0.1'/\"", "address", "data"),
        network("netedit @ \"s#<bridge name=.foo-data.#<bridge name='foo-dat9'#\"", "bridge",
                "data"),
        network("netedit @ \"s#<bridge name=#<mtu size='1400'/>&#\"", "mtu", "data"),
    ],
    REFRESHED: [
        domain("virsh destroy @; virsh undefine @", "undefined"),
        domain("virsh destroy @", "off", "tiny-0"),
        Case("virsh vol-delete foo-tiny-0-seed.iso metalab.foo", "volume foo-tiny-0-seed.iso",
             "missing"),
    ],
    f"{REFRESHED}, first with the `--target` that is said": [
        network("virsh net-destroy @; virsh net-undefine @", "undefined", "external"),
        Case("virsh pool-destroy metalab.foo; virsh pool-undefine metalab.foo",
             "pool metalab.foo", "undefined"),
    ],
    BY_HAND: [
        Case(f"mv {POOL}/foo-blank-0-vda.qcow2 /root/", "volume foo-blank-0-vda.qcow2", "missing"),
        Case(f"cp {POOL}/foo-blank-1-vda.qcow2 /root/; virsh destroy foo-blank-1; "
             f"qemu-img resize {POOL}/foo-blank-1-vda.qcow2 2G", "volume foo-blank-1-vda.qcow2",
             "size"),
        Case(f"virsh destroy foo-tiny-0; cp {POOL}/foo-tiny-0-vda.qcow2 /root/; "
             f"qemu-img convert -O raw {POOL}/foo-tiny-0-vda.qcow2 /root/raw; "
             f"mv /root/raw {POOL}/foo-tiny-0-vda.qcow2", "volume foo-tiny-0-vda.qcow2", "format"),
        Case("true  # the same file: what is converted stands alone",
             "volume foo-tiny-0-vda.qcow2", "base"),
        Case("mv /var/log/libvirt/qemu /root/logs", "host", "console"),
        Case("mv /var/lib/metalab/leases/foo.json /root/", "host", "lease"),
    ],
}  # fmt: skip
PUT_BACK = f"""mv /root/foo-*.qcow2 {POOL}/; mv /root/logs /var/log/libvirt/qemu
mv /root/foo.json /var/lib/metalab/leases/"""


@pytest.fixture(scope="module")
def foo(project: Project, hypervisor: Hypervisor, neighbours: Neighbours) -> Stack:
    """Two blank nodes, and one with a system."""
    assert neighbours.changed() == []
    nodes = {"topology_nodes": "blank:2,tiny:1", "image_url": "tiny"}
    stack = project.stack("foo", **nodes, **hypervisor.settings)
    stack.up().ok()
    return stack


def test_a_fresh_environment_has_none(foo: Stack) -> None:
    foo.pulumi("refresh", "--yes", "--expect-no-changes").ok()
    assert foo.fab("drift").ok().out.endswith("foo: as it was made\n")


def test_what_the_host_can_do_itself_is_mended(foo: Stack, hypervisor: Hypervisor) -> None:
    said = broken(foo, hypervisor, MENDED)
    assert "--mend" in said
    assert "foo: as it was made" in foo.fab("drift", "--mend").ok().out
    foo.unchanged().ok()


def test_a_run_claims_what_somebody_edited(foo: Stack, hypervisor: Hypervisor) -> None:
    """And lets go of what it kept for itself until then."""
    file = "/var/lib/metalab/leases/foo.json"
    was = hypervisor.run(f'cat {file}; sed -i \'s/"vcpus": [0-9]*/"vcpus": 99/\' {file}')
    assert "lease" in foo.pulumi("preview", "--diff").ok().out
    foo.up().ok()
    assert hypervisor.run(f"cat {file}; ls /var/lib/metalab/reserved 2>/dev/null || :") == was
    foo.pulumi("refresh", "--yes", "--expect-no-changes").ok()
    foo.unchanged().ok()


@pytest.mark.parametrize("name", list(ROUNDS)[1:-1])
def test_what_is_said_repairs_the_rest(foo: Stack, hypervisor: Hypervisor, name: str) -> None:
    disks = hypervisor.run(f"stat -c '%n %i' {POOL}/*.qcow2")
    said = broken(foo, hypervisor, name)
    first = re.findall(r"--refresh --target '(.*)', twice", said)
    targets = [word for urn in first for word in ("--target", urn)]
    if targets:
        foo.up("--refresh", *targets, "--skip-preview").ok()
    words = set(re.findall(r"pulumi up -s foo (--.*)", said))
    replaced = [word.split("'")[1] for word in words if word.startswith("--replace")]
    flags = [flag for urn in sorted(replaced) for flag in ("--replace", urn)]
    flags += ["--refresh"] if "--refresh" in said else []
    foo.up(*flags, "--skip-preview").ok()
    assert foo.fab("drift").ok().out.endswith("foo: as it was made\n")
    assert hypervisor.run(f"stat -c '%n %i' {POOL}/*.qcow2") == disks
    foo.unchanged().ok()


def test_what_nothing_makes_anew_is_put_back(foo: Stack, hypervisor: Hypervisor) -> None:
    """A disk's data is nobody's to invent; a lease's owner only the state knows."""
    said = broken(foo, hypervisor, BY_HAND)
    assert said.count("put the file back") >= 3
    assert "pulumi stack export" in said
    hypervisor.run(PUT_BACK)
    foo.up("--refresh", "--skip-preview").ok()
    assert foo.fab("drift").ok().out.endswith("foo: as it was made\n")


def broken(foo: Stack, hypervisor: Hypervisor, name: str) -> str:
    """Do all of a round; what is said names each."""
    for case in ROUNDS[name]:
        hypervisor.run(f"{EDIT} {case.does}")
    run = foo.fab("drift").refused()
    missing = [case for case in ROUNDS[name] if f"{case.where}: {case.kind}: " not in run.out]
    assert not missing, run.out
    return run.out
