"""Bridges to the LAN: steps that move a NIC of the host into one, and what guests may send there.

A bridge is shared by all environments of the host that ask for its NIC. Each leaves a file below
BRIDGES_DIR; the last one that leaves gives the NIC back, whoever else still uses the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from shlex import quote

from lab.bridging import FILTER
from lab.host.nic_ways import WAYS
from lab.host.records import DONE_DIR, UNDO_TIMEOUT_S, slug
from lab.host.session import VIRSH
from lab.host.step import HostStep
from lab.plans import LanPlan, NetworkPlan
from lab.storage import BRIDGES_DIR, PREFIXES_DIR

CONFIRM_S = 30  # a DHCP server and a new login through jump hosts need some of it
ARRIVE_S = 15  # for the host's addresses to stand on the bridge

# Servers send from these ports, whatever else they do.
_RULE = "<rule action='drop' direction='out' priority='100'>{0}</rule>"
_FILTER_XML = (
    f"<filter name='{FILTER}' chain='root'>"
    + _RULE.format("<ip protocol='udp' srcportstart='67'/>")
    + _RULE.format("<ipv6 protocol='udp' srcportstart='547'/>")
    + "</filter>"
)

# The host is where it was as far as IPv4 goes once the bridge has what the NIC had. Whether those
# who reach it by IPv6 still do so, the new connection shows.
_BEFORE = r"""set -e; mac=$(cat /sys/class/net/$nic/address)
addresses() { ip -o -4 addr show dev $1 scope global | sed 's/.* inet \([^ ]*\) .*/\1/'; }
gateways() { ip -4 route show default dev $1 | sed 's/ \(proto\|src\|metric\) .*//'; }
had=$(addresses $nic; gateways $nic)"""
_AFTER = f"""left={ARRIVE_S * 10}
missing() {{ printf '%s\\n' "$had" | grep -vxF "$(addresses $bridge; gateways $bridge)"; }}
until [ -e /sys/class/net/$bridge/brif/$nic ] && [ -z "$(missing)" ]; do
  left=$((left - 1)); sleep 0.1
  [ $left -gt 0 ] || {{ echo "$bridge did not get what $nic had:" $(missing) >&2; exit 1; }}
done"""

# Nobody's files say whether it was up, where nobody has it.
_REMEMBER = r"""state=down; [ $(($(cat /sys/class/net/$nic/flags) & 1)) = 0 ] || state=up
echo "ip link set $nic $state" """


def bridge_steps(prefix: str, networks: Iterable[NetworkPlan]) -> tuple[HostStep, ...]:
    """List what the bridged networks of an environment need: for most environments nothing."""
    lans = [network.lan for network in networks if network.lan]
    filtered = [_filter_step()] if any(not lan.dhcp_server for lan in lans) else []
    return (*filtered, *(step for lan in lans if lan.nic for step in _steps(prefix, lan)))


def _filter_step() -> HostStep:
    there = f"{VIRSH} nwfilter-dumpxml {FILTER} >/dev/null 2>&1"
    return HostStep(
        name="keep guests from serving DHCP to the LAN",
        probe=there,
        commands=(
            # Where each driver has a daemon of its own, this one has its socket, too.
            f"{VIRSH} nwfilter-list >/dev/null 2>&1 || systemctl enable --now virtnwfilterd.socket",
            f"printf '%s' {quote(_FILTER_XML)} | {VIRSH} nwfilter-define /dev/stdin",
        ),
        # A domain that is not metalab's may have come to use it.
        undo=(f"! {there} || {VIRSH} nwfilter-undefine {FILTER} || :",),
    )


def _steps(prefix: str, lan: LanPlan) -> Iterator[HostStep]:
    names = f"nic={lan.nic}; bridge={lan.bridge}"
    way = WAYS[lan.manager]
    move = HostStep(
        name=f"move {lan.nic} into the bridge {lan.bridge}",
        probe=f"[ -e /sys/class/net/{lan.bridge}/brif/{lan.nic} ]",
        commands=(f"{names}\n{_BEFORE}\n{way.move}\n{_AFTER}",),
        undo=(names, way.undo),
        remember=f"{names}\n{_REMEMBER}\n{way.remember}",
        timeout_s=CONFIRM_S,
        confirm_within_s=CONFIRM_S,
    )
    yield _use_step(prefix, lan.bridge, move)
    yield move
    yield HostStep(
        name=f"keep the bridge {lan.bridge} over a boot",
        probe=f"{names}\n{way.kept}",
        commands=(f"{names}; set -e\n{way.keep}",),
    )


def _use_step(prefix: str, bridge: str, move: HostStep) -> HostStep:
    """The first one: from then on no other environment that leaves takes the bridge away."""
    users = f"{BRIDGES_DIR}/{bridge}"
    return HostStep(
        name=f"use the bridge {bridge}",
        probe=f"[ -e {users}/{prefix} ]",
        commands=(
            f"install -d -m 700 {BRIDGES_DIR} {users}; echo {slug(move)} > {users}/.move; "
            f": > {users}/{prefix}",
        ),
        scope="prefix",
    )


def leave_bridges(prefix: str) -> str:
    """Shell that gives back the NICs that only this environment had in bridges; else it exits 1.

    Whether it has them still by its steps, or had them before its layout was another one.
    """
    return f"""for users in {BRIDGES_DIR}/*/; do
  [ -e $users.move ] || continue
  rm -f ${{users}}{prefix}; used=
  for user in $(ls $users); do [ ! -e {PREFIXES_DIR}/$user ] || used=yes; done
  [ -z "$used" ] || continue
  for record in $(ls {DONE_DIR}/[0-9][0-9]-$(cat $users.move) 2>/dev/null); do
    timeout -k 5 {UNDO_TIMEOUT_S} sh -e $record </dev/null 9>&- \\
      || {{ echo "@@metalab undo ${{record##*/}} $?"; exit 1; }}
    rm -f $record
  done
  rm -rf $users
done"""
