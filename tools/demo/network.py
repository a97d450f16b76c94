"""The machine's side of a container's network: addresses, NAT, forwarding; and their removal."""

import json
import shutil
from pathlib import Path

from tools.demo.addresses import Network, connected_networks, free_index, routed_networks, subnets
from tools.demo.instance import Instance, boot_id, instances
from tools.demo.shell import ToolError, run, succeeds

RUN = Path("/run/metalab-demo")  # of the machine, not of a cache: links and rules are, too
TABLES = "metalab-demo-"  # what the names of all our tables begin with
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def choose_index(instance: Instance, held: int | None) -> int:
    """Pick the index of an instance; the caller holds RUN until its address is on the link.

    Raises:
        ToolError: every index is taken.
    """
    taken = machine_networks()
    for other in instances():
        record = other.record()
        if record and other != instance:
            taken += subnets(record.index)
    index = free_index(instance.name, held, taken)
    if index is None:
        raise ToolError(
            "all of 10.213.1.0/24 to 10.213.254.0/24 is taken on this machine; "
            "remove hypervisors (`tools/hypervisor down --all`) or free one subnet"
        )
    return index


def machine_networks() -> list[Network]:
    """List the subnets of the machine's addresses and routes, both families."""
    found: list[Network] = []
    for family in ("-4", "-6"):
        shown = run("ip", "-j", family, "route", "show", "table", "all") or "[]"
        found += routed_networks(json.loads(shown))
    return [network for network in found if not network.is_multicast and network.prefixlen]


def own_networks() -> list[str]:
    """List the machine's IPv4 subnets; the links of containers are not among them."""
    links = json.loads(run("ip", "-j", "-4", "addr") or "[]")
    outer = [link for link in links if not str(link.get("ifname", "")).startswith("ml")]
    return [str(network) for network in connected_networks(outer)]


def attach(instance: Instance, index: int) -> None:
    """Give the machine's end of the link its addresses, and let the container out through NAT."""
    inner, outer = instance.links
    v4, v6 = subnets(index)
    run("ip", "addr", "replace", f"{v4[1]}/{v4.prefixlen}", "dev", inner)
    # without IPv6 on the machine the container is reached by IPv4 alone
    succeeds("ip", "-6", "addr", "replace", f"{v6[1]}/{v6.prefixlen}", "dev", inner, "nodad")
    run("ip", "link", "set", inner, "up")
    run("ip", "link", "set", outer, "up")
    run("nft", "-f", "-", text_in=nat_rules(instance, v4))
    _forward()


def nat_rules(instance: Instance, subnet: Network) -> str:
    """Write the instance's own table: NAT towards the world, none between containers."""
    table = f"ip {instance.table}"
    return (
        f"table {table}\ndelete table {table}\n"  # so that a second run replaces it
        f"table {table} {{ chain out {{ type nat hook postrouting priority srcnat; "
        f'ip saddr {subnet} oifname != "ml*" masquerade; }}; }}\n'
    )


def detach(instance: Instance) -> None:
    """Take away what `attach` made; the last instance of the machine restores forwarding.

    The container has ended. A link that leads into a living namespace even so belongs to an
    instance of that name in another cache, and so does the table: both stay.
    """
    if not leads_elsewhere(instance.links[0]):
        for link in instance.links:
            remove_stale(link)
        if succeeds("nft", "list", "table", "ip", instance.table):
            run("nft", "delete", "table", "ip", instance.table)
    if f"table ip {TABLES}" not in run("nft", "list", "tables"):
        _restore_forwarding()
        shutil.rmtree(RUN, ignore_errors=True)


def leads_elsewhere(link: str) -> bool:
    """Say whether a link's other end is in another network namespace, and so in use."""
    if not Path(f"/sys/class/net/{link}").exists():
        return False
    shown = json.loads(run("ip", "-j", "link", "show", "dev", link, check=False) or "[]")
    return any("link_netnsid" in entry for entry in shown)


def remove_stale(link: str) -> None:
    """Remove a link if it is there; one that has just gone by itself is fine."""
    succeeds("ip", "link", "delete", link)


def _forward() -> None:
    before = FORWARD.read_text(encoding="ascii").strip()
    if before == "0":
        (RUN / "forwarding-since").write_text(boot_id(), encoding="ascii")
        FORWARD.write_text("1", encoding="ascii")


def _restore_forwarding() -> None:
    """Switch forwarding off again if it was us who switched it on, in this boot."""
    note = RUN / "forwarding-since"
    if note.exists() and note.read_text(encoding="ascii") == boot_id():
        FORWARD.write_text("0", encoding="ascii")
