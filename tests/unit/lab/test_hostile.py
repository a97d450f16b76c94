"""Files as nobody should write them: refused in words, in time, or understood as they stand."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from xml.dom.minidom import parseString

import pytest
import yaml

from components.xslt import domain_xslt, network_xslt
from lab.errors import LabError, Problem
from lab.files import MAX_BYTES, load_yaml
from lab.layout import parse_layout
from lab.plan import plan_lab
from lab.reader import Reader
from lab.shelf import judge
from lab.specs import Topology
from lab.topology import load_topology
from lab.views.inventory import inventory
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, plan, role, topology

NODE = "cpu: 1\nmemory: 128\ndisks: [1G]\n"
LAYOUT = (
    "networks: {{{0}: {{cidr: 192.0.2.0/24}}}}\n"
    "nodes: {{{1}: {{interfaces: [{0}], external_network: {0}}}}}\n"
)
# Each would do harm in a shell, in XML, as a path, on a terminal, or as an option.
NAMES = {
    "a shell's list": "a; reboot",
    "a substitution": "$(reboot)",
    "backquotes": "`reboot`",
    "a variable": "${HOME}",
    "a pipe": "a|b",
    "a tag": "<a/>",
    "an entity": "&amp;",
    "a quote": "a'b",
    "a double quote": 'a"b',
    "an attribute": "a' onload='b",
    "a path": "../../etc/passwd",
    "a path from the root": "/etc/passwd",
    "a dot": "a.b",
    "an option": "--help",
    "a pattern": "*",
    "a line break": "a\nb",
    "an escape": "a\x1b[2Jb",
    "another alphabet": "\u0430dmin",
    "from right to left": "a\u202eb",
    "a blank": "a b",
    "a zero": "a\0b",
    "a path with a zero": "./a\0b",
    "a path with an escape": "./a\x1b[2Jb",
}
WRITERS: dict[str, Callable[[str], str]] = {
    "a network": lambda name: LAYOUT.format(name, "default"),
    "a layout's role": lambda name: LAYOUT.format("data", name),
    "a role's name": lambda name: f"{NODE}name: {name}\n",
    "a role's network": lambda name: f"{NODE}interfaces: [data]\nexternal_network: {name}\n",
}


def quoted(name: str) -> str:
    return yaml.safe_dump(name, default_style='"', width=1000).strip()


@pytest.mark.parametrize("name", [pytest.param(name, id=what) for what, name in NAMES.items()])
@pytest.mark.parametrize("place", sorted(WRITERS))
def test_no_name_is_more_than_a_name(tmp_path: Path, place: str, name: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(WRITERS[place](quoted(name)), encoding="utf-8")
    said = [str(problem) for problem in judge(file, "x.yaml").problems]
    assert said
    assert [line for line in said if not line.isprintable()] == [], "harmful to a terminal"


@pytest.mark.parametrize("name", [pytest.param(name, id=what) for what, name in NAMES.items()])
@pytest.mark.parametrize("kind", ["nodes", "network"])
def test_no_name_leads_out_of_the_shelf(tmp_path: Path, kind: str, name: str) -> None:
    """A layout with a slash is a path of the user's own; it is read as YAML, and that is all."""
    wanted = config(**{"nodes": {"tiny": 1}, kind: {name: 1} if kind == "nodes" else name})
    with pytest.raises(LabError) as caught:
        load_topology(wanted, local=tmp_path)
    assert str(caught.value).replace("\n", "").isprintable(), "harmful to a terminal"


def test_groups_are_any_text_and_stay_that() -> None:
    """They reach the inventory alone."""
    groups = tuple(NAMES.values())
    wanted = Topology(networks=NETWORKS, roles=(role("tiny", [0], groups=groups),))
    lab = plan_lab(config(), wanted, IMAGE, FACTS)
    read = yaml.safe_load(inventory(lab))["all"]["children"]
    assert read.keys() == {*groups, "hypervisor"}


def test_stylesheets_are_xml_whatever_a_path_holds() -> None:
    lab = plan()
    texts = [network_xslt(lab.prefix, network) for network in lab.networks]
    texts += [domain_xslt(lab.prefix, node, "/a'b\"<&>") for node in lab.nodes.values()]
    for text in texts:
        parseString(text)  # noqa: S318 - our own


def test_a_file_without_an_end() -> None:
    with pytest.raises(LabError, match=f"more than {MAX_BYTES} bytes"):
        load_yaml(Path("/dev/zero"), "zero")


def test_a_file_of_ten_megabytes(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"a: 1\n" * 2_000_000)
    begun = time.monotonic()
    (problem,) = judge(file, "x.yaml").problems
    assert problem.rule == "file"
    assert time.monotonic() - begun < 1


def test_three_hundred_of_everything_take_no_time(tmp_path: Path) -> None:
    """Networks, a layout's roles, and nodes."""
    networks = {f"n{i}": {"cidr": f"10.{i // 256}.{i % 256}.0/24"} for i in range(300)}
    networks["all"] = {"cidr": "172.16.0.0/22", "dhcp": True}
    nics = {"interfaces": ["all", *list(networks)[:25]], "external_network": "all"}
    raw = {"networks": networks, "nodes": {f"r{i}": nics for i in range(300)}}
    begun = time.monotonic()
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump(raw))
    document = load_yaml(file, "x.yaml")
    problems: list[Problem] = []
    layout = parse_layout(Reader(document.raw, document.source, problems))
    assert problems == []
    assert len(layout.nics) == 300
    roles = (role("r0", range(300), interfaces=("all",), access="all"),)
    wanted = Topology(networks=layout.networks, roles=roles)
    lab = plan_lab(config(), wanted, IMAGE, FACTS)
    assert len({nic.address for node in lab.nodes.values() for nic in node.nics}) == 300
    assert time.monotonic() - begun < 5


def test_three_hundred_nodes_do_not_fit_everywhere() -> None:
    with pytest.raises(LabError, match=r"300 nodes on .*/24.*Give it a /23"):
        plan_lab(config(), topology(tiny=range(300)), IMAGE, FACTS)
