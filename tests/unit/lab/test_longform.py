"""The predecessor's files, of our own writing: every word of its format comes to something."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.specs import DiskSpec, LanSpec, NicSpec, SrvSpec, SystemSpec, Topology
from lab.topology import load_topology
from tests.unit.lab.samples import config, lines

LAYOUT = """\
networks:
  net1:
    name: "data"
    external_connectivity: no
    ip_address: "192.168.{{ data_net }}.254"
    netmask: "255.255.255.0"
  net2:
    name: management
    ip_address: "172.16.{{ net }}.1"
    netmask: 255.255.255.0
    forward: {type: nat}
    stp: true
    dhcp:
      range: {start: "172.16.{{ net }}.2", end: "172.16.{{ net }}.100"}
      subnet_cidr: "172.16.{{ net }}.0/24"
      subnet_gateway: "172.16.{{ net }}.1"
    floating_ip: {start: "172.16.{{ net }}.101", end: "172.16.{{ net }}.150"}
  net3:
    name: tenant
    ip_address: "10.0.{{ net + 1 | string }}.1"
    netmask: 255.255.255.0
    forward: nat
nodes:
  default:
    interfaces:
      - network: data
        bridged: false
      - network: management
        model: e1000
    external_network: {network: management}
  cfme_tester:
    interfaces:
      nic1: {network: tenant}
      nic2: {network: management}
    external_network: tenant
    provision_network: {network: management}
"""
ROLE = """\
name: box
prefix: null
cpu: "4"
cpumodel: host-model
memory: "8192"
swap: "512"
flavor: m1.large
flavor_id: 3
deploy_os: true
os: {type: linux, variant: rhel7.0}
machine_type: q35
supports_libguestfs: true
disks:
  disk10: {import_url: null, path: null, dev: /dev/vdc, size: 12G, cache: none}
  disk1: {dev: /dev/vda, size: "64G", cache: unsafe, preallocation: metadata, bus: scsi}
  disk2: {size: 11G, preallocation: full, force_image_download: true}
interfaces: null
groups: [boxes]
"""


def load(
    tmp_path: Path, layout: str = LAYOUT, role: str = ROLE, override: object = None
) -> Topology:
    for folder, name, text in (("nodes", "box", role), ("networks", "mine", layout)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.yml").write_text(text)
    wanted = config(network="mine", nodes={"box": 1}, override=override or {})
    return load_topology(wanted, local=tmp_path)


def problems(tmp_path: Path, layout: str = LAYOUT, role: str = ROLE, **more: object) -> str:
    with pytest.raises(LabError) as caught:
        load(tmp_path, layout, role, **more)
    return "\n".join(lines(caught.value))


def test_a_layout(tmp_path: Path) -> None:
    data, management, tenant = load(tmp_path).networks
    assert (data.name, data.subnet, data.host_number) == (
        "data",
        IPv4Network("192.168.24.0/24"),
        254,
    )
    assert (management.subnet, management.forward) == (IPv4Network("172.16.0.0/24"), "nat")
    assert (management.dhcp, management.span, management.host_number) == (True, (2, 100), 1)
    assert (tenant.subnet, tenant.dhcp) == (IPv4Network("10.0.1.0/24"), False)


def test_a_role(tmp_path: Path) -> None:
    (box,) = load(tmp_path).roles
    assert (box.role, box.vcpus, box.memory_mib, box.groups) == ("box", 4, 8192, ("boxes",))
    assert box.disks == (
        DiskSpec(size_gib=64, bus="scsi", cache="unsafe"),
        DiskSpec(size_gib=11, preallocation="full"),
        DiskSpec(size_gib=12, cache="none"),
    )
    assert box.nics == (NicSpec(network="data"), NicSpec(network="management", model="e1000"))
    assert box.system == SystemSpec(swap_mib=512)
    assert (box.machine.cpu_model, box.machine.machine) == ("host-model", "q35")
    assert box.machine.os_variant == "rhel7.0"


def test_ways_in_of_both_spellings(tmp_path: Path) -> None:
    (box,) = load(tmp_path, role=ROLE.replace("name: box", "name: cfme_tester")).roles
    assert (box.role, box.access, box.route) == ("cfme-tester", "management", "tenant")


REST = """\
networks:
  net1:
    name: external
    ip_address: 10.0.0.1
    netmask: 255.255.255.0
    forward: nat
    dhcp: {range: {start: 10.0.0.2, end: 10.0.0.100}}
    ipv6:
      ip_address: "2001:db8:1::fe"
      prefix: "64"
      dhcp: {range: {start: "2001:db8:1::2", end: "2001:db8:1::ff"}}
    domain: lab.example
    dns:
      srvs:
        - {name: ldap, protocol: tcp, domain: lab.example, port: 389, target: box-0}
    autostart: no
  net2:
    name: br-ctlplane
    forward: bridge
    nic: eno1
    ip_address: 192.168.24.150
    netmask: 255.255.255.0
    stp: no
  net3:
    name: wire
nodes:
  default:
    interfaces:
      - {network: br-ctlplane, bridged: yes}
      - {network: external, mac: "52:54:00:00:00:01"}
      - {network: wire}
    external_network: {network: external}
"""


def test_the_rest_of_a_layout(tmp_path: Path) -> None:
    topology = load(tmp_path, layout=REST)
    external, ctlplane, wire = topology.networks
    assert (external.ipv6, external.subnet6) == (True, IPv6Network("2001:db8:1::/64"))
    assert (external.domain, external.autostart) == ("lab.example", False)
    assert external.srvs == (
        SrvSpec(service="ldap", protocol="tcp", target="box-0", port=389, domain="lab.example"),
    )
    assert (ctlplane.forward, ctlplane.lan) == ("bridge", LanSpec(nic="eno1"))
    assert (wire.subnet, wire.forward) == (None, "none")
    assert topology.roles[0].nics[1].mac == "52:54:00:00:00:01"
    notes = "\n".join(topology.notes)
    for word in ("net1.ipv6.dhcp", "net2.ip_address", "net2.netmask", "net2.stp"):
        assert f"networks.{word} has no effect" in notes


@pytest.mark.parametrize(
    "note",
    [
        "box.yml:2: prefix has no effect",
        "box.yml:7: flavor has no effect",
        "box.yml:8: flavor_id has no effect",
        "box.yml:10: os.type has no effect",
        "box.yml:12: supports_libguestfs has no effect",
        "box.yml:14: disks.disk10.dev has no effect",
        "box.yml:16: disks.disk2.force_image_download has no effect",
        "mine.yml:4: networks.net1.external_connectivity has no effect",
        "mine.yml:12: networks.net2.stp has no effect",
        "mine.yml:15: networks.net2.dhcp.subnet_cidr has no effect",
        "mine.yml:16: networks.net2.dhcp.subnet_gateway has no effect",
        "mine.yml:17: networks.net2.floating_ip has no effect",
        "mine.yml:27: nodes.default.interfaces.0.bridged has no effect",
        "mine.yml:31: nodes.cfme_tester: cfme_tester is called cfme-tester",
    ],
)
def test_what_has_no_effect_is_noted(tmp_path: Path, note: str) -> None:
    assert note in "\n".join(load(tmp_path).notes)


@pytest.mark.parametrize(
    ("layout", "role", "says"),
    [
        pytest.param(
            LAYOUT.replace("model: e1000", "portgroup: x"),
            ROLE,
            "mine.yml:29: nodes.default.interfaces.1.portgroup: got portgroup, expected no such",
            id="portgroup",
        ),
        pytest.param(
            LAYOUT.replace("model: e1000", "connect_to: x"), ROLE, "[unsupported]", id="wires"
        ),
        pytest.param(
            LAYOUT.replace("forward: nat", "virtualport_type: openvswitch"),
            ROLE,
            "Open vSwitch is not supported",
            id="Open vSwitch",
        ),
        pytest.param(f"{LAYOUT}cidrs: []\n", ROLE, "BGP", id="cidrs"),
        pytest.param(f"{LAYOUT}l3appliance_config: {{}}\n", ROLE, "Appliances", id="l3appliance"),
        pytest.param(LAYOUT, f"{ROLE}image: {{ssh_user: admin}}\n", "Appliances", id="image"),
        pytest.param(
            LAYOUT, ROLE.replace("interfaces: null", "interfaces: {basic: [[a]]}"), "BGP", id="BGP"
        ),
        pytest.param(LAYOUT, ROLE.replace("path: null", "path: /x"), "in one pool", id="path"),
        pytest.param(LAYOUT, f"{ROLE}ips: {{basic: []}}\n", "BGP", id="ips"),
        pytest.param(
            LAYOUT,
            ROLE.replace("libguestfs: true", "libguestfs: false"),
            "Appliances",
            id="an image as it is",
        ),
    ],
)
def test_what_metalab_does_not_do_is_refused_by_name(
    tmp_path: Path, layout: str, role: str, says: str
) -> None:
    said = problems(tmp_path, layout, role)
    assert says in said
    assert "[unsupported]" in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param("172.16.{{ net }}.1", "172.16.300.1", "net2.ip_address: got", id="address"),
        pytest.param(
            'end: "172.16.{{ net }}.100', 'end: "172.17.0.9', "dhcp.range: got", id="range"
        ),
        pytest.param(
            "type: nat", "type: nta", "mine.yml:11: networks.net2.forward.type", id="mode"
        ),
        pytest.param("name: tenant", "name: data", "each name once", id="two of a name"),
        pytest.param("subnet_cidr", "subnet_cdir", "got 'subnet_cdir', expected only", id="a word"),
        pytest.param(
            "{network: management}\n", "{network: mangement}\n", "Did you mean management", id="net"
        ),
        pytest.param("type: nat", "mode: nat", "got 'mode', expected only type", id="forward"),
        pytest.param(
            "netmask: 255.255.255.0\n    forward: nat",
            "netmask: 255.255.255.0\n    cidr: 10.0.9.0/24",
            "one of the two that say cidr",
            id="two subnets",
        ),
        pytest.param(
            "{{ net + 1 | string }}",
            "{{ net + " + "9" * 5000 + " }}",
            "net3.ip_address",
            id="digits",
        ),
        pytest.param("stp: true", "spt: true", "networks.net2.spt: got 'spt'", id="unknown"),
    ],
)
def test_mistakes_are_named_where_they_were_written(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in LAYOUT
    assert says in problems(tmp_path, LAYOUT.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "disk2: {size: 11G", "disk2: {size: lots", "box.yml:16: disks.disk2.size", id="size"
        ),
        pytest.param("cache: none", "image_url: x", "expected import_url", id="a misspelt url"),
        pytest.param("type: linux", "kind: linux", "expected only type, variant", id="os"),
        pytest.param("os: {type: linux, variant: rhel7.0}", "os: linux", "a mapping", id="os text"),
        pytest.param("bus: scsi", "bus: ide", "box.yml:15: disks.disk1.bus: got 'ide'", id="bus"),
    ],
)
def test_mistakes_of_a_role(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in ROLE
    assert says in problems(tmp_path, role=ROLE.replace(old, new, 1))


def test_overrides_go_by_file_by_node_and_by_network(tmp_path: Path) -> None:
    override = {
        "box": {"memory": "16G", "disks": {"disk2": {"size": "20G"}, "disk4": {"size": "1G"}}},
        "networks": {"net1": {"ip_address": "10.9.8.1"}, "tenant": {"forward": "route"}},
    }
    topology = load(tmp_path, override=override)
    (box,) = topology.roles
    assert box.memory_mib == 16_384
    assert [disk.size_gib for disk in box.disks] == [64, 20, 1, 12]
    data, _, tenant = topology.networks
    assert data.subnet == IPv4Network("10.9.8.0/24")
    assert tenant.forward == "route"


def test_nics_in_a_mapping_go_by_their_numbers(tmp_path: Path) -> None:
    """Whatever the order: the engine hands mappings over with their keys sorted as texts."""
    nics = "{nic10: {network: tenant}, nic1: {network: data}, nic2: {network: management}}"
    (box,) = load(
        tmp_path,
        role=ROLE.replace("interfaces: null", f"interfaces: {nics}\nexternal_network: data"),
    ).roles
    assert [nic.network for nic in box.nics] == ["data", "management", "tenant"]


def test_overrides_by_what_nodes_are_called(tmp_path: Path) -> None:
    role = ROLE.replace("name: box", "name: big_box")
    for name in ("big_box", "big-box", "box"):
        (box,) = load(tmp_path, role=role, override={name: {"cpu": 7}}).roles
        assert (box.role, box.vcpus) == ("big-box", 7)


def test_overrides_of_the_short_form() -> None:
    override = {"controller": {"disks": {"disk1": {"size": "9G"}, "disk2": {"size": "8G"}}}}
    topology = load_topology(config(nodes={"controller": 1}, override=override))
    assert [disk.size_gib for disk in topology.roles[0].disks] == [9, 8]


@pytest.mark.parametrize(
    ("override", "says"),
    [
        pytest.param(
            {"bxo": {"memory": 1}}, "override.bxo: got 'bxo', expected one of box", id="unknown"
        ),
        pytest.param({"box": 3}, "override.box: got 3, expected a mapping", id="no mapping"),
        pytest.param(
            {"box": {"memroy": "16G"}},
            "stacks/Pulumi.foo.yaml: override.box.memroy: got 'memroy'",
            id="a key",
        ),
        pytest.param(
            {"box": {"disks": {"disk2": {"size": "x"}}}},
            "stacks/Pulumi.foo.yaml: override.box.disks.disk2.size: got 'x'",
            id="a disk's size",
        ),
        pytest.param(
            {"networks": {"net3": {"ip_address": "x"}}},
            "stacks/Pulumi.foo.yaml: override.networks.net3.ip_address: got 'x",
            id="a network's address",
        ),
        pytest.param(
            {"networks": {"managment": {"ip_address": "10.1.1.1"}}},
            "override.networks.managment: got 'managment', expected one of data, management",
            id="a network that is not there",
        ),
    ],
)
def test_bad_overrides(tmp_path: Path, override: object, says: str) -> None:
    assert says in problems(tmp_path, override=override)


@pytest.mark.parametrize("name", ["size", "disk9", "disk0"])
def test_what_is_in_no_list_is_refused(name: str) -> None:
    override = {"controller": {"disks": {name: {"size": "9G"}}}}
    with pytest.raises(LabError) as caught:
        load_topology(config(nodes={"controller": 1}, override=override))
    (line,) = lines(caught.value)
    assert f"override.controller.disks.{name}: got {name!r}, expected a name with a number" in line
    assert "from 1 to 2 at its end" in line
