import json

from lab.plan import plan_lab
from lab.specs import NetworkSpec, Topology
from lab.views.summary import nodes
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, plan, role


def test_nodes_are_plain_data_by_name() -> None:
    found = nodes(plan(tiny=[1], compute=[0]))
    assert json.loads(json.dumps(found)) == found
    assert found.keys() == {"tiny-1", "compute-0"}
    tiny = found["tiny-1"]
    assert tiny["addresses"] == {
        "data": "192.0.2.3",
        "management": "172.16.0.3",
        "external": "10.0.0.3",
    }
    assert tiny["macs"].keys() == tiny["addresses"].keys()
    assert (tiny["name"], tiny["role"], tiny["deployed"]) == ("foo-tiny-1", "tiny", True)
    assert (tiny["vcpus"], tiny["memory_mib"], tiny["disks_gib"]) == (1, 128, {"vda": 1})
    assert found["compute-0"]["deployed"] is False


def test_every_nic_has_a_mac_and_those_on_a_wire_no_address() -> None:
    networks = (*NETWORKS, NetworkSpec(name="wire", subnet=None))
    spec = role("tiny", [0], interfaces=("wire", "wire", "management", "management"))
    made = plan_lab(config(), Topology(networks=networks, roles=(spec,)), IMAGE, FACTS)
    tiny = nodes(made)["tiny-0"]
    assert list(tiny["macs"]) == ["wire", "wire.2", "management", "management.2"]
    assert list(tiny["addresses"]) == ["management", "management.2"]
