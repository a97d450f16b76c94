"""The nodes of an environment as plain data."""

from __future__ import annotations

from typing import Any

from lab.plans import LabPlan, NodePlan


def nodes(plan: LabPlan) -> dict[str, Any]:
    """{"tiny-0": {"role": "tiny", "addresses": {"data": "192.0.2.2", ...}, ...}, ...}."""
    return {name: _node(node) for name, node in plan.nodes.items()}


def _node(node: NodePlan) -> dict[str, Any]:
    addresses6 = {nic.slot: nic.address6 for nic in node.nics if nic.address6}
    return {
        "name": node.name,
        "role": node.role,
        "uuid": node.uuid,
        "deployed": node.deploy_os,
        "vcpus": node.vcpus,
        "memory_mib": node.memory_mib,
        "disks_gib": {disk.target: disk.size_gib for disk in node.disks},
        "addresses": {nic.slot: nic.address for nic in node.nics if nic.address},
        **({"addresses6": addresses6} if addresses6 else {}),
        "macs": {nic.slot: nic.mac for nic in node.nics},
        "console": node.console,
    }
