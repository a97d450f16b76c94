"""The OpenSSH client's configuration of an environment, and the host keys that it trusts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lab.plans import LabPlan, NodePlan
from lab.views.places import for_openssh, home


def ssh_config(plan: LabPlan, found: Mapping[str, str] | None = None) -> str:
    """A file for `ssh -F`: every deployed node by name, through the hypervisor.

    Nodes that have their address from a LAN are in it once they were found, and are reached
    straight on.

    The hypervisor is reached as the operator's own ssh reaches it, by whatever ~/.ssh/config says
    of it on that machine, with one key more: the lab's, which may forward connections there, and
    run commands as `stack`. A ProxyJump would read this file instead of the operator's.

    Args:
        plan: the environment.
        found: {"foo-tiny-0": "192.0.2.7"}: where the LAN has its nodes, by domain.
    """
    deployed = [node for node in plan.nodes.values() if node.deploy_os]
    places = {node.name: node.address or (found or {}).get(node.name, "") for node in deployed}
    nodes = [node for node in deployed if places[node.name]]
    blocks = [_block(_names([node]), _own(node, places[node.name])) for node in nodes]
    through = [node for node in nodes if node.address]
    direct = [node for node in nodes if not node.address]
    blocks += [_block(_names(through), _shared(plan))] if through else []
    blocks += [_block(_names(direct), _shared(plan, direct=True))] if direct else []
    return "\n".join(blocks)


def known_hosts(plan: LabPlan, host_keys: Mapping[str, str]) -> str:
    """The nodes' pinned host keys, `name key` a line.

    Args:
        plan: the environment.
        host_keys: {"tiny-0": "ssh-ed25519 AAAA..."}.
    """
    names = {node.node: node.name for node in plan.nodes.values()}
    return "".join(f"{names[node]} {key}\n" for node, key in sorted(host_keys.items()))


def _names(nodes: Iterable[NodePlan]) -> str:
    return " ".join(f"{node.node} {node.name}" for node in nodes)


def _own(node: NodePlan, address: str) -> dict[str, str]:
    user = {"User": node.system.user} if node.system.user else {}  # what comes first counts
    return {"HostName": address, "HostKeyAlias": node.name, **user}


def _shared(plan: LabPlan, *, direct: bool = False) -> dict[str, str]:
    return {
        "User": "root",
        **({} if direct else {"ProxyCommand": _jump(plan)}),
        "IdentityFile": f"{home(plan.prefix)}/id_ed25519",
        "UserKnownHostsFile": f"{home(plan.prefix)}/known_hosts",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
    }


def _jump(plan: LabPlan) -> str:
    """The command through the hypervisor; a shell reads it, once ssh has put in %h and %p."""
    spec = plan.config.hypervisor
    options = ["IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no"]
    if spec.known_hosts:
        options.append(f"UserKnownHostsFile={_quoted(for_openssh(spec.known_hosts))}")
    words = ["ssh", *(f"-o {option}" for option in options)]
    words.append(f"-i {home(plan.prefix)}/id_ed25519")
    words += [f"-p {spec.port}"] if spec.port else []
    words += [f"-l {spec.user}"] if spec.user else []
    return " ".join([*words, "-W [%h]:%p", "--", spec.address.replace("%", "%%")])


def _quoted(path: str) -> str:
    """A path for the shell, in which `~` and `${NAME}` still mean something."""
    return re.sub(r"[^\w@+=:,./${}~-]", r"\\\g<0>", path).replace("%", "%%")


def _block(names: str, options: Mapping[str, str]) -> str:
    lines = [f"Host {names}", *(f"  {option} {value}" for option, value in options.items())]
    return "\n".join(lines) + "\n"
