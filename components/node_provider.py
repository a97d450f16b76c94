"""Nodes beyond what libvirt knows of them: switched off gently, and answering SSH.

Module path and class names are a state contract.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.connection import changed_login, from_wire, to_wire
from components.host_provider import changed_keys, progress_of
from components.sdk import widen
from lab.changes import Shape, shape_of
from lab.config import HypervisorSpec
from lab.naming import node_order
from lab.plans import LabPlan, NodePlan


class PowerProvider(ResourceProvider):
    """Stands between a domain and its end.

    The plugin pulls the plug when it deletes a domain. A delete hook could ask the guest first,
    but then every `pulumi destroy` must run the program. This resource depends on the domain, so
    the engine deletes it first, and its delete asks the guest.
    """

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Note that the node is up. The id is new each time: whoever waits for it waits again."""
        return CreateResult(str(uuid.uuid4()), dict(props))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """A domain about to be replaced shows as an unknown id: end this power session first."""
        ended = changed_keys(olds, news, ["domain"])
        changed = [*ended, *changed_keys(olds, news, ["shutdown_timeout_s"])]
        changed += changed_login(olds, news)
        return DiffResult(changes=bool(changed), replaces=ended, delete_before_replace=True)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Remember another timeout, or another way to log in."""
        return UpdateResult(dict(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Switch the node off and remove its logs."""
        from lab.host.power import Off, switch_off  # noqa: PLC0415

        _check_way(props)
        widen()
        said = switch_off(
            Off(
                spec=from_wire(props),
                domain=props["node"],
                uuid=props["uuid"],
                timeout_s=int(props["shutdown_timeout_s"]),
            )
        )
        if said.startswith("failed"):
            step = "See `virsh domstate` there and run the command again"
            raise RuntimeError(f"{props['address']}: {props['node']}: {said}. {step}.")


class Power(Resource, module="metalab", name="Power"):
    """One node's time between power-on and a gentle power-off."""

    def __init__(
        self,
        node: NodePlan,
        host: tuple[HypervisorSpec, int],
        domain: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        spec, shutdown_timeout_s = host
        props = {
            **to_wire(spec),
            "prefix": node.name.removesuffix(f"-{node.node}"),
            "node": node.name,
            "uuid": node.uuid,
            "domain": domain,
            "shutdown_timeout_s": shutdown_timeout_s,
        }
        super().__init__(PowerProvider(), node.node, props, opts)


class ReadinessProvider(ResourceProvider):
    """Waits until every deployed node answers SSH with the host key that it was given."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait for all nodes at once."""
        return CreateResult("ready", _wait(props, props["nodes"], {}))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """A node that is new, or was switched on anew, is waited for.

        This is where an edit is told: the engine asks it in each preview, and knows what was last
        carried out to its end.
        """
        changed = [*changed_keys(olds, news, ["nodes"]), *changed_login(olds, news)]
        if "shape" in olds:  # else an older metalab made it
            changed += changed_keys(olds, news, ["shape"])
            _tell(olds["shape"], news["shape"])
        return DiffResult(changes=bool(changed))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Wait for the nodes that were not ready before."""
        new = {k: node for k, node in news["nodes"].items() if olds["nodes"].get(k) != node}
        return UpdateResult(_wait(news, new, olds.get("found") or {}))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Nothing is undone, but it goes first: what the rest needs is asked for here."""
        _check_way(props)


def _tell(was: Shape, now: Shape) -> None:
    from lab.changes import changes  # noqa: PLC0415
    from lab.views.changes import changes as told  # noqa: PLC0415

    for line in told(changes(was, now)) if was != now else ():
        print(line, flush=True)  # noqa: T201 - the engine shows stdout


def _check_way(props: dict[str, Any]) -> None:
    """Refuse to begin an end that the plugin could not go on with."""
    from lab.host.forward import check_forward  # noqa: PLC0415

    if "prefix" in props:  # else an older metalab made it, which did not ask
        check_forward(from_wire(props), props["prefix"])


def _wait(
    props: dict[str, Any], nodes: Mapping[str, Mapping[str, str]], known: Mapping[str, str]
) -> dict[str, Any]:
    from lab.host.readiness import ReadyNode, wait_ready_anew  # noqa: PLC0415
    from lab.host.shared import borrow  # noqa: PLC0415

    waited = [
        ReadyNode(
            name=node["name"],
            address=node["address"],
            mac=node["mac"],
            network=node["network"],
            host_key=node["host_key"],
            bridge=node.get("bridge", ""),
        )
        for node in (nodes[name] for name in sorted(nodes, key=node_order))  # messages have none
    ]
    found: dict[str, str] = {}
    if waited:
        spec = from_wire(props)
        late = wait_ready_anew(
            lambda: borrow(spec),
            waited,
            props["private_key"],
            timeout_s=int(props["timeout_s"]),
            progress=progress_of(props),
            found=found,
        )
        if late:
            raise RuntimeError("\n".join(str(node) for node in late))
    on_lan = {node["name"] for node in props["nodes"].values() if "bridge" in node}
    if not on_lan:
        return dict(props)
    kept = {name: address for name, address in known.items() if name in on_lan}
    return {**props, "found": {**kept, **found}}


class Readiness(Resource, module="metalab", name="Readiness"):
    """All deployed nodes of an environment, ready."""

    found: pulumi.Output[dict[str, str]]  # where the LAN has its nodes, by domain

    def __init__(
        self,
        name: str,
        plan: LabPlan,
        nodes: Mapping[str, Mapping[str, pulumi.Input[str]]],
        private_key: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        shape, config = shape_of(plan), plan.config
        props: dict[str, Any] = {
            **to_wire(config.hypervisor),
            "prefix": plan.prefix,
            "nodes": dict(nodes),
            "shape": pulumi.Output.secret(shape) if config.vnc_password else shape,
            "timeout_s": config.ready_timeout_s,
            "private_key": private_key,
        }
        if any("bridge" in node for node in nodes.values()):
            props["found"] = None
        super().__init__(ReadinessProvider(), name, props, opts)
