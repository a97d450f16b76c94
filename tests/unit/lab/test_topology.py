from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.specs import LanSpec, NetworkSpec, NodeSpec, Topology
from lab.topology import catalogue, load_topology
from tests.unit.lab.samples import config, lines

LAYOUT = """\
networks:
  data: {cidr: 192.0.2.0/24}
  management: {cidr: 172.16.0.0/24, forward: nat, dhcp: true}
nodes:
  default: {interfaces: [data, management], external_network: management}
  compute: {interfaces: [data], external_network: data}
"""
NODE = "cpu: 1\nmemory: 128\ndisks: [1G]\n"


def load(tmp_path: Path, layout: str = LAYOUT, **nodes: str) -> Topology:
    """Load a topology of local files; `mine` is the layout."""
    for folder in ("nodes", "networks"):
        (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / "networks/mine.yaml").write_text(layout)
    for role, text in nodes.items():
        (tmp_path / f"nodes/{role}.yaml").write_text(text)
    chosen = dict.fromkeys(nodes or ["tiny"], 1)
    return load_topology(config(network="mine", nodes=chosen), local=tmp_path)


def problems(tmp_path: Path, layout: str = LAYOUT, **nodes: str) -> list[str]:
    with pytest.raises(LabError) as caught:
        load(tmp_path, layout, **nodes)
    return lines(caught.value)


def sizes(role: NodeSpec) -> tuple[int, ...]:
    return tuple(disk.size_gib for disk in role.disks)


def networks(role: NodeSpec) -> tuple[str, ...]:
    return tuple(nic.network for nic in role.nics)


def test_the_shipped_layout() -> None:
    topology = load_topology(config(nodes={"tiny": 3}))
    assert topology.networks == (
        NetworkSpec(name="data", subnet=IPv4Network("192.0.2.0/24")),
        NetworkSpec(
            name="management", subnet=IPv4Network("172.16.0.0/24"), forward="nat", dhcp=True
        ),
        NetworkSpec(
            name="external", subnet=IPv4Network("10.0.0.0/24"), forward="nat", dhcp=True, ipv6=True
        ),
    )
    (tiny,) = topology.roles
    assert networks(tiny) == ("data", "management", "external")
    assert (tiny.access, tiny.indexes, tiny.deploy_os) == ("management", (0, 1, 2), True)


# Name, vCPUs, MiB, GiB, deployed: the predecessor's, but for the images built here.
SHAPES = {
    "aio": ("aio", 8, 16_384, (64,), True),
    "ceph": ("ceph", 2, 6_144, (46, 47, 47, 47, 47, 47), False),
    "cephext": ("ceph", 4, 16_384, (11, 12, 12, 12, 12, 12), True),
    "cfme": ("cfme", 2, 10_240, (40, 40), True),
    "cfme_tester": ("cfme-tester", 2, 4_096, (40,), True),
    "compute": ("compute", 4, 8_192, (65,), False),
    "compute_dvr": ("compute", 4, 6_144, (50,), False),
    "computehci": ("computehci", 8, 32_768, (31, 32, 32, 32, 32, 32), False),
    "computerhel8": ("computerhel8", 4, 8_192, (50,), False),
    "contnet": ("contnet", 4, 8_192, (40,), False),
    "controller": ("controller", 8, 32_768, (64,), False),
    "database": ("database", 4, 6_144, (50,), False),
    "diskless": ("diskless", 8, 32_768, (), False),
    "freeipa": ("freeipa", 8, 4_096, (40,), True),
    "hcicephall": ("hcicephall", 8, 32_768, (31, 32, 32, 32, 32, 32), False),
    "heat": ("heat", 2, 4_096, (20,), True),
    "ironic": ("ironic", 4, 4_096, (40,), False),
    "ironicconductor": ("ironicconductor", 8, 16_384, (40,), False),
    "l3appliance": ("l3appliance", 2, 2_048, (12,), True),
    "loadbalancer": ("loadbalancer", 2, 4_096, (20,), True),
    "mds": ("mds", 2, 4_096, (20,), True),
    "messaging": ("messaging", 4, 6_144, (40,), False),
    "monitor": ("monitor", 2, 4_096, (20,), True),
    "networker": ("networker", 2, 6_144, (40,), False),
    "novacontrol": ("novacontrol", 2, 4_096, (50,), False),
    "odl": ("odl", 1, 2_048, (20,), True),
    "openshift-infra": ("openshift-infra", 2, 8_192, (15, 16), True),
    "openshift-master": ("openshift-master", 4, 16_384, (50,), True),
    "openshift-tester": ("openshift-tester", 2, 4_096, (40,), True),
    "openshift-worker": ("openshift-worker", 4, 8_192, (15, 16, 16, 16), True),
    "opstools": ("opstools", 8, 8_192, (40,), True),
    "osdcompute": ("osdcompute", 8, 32_768, (31, 32, 32, 32, 32, 32), False),
    "ovsvswitch": ("ovsvswitch", 2, 8_192, (12,), True),
    "patcher": ("patcher", 8, 8_192, (30,), True),
    "radosgw": ("radosgw", 2, 4_096, (20,), False),
    "serviceapi": ("serviceapi", 8, 16_384, (40,), True),
    "standalone": ("standalone", 4, 32_768, (55,), True),
    "swift": ("swift", 2, 4_096, (20,), False),
    "telemetry": ("telemetry", 4, 6_144, (50,), False),
    "tester": ("tester", 8, 8_192, (30,), True),
    "tripleo": ("undercloud", 4, 16_384, (40,), True),
    "undercloud": ("undercloud", 8, 24_576, (100,), True),
    "tiny": ("tiny", 1, 128, (1,), True),
    "debian": ("debian", 1, 512, (3,), True),
}


@pytest.mark.parametrize("file", sorted(catalogue("nodes") | SHAPES))
def test_every_shipped_role_loads_with_its_shape(file: str) -> None:
    (role,) = load_topology(config(nodes={file: 1})).roles
    shape = (role.role, role.vcpus, role.memory_mib, sizes(role), role.deploy_os)
    assert shape == SHAPES[file]
    assert role.groups


@pytest.mark.parametrize("name", sorted(catalogue("networks")))
def test_every_shipped_layout_loads(name: str) -> None:
    assert load_topology(config(network=name, nodes={"undercloud": 1})).networks


def test_nodes_are_called_as_their_file_says(tmp_path: Path) -> None:
    topology = load_topology(config(nodes={"tripleo": 2}, removed=("undercloud-0",)))
    assert [(role.role, role.indexes) for role in topology.roles] == [("undercloud", (1,))]


def test_of_two_files_for_one_kind_of_node_an_environment_takes_one() -> None:
    with pytest.raises(LabError) as caught:
        load_topology(config(nodes={"tripleo": 1, "undercloud": 1}))
    (line,) = lines(caught.value)
    assert "got tripleo and undercloud, whose nodes are all called undercloud" in line


def test_a_file_with_an_underscore_says_what_its_nodes_are_called(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, my_node=NODE)
    assert line.startswith("topologies/nodes/my_node.yaml: name: got nothing, expected a name of")
    (role,) = load(tmp_path, my_node=f"name: mine\n{NODE}").roles
    assert role.role == "mine"


def test_only_a_blank_node_may_have_no_disk(tmp_path: Path) -> None:
    bare = "cpu: 1\nmemory: 128\ndisks: []\n"
    (role,) = load(tmp_path, tiny=f"{bare}deploy_os: false\n").roles
    assert sizes(role) == ()
    assert "disks: got []" in problems(tmp_path, tiny=bare)[0]


def test_a_local_file_hides_the_shipped_one(tmp_path: Path) -> None:
    (tiny,) = load(tmp_path, tiny="cpu: 3\nmemory: 32G\ndisks: [1G]\n").roles
    assert (tiny.vcpus, tiny.memory_mib) == (3, 32_768)


def test_a_layout_by_path(tmp_path: Path) -> None:
    path = tmp_path / "layout.yaml"
    path.write_text(LAYOUT)
    topology = load_topology(config(network=str(path), nodes={"tiny": 1}))
    assert [network.name for network in topology.networks] == ["data", "management"]


def test_nics_come_from_the_node_then_its_role_then_the_default(tmp_path: Path) -> None:
    own = f"{NODE}interfaces: [management]\nexternal_network: management\n"
    topology = load(tmp_path, tiny=own, compute=NODE, other=NODE)
    assert [networks(role) for role in topology.roles] == [
        ("management",),
        ("data",),
        ("data", "management"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("memory: 1G\ndisks: [1]\n", "cpu: got nothing", id="no cpu"),
        pytest.param(
            "cpu: 1\nmemory: lots\ndisks: [1]\n",
            "tiny.yaml:2: memory: got 'lots'",
            id="memory: lots",
        ),
        pytest.param("cpu: 1\nmemory: 32\ndisks: [1]\n", "from 64", id="too little memory"),
        pytest.param("cpu: 0\nmemory: 1G\ndisks: [1]\n", "from 1 to 512", id="no vCPU"),
        pytest.param("cpu: 1\nmemory: 1G\n", "disks: got nothing", id="no disks"),
        pytest.param(
            "cpu: 1\nmemory: 1G\ndisks: []\n", "disks: got []", id="an empty list of disks"
        ),
        pytest.param(
            f"{NODE}memroy: 2\n",
            "tiny.yaml:4: memroy: got 'memroy', expected only bootmode, cpu",
            id="an unknown key",
        ),
        pytest.param(f"{NODE}memroy: 2\n", "Did you mean memory?", id="with the nearest"),
        pytest.param(
            f"{NODE}interfaces: [dta]\nexternal_network: data\n",
            "Did you mean data?",
            id="an unknown network",
        ),
        pytest.param(
            f"{NODE}interfaces: [data]\nexternal_network: management\n",
            "one of data",
            id="SSH on a network that it is not on",
        ),
        pytest.param(
            f"{NODE}interfaces: [data]\n", "external_network: got nothing", id="no network for SSH"
        ),
        pytest.param(
            f"{NODE}interfaces: []\nexternal_network: data\n", "interfaces", id="no network at all"
        ),
        pytest.param(
            f"{NODE}external_network: data\n",
            "external_network",
            id="external_network without interfaces",
        ),
        pytest.param(f"{NODE}deploy_os: maybe\n", "true or false", id="deploy_os"),
        pytest.param(f"{NODE}groups: {{a: b}}\n", "a list of names", id="groups"),
        pytest.param("cpu: 1\n\tmemory: 2\n", "tiny.yaml", id="a tab"),
    ],
)
def test_bad_node_files(tmp_path: Path, text: str, says: str) -> None:
    (line,) = problems(tmp_path, tiny=text)
    assert line.startswith("topologies/nodes/tiny.yaml")
    assert says in line


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        pytest.param("", ["networks: got nothing", "nodes: got nothing"], id="an empty file"),
        pytest.param(
            "networks: {}\nnodes: {}\n",
            ["at least one network", "roles, or `default`"],
            id="nothing in it",
        ),
        pytest.param(
            LAYOUT.replace("172.16.0.0/24", "192.0.2.128/25"),
            [
                "mine.yaml:3: networks.management.cidr: got 192.0.2.128/25, which overlaps "
                "192.0.2.0/24 of data"
            ],
            id="overlapping subnets",
        ),
        pytest.param(
            LAYOUT.replace("192.0.2.0/24", "192.0.2.255/24"), ["an IPv4 subnet"], id="host bits"
        ),
        pytest.param(LAYOUT.replace("192.0.2.0/24", ""), ["an IPv4 subnet"], id="no subnet"),
        pytest.param(
            LAYOUT.replace("forward: nat", "forward: nta"), ["Did you mean nat?"], id="forward"
        ),
        pytest.param(
            LAYOUT.replace("dhcp: true", "dhpc: true"), ["Did you mean dhcp?"], id="an unknown key"
        ),
        pytest.param(
            LAYOUT.replace("  data: {", "  Data_1: {"), ["a name of 1 to 16"], id="a bad name"
        ),
        pytest.param(
            LAYOUT.replace("dhcp: true", "dhcp: 1-100"), ["host numbers from 2"], id="a span"
        ),
        pytest.param(
            LAYOUT.replace("dhcp: true", "dhcp: 2-255"), ["from 2 to 254"], id="a span too wide"
        ),
        pytest.param(
            LAYOUT.replace("dhcp: true", "dhcp: 2 - 9"),
            ["got '2 - 9', expected true, false, or host numbers"],
            id="a span with blanks",
        ),
        pytest.param(
            LAYOUT.replace("dhcp: true", "dhcp: 9-2"), ["such as 2-254"], id="a span backwards"
        ),
        pytest.param(
            LAYOUT.replace("cidr: 172.16.0.0/24, ", ""),
            ["a cidr, which this takes (forward: nat)", "this takes (dhcp)"],
            id="services on a wire",
        ),
        pytest.param(
            LAYOUT.replace("forward: nat", "forward: bridge, nic: eth1, bridge: br0"),
            ["nic or bridge, not both (nic: eth1)", "neither cidr nor dhcp, which the LAN has"],
            id="a bridge with everything",
        ),
        pytest.param(
            LAYOUT.replace("cidr: 172.16.0.0/24, forward: nat", "forward: bridge"),
            ["management.dhcp: got 'True', expected neither cidr nor dhcp"],
            id="a bridge with DHCP of ours",
        ),
        pytest.param(
            LAYOUT.replace("forward: nat", "nic: eth1, allow-dhcp-server: true"),
            ["nic: got 'eth1', expected forward: bridge, without", "allow-dhcp-server: got True"],
            id="keys of a bridge without one",
        ),
        pytest.param(
            LAYOUT.replace("forward: nat", "forward: bridge, nic: eth 1"),
            ["got 'eth 1', expected the name of a network interface"],
            id="a NIC of no name",
        ),
        pytest.param(
            f"{LAYOUT}network: x\n", ["Did you mean networks?"], id="an unknown key on top"
        ),
        pytest.param(
            "networks: [a]\nnodes: x\n",
            ["at least one network", "roles, or `default`"],
            id="no mappings",
        ),
    ],
)
def test_bad_layouts(tmp_path: Path, layout: str, says: list[str]) -> None:
    found = problems(tmp_path, layout)
    assert all(line.startswith("topologies/networks/mine.yaml") for line in found)
    assert [text for text in says if text not in "\n".join(found)] == []


def test_a_role_that_a_layout_has_no_nics_for(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, LAYOUT.replace("default:", "defualt:"), tiny=NODE)
    assert line == (
        "topologies/nodes/tiny.yaml: interfaces: got nothing, expected a list of networks, as the "
        "layout has NICs for defualt, compute alone. [nics]"
    )


def test_networks_of_every_kind(tmp_path: Path) -> None:
    layout = """\
networks:
  wire: {}
  quiet: {cidr: 10.0.0.0/24}
  routed: {cidr: 10.0.1.0/24, forward: route, dhcp: yes}
  open: {cidr: 10.0.2.0/24, forward: open, dhcp: 2-100}
  main: {forward: bridge}
  empty: {forward: bridge, nic: ""}
  nic: {forward: bridge, nic: eth1, allow-dhcp-server: true}
  bridge: {forward: bridge, bridge: br0}
nodes:
  default: {interfaces: [wire, wire, routed], external_network: routed}
"""
    topology = load(tmp_path, layout, tiny=NODE)
    seen = {
        each.name: (each.subnet, each.forward, each.dhcp, each.span) for each in topology.networks
    }
    assert seen == {
        "wire": (None, "none", False, None),
        "quiet": (IPv4Network("10.0.0.0/24"), "none", False, None),
        "routed": (IPv4Network("10.0.1.0/24"), "route", True, None),
        "open": (IPv4Network("10.0.2.0/24"), "open", True, (2, 100)),
        **dict.fromkeys(("main", "empty", "nic", "bridge"), (None, "bridge", False, None)),
    }
    assert {each.name: each.lan for each in topology.networks if each.lan} == {
        "main": LanSpec(),
        "empty": LanSpec(),
        "nic": LanSpec(nic="eth1", dhcp_server=True),
        "bridge": LanSpec(bridge="br0"),
    }
    assert networks(topology.roles[0]) == ("wire", "wire", "routed")


def test_a_network_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    layout = LAYOUT.replace("default: {interfaces: [data,", "default: {interfaces: [dta,")
    (line,) = problems(tmp_path, layout.replace(" management], ext", "], ext"), tiny=NODE)[:1]
    assert "got 'dta', expected one of data" in line
    assert "[nics]" not in "\n".join(problems(tmp_path, layout, tiny=NODE))


def test_wires_alone_are_no_way_in(tmp_path: Path) -> None:
    layout = "networks: {a: {}}\nnodes: {default: {interfaces: [a], external_network: a}}\n"
    (line,) = problems(tmp_path, layout, tiny=NODE)
    assert (
        "external_network: got 'a', expected one of its networks, with a cidr or bridged." in line
    )


def test_a_bad_name_is_said_once(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, my_node=f"name: Bad_Name\n{NODE}")
    assert "name: got 'Bad_Name', expected a name of" in line


def test_namesakes_are_said_without_guesses_at_who_was_removed() -> None:
    wanted = config(nodes={"tripleo": 3, "undercloud": 1}, removed=("undercloud-2",))
    with pytest.raises(LabError) as caught:
        load_topology(wanted)
    assert [line[-11:] for line in lines(caught.value)] == ["[role-name]"]


def test_ssh_takes_a_network_with_addresses(tmp_path: Path) -> None:
    wired = f"{LAYOUT}".replace("data: {cidr: 192.0.2.0/24}", "data: {}")
    found = problems(tmp_path, wired, tiny=f"{NODE}interfaces: [data]\nexternal_network: data\n")
    assert "external_network: got 'data', expected one of" in "\n".join(found)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        pytest.param(
            {"nodes": {"contrller": 1}},
            f"stacks/Pulumi.foo.yaml: topology-nodes: got 'contrller', expected one of the "
            f"{len(SHAPES)} that `fab topologies` lists, or a file "
            "topologies/nodes/contrller.yaml. Did you mean controller? [unknown-nodes]",
            id="a role",
        ),
        pytest.param(
            {"nodes": {"tiny": 1}, "network": "3_net"},
            "stacks/Pulumi.foo.yaml: topology-network: got '3_net', expected one of the "
            f"{len(catalogue('networks'))} that `fab topologies` lists, or a file "
            "topologies/networks/3_net.yaml. Did you mean 3_nets? [unknown-networks]",
            id="a layout",
        ),
    ],
)
def test_unknown_files_name_the_nearest(fields: dict[str, object], line: str) -> None:
    with pytest.raises(LabError) as caught:
        load_topology(config(**fields))
    assert lines(caught.value) == [line]


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(LabError, match=r"gone/x.yaml: got No such file"):
        load_topology(config(network="gone/x.yaml", nodes={"tiny": 1}))


def test_all_problems_of_all_files_come_in_one_report(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        LAYOUT.replace("forward: nat", "forward: x"),
        one="cpu: x\nmemory: lots\ndisks: [1]\n",
        two="cpu: 1\nmemory: 1G\ndisks: [x]\n",
    )
    assert [line.partition(": got")[0] for line in found] == [
        "topologies/networks/mine.yaml:3: networks.management.forward",
        "topologies/nodes/one.yaml:1: cpu",
        "topologies/nodes/one.yaml:2: memory",
        "topologies/nodes/two.yaml:3: disks",
    ]
