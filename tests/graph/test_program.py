"""What the whole program registers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from lab.facts import Ipv6Facts, KvmFacts, LinkFact, LinkFacts
from lab.lease import parse_lease
from tests.graph.recorder import FACTS, PENDING, exports, graph, up

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param("tiny", {"topology_nodes": "tiny:3"}, id="deployed nodes"),
        pytest.param(
            "mixed",
            {"topology_nodes": "undercloud:1,controller:1,compute:2"},
            id="a deployed node and blank ones",
        ),
        pytest.param(
            "options",
            {
                "topology_nodes": "undercloud:1,controller:1",
                "vnc_external": "true",
                "vnc_password": "Vnc0word",
                "override": json.dumps(
                    {
                        "undercloud": {
                            "disks": [
                                {"size": "9G", "cache": "unsafe"},
                                {"size": 1, "preallocation": "full", "bus": "sata"},
                                {"size": 2, "bus": "scsi"},
                            ],
                            "user": "stack",
                            "cpumodel": "Nehalem",
                            "os_variant": "rhel9.2",
                        },
                        "controller": {
                            "bootmode": "uefi-secure",
                            "devices": "<watchdog model='i6300esb'/>",
                            "interfaces": [{"network": "data", "model": "e1000e"}],
                            "external_network": "data",
                        },
                        "networks": {"data": {"cidr": "192.168.24.254/24"}},
                    }
                ),
            },
            id="what roles and layouts can ask for",
        ),
        pytest.param(
            "hole", {"topology_nodes": "ironic:2", "remove_nodes": "ironic-0"}, id="holes"
        ),
    ],
)
def test_graph_is_the_golden_one(name: str, settings: dict[str, Any]) -> None:
    """`rm tests/graph/golden/*.json` and a run make them anew; read the diff before you commit."""
    text = json.dumps(graph(up(**settings)), indent=1, sort_keys=True) + "\n"
    golden = GOLDEN / f"{name}.json"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
        pytest.fail(f"{golden} did not exist and was written")
    assert text == golden.read_text()


def test_every_libvirt_resource_has_our_name_and_our_provider() -> None:
    """Autonames break the 15-byte bridge; the default provider is the operator's own laptop."""
    made = [resource for resource in up() if resource.typ.startswith("libvirt:")]
    assert {resource.inputs["name"].partition("-")[0] for resource in made} == {
        "foo",
        "metalab.foo",
    }
    assert {str(resource.provider).split("::")[-2] for resource in made} == {"libvirt"}


def test_nothing_is_registered_when_a_rule_says_no() -> None:
    with pytest.raises(pulumi.RunError, match=r"memory-overcommit") as refused:
        up(topology_nodes="controller:9")
    assert "9 controller of 32768" in str(refused.value)


def test_removing_a_node_registers_the_others_unchanged() -> None:
    before = graph(up(topology_nodes="tiny:3"))
    lease = parse_lease(next(seen for seen in up() if seen.typ.endswith(":Lease")).inputs["lease"])
    facts = _with(lease)
    after = graph(up(facts, topology_nodes="tiny:3", remove_nodes="tiny-1"))
    gone = {key for key in before if key not in after}
    assert {key.rpartition("::")[2] for key in gone} == {"tiny-1", "tiny-1-vda", "tiny-1-seed"}
    own = {key for key in after if key.rpartition("::")[2].startswith(("tiny-0", "tiny-2"))}
    assert len(own) == 8
    assert {key: after[key] for key in own} == {key: before[key] for key in own}


@pytest.mark.parametrize("layout", ["3_nets_1_bridge", "3_net_1_bridge"])
def test_a_lab_on_the_lan(layout: str) -> None:
    links = {"eth0": LinkFact(name="eth0", addressed=True, manager="networkd")}
    facts = replace(FACTS, wires=LinkFacts(links=links, main="eth0", rollback=True))
    seen = up(facts, topology_nodes="tripleo:1,cfme:1", topology_network=layout)
    (external,) = [
        args.inputs
        for args in seen
        if args.typ == "libvirt:index/network:Network" and args.name == "external"
    ]
    assert external.keys() == {"autostart", "bridge", "mode", "name", "xml"}
    assert (external["mode"], external["bridge"]) == ("bridge", "br-eth0")
    filters = {
        args.name: args.inputs["xml"]["xslt"].count("<filterref ")
        for args in seen
        if args.typ == "libvirt:index/domain:Domain"
    }
    assert filters == {"undercloud-0": 1, "cfme-0": 1}
    (ready,) = [args for args in seen if args.typ.endswith(":Readiness")]
    assert ready.inputs["nodes"]["cfme-0"]["bridge"] == "br-eth0"
    assert "bridge" not in ready.inputs["nodes"]["undercloud-0"]
    assert exports()["ssh_config"].count("ProxyCommand") == 1  # nobody has looked for the other yet


def test_no_secret_is_an_input_in_clear() -> None:
    """Private keys reach the engine marked as secrets; the recorder sees them without the mark."""
    for seen in up():
        texts = json.dumps({k: v for k, v in seen.inputs.items() if k != "userData"}, default=str)
        if not seen.typ.endswith(":Readiness"):
            assert "PRIVATE KEY" not in texts, seen.name


@pytest.mark.parametrize(
    ("nested", "pending"),
    [
        pytest.param(frozenset[str](), [PENDING], id="as the preparation left it"),
        pytest.param(frozenset({"kvm_intel"}), [], id="made true by a boot since"),
    ],
)
def test_what_waits_for_a_boot_is_an_output(nested: frozenset[str], pending: list[str]) -> None:
    """Without an update of Host: a second run of the same configuration has nothing to do."""
    before = graph(up())
    assert graph(up(replace(FACTS, around_kvm=KvmFacts(nested=nested)))) == before
    assert exports()["pending"] == pending


LAYOUT = """\
networks:
  lan:
    cidr: 10.0.0.0/24
    forward: nat
    dhcp: true
    ipv6: 2001:db8:1::/64
    mtu: 9000
    domain: lab.example
    hosts: {vip: 10.0.0.101}
    srv: [{service: ldap, target: tiny-0, port: 389}]
    autostart: false
nodes:
  default: {interfaces: [lan], external_network: lan}
"""


def test_a_network_with_all_that_a_layout_may_say(tmp_path: Path) -> None:
    path = tmp_path / "lan.yaml"
    path.write_text(LAYOUT)
    facts = replace(FACTS, ipv6=Ipv6Facts(usable=True))
    seen = up(facts, topology_nodes="tiny:1", topology_network=str(path))
    (network,) = [each.inputs for each in seen if each.typ.endswith(":Network")]
    xslt = network.pop("xml")["xslt"]
    assert network == {
        "name": "foo-lan",
        "mode": "nat",
        "bridge": "foo-lan",
        "addresses": ["10.0.0.0/24", "2001:db8:1::/64"],
        "autostart": False,
        "mtu": 9000,
        "domain": "lab.example",
        "dhcp": {"enabled": True},
        "dns": {
            "enabled": True,
            "localOnly": True,
            "hosts": [
                {"ip": "10.0.0.2", "hostname": "foo-tiny-0"},
                {"ip": "2001:db8:1::2", "hostname": "foo-tiny-0"},
                {"ip": "10.0.0.101", "hostname": "vip"},
            ],
        },
    }
    assert '<srv service="ldap" protocol="tcp" target="foo-tiny-0.lab.example" port="389"' in xslt
    assert '<forward mode="nat"><nat ipv6="yes"/></forward>' in xslt
    assert "match=\"/network/ip[@family='ipv6']/dhcp\"></xsl:template>" in xslt
    assert exports()["nodes"]["tiny-0"]["addresses6"] == {"lan": "2001:db8:1::2"}


def _with(lease: Any) -> Any:
    return replace(FACTS, leases={"foo": lease})
