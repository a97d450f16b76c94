"""Objects that a killed run made and the engine never recorded: out of the way of the next."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote

from lab.errors import LabError, Problem
from lab.host.forgotten import FORGET_BRIDGE
from lab.host.power import power_off
from lab.host.session import VIRSH
from lab.host.shell import Shell
from lab.lease import parse_lease
from lab.naming import bridge, host_name, split_slot
from lab.plans import OnHost
from lab.storage import LEASES_DIR, LOG_DIR, pool_name, pool_path

# Prints the nodes of a lease's file, those that leave included: its keys on the second level.
LEASED_NODES = r"""sed -n 's/^  "\([a-z0-9-]*\)": {$/\1/p'"""
# Prints the line of a definition that says whose it is; nothing, where it is not metalab's. xmllint
# need not be installed, and the element is ours.
OWNER_LINE = """tr "'" '"' | grep ':owner .*project="metalab"'"""
SHUTDOWN_S = 10  # for a guest that nobody had time to use

# Files of a pool stay: a volume that is there is adopted by the provider, data and all.
_SCRIPTS = {
    "network": "if {virsh} net-info {name} >/dev/null 2>&1; then\n"
    "{virsh} net-destroy {name} >/dev/null 2>&1\n"
    "{virsh} net-undefine {name} >/dev/null || exit 1\nfi\n"
    "{forget}\nforget_bridge {name} {bridge}",
    "pool": "{virsh} pool-info {name} >/dev/null 2>&1 || exit 0\n"
    "{virsh} pool-destroy {name} >/dev/null 2>&1\n{virsh} pool-undefine {name} >/dev/null",
    "seed": "{virsh} pool-refresh {pool} >/dev/null 2>&1 || exit 0\n"
    "{virsh} vol-info {name} --pool {pool} >/dev/null 2>&1 || exit 0\n"
    "{virsh} vol-delete {name} --pool {pool} >/dev/null",
}


def sweep(shell: Shell, prefix: str) -> None:
    """Remove what of an environment is still there after the engine has deleted what it knows.

    Ownership is read from the metadata of each object, never taken from its name alone: `foo` and
    `foo-compute` may both have objects that begin with `foo-`.

    Raises:
        LabError: something stays.
    """
    held = shell.run(f"cat {LEASES_DIR}/{prefix}.json 2>/dev/null || :")
    outcome = shell.run(_sweep(prefix, _bridges(held.stdout)), timeout_s=300)
    if not outcome.ok:
        where, got = f"{shell.address}: {prefix}", f"left-overs that stay: {outcome.tail}"
        step = "Remove them with virsh and run the command again"
        raise LabError([Problem(where, got, "none", "orphan", step)])


def _bridges(text: str) -> dict[str, str]:
    """By network on the host, of all that a lease knows of; one that is none knows of none."""
    try:
        lease = parse_lease(text)
    except ValueError:
        return {}
    on = {split_slot(name)[0] for node in lease.nodes.values() for name in node.numbers}
    return {
        host_name(lease.prefix, network): bridge(lease.prefix, network)
        for network in sorted({*lease.subnets, *on})
    }


def _sweep(prefix: str, bridges: Mapping[str, str]) -> str:
    # A sudoer's virsh is root's here.
    forgotten = "\n".join(f"forget_bridge {name} {device}" for name, device in bridges.items())
    return f"""{FORGET_BRIDGE}
command -v virsh >/dev/null || exit 0
ours() {{ {OWNER_LINE} | grep -q 'prefix="{prefix}"'; }}
for d in $({VIRSH} list --all --name | grep '^{prefix}-'); do
  {VIRSH} dumpxml --inactive "$d" | ours || continue
  {VIRSH} destroy "$d" >/dev/null 2>&1
  {VIRSH} undefine "$d" --managed-save --snapshots-metadata --nvram >/dev/null || exit 1
  rm -f {LOG_DIR}/"$d".log {LOG_DIR}/"$d".console
done
for n in $({LEASED_NODES} {LEASES_DIR}/{prefix}.json 2>/dev/null); do
  {VIRSH} dominfo {prefix}-$n >/dev/null 2>&1 && continue
  rm -f {LOG_DIR}/{prefix}-$n.log {LOG_DIR}/{prefix}-$n.console
done
for n in $({VIRSH} net-list --all --name | grep '^{prefix}-'); do
  {VIRSH} net-dumpxml --inactive "$n" | ours || continue
  {VIRSH} net-destroy "$n" >/dev/null 2>&1
  {VIRSH} net-undefine "$n" >/dev/null || exit 1
done
{forgotten}
if {VIRSH} pool-info {pool_name(prefix)} >/dev/null 2>&1; then
  {VIRSH} pool-destroy {pool_name(prefix)} >/dev/null 2>&1
  {VIRSH} pool-undefine {pool_name(prefix)} >/dev/null || exit 1
fi
rm -rf {pool_path(prefix)}"""


def remove_orphan(shell: Shell, found: OnHost) -> None:
    """Remove one object that is in the way; one that is not there any more is fine.

    Args:
        shell: of the hypervisor.
        found: an object that facts have shown to be the environment's own.

    Raises:
        LabError: it is there and stays.
    """
    if found.kind == "domain":  # its definition is taken over by UUID: off is enough
        said = power_off(shell, {found.name: found.uuid}, timeout_s=SHUTDOWN_S)[found.name]
        failure = said if said.startswith("failed") else ""
    else:
        script = _SCRIPTS[found.kind]
        outcome = shell.run(
            script.format(
                virsh=VIRSH,
                name=quote(found.name),
                pool=quote(found.pool),
                bridge=quote(found.bridge),
                forget=FORGET_BRIDGE,
            )
        )
        failure = "" if outcome.ok else outcome.tail or f"exit {outcome.exit_code}"
    if failure:
        where, got = f"{shell.address}: {found.kind} {found.name}", f"a left-over: {failure}"
        step = "Remove it with virsh and run the command again"
        raise LabError([Problem(where, got, "a free name", "orphan", step)])
