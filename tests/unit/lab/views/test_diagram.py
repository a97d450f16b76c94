from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from lab.config import parse_config
from lab.plan import LabPlan, plan_lab
from lab.topology import load_topology
from lab.views.diagram import diagram
from tests.golden import check_golden
from tests.unit.lab.samples import FACTS, IMAGE, plan

ROOT = Path(__file__).parents[4]
SVG = "{http://www.w3.org/2000/svg}"


def demo() -> LabPlan:
    """The embedded default, on a host where the addresses of its layout are free."""
    stack = yaml.safe_load((ROOT / "stacks/Pulumi.demo.yaml").read_text())
    settings = {key.removeprefix("metalab:"): value for key, value in stack["config"].items()}
    config = parse_config(settings, "demo")
    return plan_lab(config, load_topology(config), IMAGE, FACTS)


def test_the_picture_in_the_documentation() -> None:
    check_golden(ROOT / "docs/lab.svg", diagram(demo()))


def texts(made: LabPlan) -> list[str]:
    tree = ElementTree.fromstring(diagram(made))  # noqa: S314 - our own text
    return [element.text or "" for element in tree.iter(f"{SVG}text")]


def test_nodes_networks_and_addresses_are_named() -> None:
    shown = texts(plan(tiny=[0]))
    assert shown == [
        "foo on hypervisor lab42",
        *("data", "192.0.2.0/24", "isolated, no DHCP"),
        *("management", "172.16.0.0/24", "NAT, DHCP"),
        *("external", "10.0.0.0/24", "NAT, DHCP"),
        *("tiny-0", "1 vCPU, 128 MiB", "192.0.2.2", "172.16.0.2  ssh", "10.0.0.2"),
    ]


def test_a_blank_node_has_no_address_where_nobody_gives_it_one() -> None:
    shown = texts(plan(compute=[0]))
    assert shown[-5:] == [
        "1 vCPU, 128 MiB",
        "-",
        "172.16.0.2",
        "10.0.0.2",
        "blank: boots from the network first",
    ]
    assert 'class="node blank"' in diagram(plan(compute=[0]))
    assert 'class="node blank"' not in diagram(plan(tiny=[0]))


def test_a_crowd_is_folded() -> None:
    shown = texts(plan(controller=range(3), compute=range(12)))
    assert "compute-0 … compute-11" in shown
    assert "12 × 1 vCPU, 128 MiB" in shown  # noqa: RUF001 - a product
    assert "172.16.0.2 … 13" in shown
    assert "controller-1" in shown
    assert "compute-5" not in shown


@pytest.mark.parametrize("count", [1, 2, 6, 7, 11, 12])
def test_up_to_twelve_nodes_are_all_drawn(count: int) -> None:
    shown = texts(plan(tiny=range(count)))
    assert {f"tiny-{i}" for i in range(count)} <= set(shown)


@pytest.mark.parametrize("count", [1, 3, 7, 12, 40])
def test_everything_is_on_the_page(count: int) -> None:
    tree = ElementTree.fromstring(diagram(plan(tiny=range(count))))  # noqa: S314 - our own text
    width, height = float(tree.attrib["width"]), float(tree.attrib["height"])
    for box in tree.iter(f"{SVG}rect"):
        assert 0 <= float(box.attrib["x"]) <= width - float(box.attrib["width"])
        assert 0 <= float(box.attrib["y"]) <= height - float(box.attrib["height"])
    for text in tree.iter(f"{SVG}text"):
        size = float(text.attrib["font-size"])
        assert float(text.attrib["x"]) + len(text.text or "") * size * 0.602 < width
        assert float(text.attrib["y"]) < height


def test_a_lab_without_nodes_is_still_a_picture() -> None:
    assert texts(plan(tiny=[])) == texts(plan(tiny=[0]))[:10]


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    text = diagram(plan())
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert "prefers-color-scheme: dark" in text


def test_equal_plans_give_equal_bytes() -> None:
    assert diagram(plan()) == diagram(plan())
