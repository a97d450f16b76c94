"""The nodes of an environment as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plans import LabPlan, NodePlan


def nodes(plan: LabPlan, found: Mapping[str, str] | None = None) -> dict[str, Any]:
    """{"tiny-0": {"role": "tiny", "addresses": {"data": "192.0.2.2", ...}, ...}, ...}.

    Args:
        plan: the environment.
        found: {"foo-tiny-0": "192.0.2.7"}: where the LAN has its nodes, by domain.
    """
    return {name: _node(node, (found or {}).get(node.name)) for name, node in plan.nodes.items()}


def _node(node: NodePlan, found: str | None) -> dict[str, Any]:
    addresses = {nic.slot: nic.address for nic in node.nics if nic.address}
    addresses6 = {nic.slot: nic.address6 for nic in node.nics if nic.address6}
    return {
        "name": node.name,
        "role": node.role,
        "uuid": node.uuid,
        "deployed": node.deploy_os,
        "vcpus": node.vcpus,
        "memory_mib": node.memory_mib,
        "disks_gib": {disk.target: disk.size_gib for disk in node.disks},
        "addresses": addresses | ({node.access: found} if found else {}),
        **({"addresses6": addresses6} if addresses6 else {}),
        "macs": {nic.slot: nic.mac for nic in node.nics},
        "console": node.console,
    }
