"""Switch domains off before they are deleted, so that their guests can write what they hold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote

from lab.config import HypervisorSpec
from lab.host.session import VIRSH, Outcome
from lab.host.shared import borrow
from lab.host.shell import Shell
from lab.host.together import Together
from lab.storage import LOG_DIR, console_log

_AT_ONCE = 16  # virsh at a time, as many as the engine: the end of a QEMU is mostly waited for
_LOOK_TIMEOUT_S = 60
_GATHER_S = 0.05  # in which the engine asks for the ends of all nodes that it ends at once
_ABSENT, _FOREIGN, _OFF, _IDLE, _ASKED = (
    "absent",
    "foreign",
    "off already",
    "off at once",
    "shut down",
)
_LATE, _ON = "@@metalab late", "@@metalab on"
_SHUT_OFF = "state.state=5"  # VIR_DOMAIN_SHUTOFF


def power_off(shell: Shell, domains: Mapping[str, str], *, timeout_s: int) -> dict[str, str]:
    """Switch domains off, all at once, and remove their logs; they stay defined.

    Two round trips, however many they are. A guest that has not written to a disk since power-on
    has nothing to lose and is switched off at once; the others are asked by ACPI and get
    `timeout_s` to comply.

    Args:
        shell: of the hypervisor.
        domains: their UUIDs, by name. One of a name with another UUID is not ours, and left alone.
        timeout_s: seconds for the guests' own shutdown.

    Returns:
        How each ended, by name: "absent", "foreign", "off already", "off at once", "shut down",
        "switched off after N s"; or "failed: ..." with the reason.
    """
    if not domains:
        return {}
    look = shell.run(_look(domains), timeout_s=_LOOK_TIMEOUT_S)
    if not look.ok:
        return dict.fromkeys(domains, _failed(look))
    ends = {name: _end(look.stdout, name, uuid) for name, uuid in domains.items()}
    act = shell.run(_act(domains, ends, timeout_s), timeout_s=timeout_s + _LOOK_TIMEOUT_S)
    if not act.ok:
        return dict.fromkeys(domains, _failed(act))
    for name, uuid in domains.items():
        if uuid in _heard(act, _ON):
            ends[name] = "failed: the domain is still on"
        elif uuid in _heard(act, _LATE):
            ends[name] = f"switched off after {timeout_s} s"
    return ends


def _heard(outcome: Outcome, mark: str) -> list[str]:
    """The UUIDs that follow a mark."""
    said = re.search(rf"^{mark} (.*)$", outcome.stdout, re.MULTILINE)
    return said[1].split() if said else []


def _failed(outcome: Outcome) -> str:
    return f"failed: {outcome.tail or f'exit {outcome.exit_code}'}"


def _look(domains: Iterable[str]) -> str:
    """One virsh for all. It goes on after a domain that is not there; "uri" ends it well."""
    each = (f"domuuid {name}; domstats --state --block {name}" for name in map(quote, domains))
    return f"command -v virsh >/dev/null || exit 0\n{VIRSH} {quote('; '.join((*each, 'uri')))}"


def _end(seen: str, name: str, uuid: str) -> str:
    """How a domain is to end, by what was seen of all of them."""
    _, found, its = seen.partition(f"Domain: '{name}'\n")
    if uuid not in seen.split("\n"):
        return _FOREIGN if found else _ABSENT
    its = its.partition("Domain: ")[0]
    if _SHUT_OFF in its:
        return _OFF
    # Who did not answer for its disks may have written to them.
    idle = "state.state=" in its and not re.search(r"\.wr\.bytes=[1-9]", its)
    return _IDLE if idle else _ASKED


def _act(domains: Mapping[str, str], ends: Mapping[str, str], timeout_s: int) -> str:
    """End some and ask others, end those that are late, and say which are still on."""
    idle, asked = (
        " ".join(domains[name] for name, end in ends.items() if end == which)
        for which in (_IDLE, _ASKED)
    )
    clean = "\n".join(
        f"case $still in *{domains[name]}*) ;; *) clean {quote(name)} ;; esac"
        for name, end in ends.items()
        if end != _FOREIGN
    )
    return f"""still=
{_switch(idle, asked, timeout_s) if idle or asked else ""}
clean() {{  # exact names: a glob for compute-1 would take compute-10's
  for log in "{LOG_DIR}/$1.log" "{console_log("$1")}"; do rm -f "$log" "$log".[0-9]; done
}}
{clean}
echo {_ON} $still"""


def _switch(idle: str, asked: str, timeout_s: int) -> str:
    ask = "; ".join(f"shutdown {uuid}" for uuid in asked.split())
    return f"""off() {{ echo "$@" | xargs -r -n 1 -P {_AT_ONCE} {VIRSH} destroy >/dev/null; }}
on() {{
  active=$({VIRSH} list --uuid) || exit 1
  for uuid; do case $active in *$uuid*) echo "$uuid" ;; esac; done
}}
off {idle} &
late={quote(asked)}; left={int(timeout_s) * 5}
[ -z "$late" ] || {VIRSH} {quote(ask)} >/dev/null
while [ -n "$late" ] && [ $left -gt 0 ]; do
  left=$((left - 1)); sleep 0.2; late=$(on $late) || exit 1
done
off $late; wait
still=$(on {idle} {asked}) || exit 1
echo {_LATE} $late"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Off:
    """One of many domains of a lab that are to be switched off, and where it is."""

    spec: HypervisorSpec
    domain: str
    uuid: str
    timeout_s: int


def _each_host(asked: Iterable[Off]) -> dict[Off, str]:
    hosts = defaultdict[tuple[HypervisorSpec, int], list[Off]](list)
    for one in asked:
        hosts[one.spec, one.timeout_s].append(one)
    ends = dict[Off, str]()
    for (spec, timeout_s), of_it in hosts.items():
        with borrow(spec) as shell:
            ended = power_off(shell, {one.domain: one.uuid for one in of_it}, timeout_s=timeout_s)
        ends |= {one: ended[one.domain] for one in of_it}
    return ends


_TOGETHER = Together(_each_host, gather_s=_GATHER_S)


def switch_off(one: Off) -> str:
    """Switch off a domain, together with those that other threads ask for at the same moment.

    Returns:
        How it ended; see power_off.

    Raises:
        LabError: there is no connection; see lab.host.shell.connect.
    """
    return _TOGETHER.ask(one)
