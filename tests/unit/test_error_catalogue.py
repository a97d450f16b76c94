"""docs/reference/errors.md: one real line for each rule, made by the code that says it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab import declared
from lab.config import HypervisorSpec, Quota, parse_config
from lab.errors import LabError, Problem
from lab.facts import (
    ChainFact,
    DomainFact,
    GuardFacts,
    LinkFact,
    LinkFacts,
    NetworkFact,
    Taken,
)
from lab.files import load_yaml
from lab.host import refusals
from lab.host.cleanup import no_wish
from lab.host.distributions import UBUNTU, check_os
from lab.host.packages import busy, unresolved
from lab.images import load_image
from lab.lease import Lease, check_claim
from lab.plan import plan_lab
from lab.rules import check_plan
from lab.specs import DiskSpec, LanSpec, NetworkSpec
from lab.topology import load_topology
from tests.golden import check_golden
from tests.unit.lab.samples import FACTS, IMAGE, NETWORKS, config, holding, plan, role, topology

ROOT = Path(__file__).parents[2]
NODE = "cpu: 1\nmemory: 128\ndisks: [1G]\n"
LAYOUT = (ROOT / "topologies/networks/3_nets.yaml").read_text()
HOST = HypervisorSpec(address="lab42", user="root")
KNOWN, KEY = "/home/me/.ssh/known_hosts", "ssh-ed25519 SHA256:bZ0n...kQ"
WLAN = LinkFact(name="wlan0", wireless=True, manager="NetworkManager")
Problems = list[Problem]

# Said by the hypervisor's side about what happens there, with no pure function to ask for a line.
WITHOUT_A_LINE = {
    "host-facts",
    "host-libvirt",
    "image-fetch",
    "image-format",
    "image-space",
    "image-store",
    "lease-claim",
    "lease-file",
    "orphan",
}


def caught(ask: Callable[[], object]) -> Problems:
    with pytest.raises(LabError) as error:
        ask()
    return list(error.value.problems)


def setting(prefix: str = "foo", **settings: Any) -> Problems:
    least = {"host-address": "lab42", "topology-nodes": "tiny:3"}
    words = {key.replace("_", "-"): value for key, value in settings.items()}
    return caught(lambda: parse_config({**least, **words}, prefix))


def files(folder: Path, layout: str = LAYOUT, node: str = NODE) -> Problems:
    for kind, text in (("networks", layout), ("nodes", node)):
        (folder / kind).mkdir()
        (folder / kind / "mine.yaml").write_text(text)
    wanted = config(network="mine", nodes={"mine": 1})
    return caught(lambda: load_topology(wanted, local=folder))


def choice(**fields: Any) -> Problems:
    return caught(lambda: load_topology(config(**{"nodes": {"tiny": 1}, **fields})))


def yaml(folder: Path, text: str) -> Problems:
    path = folder / "x.yaml"
    path.write_text(text)
    return caught(lambda: load_yaml(path, "topologies/nodes/compute.yaml"))


def image(**fields: Any) -> Problems:
    return caught(lambda: load_image(config(**fields)))


def crowded(facts: Any = FACTS) -> Problems:
    small = (replace(NETWORKS[0], subnet=IPv4Network("192.0.2.0/29")), *NETWORKS[1:])
    return caught(lambda: plan_lab(config(), topology(small, tiny=range(6)), IMAGE, facts))


def surrounded() -> Problems:
    everywhere = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "192.0.2.0/24")
    taken = tuple(Taken(subnet=IPv4Network(text), by="route via eth0") for text in everywhere)
    return caught(lambda: plan(facts=replace(FACTS, taken=taken)))


def reshaped(**fields: Any) -> Problems:
    facts = holding(FACTS, plan(compute=[0]).lease)
    wanted = replace(topology(), roles=(role("compute", [0], **{"deploy_os": False, **fields}),))
    return check_plan(plan_lab(config(), wanted, IMAGE, facts), facts)


def crammed() -> Problems:
    disks = (DiskSpec(size_gib=4000, preallocation="full"),)
    wanted = replace(topology(), roles=(role("ceph", [0], disks=disks, deploy_os=False),))
    return check_plan(plan_lab(config(), wanted, None, FACTS), FACTS)


def twins() -> Problems:
    made = plan(tiny=[0])
    (node,) = made.groups[0].nodes
    twin = replace(node, nics=(node.nics[0], node.nics[0]))
    return check_plan(replace(made, groups=(replace(made.groups[0], nodes=(twin,)),)), FACTS)


def nameless() -> Problems:
    urn = f"urn:pulumi:foo::metalab::{declared.DOMAIN}::x"
    return declared.check_declared_name(
        declared.Declared(declared.DOMAIN, urn, {"name": "bar-tiny-0"})
    )


def stranger() -> Problems:
    domain = DomainFact(name="foo-tiny-0", uuid="u", memory_mib=1, vcpus=1)
    return check_plan(plan(), replace(FACTS, domains=(domain,)))


def lost() -> Problems:
    made = plan(tiny=[0])
    node = made.nodes["tiny-0"]
    domain = DomainFact(name=node.name, uuid=node.uuid, memory_mib=128, vcpus=1)
    facts = replace(FACTS, domains=(domain,))
    return check_plan(plan(facts=facts, tiny=[0]), facts)


def owned() -> Problems:
    claim, was = (Lease(prefix="foo", virt_type="kvm", owner=owner) for owner in ("we", "they"))
    return check_claim(claim, {"foo": was}, memory_limit_mib=None, where="lab42")


def leased(subnet: str) -> Problems:
    mine = Lease(prefix="foo", virt_type="kvm", subnets={"data": "192.0.2.0/24"})
    theirs = Lease(prefix="bar", virt_type="kvm", subnets={"data": subnet})
    return check_claim(mine, {"bar": theirs}, memory_limit_mib=None, where="lab42")


def fenced() -> Problems:
    chain = ChainFact(table="inet filter", name="input", hook="input")
    facts = replace(FACTS, guards=GuardFacts(dropping=(chain,)))
    spec = role("tiny", [0], interfaces=("management",), access="management")
    wanted = replace(topology(), roles=(spec,))
    return check_plan(plan_lab(config(), wanted, IMAGE, facts), facts)


def zoneless() -> Problems:
    default = NetworkFact(name="default", uuid="u", bridge="virbr0", subnets=())
    return check_plan(
        plan(), replace(FACTS, guards=GuardFacts(firewalld=True), networks=(default,))
    )


def wired(lan: LanSpec, *more: LanSpec, **fields: Any) -> Problems:
    known = {"eth0": LinkFact(name="eth0", manager="networkd"), "wlan0": WLAN}
    wires = LinkFacts(links=known, main="eth0", rollback=True)
    facts = replace(FACTS, wires=replace(wires, **fields))
    lans = [
        NetworkSpec(name=name, subnet=None, forward="bridge", lan=each)
        for name, each in zip(("external", "tenant"), (lan, *more), strict=False)
    ]
    wanted = replace(topology((*NETWORKS[:2], *lans)), roles=())
    return caught(lambda: plan_lab(config(), wanted, IMAGE, facts))


def kvm() -> Problems:
    return check_plan(plan_lab(config(virt_type="kvm"), topology(tiny=[0]), IMAGE, FACTS), FACTS)


def heavy(**settings: Any) -> Problems:
    disks = (DiskSpec(size_gib=200),)
    shape = role("controller", range(3), memory_mib=32_768, vcpus=8, disks=disks, deploy_os=False)
    wanted = replace(topology(), roles=(shape,))
    return check_plan(plan_lab(config(**settings), wanted, None, FACTS), FACTS)


LAN_NIC = {"bridge": "br0", "mac": "52:54:00:00:00:01"}


def resource(kind: str, name: str, **props: Any) -> declared.Declared:
    return declared.Declared(kind, f"urn:pulumi:foo::metalab::{kind}::x", {"name": name, **props})


PHASES: dict[str, dict[str, Callable[[Path], Problems]]] = {
    "The stack's configuration": {
        "prefix": lambda _: setting("Foo_Bar"),
        "unknown-key": lambda _: setting(topology_node="tiny:3"),
        "node-count": lambda _: setting(topology_nodes="controller1"),
        "role": lambda _: setting(topology_nodes="Controller:1"),
        "role-name": lambda _: choice(nodes={"tripleo": 1, "undercloud": 1}),
        "remove-nodes": lambda _: choice(nodes={"tiny": 3}, removed=("tiny1",)),
        "last-node": lambda _: choice(nodes={"tiny": 1}, removed=("tiny-0",)),
        "text": lambda _: setting(host_address="lab 42"),
        "choice": lambda _: setting(virt_type="kmv"),
        "boolean": lambda _: setting(host_memory_overcommit="maybe"),
        "override": lambda _: choice(override={"tniy": {"memory": "1G"}}),
        "vnc-password": lambda _: setting(vnc_external="true"),
    },
    "Topology and image": {
        "unknown-nodes": lambda _: choice(nodes={"contrller": 1}),
        "unknown-networks": lambda _: choice(network="3_net"),
        "file": lambda folder: yaml(folder, "cpu: 4\n\tmemory: 8192\n"),
        "duplicate-key": lambda folder: yaml(folder, "cpu: 4\ncpu: 8\n"),
        "size": lambda folder: files(folder, node=NODE.replace("128", "lots")),
        "range": lambda folder: files(folder, node=NODE.replace("cpu: 1", "cpu: 0")),
        "list": lambda folder: files(folder, node=NODE.replace("[1G]", "[]")),
        "reference": lambda folder: files(
            folder, node=f"{NODE}interfaces: [data, extrenal]\nexternal_network: data\n"
        ),
        "name": lambda folder: files(folder, layout=f"{LAYOUT}  Compute: {{}}\n"),
        "nics": lambda folder: files(folder, layout=LAYOUT.replace("default", "compute")),
        "dhcp-range": lambda folder: files(
            folder, layout=LAYOUT.replace("dhcp: true", "dhcp: 9-1", 1)
        ),
        "network-dns": lambda folder: files(
            folder,
            layout=LAYOUT.replace("{cidr: 192.0.2.0/24", "{cidr: 192.0.2.0/24, domain: a", 1),
        ),
        "address": lambda folder: files(
            folder, layout=LAYOUT.replace("dhcp: true", "dhcp: true, hosts: {vip: 10.0.0}", 1)
        ),
        "mapping": lambda folder: files(folder, layout=LAYOUT.partition("nodes:")[0]),
        "subnet": lambda folder: files(
            folder, layout=LAYOUT.replace("192.0.2.0/24", "192.0.2.0/33")
        ),
        "subnet-overlap": lambda folder: files(
            folder, layout=LAYOUT.replace("172.16.0.0/24", "192.0.2.128/25")
        ),
        "preallocation": lambda folder: files(
            folder, node=NODE.replace("[1G]", "[{size: 1G, preallocation: full}]")
        ),
        "machine": lambda folder: files(
            folder, node=f"{NODE}bootmode: uefi-secure\nmachine_type: pc\n"
        ),
        "unsupported": lambda folder: files(folder, layout=f"{LAYOUT}cidrs: []\n"),
        "devices": lambda folder: files(folder, node=f"{NODE}devices: <disk/>\n"),
        "bridge": lambda folder: files(
            folder, layout=LAYOUT.replace("forward: nat", "nic: eth1, forward: nat", 1)
        ),
        "image": lambda _: image(image_url="~/images/gone.qcow2"),
        "image-checksum": lambda _: image(image_url="https://example.org/os.qcow2"),
    },
    "Reaching the hypervisor": {
        "path-variable": lambda _: [
            refusals.undefined_variable("host-key", "$LAB_KEYS/id_ed25519", "$LAB_KEYS")
        ],
        "host-key-file": lambda _: [refusals.no_key("/home/me/.ssh/lab")],
        "host-known-hosts": lambda _: [refusals.unreadable_known_hosts(KNOWN, "Permission denied")],
        "host-unreachable": lambda _: [refusals.unreachable(HOST, "Connection refused")],
        "host-key-unknown": lambda _: [
            refusals.unknown_host_key(HOST, KNOWN, "lab42", "ssh-keyscan lab42", KEY)
        ],
        "host-key-changed": lambda _: [
            refusals.changed_host_key(HOST, KNOWN, "lab42", (KEY, "ssh-ed25519 SHA256:Yd7w...1E"))
        ],
        "programs": lambda _: [refusals.no_openssh()],
        "host-jump": lambda _: [refusals.no_jump(HOST, "Host key verification failed.")],
        "host-forward": lambda _: [refusals.no_program("lab42")],
        "ssh-config": lambda _: [
            refusals.bad_ssh_config(
                "host-address lab42",
                "/home/me/.ssh/config: terminating, 1 bad configuration options",
            )
        ],
        "forward-folder": lambda _: [
            refusals.unsafe_folder(".metalab", "a folder of somebody else, or a link")
        ],
        "host-login": lambda _: [refusals.refused_login(HOST, "/home/me/.ssh/lab")],
        "host-sudo": lambda _: [refusals.no_sudo("stack", "lab42", "a password prompt")],
        "host-os": lambda _: check_os(replace(FACTS, os_id="plan9", os_name="Plan 9"), "lab42"),
        "host-arch": lambda _: check_os(replace(FACTS, arch="riscv64"), "lab42"),
        "host-rom": lambda _: check_os(
            replace(FACTS, rom_version="1.0.0+git-20131111.c3d1e78-2"), "lab42"
        ),
        "host-packages": lambda _: [unresolved("swtpm (main); virtinst (universe)", UBUNTU)],
        "host-packages-busy": lambda _: [busy("process 4711 (apt-get upgrade)")],
    },
    "The plan on this hypervisor": {
        "subnet-free": lambda _: surrounded(),
        "subnet-size": lambda _: crowded(),
        "bridge-nic": lambda _: wired(LanSpec(nic="wlan0")),
        "bridge-rollback": lambda _: wired(LanSpec(), rollback=False),
        "bridge-shared": lambda _: wired(LanSpec(), LanSpec(nic="eth0")),
        "memory-overcommit": lambda _: heavy(),
        "vcpu-overcommit": lambda _: heavy(vcpu_ratio=2, memory_overcommit=True),
        "disk-overcommit": lambda _: heavy(disk_overcommit=False, memory_overcommit=True),
        "quota": lambda _: heavy(quota=Quota(nodes=2), memory_overcommit=True),
        "kvm": lambda _: kvm(),
        "firewall": lambda _: fenced(),
        "firewalld-zone": lambda _: zoneless(),
        "naming": lambda _: nameless(),
        "name-taken": lambda _: stranger(),
        "mac": lambda _: twins(),
        "disk-size": lambda _: reshaped(disks_gib=(2,)),
        "disk-space": lambda _: crammed(),
        "disk-kind": lambda _: reshaped(disks=(DiskSpec(size_gib=1, preallocation="full"),)),
        "deploy-os": lambda _: reshaped(deploy_os=True),
        "lease-subnet": lambda _: leased("192.0.2.0/24"),
        "lease-lost": lambda _: lost(),
        "prefix-owned": lambda _: owned(),
    },
    "The policy pack": {
        "secrets": lambda _: declared.check_declared_secrets(
            resource(declared.SEED, "foo-a-0-seed.iso", userData="ssh_pwauth: true")
        ),
        "rogue-dhcp": lambda _: declared.check_declared_dhcp(
            resource(declared.NETWORK, "foo-lan", mode="bridge", dhcp={"enabled": True})
        ),
        "lan-filter": lambda _: declared.check_declared_filter(
            resource(declared.DOMAIN, "foo-a-0", networkInterfaces=[LAN_NIC])
        ),
    },
    "Operations": {
        "cleanup": lambda _: [no_wish("lab42", ("foo", "foo2"))],
    },
}
RULES = {rule: make for phase in PHASES.values() for rule, make in phase.items()}
HEAD = """\
# Errors

Every error is one line: *where: got X, expected Y. Next step. [rule]*. All problems of a phase come
together, and before anything is changed. Below is one line for each rule, as it is printed.
"""


def line(rule: str, folder: Path) -> str:
    (problem,) = RULES[rule](folder)
    assert problem.rule == rule
    return str(problem)


@pytest.fixture
def catalogue(tmp_path: Path) -> str:
    parts = [HEAD]
    for phase, rules in PHASES.items():
        folders = {rule: tmp_path / rule for rule in rules}
        for folder in folders.values():
            folder.mkdir()
        lines = [line(rule, folder) for rule, folder in sorted(folders.items())]
        parts.append(f"## {phase}\n\n```text\n" + "\n".join(lines) + "\n```\n")
    rest = "\n".join(f"- `{rule}`" for rule in sorted(WITHOUT_A_LINE))
    parts.append(f"## On the hypervisor\n\nThese quote what the host said:\n\n{rest}\n")
    return "\n".join(parts)


def test_the_documentation_shows_what_is_printed(catalogue: str) -> None:
    check_golden(ROOT / "docs/reference/errors.md", catalogue)


def said() -> Iterator[str]:
    """The rule of every Problem that lab makes, read from its source."""
    for path in (ROOT / "lab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield from _rule_of(node)


def _rule_of(call: ast.Call) -> Iterator[str]:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if name not in {"Problem", "refuse", "note", "_note"}:
        return
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    rule = keywords.get("rule") or (call.args[3] if len(call.args) > 3 else None)
    if isinstance(rule, ast.Constant):
        yield str(rule.value)
    elif isinstance(rule, ast.JoinedStr):
        assert ast.unparse(rule) == "f'unknown-{kind}'"
        yield from ("unknown-nodes", "unknown-networks")


def test_every_rule_is_in_the_catalogue() -> None:
    """A new rule needs a case above, and with it a line in the documentation."""
    assert set(said()) == set(RULES) | WITHOUT_A_LINE


def test_rules_are_kebab_case() -> None:
    assert [
        rule for rule in said() if not rule.replace("-", "").isalpha() or not rule.islower()
    ] == []
