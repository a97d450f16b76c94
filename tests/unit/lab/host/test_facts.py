from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.facts import DomainFact, Ipv6Facts, KvmFacts, NetworkFact, Taken
from lab.host.fact_script import FACT_SCRIPT
from lab.host.facts import look, parse_facts
from lab.host.session import Outcome
from lab.lease import Lease
from lab.storage import IMAGES_DIR
from tests.unit.lab.host.shells import LocalShell, ScriptedShell

RECORDED = Path(__file__).parent / "recorded"
BARE = (RECORDED / "bare_debian.txt").read_text()
PREPARED = (RECORDED / "prepared_debian.txt").read_text()


def section(text: str, name: str, *lines: str) -> str:
    """The text with one section's lines exchanged."""
    head, _, rest = text.partition(f"@@metalab {name}\n")
    return (
        f"{head}@@metalab {name}\n"
        + "\n".join(lines)
        + "\n\n@@metalab "
        + (rest.partition("@@metalab ")[2])
    )


def test_a_bare_host() -> None:
    facts = parse_facts(BARE, "lab42")
    assert (facts.hostname, facts.os_id, facts.os_version, facts.arch) == (
        ("fresh", "debian", "12", "x86_64")
    )
    assert (facts.cpu_vendor, facts.cpu_count, facts.kvm) == ("AuthenticAMD", 2, False)
    assert (facts.inside, facts.around_kvm.container) == ("kvm", "systemd-nspawn")
    assert (facts.memory_mib, facts.disk_free_gib) == (24105, 69)
    assert (facts.networks, facts.domains, facts.pools, facts.leases) == ((), (), (), {})
    assert facts.taken == (
        Taken(subnet=IPv4Network("10.213.41.0/24"), by="address of eth0", device="eth0"),
        Taken(subnet=IPv4Network("10.213.41.1/32"), by="you, over SSH"),
        Taken(subnet=IPv4Network("10.255.255.53/32"), by="name server"),
    )


def test_a_prepared_host() -> None:
    facts = parse_facts(PREPARED, "lab42")
    assert facts.networks == (
        NetworkFact(
            name="default",
            uuid="cf7314e8-45c6-401b-b0e5-c1136be96bd4",
            bridge="virbr0",
            subnets=(IPv4Network("192.168.122.0/24"),),
        ),
        NetworkFact(
            name="foo-data",
            uuid="0b8f1a0e-5d5b-4c63-8d3f-1f1f6d7a2c11",
            bridge="foo-data",
            subnets=(IPv4Network("172.16.0.0/24"),),
            owner="foo",
            subnets6=(IPv6Network("fd00:1::/64"),),
        ),
    )
    uuid = "5afe5afe-0000-4000-8000-00000000000b"
    assert facts.domains == (DomainFact(name="foo-tiny-0", uuid=uuid, memory_mib=128, vcpus=2),)
    assert facts.pools == ("metalab-base",)
    lease = Lease(prefix="foo", virt_type="qemu", subnets={"data": "172.16.0.0/24"}, memory_mib=378)
    assert facts.leases == {"foo": lease}
    subnet = IPv4Network("172.16.0.0/24")
    bridge = Taken(subnet=subnet, by="address of foo-data", device="foo-data")
    assert bridge in facts.taken
    taken = Taken(subnet=IPv6Network("fd00:1::/64"), by=bridge.by, device="foo-data")
    assert facts.ipv6 == Ipv6Facts(usable=True, taken=(taken,))


@pytest.mark.parametrize(
    ("name", "line", "taken"),
    [
        pytest.param(
            "route",
            "10.8.0.0/16 via 10.0.0.1 dev tun0 proto static",
            "10.8.0.0/16 route via tun0",
            id="a VPN's route",
        ),
        pytest.param(
            "route", "blackhole 10.9.0.0/26 proto bird", "10.9.0.0/26 route via nowhere", id="hole"
        ),
        pytest.param("route", "10.7.7.7 dev wg0", "10.7.7.7/32 route via wg0", id="a host's route"),
        pytest.param("route", "default via 10.0.0.1 dev eth0", "", id="default"),
        pytest.param("route", "128.0.0.0/1 via 10.8.0.1 dev tun0", "", id="half a default"),
        pytest.param(
            "addr",
            "7: ppp0    inet 10.5.0.2 peer 10.6.0.1/32 scope global ppp0",
            "10.6.0.1/32 address of ppp0",
            id="point to point",
        ),
        pytest.param(
            "addr",
            "9: eth0.7@eth0    inet 10.4.0.9/22 scope global eth0.7",
            "10.4.0.0/22 address of eth0.7",
            id="a VLAN",
        ),
        pytest.param("addr", "1: lo    inet 127.0.0.1/8 scope host lo", "", id="loopback"),
        pytest.param("resolv", "nameserver 127.0.0.53", "", id="a local resolver"),
        pytest.param("resolv", "nameserver fd00::53", "", id="IPv6"),
        pytest.param("ssh", "fd00::1 4711 fd00::2 22", "", id="over IPv6"),
    ],
)
def test_what_is_taken(name: str, line: str, taken: str) -> None:
    text = BARE
    for other in ("addr", "route", "resolv", "ssh"):
        text = section(text, other)
    found = parse_facts(section(text, name, line), "lab42").taken
    assert ", ".join(f"{each.subnet} {each.by}" for each in found) == taken


@pytest.mark.parametrize(
    ("name", "line", "taken"),
    [
        pytest.param(
            "addr6",
            "2: eth0    inet6 fd13:1::2/64 scope global \\       valid_lft forever",
            "fd13:1::/64 address of eth0",
            id="an address",
        ),
        pytest.param("addr6", "2: eth0    inet6 fe80::1/64 scope link", "", id="link-local"),
        pytest.param("addr6", "1: lo    inet6 ::1/128 scope host", "", id="loopback"),
        pytest.param(
            "route6",
            "2001:db8:5::/48 via fe80::1 dev tun0 proto ra metric 1024 pref medium",
            "2001:db8:5::/48 route via tun0",
            id="a VPN's route",
        ),
        pytest.param("route6", "fd00:7::7 dev wg0", "fd00:7::7/128 route via wg0", id="a host's"),
        pytest.param("route6", "blackhole fd00::/40", "fd00::/40 route via nowhere", id="hole"),
        pytest.param("route6", "default via fe80::1 dev eth0 proto ra", "", id="default"),
        pytest.param("route6", "2000::/3 via fe80::1 dev tun0", "", id="all that is routed"),
        pytest.param("route6", "ff00::/8 dev eth0 metric 256", "", id="multicast"),
        pytest.param("resolv", "nameserver fd00::53", "fd00::53/128 name server", id="resolver"),
        pytest.param("ssh", "fd00::1 4711 fd00::2 22", "fd00::1/128 you, over SSH", id="you"),
        pytest.param("ssh", "192.0.2.1 4711 192.0.2.2 22", "", id="you over IPv4"),
    ],
)
def test_what_is_taken_of_ipv6(name: str, line: str, taken: str) -> None:
    text = BARE if name in ("resolv", "ssh") else f"{BARE}@@metalab {name}\n{line}\n"
    found = parse_facts(section(text, name, line), "lab42").ipv6.taken
    assert ", ".join(f"{each.subnet} {each.by}" for each in found) == taken


@pytest.mark.parametrize(
    ("lines", "usable", "advertised"),
    [
        pytest.param([], False, (), id="none, or switched off"),
        pytest.param(["usable"], True, (), id="no router"),
        pytest.param(["usable", "learned eth0 1 1"], True, ("eth0",), id="the kernel's default"),
        pytest.param(["usable", "learned eth0 0 1"], True, ("eth0",), id="on for all"),
        pytest.param(["usable", "learned eth0 2 1"], True, (), id="though the host forwards"),
        pytest.param(["usable", "learned eth0 0 0"], True, (), id="off, and a route of before"),
    ],
)
def test_whose_routes_would_go(lines: list[str], usable: bool, advertised: tuple[str, ...]) -> None:
    text = f"{BARE}@@metalab ipv6\n" + "\n".join([*lines, ""])
    assert parse_facts(text, "lab42").ipv6 == Ipv6Facts(usable=usable, advertised=advertised)


@pytest.mark.parametrize(
    ("lines", "kvm", "inside", "around"),
    [
        pytest.param([], False, "", KvmFacts(), id="nothing"),
        pytest.param(
            ["node 660 kvm", "usable", "loaded kvm_intel Y", "inside none"],
            True,
            "",
            KvmFacts(
                mode="660",
                group="kvm",
                loaded=frozenset({"kvm_intel"}),
                nested=frozenset({"kvm_intel"}),
            ),
            id="a server",
        ),
        pytest.param(
            ["node 666 kvm", "usable", "loaded kvm_amd 0", "inside vmware"],
            True,
            "vmware",
            KvmFacts(mode="666", group="kvm", loaded=frozenset({"kvm_amd"})),
            id="nested is off",
        ),
        pytest.param(
            [
                "node 660 kvm",
                "no sh: 12: cannot open /dev/kvm: No such device",
                "loadable kvm_intel",
                "loadable kvm_amd",
                "inside",
                "kernel 6.1.0-37-amd64",
                "within none",
            ],
            False,
            "",
            KvmFacts(
                mode="660",
                group="kvm",
                error="No such device",
                loadable=frozenset({"kvm_intel", "kvm_amd"}),
                kernel="6.1.0-37-amd64",
            ),
            id="modules that sleep, and no systemd-detect-virt",
        ),
        pytest.param(
            ["inside kvm", "kernel 6.18.44", "within systemd-nspawn", "firmware"],
            False,
            "kvm",
            KvmFacts(kernel="6.18.44", container="systemd-nspawn", firmware_off=True),
            id="a container in a virtual machine",
        ),
    ],
)
def test_what_is_seen_of_kvm(lines: list[str], kvm: bool, inside: str, around: KvmFacts) -> None:
    text = section(section(BARE, "cpu", "vendor_id\t: GenuineIntel", "vmx"), "kvm", *lines)
    facts = parse_facts(text, "lab42")
    assert (facts.kvm, facts.inside, facts.around_kvm) == (kvm, inside, around)


@pytest.mark.parametrize(
    ("flags", "virtualization", "inside"),
    [
        pytest.param(["vmx"], True, "", id="Intel's"),
        pytest.param(["svm", "hypervisor"], True, "unknown", id="AMD's, nested"),
        pytest.param(["hypervisor"], False, "unknown", id="not nested"),
        pytest.param([], False, "", id="none"),
    ],
)
def test_flags_of_the_cpu(flags: list[str], virtualization: bool, inside: str) -> None:
    text = section(section(BARE, "cpu", "vendor_id\t: GenuineIntel", *flags), "kvm")
    facts = parse_facts(text, "lab42")
    assert (facts.cpu_virtualization, facts.inside) == (virtualization, inside)


def test_disks_are_measured_where_the_pools_are(tmp_path: Path) -> None:
    pool = tmp_path / IMAGES_DIR[1:] / "prefixes" / "foo"
    pool.mkdir(parents=True)
    with (pool / "full").open("wb") as stream:
        stream.write(b"x" * 4096)
    facts = look(LocalShell(tmp_path))
    assert facts.disk_total_gib > facts.disk_free_gib > 0
    assert facts.disk_held_gib == 0  # of a few KiB
    text = section(BARE, "disk", "held 3145728", "/dev/vda 264212084 22361108 73140156 24% /a b")
    facts = parse_facts(text, "lab42")
    assert (facts.disk_held_gib, facts.disk_free_gib, facts.disk_total_gib) == (3, 69, 251)


def test_derivatives_say_what_they_are_like() -> None:
    text = section(BARE, "os", "ID=pop", 'ID_LIKE="ubuntu debian"', "VERSION_ID='22.04'")
    facts = parse_facts(text, "lab42")
    assert (facts.os_like, facts.os_version) == (("ubuntu", "debian"), "22.04")


@pytest.mark.parametrize(
    ("text", "rule", "where"),
    [
        pytest.param(
            PREPARED.replace('"format": 1', '"format": 99'),
            "lease-file",
            "lab42:/var/lib/metalab/leases/foo.json",
            id="a lease of a newer metalab",
        ),
        pytest.param(
            PREPARED.replace("<network>", "<!DOCTYPE x [<!ENTITY a 'b'>]><network>"),
            "host-facts",
            "lab42",
            id="XML with entities",
        ),
        pytest.param(section(BARE, "memory"), "host-facts", "lab42", id="no memory line"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, rule: str, where: str) -> None:
    with pytest.raises(LabError) as caught:
        parse_facts(text, "lab42")
    assert [(problem.rule, problem.where) for problem in caught.value.problems] == [(rule, where)]


def test_a_network_that_went_away_meanwhile_is_no_error() -> None:
    text = PREPARED.replace("@@metalab network\n", "@@metalab network\n@@metalab network\n", 1)
    assert parse_facts(text, "lab42") == parse_facts(PREPARED, "lab42")


def test_the_script_runs_on_this_machine(tmp_path: Path) -> None:
    assert look(LocalShell(tmp_path)).memory_mib > 0
    assert "python" not in FACT_SCRIPT


def test_a_script_that_breaks_off_is_an_error() -> None:
    with pytest.raises(LabError, match="exit 124"):
        look(ScriptedShell([Outcome(124, BARE.partition("@@metalab end")[0])]))


@pytest.mark.parametrize(("says", "login"), [(["ops"], "ops"), ([], "root")])
def test_who_logged_in(says: list[str], login: str) -> None:
    assert parse_facts(f"@@metalab login\n{''.join(says)}\n\n{BARE}", "lab42").login == login
