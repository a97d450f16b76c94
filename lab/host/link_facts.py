"""The host's own network: the part of the fact script that asks, and its reading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lab.facts import LinkFact, LinkFacts
from lab.host.kvm_facts import said
from lab.storage import BRIDGES_DIR

# A host with hundreds of guests has hundreds of taps; they are passed over without a process each.
LINK_SCRIPT = f"""s links
for l in /sys/class/net/*; do
  n=${{l##*/}}; [ "$n" != lo ] && [ -d $l/. ] && [ ! -e $l/tun_flags ] || continue
  read -r i <$l/ifindex; o=; [ ! -d $l/bridge ] || o=" bridge"
  [ ! -e $l/wireless ] && [ ! -e $l/phy80211 ] || o="$o wireless"
  [ ! -e $l/master ] || {{ m=$(readlink $l/master); o="$o master=${{m##*/}}"; }}
  for u in $l/upper_*; do [ ! -e $u ] || o="$o above=${{u##*/upper_}}"; done
  echo "link $i $n$o"
done
grep -l '^NETWORK_FILE=' /run/systemd/netif/links/* | sed 's|.*/|networkd |'
sed 's/=.*//; s/^/ifupdown /' /run/network/ifstate
if [ "$(systemctl is-active systemd-networkd)" = active ]; then echo manager networkd; fi
if [ "$(systemctl is-active NetworkManager)" = active ]; then
  echo manager NetworkManager
  LC_ALL=C timeout 10 nmcli -t -f STATE,DEVICE device | sed 's/^/nm /'
fi
if command -v ifup >/dev/null && [ -e /etc/network/interfaces ]; then echo manager ifupdown; fi
ip -o -6 addr show scope global | sed 's/^[0-9]*: \\([^ @]*\\).*/addressed \\1/'
ip -o -6 route show default | sed 's/.* dev \\([^ ]*\\).*/default6 \\1/'
ls {BRIDGES_DIR} | sed 's/^/moved /'
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then echo rollback; fi
if grep -qx 1 /proc/sys/net/bridge/bridge-nf-call-iptables; then echo filtered; fi"""

_LINK = re.compile(r"link (\d+) (\S+)(.*)")
_UNMANAGED = ("unmanaged:", "connected (externally):")


def read_links(lines: list[str], addresses: Iterable[str], routes: Iterable[str]) -> LinkFacts:
    """Read what LINK_SCRIPT printed below its mark.

    Args:
        lines: of it.
        addresses: as `ip -o -4 addr` shows them.
        routes: as `ip -o -4 route` does: of several default routes the first one counts.
    """
    managers = tuple(said(lines, "manager"))
    owners = {manager: set(said(lines, manager)) for manager in managers}
    managed = [line for line in said(lines, "nm") if not line.startswith(_UNMANAGED)]
    owners["NetworkManager"] = {line.rpartition(":")[2] for line in managed}
    addressed = {*said(lines, "addressed"), *_devices(addresses, r"\d+: ([^ @]+).* scope global")}
    found = filter(None, map(_LINK.fullmatch, lines))
    links = [_link(match, owners, addressed) for match in found]
    mains = [*_devices(routes, r"default .*?\bdev (\S+)"), *said(lines, "default6")]
    return LinkFacts(
        links={link.name: link for link in links},
        main=next(iter(mains), ""),
        managers=managers,
        moved=frozenset(said(lines, "moved")),
        rollback="rollback" in lines,
        filtered="filtered" in lines,
    )


def _link(match: re.Match[str], owners: Mapping[str, set[str]], addressed: set[str]) -> LinkFact:
    index, name, words = match[1], match[2], match[3].split()
    above = [word.removeprefix("above=") for word in words if word.startswith("above=")]
    masters = [word.removeprefix("master=") for word in words if word.startswith("master=")]
    return LinkFact(
        name=name,
        bridge="bridge" in words,
        wireless="wireless" in words,
        addressed=name in addressed,
        master=next(iter(masters), ""),
        above=tuple(above),
        manager=next((who for who, theirs in owners.items() if theirs & {index, name}), ""),
    )


def _devices(lines: Iterable[str], form: str) -> list[str]:
    return [seen[1] for seen in map(re.compile(form).match, lines) if seen]
