from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.facts import ChainFact, GuardFacts
from lab.host.guard_facts import GUARD_SCRIPT, read_guards

RECORDED = Path(__file__).parent / "recorded"
NFT = """\
table inet theirs {{
	chain input {{
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		{}
	}}
	chain more {{
		iifname "bar" accept
	}}
	chain output {{
		type filter hook output priority filter; policy drop;
	}}
}}
"""


def rules(text: str) -> list[str]:
    """As the script's grep and the sections' reader hand them over."""
    kept = ("table", "chain ", "hook ", "accept", "jump", "goto", "vmap")
    return [line.strip() for line in text.splitlines() if any(word in line for word in kept)]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        pytest.param([], GuardFacts(), id="nothing said"),
        pytest.param(
            ["images ? /var/lib/libvirt/images", "zone"],
            GuardFacts(images_path="/var/lib/libvirt/images", libvirt_zone=True),
            id="Debian 12 with libvirt",
        ),
        pytest.param(
            ["apparmor", "images unconfined /var/lib/libvirt/images", "ufw"],
            GuardFacts(apparmor=True, images_path="/var/lib/libvirt/images", ufw=True),
            id="Ubuntu 24.04 with ufw",
        ),
        pytest.param(
            [
                "selinux 1",
                "images system_u:object_r:virt_image_t:s0 /var/lib/libvirt/images",
                "firewalld",
                "zone",
                "zone",
            ],
            GuardFacts(
                selinux="enforcing",
                images_path="/var/lib/libvirt/images",
                images_type="virt_image_t",
                firewalld=True,
                libvirt_zone=True,
            ),
            id="Rocky 9",
        ),
        pytest.param(
            ["selinux 0", "images unconfined_u:object_r:default_t:s0 /srv/big disk"],
            GuardFacts(selinux="permissive", images_path="/srv/big disk", images_type="default_t"),
            id="permissive, and images elsewhere",
        ),
    ],
)
def test_what_guards_a_host(lines: list[str], wanted: GuardFacts) -> None:
    assert read_guards(lines, []) == wanted


@pytest.mark.parametrize(
    ("rule", "admits"),
    [
        pytest.param("tcp dport 22 accept", (), id="SSH alone"),
        pytest.param('iif "lo" accept', ("lo",), id="loopback"),
        pytest.param("icmp type echo-request accept", (), id="ping"),
        pytest.param("meta l4proto icmp accept", (), id="all of ICMP"),
        pytest.param("ip saddr 10.0.0.0/8 accept", (), id="who asks by DHCP has no address"),
        pytest.param("udp sport 67 udp dport 68 accept", (), id="the host's own DHCP"),
        pytest.param("udp dport { 53, 5353 } accept", (), id="DNS alone"),
        pytest.param('iifname "foo-*" accept', ("foo-*",), id="a pattern"),
        pytest.param('iifname { "a", "b" } udp dport 67 accept', ("a", "b"), id="a set"),
        pytest.param('iifname "bar" jump more', ("bar",), id="by another chain"),
        pytest.param("udp dport 67 accept", ("*",), id="DHCP of everybody"),
        pytest.param("meta l4proto { tcp, udp } th dport { 53, 67 } accept", ("*",), id="both"),
        pytest.param("meta l4proto udp accept", ("*",), id="all of UDP"),
        pytest.param('iifname != "eth0" accept', ("*",), id="all but the way out"),
        pytest.param("iifname @labs accept", ("*",), id="a named set may hold anything"),
        pytest.param('iifname vmap { "lo" : accept, "x" : jump y }', ("*",), id="as may a map"),
        pytest.param("accept", ("*",), id="all"),
    ],
)
def test_what_a_chain_that_drops_may_let_in(rule: str, admits: tuple[str, ...]) -> None:
    """In doubt it does: a lab is refused only where it certainly would not come up."""
    chain = ChainFact(table="inet theirs", name="input", hook="input", admits=admits)
    assert read_guards([], rules(NFT.format(rule))).dropping == (chain,)


def test_a_policy_that_accepts_drops_nothing() -> None:
    assert read_guards([], rules(NFT.format("").replace("policy drop", "policy accept"))) == (
        GuardFacts()
    )


def test_ufw_beside_libvirt_of_debian_12() -> None:
    """Recorded with libvirt's default network active, whose rules come before ufw's."""
    text = (RECORDED / "ufw_rules.txt").read_text()
    guards = read_guards(["ufw"], rules(text))
    assert not guards.libvirt_nftables
    assert [(chain.table, chain.name) for chain in guards.dropping] == [
        ("ip filter", "INPUT"),
        ("ip filter", "FORWARD"),
    ]
    assert all("virbr0" in chain.admits for chain in guards.dropping)


def test_libvirt_with_a_table_of_its_own() -> None:
    text = "table ip libvirt_network {\n\tchain forward {\n\t\ttype filter hook forward priority"
    assert read_guards([], rules(f"{text} filter; policy accept;\n\t}}\n}}")).libvirt_nftables


def test_the_script_reads_this_machine() -> None:
    script = f's() {{ echo "@ $*"; }}\n{GUARD_SCRIPT}\ns end'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("@")] == [
        "@ guards",
        "@ rules",
        "@ end",
    ]
