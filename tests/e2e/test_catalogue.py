"""Every shipped role on every shipped layout, as XML that libvirt's own schema takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.host.facts import read_facts
from lab.layout import Layout
from lab.shelf import shelf
from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import Hypervisor
from tests.e2e.provider import Definition, definitions
from tests.graph.recorder import WITH_NICS, up

pytestmark = pytest.mark.e2e

# Every kind of network that there is, and NICs on all of them.
EVERY = """\
networks:
  data: {cidr: 192.0.2.0/24}
  management: {cidr: 172.16.0.0/24, forward: nat, dhcp: true}
  routed: {cidr: 10.0.1.0/24, forward: route, dhcp: true}
  open: {cidr: 10.0.2.0/24, forward: open, dhcp: 100-150}
  dual:
    {cidr: 10.0.3.0/24, forward: nat, dhcp: true, ipv6: true, mtu: 1400, domain: lab.example,
     hosts: {vip: 10.0.3.9, pip: 10.0.3.9}, srv: [{service: ldap, target: tiny-0, port: 389}]}
  quiet: {cidr: 10.0.4.254/24, ipv6: true}
  wire: {}
nodes:
  default: {interfaces: [management, wire], external_network: management}
  ceph: {interfaces: [data, routed, routed, open, wire, dual, quiet], external_network: data}
"""
NODES = "tiny:1,ceph:1"  # deployed, and blank with six disks
LAYOUTS = {name: judged.layout or Layout() for name, judged in shelf("networks").items()}
ROLES = {file: judged.role.role for file, judged in shelf("nodes").items() if judged.role}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_libvirt_takes_every_role_on_every_layout(
    layout: str, hypervisor: Hypervisor, tmp_path: Path
) -> None:
    """Its schema and its own checks, for each domain and network; nothing is started."""
    for roles in labs(layout):
        nodes = dict.fromkeys(roles, 1)
        seen = up(
            WITH_NICS, topology_network=layout, topology_nodes=nodes, host_memory_overcommit=True
        )
        made = list(definitions(seen, tmp_path))
        assert len(made) == len(nodes) + len(LAYOUTS[layout].networks)
        said = defined(hypervisor, made, tmp_path, keep=False)
        assert said.count(" defined from ") == said.count(" undefined") == len(made), said


@pytest.fixture(scope="module")
def lab(project: Project, hypervisor: Hypervisor) -> Iterator[Stack]:
    (project.folder / "topologies" / "networks" / "every.yaml").write_text(EVERY)
    stack = project.stack("foo", **settings(project), **hypervisor.settings)
    stack.up().ok()
    yield stack
    stack.destroy()


def test_that_xml_is_what_the_plugin_makes(
    lab: Stack, hypervisor: Hypervisor, tmp_path: Path
) -> None:
    """What stands on the host is defined anew from it, and stays what it was, line by line.

    In any order: the plugin names the hosts of a network's DNS in that of a Go map.
    """
    facts = read_facts(hypervisor.spec)
    made = list(definitions(up(facts, **settings(lab.project)), tmp_path))
    assert len(made) == 2 + 7
    before = {each.name: dumped(hypervisor, each) for each in made}
    again = [each._replace(xml=adopt(each.xml, before[each.name])) for each in made]
    said = defined(hypervisor, again, tmp_path, keep=True)
    assert said.count(" defined from ") == len(made), said
    for each in made:
        assert sorted(dumped(hypervisor, each).split("\n")) == sorted(before[each.name].split("\n"))


def labs(layout: str) -> list[list[str]]:
    """The roles that a layout takes, as labs where no two have one name for their nodes."""
    made: list[dict[str, str]] = [{}, {}]
    for file, name in ROLES.items():
        if LAYOUTS[layout].has_nics_of(name):
            next(lab for lab in made if name not in lab)[name] = file
    return [list(lab.values()) for lab in made if lab]


def settings(project: Project) -> dict[str, object]:
    return {
        "topology_network": str(project.folder / "topologies" / "networks" / "every.yaml"),
        "topology_nodes": NODES,
        "image_url": "tiny",
        "host_memory_overcommit": True,
    }


def defined(hypervisor: Hypervisor, made: list[Definition], scratch: Path, *, keep: bool) -> str:
    """What one virsh says of all of it."""
    lines, commands = ["mkdir -p /root/defined; cd /root/defined"], []
    for each in made:
        lines.append(f"cat >{each.name}.xml <<'END'\n{each.xml}\nEND")
        verb = "net-" if each.kind == "network" else ""
        commands.append(f"{verb}define --validate {each.name}.xml")
        commands += [] if keep else [f"{verb}undefine {each.name}"]
    lines.append(f"virsh -c qemu:///system '{'; '.join(commands)}' 2>&1")
    (scratch / "define.sh").write_text("\n".join(lines))
    with hypervisor.shell() as shell:
        shell.put(scratch / "define.sh", "/root/define.sh")
        return shell.run("sh /root/define.sh", timeout_s=60).stdout


def dumped(hypervisor: Hypervisor, each: Definition) -> str:
    verb = "net-dumpxml" if each.kind == "network" else "dumpxml"
    return hypervisor.run(f"virsh {verb} --inactive {each.name}")


def adopt(xml: str, standing: str) -> str:
    """What libvirt itself chose for a network: two of one name need the same."""
    chosen = re.findall(r"<uuid>.*?</uuid>|^  <mac [^>]*/>", standing, re.MULTILINE)
    return xml if "<uuid>" in xml else xml.replace("</name>", f"</name>{''.join(chosen)}", 1)
