"""Names, UUIDs and MAC addresses: all of them follow from (prefix, name), none from a position."""

from __future__ import annotations

import hashlib
import re
from uuid import NAMESPACE_URL, uuid5

PREFIX = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?")
PREFIX_FORM = "1 to 32 of a-z, 0-9 and hyphens, a letter first and no hyphen last"
ROLE = re.compile(r"[a-z](?:[a-z0-9-]{0,14}[a-z0-9])?")
ROLE_FORM = "1 to 16 of a-z, 0-9 and hyphens, a letter first and no hyphen last"
ROLE_FILE = re.compile(r"[a-z](?:[a-z0-9_-]{0,30}[a-z0-9_])?")  # the predecessor's have underscores
ROLE_FILE_FORM = "1 to 32 of a-z, 0-9, _ and hyphens, a letter first and no hyphen last"
NETWORK = ROLE  # the same form; the bridge is shortened when the kernel's limit asks for it
NAME_FORM = f"a name of {ROLE_FORM}"
DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")  # of the host; no shell stumbles over it
DEVICE_FORM = "the name of a network interface of the host, such as eth1"
BRIDGE_LENGTH = 15  # the kernel's IFNAMSIZ less the closing zero
OWNER_NAMESPACE = "https://metalab.dev/libvirt/1"  # of our element in <metadata>; state contract
_NAMESPACE = uuid5(NAMESPACE_URL, OWNER_NAMESPACE)  # state contract: never changes


def node_name(role: str, index: int) -> str:
    """A node within its environment, such as `compute-2`."""
    return f"{role}-{index}"


def slot(name: str, nth: int) -> str:
    """The nth of several NICs on one network, by that of the network or of the node: `data.2`.

    No name has a dot, and the first one goes without: most nodes have one NIC on each network.
    """
    return f"{name}.{nth}" if nth > 1 else name


def split_slot(name: str) -> tuple[str, int]:
    """What `slot` was made of."""
    stem, dot, nth = name.partition(".")
    return stem, int(nth) if dot else 1


def split_node_name(name: str) -> tuple[str, int] | None:
    """The role and index of a node's name; None when it is not one."""
    match = re.fullmatch(r"(.+)-(0|[1-9]\d*)", name)
    return (match[1], int(match[2])) if match else None


def node_order(name: str) -> tuple[str, int, int]:
    """Sorts `compute-2` before `compute-10`, and both before `compute-10.2`."""
    node, nth = split_slot(name)
    role, index = split_node_name(node) or (name, -1)
    return role, index, nth


def host_name(prefix: str, name: str) -> str:
    """What a domain or network is called on the hypervisor, such as `foo-compute-2`."""
    return f"{prefix}-{name}"


def domain_uuid(prefix: str, node: str) -> str:
    """The UUID that a node keeps through every replacement of its domain."""
    return str(uuid5(_NAMESPACE, f"{prefix}/{node}"))


def wwn(uuid: str, target: str) -> str:
    """The world-wide name of a disk on SCSI: 16 hexadecimal digits."""
    return f"05abcd{_digest(uuid, target)[:10]}"


def bridge(prefix: str, network: str) -> str:
    """The Linux bridge of a network: its name where the kernel takes it, else a stem and a hash."""
    full = host_name(prefix, network)
    if len(full) <= BRIDGE_LENGTH:
        return full
    stem = full[: BRIDGE_LENGTH - 6].rstrip("-")
    return f"{stem}-{_digest(prefix, network)[:5]}"


def nic_bridge(nic: str) -> str:
    """The bridge that one of the host's NICs goes into: all environments there share it."""
    full = f"br-{nic}"
    return full if len(full) <= BRIDGE_LENGTH else f"br-{nic[:6]}-{_hash(nic)[:5]}"


def lan_mac(host: str, prefix: str, nic: str) -> str:
    """The MAC of a NIC that shows on a LAN: 52 and five bytes of whose it is.

    On the LAN it meets those of other hypervisors, where an environment may bear the same name.

    Args:
        host: the hypervisor's name and address; either alone others may have, too.
        prefix: the environment.
        nic: the node and its slot: "compute-2/external", "compute-2/external.2".
    """
    digits = f"52{_hash(f'{host}/{prefix}/{nic}')[:10]}"
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def mac(prefix: str, network: str, number: int) -> str:
    """The MAC of a host number on a network: 52, three bytes of the network, two of the number.

    0x52 marks a locally administered unicast address. Two networks share their three bytes once in
    16 million; lab.rules looks for it.
    """
    network_bytes = _digest(prefix, network)[:6]
    digits = f"52{network_bytes}{number:04x}"
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def _digest(prefix: str, network: str) -> str:
    return _hash(f"{prefix}/{network}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
