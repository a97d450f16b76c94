"""The NoCloud seed of a node: who it is, who may log in, and its network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.files import dump_yaml
from lab.keys import KeyPair
from lab.plans import NicPlan, NodePlan
from lab.specs import SystemSpec


@dataclass(frozen=True, slots=True)
class Seed:
    """The three files of a seed disk."""

    meta_data: str
    user_data: str  # holds the private host key: a secret
    network_config: str


def seed(node: NodePlan, client_public_key: str, host_key: KeyPair) -> Seed:
    """Write a node's seed.

    Root logs in with the stack's key alone. There is no password, and the host key is given from
    outside, so that the first connection is verified like every later one.
    """
    user: dict[str, Any] = {
        "hostname": node.name,
        "manage_etc_hosts": True,
        "disable_root": False,
        "ssh_pwauth": False,
        "users": [],
        "ssh_authorized_keys": [client_public_key],
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
        # Else cloud-init knows the network of its first boot only: a moved one never arrives.
        "updates": {"network": {"when": ["boot-new-instance", "boot"]}},
        "growpart": {"mode": "auto", "devices": ["/"]},
        "resize_rootfs": True,
        **_wishes(node.system, client_public_key),
    }
    meta = {"instance-id": node.uuid, "local-hostname": node.name}
    return Seed(
        meta_data=dump_yaml(meta),
        user_data=f"#cloud-config\n{dump_yaml(user)}",
        network_config=dump_yaml({"version": 2, "ethernets": _ethernets(node)}),
    )


def _wishes(system: SystemSpec, client_public_key: str) -> dict[str, Any]:
    """What a role asks for beyond the common; nothing for most."""
    wishes: dict[str, Any] = {}
    if system.user:
        person = {"name": system.user, "shell": "/bin/bash", "lock_passwd": True}
        keys = {"sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": [client_public_key]}
        wishes["users"] = [{**person, **keys}]
    if system.timezone:
        wishes["timezone"] = system.timezone
    if system.swap_mib:
        size = system.swap_mib * 1024**2
        wishes["swap"] = {"filename": "/swapfile", "size": size, "maxsize": size}
    if system.packages:
        wishes |= {"package_update": True, "packages": list(system.packages)}
    return wishes


def _ethernets(node: NodePlan) -> dict[str, Any]:
    """One entry a NIC, found by its MAC.

    Only one network gives a default route: two of them would make every reply take the one
    that came up last. IPv6 is static; what routers advertise there is for machines without a seed,
    and would give a second address and a second route.
    """
    return {nic.slot: _ethernet(node, nic) for nic in node.nics}


def _ethernet(node: NodePlan, nic: NicPlan) -> dict[str, Any]:
    entry: dict[str, Any] = {"match": {"macaddress": nic.mac}}
    if nic.dhcp:
        entry["dhcp4"] = True
        if nic.slot != node.route:
            entry["dhcp4-overrides"] = {"use-routes": False}
    elif nic.address:
        entry["addresses"] = [f"{nic.address}/{nic.prefix_length}"]
    if nic.address6:
        entry["addresses"] = [*entry.get("addresses", []), f"{nic.address6}/64"]
        entry["accept-ra"] = False
    ways = {"0.0.0.0/0": nic.gateway, "::/0": nic.gateway6}
    if routes := [{"to": to, "via": via} for to, via in ways.items() if via]:
        entry["routes"] = routes
    if nic.mtu:
        entry["mtu"] = nic.mtu
    if nic.bridge and nic.slot not in (node.access, node.route):
        entry["optional"] = True  # nobody may serve DHCP there: no boot waits for it
    return entry
