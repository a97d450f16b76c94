"""Where a node is whose address comes from the LAN: its agent says, or its neighbours know."""

from __future__ import annotations

from shlex import quote

from lab.host.session import VIRSH

_AT_ONCE = 256  # addresses of one sweep; the kernel remembers 1024 neighbours at most
_KNOWN = ("REACHABLE", "DELAY", "PROBE", "STALE")  # states of a neighbour, the surest first
# Asked by ARP, through the kernel's own table of neighbours; only where the host is on that LAN.
_SWEEP = """ip -o -4 addr show dev {bridge} scope global | awk -v turn={turn} '{{
  split($4, at, "/"); split(at[1], byte, ".")
  own = ((byte[1] * 256 + byte[2]) * 256 + byte[3]) * 256 + byte[4]
  size = 2 ^ (32 - at[2]); first = own - own % size
  start = first + {count} * (turn % (size > {count} ? size / {count} : 1))
  for (i = start; i < start + {count} && i < first + size; i++) if (i != own)
    print "neigh replace " int(i / 16777216) "." int(i / 65536) % 256 "." int(i / 256) % 256 \\
      "." i % 256 " dev {bridge} use" }}' | ip -force -batch - 2>/dev/null; sleep 0.5"""


def find_script(*, domain: str, mac: str, bridge: str, turn: int) -> str:
    """Shell that prints what the host can tell of a node's address; it changes nothing.

    Args:
        domain: the node's.
        mac: of its NIC on the LAN.
        bridge: that the LAN is on.
        turn: how often it was asked before: a wide LAN is swept in parts.
    """
    known = "|".join(_KNOWN)
    sweep = _SWEEP.format(bridge=bridge, turn=turn, count=_AT_ONCE)
    return f"""timeout 5 {VIRSH} domifaddr {quote(domain)} --source agent 2>/dev/null
n() {{ ip -4 neigh show dev {bridge}; }}
n | grep -E ' {mac} .*({known})' >/dev/null || {{ {sweep}; }}
n; exit 0"""


def read_address(text: str, mac: str) -> str:
    """The address in what find_script printed; empty: nobody knows it yet."""
    found: dict[int, str] = {}
    for words in map(str.split, text.splitlines()):
        if mac not in words:
            continue
        if "ipv4" in words:  # eth2  52:54:00:00:00:01  ipv4  192.0.2.7/24
            found[-1] = words[-1].partition("/")[0]
        elif words[-1] in _KNOWN:  # 192.0.2.7 lladdr 52:54:00:00:00:01 REACHABLE
            found[_KNOWN.index(words[-1])] = words[0]
    return found[min(found)] if found else ""
