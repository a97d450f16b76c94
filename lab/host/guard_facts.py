"""What guards a hypervisor: the part of the fact script that asks, and its reading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lab.facts import ChainFact, GuardFacts

# firewalld's own chains accept by policy and reject by their last rule: its zones tell, not they.
# A host with thousands of rules shows them slowly; what is of no use here is left out there.
GUARD_SCRIPT = """s guards
if [ -r /sys/fs/selinux/enforce ]; then echo "selinux $(cat /sys/fs/selinux/enforce)"; fi
if grep -qx Y /sys/module/apparmor/parameters/enabled; then echo apparmor; fi
i=$(readlink -f /var/lib/libvirt/images); [ ! -d "$i" ] || stat -c 'images %C %n' "$i"
if [ "$(systemctl is-active firewalld)" = active ]; then echo firewalld; fi
for z in /etc/firewalld/zones/libvirt.xml /usr/lib/firewalld/zones/libvirt.xml; do
  if [ -f $z ]; then echo zone; fi
done
if grep -qx ENABLED=yes /etc/ufw/ufw.conf; then echo ufw; fi
s rules
timeout 10 nft list ruleset | grep -E '^table|chain |hook |(accept|jump|goto|vmap)( |$)'"""

_TABLE = re.compile(r"table (\S+ \S+) ")
_CHAIN = re.compile(r"\s*chain (\S+) ")
_DROPS = re.compile(r"\s*type filter hook (input|forward) .*policy drop;")
_ON = re.compile(r"(?:jump|goto) (\S+)")
_IN = re.compile(r'\biif(?:name)? (?:\{ ([^}]*) \}|"([^"]*)")')
_DHCP = re.compile(r"\bdport (?:\{[^}]*\b(?:67|bootps)\b[^}]*\}|67\b|bootps\b)")
# What says for certain that a packet of another kind is meant.
_OTHER = {
    "input": re.compile(
        r"\bct state|\bicmp|\bmeta l4proto tcp|\b(?:tcp|udp|th) [sd]port|\bip6? [sd]addr|\boifname"
    ),
    "forward": re.compile(r"\bct state|\bicmp"),
}


def read_guards(lines: list[str], rules: list[str]) -> GuardFacts:
    """Read what GUARD_SCRIPT printed below its two marks."""
    said = {word: rest for word, _, rest in (line.partition(" ") for line in lines)}
    label, _, path = said.get("images", "").partition(" ")
    context = label.split(":")
    tables = _tables(rules)
    return GuardFacts(
        selinux={"1": "enforcing", "0": "permissive"}.get(said.get("selinux", ""), ""),
        apparmor="apparmor" in said,
        images_path=path,
        images_type=context[2] if len(context) > 2 else "",  # noqa: PLR2004 - user:role:type
        firewalld="firewalld" in said,
        libvirt_zone="zone" in said,
        ufw="ufw" in said,
        libvirt_nftables="ip libvirt_network" in tables,
        dropping=tuple(
            ChainFact(
                table=table,
                name=name,
                hook=drops[1],
                admits=tuple(sorted(_admits(chains, name, drops[1]))),
            )
            for table, chains in tables.items()
            if table.startswith(("ip ", "inet "))  # a lab speaks IPv4
            for name, body in chains.items()
            for drops in [next(filter(None, map(_DROPS.match, body)), None)]
            if drops
        ),
    )


def _tables(rules: list[str]) -> Mapping[str, Mapping[str, list[str]]]:
    """The lines of each chain of each table: {"inet filter": {"input": [...]}}."""
    tables: dict[str, dict[str, list[str]]] = {}
    chains: dict[str, list[str]] = {}
    body: list[str] = []
    for line in rules:
        if table := _TABLE.match(line):
            chains = tables.setdefault(table[1], {})
        elif chain := _CHAIN.match(line):
            body = chains.setdefault(chain[1], [])
        else:
            body.append(line)
    return tables


def _admits(chains: Mapping[str, list[str]], start: str, hook: str) -> set[str]:
    """Interfaces from which a chain, or one that it leads to, may accept what a lab sends."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for line in chains.get(name, []):
            onward = None if " vmap " in line else _ON.search(line)
            if onward:
                waiting.append(onward[1])
            elif not line.startswith("type "):
                found.update(_interfaces(line, hook))
    return found


def _interfaces(line: str, hook: str) -> Iterator[str]:
    """Whom a rule accepts something from; "*" where that cannot be told for certain.

    Better to say nothing of a host that drops than to refuse one that does not.
    """
    if seen := _IN.search(line):
        yield from (name.strip(' "') for name in (seen[1] or seen[2]).split(","))
    elif _DHCP.search(line) or not _OTHER[hook].search(line):
        yield "*"
