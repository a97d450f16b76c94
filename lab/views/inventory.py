"""The Ansible inventory of an environment, with the predecessor's groups."""

from __future__ import annotations

from typing import Any

from lab.files import dump_yaml
from lab.plans import LabPlan, NodePlan
from lab.views.places import for_ansible, home


def inventory(plan: LabPlan) -> str:
    """YAML for `ansible -i`. Hosts are reached by the names of the environment's ssh_config.

    Blank nodes are in their groups, as the predecessor had them, with `ansible_host: NA`.
    """
    groups: dict[str, dict[str, Any]] = {}
    for node in plan.nodes.values():
        for group in node.groups:
            groups.setdefault(group, {"hosts": {}})["hosts"][node.node] = {}
    hosts: dict[str, Any] = {node.node: _variables(node) for node in plan.nodes.values()}
    spec = plan.config.hypervisor  # with the operator's own key: the lab's may only forward there
    jump: dict[str, Any] = {"ansible_host": spec.address, "ansible_ssh_common_args": ""}
    if spec.user:
        jump["ansible_user"] = spec.user
    if spec.port:
        jump["ansible_port"] = spec.port
    if spec.key:
        jump["ansible_ssh_private_key_file"] = spec.key
    tree = {
        "all": {
            "vars": {"ansible_ssh_common_args": f"-F {for_ansible(home(plan.prefix))}/ssh_config"},
            "hosts": hosts,
            "children": {**groups, "hypervisor": {"hosts": {"hypervisor": jump}}},
        }
    }
    return dump_yaml(tree)


def _variables(node: NodePlan) -> dict[str, Any]:
    if not node.deploy_os:
        return {"ansible_host": "NA"}
    return {"ansible_host": node.name, "ansible_user": node.system.user or "root"}
