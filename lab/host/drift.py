"""One look at all that belongs to an environment, for lab.drift to compare with its plan."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Interface
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

from lab.config import StackConfig
from lab.drift import DomainSeen, Drift, NetworkSeen, Seen, VolumeSeen, drift
from lab.errors import LabError, Problem, refuse
from lab.facts import HostFacts
from lab.host.distributions import check_os
from lab.host.facts import OWNER_TAG, look, parse_xml
from lab.host.leases import claim
from lab.host.lock import Progress
from lab.host.operator import survey
from lab.host.runner import converge
from lab.host.session import VIRSH
from lab.host.shell import Gateway, Shell, connect
from lab.host.step import HostStep
from lab.host.steps import steps_for
from lab.host.users import authorize_steps
from lab.images import load_lab
from lab.lease import Lease
from lab.plan import plan_lab
from lab.plans import LabPlan
from lab.storage import LOG_DIR, PREFIXES_DIR, pool_path

_MARK = "@@metalab"
_VIRSH = f'virsh() {{ command {VIRSH} "$@"; }}'  # how lab.drift's words reach libvirt
LOOK_TIMEOUT_S = 300  # hundreds of domains


def find_drift(config: StackConfig, *, mend: bool, progress: Progress) -> tuple[Drift, ...]:
    """Compare an environment with what its stack's file and its lease say.

    Args:
        config: of the stack.
        mend: repair what can be repaired on the host itself, and look again.
        progress: told what is repaired.

    Raises:
        LabError: no connection, no facts, or a stack's file that makes no plan.
        RuntimeError: a step of the preparation failed.
    """
    topology, image = load_lab(config)
    with connect(config.hypervisor) as shell:
        facts = look(shell)
        refuse(check_os(facts, config.hypervisor.address))
        plan = plan_lab(config, topology, image, facts)
        lease = facts.leases.get(plan.prefix)
        steps = _steps(plan, facts, lease, shell.user)
        found = _compare(plan, lease, steps, shell)
        if mend and found:
            _mend(plan, steps, found, shell, progress)
            lease = _claim_anew(plan, lease, shell, progress)
            found = _compare(plan, lease, steps, shell)
    return found


def _steps(plan: LabPlan, facts: HostFacts, lease: Lease | None, user: str) -> tuple[HostStep, ...]:
    """Those of the preparation, and the lab's own key, which the lease bears."""
    keys = authorize_steps(plan.prefix, user, lease.owner) if lease and lease.owner else ()
    return (*steps_for(plan, facts), *keys)


def _compare(
    plan: LabPlan, lease: Lease | None, steps: Sequence[HostStep], shell: Gateway
) -> tuple[Drift, ...]:
    true, _ = survey(steps, shell)
    untrue = [step.name for step, holds in zip(steps, true, strict=True) if not holds]
    claimed = lease is not None and lease.digest == plan.lease.digest
    seen = see(plan, shell)
    return drift(plan, replace(seen, lease=lease is not None, claimed=claimed, untrue=untrue))


def _mend(
    plan: LabPlan,
    steps: Sequence[HostStep],
    found: Sequence[Drift],
    shell: Gateway,
    progress: Progress,
) -> None:
    again = partial(connect, plan.config.hypervisor)
    if any(one.where == "host" for one in found):
        result = converge(steps, shell, prefix=plan.prefix, progress=progress, again=again)
        if result.failure:
            raise RuntimeError(result.failure)
    for one in found:
        if one.mend:
            outcome = shell.run(f"{_VIRSH}\n{one.mend}")
            said = "repaired" if outcome.ok else f"not repaired: {outcome.tail}"
            progress(f"{one.where}: {one.kind}: {said}")


def _claim_anew(
    plan: LabPlan, lease: Lease | None, shell: Shell, progress: Progress
) -> Lease | None:
    """Put the lease right. One that is gone stays so: whose it was only the state knows."""
    if lease is None or replace(lease, owner="") == plan.lease:
        return lease
    wanted = replace(plan.lease, owner=lease.owner)
    claim(wanted, shell, memory_limit_mib=plan.memory_limit_mib, progress=progress)
    progress("host: lease: repaired")
    return wanted


def see(plan: LabPlan, shell: Shell) -> Seen:
    """Look at what the plan names, in one round trip that changes nothing.

    Raises:
        LabError: no answer, or one that cannot be understood.
    """
    outcome = shell.run(_script(plan), timeout_s=LOOK_TIMEOUT_S)
    reason = f"exit {outcome.exit_code}: {outcome.tail}"
    if f"{_MARK} end" in outcome.stdout:
        try:
            return _parse(outcome.stdout)
        except (ValueError, KeyError, AttributeError, ET.ParseError) as error:
            reason = str(error)
    got, step = f"facts that make no sense ({reason})", "Log in and look whether libvirt works"
    raise LabError([Problem(shell.address, got, "a list", "host-facts", step)])


def _script(plan: LabPlan) -> str:
    domains = " ".join(node.name for node in plan.nodes.values())
    networks = " ".join(network.name for network in plan.networks)
    return f"""v() {{ {VIRSH} "$@" 2>/dev/null; }}
m() {{ printf '\\n{_MARK} %s\\n' "$*"; }}
! [ -d {LOG_DIR} -a -w {LOG_DIR} ] || m logs
[ ! -f {PREFIXES_DIR}/{plan.prefix} ] || m marker
command -v virsh >/dev/null || {{ m end; exit 0; }}
m pool "$(v pool-info {plan.pool} | sed -n 's/^State: *//p')"
for d in {domains}; do
  v dominfo $d >/dev/null || continue
  m domain "$(v domstate $d)/$(v dominfo $d | sed -n 's/^Autostart: *//p')"
  v dumpxml --inactive $d
done
for n in {networks}; do
  i=$(v net-info $n) || continue
  b=$(printf '%s\\n' "$i" | sed -n 's/^Bridge: *//p')
  up=$(ip -o link show dev "${{b:-none}}" 2>/dev/null | grep -c '[<,]UP[,>]')
  m network "$(printf '%s\\n' "$i" | sed -n 's/^A[a-z]*: *//p' | tr '\\n' '/')$up"
  v net-dumpxml --inactive $n
done
for f in {pool_path(plan.prefix)}/*; do
  [ -f "$f" ] || continue
  m volume "${{f##*/}}"; qemu-img info -U --output=json "$f" 2>/dev/null || echo '{{}}'
done
m end"""


@dataclass(slots=True)
class _Section:
    kind: str
    words: str
    body: str = ""


def _parse(text: str) -> Seen:
    sections = list(_sections(text))
    kinds = {section.kind for section in sections}
    pools = [section.words for section in sections if section.kind == "pool"]
    return Seen(
        domains=dict(_domain(each) for each in sections if each.kind == "domain"),
        networks=dict(_network(each) for each in sections if each.kind == "network"),
        volumes=dict(_volume(each) for each in sections if each.kind == "volume"),
        pool="".join(pools),
        logs_writable="logs" in kinds,
        marker="marker" in kinds,
    )


def _sections(text: str) -> Iterator[_Section]:
    section = None
    for line in text.splitlines():
        if seen := re.fullmatch(rf"{_MARK} (\w+) ?(.*)", line):
            if section:
                yield section
            section = _Section(seen[1], seen[2])
        elif section:
            section.body += line + "\n"
    if section:
        yield section


def _domain(section: _Section) -> tuple[str, DomainSeen]:
    xml = parse_xml(section.body)
    state, _, autostart = section.words.partition("/")
    return xml.findtext("name", ""), DomainSeen(
        uuid=xml.findtext("uuid", ""),
        state=state,
        autostart=autostart.startswith("enable"),
        owner=_get(xml, f"metadata/{OWNER_TAG}", "prefix"),
        kind=xml.get("type", ""),
        memory_kib=int(xml.findtext("memory", "0")),
        vcpus=int(xml.findtext("vcpu", "0")),
        cpu=_get(xml, "cpu", "mode"),
        boot=tuple(boot.get("dev", "") for boot in xml.findall("os/boot")),
        nics=dict(map(_nic, xml.findall("devices/interface"))),
        disks=dict(map(_disk, xml.findall("devices/disk"))),
        console=_get(xml, "devices/serial/source", "path"),
        listen=_get(xml, "devices/graphics", "listen"),
    )


def _nic(xml: ET.Element) -> tuple[str, tuple[str, str]]:
    place = _get(xml, "source", "network") or _get(xml, "source", "bridge")
    return _get(xml, "mac", "address").lower(), (place, _get(xml, "filterref", "filter"))


def _disk(xml: ET.Element) -> tuple[str, str]:
    return _get(xml, "target", "dev"), _get(xml, "source", "file")


def _network(section: _Section) -> tuple[str, NetworkSeen]:
    xml = parse_xml(section.body)
    active, autostart, up = section.words.split("/")
    ips = [ip for ip in xml.findall("ip") if ip.get("family", "ipv4") == "ipv4"]
    ranges = [each for ip in ips for each in ip.findall("dhcp/range")]
    return xml.findtext("name", ""), NetworkSeen(
        active=active == "yes",
        autostart=autostart == "yes",
        owner=_get(xml, f"metadata/{OWNER_TAG}", "prefix"),
        bridge=_get(xml, "bridge", "name"),
        forward=_get(xml, "forward", "mode") or "none",
        address="".join(map(_address, ips)),
        hosts=frozenset(
            (host.get("mac", ""), host.get("ip", ""))
            for ip in ips
            for host in ip.findall("dhcp/host")
        ),
        span=next(((each.get("start", ""), each.get("end", "")) for each in ranges), None),
        names=frozenset(
            (host.get("ip", ""), name.text or "")
            for host in xml.findall("dns/host")
            for name in host.findall("hostname")
        ),
        mtu=int(_get(xml, "mtu", "size") or 0),
        domain=_get(xml, "domain", "name"),
        up=up != "0",
    )


def _address(ip: ET.Element) -> str:
    return str(IPv4Interface(f"{ip.get('address')}/{ip.get('prefix') or ip.get('netmask')}"))


def _volume(section: _Section) -> tuple[str, VolumeSeen]:
    info: dict[str, Any] = json.loads(section.body)
    base = PurePosixPath(info.get("backing-filename", "")).name
    size = int(info.get("virtual-size", 0))
    return section.words, VolumeSeen(size=size, kind=info.get("format", ""), base=base)


def _get(xml: ET.Element, path: str, attribute: str) -> str:
    found = xml.find(path)
    return "" if found is None else found.get(attribute, "")
