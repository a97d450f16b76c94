"""What an edit of each field does: the table behind previews, resource options and docs/changes.md.

A field is what somebody writes in a file. Its `shown` says where in a plan it comes out, in the
words of the file, so that two plans of one environment can be told apart field by field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lab.plans import LabPlan, NetworkPlan, NodePlan

LIVE, RESTART, REPLACE = "live", "restart", "replace"
NEW_NODES, REFUSED, ELSEWHERE = "new nodes", "refused", "-"
CLASSES = {
    LIVE: "changed in place; no node notices",
    RESTART: "the domain is switched off, gently for `shutdown-timeout`, defined anew and started: "
    "same name, UUID, MAC, addresses and disks",
    REPLACE: "the network is made anew, and every node on it restarts, so that none hangs on a "
    "bridge that is gone",
    NEW_NODES: "nodes that exist stay as they are; those that are made later are otherwise",
    REFUSED: "an error before anything is changed, since data would be lost, or things are where "
    "they cannot follow",
}
Of = TypeVar("Of")


@dataclass(frozen=True)  # slots and Generic do not go together before Python 3.12
class Field(Generic[Of]):
    """One field, or a few that belong together."""

    keys: tuple[str, ...]  # as written; the first one is its name
    effect: str  # of an edit
    note: str = ""  # for readers
    shown: Callable[[Of], object] | None = None  # None: a plan does not show it by itself
    unit: str = ""
    inputs: tuple[str, ...] = ()  # properties that the libvirt plugin would not renew by itself
    secret: bool = False  # its value is not to be told

    @property
    def name(self) -> str:
        """What a line about it says."""
        return self.keys[0]


def _nics(node: NodePlan) -> str:
    return ", ".join(f"{nic.slot} {nic.model} {nic.mac}" for nic in node.nics)


def _disks(node: NodePlan) -> str:
    said = (" ".join(filter(None, (d.target, d.bus, d.cache))) for d in node.disks)
    return ", ".join(said)


def _span(network: NetworkPlan) -> str:
    """The addresses of DHCP by their ends, those of nodes and those of strangers."""
    ends = [address for _, address in network.reservations]
    return f"{ends[0]} to {ends[-1]}" if ends else ("" if not network.dhcp else "on")


def _hosts(network: NetworkPlan) -> str:
    """The layout's own names: those of nodes come and go with them."""
    prefix = network.name.removesuffix(network.network)
    return ", ".join(f"{name} {ip}" for ip, name in network.names if not name.startswith(prefix))


def _srvs(network: NetworkPlan) -> str:
    return ", ".join(
        f"_{srv.service}._{srv.protocol}{'.' if srv.domain else ''}{srv.domain} {srv.target}:"
        f"{srv.port} {srv.priority} {srv.weight}"
        for srv in network.srvs
    )


def _quota(plan: LabPlan) -> str:
    quota = plan.config.quota
    parts = (
        ("nodes", quota.nodes, ""),
        ("memory", quota.memory_mib, " MiB"),
        ("cpu", quota.vcpus, ""),
        ("disks", quota.disk_gib, " GiB"),
    )
    return ", ".join(f"{name} {most}{unit}" for name, most, unit in parts if most)


STACK: tuple[Field[LabPlan], ...] = (
    Field(
        ("host-address",),
        REFUSED,
        "domains and disks do not move along; a new port is live",
    ),
    Field(
        ("host-user",),
        LIVE,
        "the lab's key moves to the new user, who may manage libvirt "
        "([host-access.md](host-access.md))",
        lambda plan: plan.config.hypervisor.user,
    ),
    Field(
        ("host-key",),
        LIVE,
        "remembered by every resource that logs in",
        lambda plan: plan.config.hypervisor.key,
    ),
    Field(("host-known-hosts",), LIVE, "the same", lambda plan: plan.config.hypervisor.known_hosts),
    Field(
        ("host-memory-overcommit",),
        LIVE,
        "judged at each run",
        lambda plan: plan.config.memory_overcommit,
    ),
    Field(("host-vcpu-ratio",), LIVE, "the same", lambda plan: plan.config.vcpu_ratio or ""),
    Field(("host-disk-overcommit",), LIVE, "the same", lambda plan: plan.config.disk_overcommit),
    Field(("quota", "nodes", "memory", "cpu", "disks"), LIVE, "the same", _quota),
    Field(
        ("host-restore",),
        LIVE,
        "what goes with the last environment",
        lambda plan: plan.config.host_restore,
    ),
    Field(("host-tools",), LIVE, "packages of the host", lambda plan: plan.config.host_tools),
    Field(
        ("topology-nodes",),
        LIVE,
        "nodes come or go, and the DNS of their networks follows; nobody else notices",
    ),
    Field(("remove-nodes",), LIVE, "the same; a removed node's disks go with it"),
    Field(
        ("topology-network",),
        REPLACE,
        "networks that both layouts call the same stay if they are the same",
    ),
    Field(("override",), ELSEWHERE, "as an edit of what it overrides"),
    Field(
        ("image-url", "image-sha256"),
        NEW_NODES,
        "the preview names those that keep their image",
        lambda plan: plan.config.image_url,
    ),
    Field(
        ("virt-type",),
        RESTART,
        "`auto` stays what it was when the first node was made",
        lambda plan: plan.virt_type,
    ),
    Field(
        ("vnc-external",),
        RESTART,
        "",
        lambda plan: plan.config.vnc_external,
        inputs=("graphics",),
    ),
    Field(("vnc-password",), RESTART, "", lambda plan: plan.config.vnc_password, secret=True),
    Field(
        ("protect",),
        LIVE,
        "of `destroy` alone: nodes still come, go and restart as the stack says",
        lambda plan: plan.config.protect,
    ),
    Field(
        ("ready-timeout",),
        LIVE,
        "the next wait is as long",
        lambda plan: plan.config.ready_timeout_s,
        "s",
    ),
    Field(
        ("shutdown-timeout",), LIVE, "the same", lambda plan: plan.config.shutdown_timeout_s, "s"
    ),
)

_SEED = ("cloudinit",)
_INSIDE = (
    "new nodes have it; those that exist restart, as their seed is another one, and stay as they "
    "are inside"
)
ROLE: tuple[Field[NodePlan], ...] = (
    Field(("cpu",), RESTART, "", lambda node: node.vcpus),
    Field(("memory",), RESTART, "", lambda node: node.memory_mib, "MiB"),
    Field(
        ("interfaces", "model", "mac"),
        RESTART,
        "a NIC that stays keeps its MAC and address",
        _nics,
        inputs=("networkInterfaces",),
    ),
    Field(
        ("external_network",),
        RESTART,
        "of a node with a system: its seed says which network gives the default route",
        lambda node: node.route if node.deploy_os else "",
        inputs=_SEED,
    ),
    Field(
        ("provision_network",),
        LIVE,
        "where SSH goes",
        lambda node: node.access if node.deploy_os else "",
    ),
    Field(("disks", "size"), REFUSED, "of nodes that exist: nothing resizes them yet"),
    Field(("preallocation",), REFUSED, "of disks that exist", inputs=("disks",)),
    Field(("bus", "cache"), RESTART, "of a disk", _disks, inputs=("disks",)),
    Field(("deploy_os",), REFUSED, "it would replace their disk", inputs=("bootDevices",)),
    Field(("image_url", "image_sha256"), NEW_NODES, "of the role, and of one disk"),
    Field(("groups",), LIVE, "the inventory alone", lambda node: ", ".join(node.groups)),
    Field(("name",), ELSEWHERE, "other nodes: those of the old name go, with their disks"),
    Field(
        ("user",),
        NEW_NODES,
        "cloud-init makes users once, so SSH goes on to whom a node was made with",
    ),
    Field(("timezone",), RESTART, _INSIDE, lambda node: node.system.timezone, inputs=_SEED),
    Field(("swap",), RESTART, _INSIDE, lambda node: node.system.swap_mib or "", "MiB", _SEED),
    Field(
        ("packages",), RESTART, _INSIDE, lambda node: ", ".join(node.system.packages), inputs=_SEED
    ),
    Field(
        ("bootmode",),
        RESTART,
        "NVRAM is new: what a guest's firmware remembered is gone",
        lambda node: node.machine.firmware,
    ),
    Field(("machine_type",), RESTART, "", lambda node: node.machine.machine, inputs=("machine",)),
    Field(("cpumodel",), RESTART, "", lambda node: " ".join(node.cpu).strip(), inputs=("cpu",)),
    Field(("os_variant",), RESTART, "", lambda node: node.machine.os_variant),
    Field(("devices",), RESTART, "", lambda node: " ".join(node.machine.devices)),
)

LAYOUT: tuple[Field[NetworkPlan], ...] = (
    Field(
        ("cidr",),
        REPLACE,
        "nodes keep their host numbers",
        lambda network: f"{network.gateway} of {network.subnet}" if network.subnet else "",
    ),
    Field(("forward",), REPLACE, "", lambda network: network.forward),
    Field(
        ("dhcp",),
        REPLACE,
        "a node whose host number it does not give any more gets another one",
        _span,
        inputs=("dhcp",),
    ),
    Field(("pool",), REPLACE, "", lambda network: " to ".join(network.pool or ())),
    Field(("ipv6",), REPLACE, "", lambda network: network.subnet6),
    Field(("mtu",), REPLACE, "", lambda network: network.mtu or "", inputs=("mtu",)),
    Field(("domain",), REPLACE, "", lambda network: network.domain),
    Field(("srv",), REPLACE, "", _srvs, inputs=("dnsmasqOptions",)),
    Field(("hosts",), LIVE, "", _hosts),
    Field(("autostart",), LIVE, "", lambda network: network.autostart),
    Field(
        ("nic", "bridge"),
        REPLACE,
        "a NIC that nobody uses any more goes back when the environment does",
        lambda network: f"{network.lan.nic} {network.lan.bridge}".strip() if network.lan else "",
        inputs=("routes",),
    ),
    Field(
        ("allow-dhcp-server",),
        RESTART,
        "",
        lambda network: network.lan.dhcp_server if network.lan else "",
    ),
    Field(("networks",), LIVE, "one more; one less when no node is on it"),
    Field(("nodes",), RESTART, "as `interfaces` and `external_network` of a role"),
)

# What no field of ours sets, but a hand on the hypervisor may, for a refresh to find.
_BY_HAND = {"arch", "emulator", "filesystems", "initrd", "kernel", "video"}


def renewing_domain() -> list[str]:
    """Properties of the plugin's domain whose change makes it anew."""
    fields = [*STACK, *ROLE]
    return sorted(_BY_HAND.union(*(field.inputs for field in fields)))


def renewing_network() -> list[str]:
    """Properties of the plugin's network whose change makes it anew."""
    return sorted(set[str]().union(*(field.inputs for field in LAYOUT)))
