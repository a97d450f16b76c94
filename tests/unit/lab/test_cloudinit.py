from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Network
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.cloudinit import seed
from lab.facts import Ipv6Facts
from lab.keys import derive_key
from lab.plan import plan_lab
from lab.specs import LanSpec, NetworkSpec, Topology
from tests.unit.lab.samples import (
    FACTS,
    IMAGE,
    NETWORKS,
    WITH_NICS,
    config,
    plan,
    role,
    topology,
)

CLIENT = "ssh-ed25519 AAAAclient"
KEY = derive_key("ab" * 32, "host/tiny-0")
NODE = plan().nodes["tiny-0"]


def user_data() -> dict[str, Any]:
    text = seed(NODE, CLIENT, KEY).user_data
    assert text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


def test_the_guest_is_who_it_is() -> None:
    assert yaml.safe_load(seed(NODE, CLIENT, KEY).meta_data) == {
        "instance-id": NODE.uuid,
        "local-hostname": "foo-tiny-0",
    }
    assert user_data()["hostname"] == "foo-tiny-0"


def test_root_logs_in_with_the_stack_s_key_and_no_password() -> None:
    user = user_data()
    assert user["ssh_authorized_keys"] == [CLIENT]
    assert user["disable_root"] is False
    assert user["ssh_pwauth"] is False
    assert not [key for key in user if "passw" in key]


def test_the_host_key_is_the_pinned_one() -> None:
    keys = user_data()["ssh_keys"]
    assert keys == {"ed25519_private": KEY.private, "ed25519_public": KEY.public}
    assert user_data()["ssh_deletekeys"] is True


def test_nics_are_found_by_mac_and_one_gives_the_default_route() -> None:
    network = yaml.safe_load(seed(NODE, CLIENT, KEY).network_config)
    macs = {nic.network: nic.mac for nic in NODE.nics}
    assert network == {
        "version": 2,
        "ethernets": {
            "data": {"match": {"macaddress": macs["data"]}, "addresses": ["192.0.2.2/24"]},
            "management": {"match": {"macaddress": macs["management"]}, "dhcp4": True},
            "external": {
                "match": {"macaddress": macs["external"]},
                "dhcp4": True,
                "dhcp4-overrides": {"use-routes": False},
            },
        },
    }


@given(st.integers(0, 200))
def test_a_mac_of_digits_alone_stays_a_text(number: int) -> None:
    """YAML 1.1 reads 52:12:34:56:10:02 as a number in base 60 when nobody quotes it."""
    for node in plan(f"p{number}", tiny=[0]).nodes.values():
        read = yaml.safe_load(seed(node, CLIENT, KEY).network_config)["ethernets"]
        assert [entry["match"]["macaddress"] for entry in read.values()] == [
            nic.mac for nic in node.nics
        ]


def test_the_private_key_is_in_user_data_only() -> None:
    files = seed(NODE, CLIENT, KEY)
    secret = KEY.private.splitlines()[2]
    assert secret in files.user_data
    assert secret not in files.meta_data + files.network_config


@pytest.mark.parametrize("part", ["meta_data", "user_data", "network_config"])
def test_equal_nodes_give_equal_bytes(part: str) -> None:
    """Another text is another disk, and another disk is a reboot."""
    assert getattr(seed(NODE, CLIENT, KEY), part) == getattr(
        seed(plan().nodes["tiny-0"], CLIENT, KEY), part
    )


def test_ipv6_and_mtu_are_static() -> None:
    """Beside DHCP as beside a static address; the access network gives this default route, too."""
    subnets = {"data": "2001:db8:1::/64", "management": "2001:db8:2::/64"}
    networks = tuple(
        replace(each, ipv6=True, subnet6=IPv6Network(subnets[each.name]), mtu=9000)
        for each in NETWORKS[:2]
    )
    nics = ("data", "management")
    spec = replace(topology(networks), roles=(role("tiny", [0], interfaces=nics),))
    facts = replace(FACTS, ipv6=Ipv6Facts(usable=True))
    node = plan_lab(config(), spec, IMAGE, facts).nodes["tiny-0"]
    entries = yaml.safe_load(seed(node, CLIENT, KEY).network_config)["ethernets"]
    for entry in entries.values():
        del entry["match"]
    assert entries == {
        "data": {
            "addresses": ["192.0.2.2/24", "2001:db8:1::2/64"],
            "accept-ra": False,
            "mtu": 9000,
        },
        "management": {
            "dhcp4": True,
            "addresses": ["2001:db8:2::2/64"],
            "accept-ra": False,
            "routes": [{"to": "::/0", "via": "2001:db8:2::1"}],
            "mtu": 9000,
        },
    }


def test_several_nics_on_one_network_are_several_entries() -> None:
    """A wire brings no address, and of two NICs on the access network one gives the route."""
    nics = ("data", "wire", "management", "management")
    spec = replace(
        topology((*NETWORKS, NetworkSpec(name="wire", subnet=None))),
        roles=(role("tiny", [0], interfaces=nics),),
    )
    node = plan_lab(config(), spec, IMAGE, FACTS).nodes["tiny-0"]
    entries = yaml.safe_load(seed(node, CLIENT, KEY).network_config)["ethernets"]
    macs = {nic.slot: nic.mac for nic in node.nics}
    assert entries.keys() == macs.keys() == {"data", "wire", "management", "management.2"}
    assert entries["wire"] == {"match": {"macaddress": macs["wire"]}}
    assert entries["management"] == {"match": {"macaddress": macs["management"]}, "dhcp4": True}
    assert entries["management.2"]["match"] == {"macaddress": macs["management.2"]}
    assert entries["management.2"]["dhcp4-overrides"] == {"use-routes": False}


def test_a_static_way_out_has_its_gateway() -> None:
    networks = (replace(NETWORKS[0], forward="nat"), *NETWORKS[1:])
    spec = role("tiny", [0], access="data")
    lab = plan_lab(config(), Topology(networks=networks, roles=(spec,)), IMAGE, FACTS)
    entries = yaml.safe_load(seed(lab.nodes["tiny-0"], CLIENT, KEY).network_config)["ethernets"]
    assert entries["data"]["routes"] == [{"to": "0.0.0.0/0", "via": "192.0.2.1"}]
    assert "routes" not in entries["management"]


def test_no_boot_waits_for_a_lan_that_may_have_no_dhcp() -> None:
    networks = (
        NetworkSpec(name="data", subnet=None, forward="bridge", lan=LanSpec()),
        *NETWORKS[1:],
    )
    lab = plan_lab(
        config(), Topology(networks=networks, roles=(role("tiny", [0]),)), IMAGE, WITH_NICS
    )
    entries = yaml.safe_load(seed(lab.nodes["tiny-0"], CLIENT, KEY).network_config)["ethernets"]
    assert entries["data"]["optional"] is True
    assert "optional" not in entries["management"]
