"""Environments removed from the hypervisor's side, when the state that knew them is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from lab.errors import LabError, Problem
from lab.host.leases import read_leases
from lab.host.lock import Progress
from lab.host.orphans import OWNER_LINE, sweep
from lab.host.power import power_off
from lab.host.runner import restore
from lab.host.session import VIRSH
from lab.host.shell import Gateway, Shell
from lab.host.steps import mark_step
from lab.host.users import authorize_steps
from lab.lease import Lease
from lab.operation import OPERATOR
from lab.storage import IMAGES_DIR, LEASES_DIR, PREFIXES_DIR, RESERVED_DIR, pool_path

_SPARED = "default"  # libvirt's own network, which the predecessor left, too
_NOBODY = "-"
_MARK = "@@metalab"
LIST_TIMEOUT_S = 120

# One line for each thing, with its owner as its metadata says: names prove nothing.
_LIST = f"""
owner() {{
  o=$({OWNER_LINE} | sed -n 's/.*prefix="\\([^"]*\\)".*/\\1/p')
  echo "${{o:-{_NOBODY}}}"
}}
for f in {LEASES_DIR}/*.json {RESERVED_DIR}/*.json {PREFIXES_DIR}/* {IMAGES_DIR}/prefixes/*; do
  [ ! -e "$f" ] || {{ f=${{f##*/}}; echo "{_MARK} prefix ${{f%.json}}"; }}
done
if command -v virsh >/dev/null; then
  for u in $({VIRSH} list --all --uuid); do
    o=$({VIRSH} dumpxml --inactive "$u" | owner)
    echo "{_MARK} domain $u $o $({VIRSH} domname "$u")"
  done
  for u in $({VIRSH} net-list --all --uuid); do
    o=$({VIRSH} net-dumpxml --inactive "$u" | owner)
    echo "{_MARK} network $u $o $({VIRSH} net-name "$u")"
  done
fi
echo '{_MARK} end'"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What is on a host, by owner; the owner of what is nobody's is empty."""

    prefixes: tuple[str, ...]
    domains: Mapping[str, Mapping[str, str]]  # {"foo": {"foo-tiny-0": UUID}}
    networks: Mapping[str, Mapping[str, str]]
    leases: Mapping[str, Lease]

    @property
    def foreign(self) -> tuple[str, ...]:
        """What is not metalab's, in words: all but libvirt's own network."""
        domains = [f"domain {name}" for name in self.domains.get("", ())]
        networks = [f"network {name}" for name in self.networks.get("", ()) if name != _SPARED]
        return (*domains, *networks)

    def of(self, prefix: str) -> tuple[str, ...]:
        """What belongs to one environment, in words; empty: nothing does."""
        domains = [f"domain {name}" for name in self.domains.get(prefix, ())]
        networks = [f"network {name}" for name in self.networks.get(prefix, ())]
        rest = [f"lease, keys and disks in {pool_path(prefix)}"] if prefix in self.prefixes else []
        return (*domains, *networks, *rest)


def survey(shell: Shell) -> Found:
    """Look at who has what on a host.

    Raises:
        LabError: no answer, or a file that is no lease.
    """
    outcome = shell.run(_LIST, timeout_s=LIST_TIMEOUT_S)
    if f"{_MARK} end" not in outcome.stdout:
        got = f"no list of what is there (exit {outcome.exit_code}: {outcome.tail})"
        step = "Log in and look whether libvirt works"
        raise LabError([Problem(shell.address, got, "a list", "host-libvirt", step)])
    domains: dict[str, dict[str, str]] = {}
    networks: dict[str, dict[str, str]] = {}
    prefixes: set[str] = set()
    for line in outcome.stdout.splitlines():
        match line.split(maxsplit=4):
            case [mark, "prefix", prefix] if mark == _MARK:
                prefixes.add(prefix)
            case [mark, kind, uuid, owner, name] if mark == _MARK:
                owned = domains if kind == "domain" else networks
                owned.setdefault(owner.removeprefix(_NOBODY), {})[name] = uuid
            case _:
                pass
    owners = {*domains, *networks} - {""}
    known = tuple(sorted((prefixes | owners) - {OPERATOR}))
    leases = read_leases(shell)
    return Found(prefixes=known, domains=domains, networks=networks, leases=leases)


def remove_prefix(
    shell: Gateway,
    prefix: str,
    found: Found,
    *,
    shutdown_s: int,
    progress: Progress,
) -> None:
    """Remove one environment, in the order in which `pulumi destroy` does; safe to repeat.

    Raises:
        LabError: something stays.
        RuntimeError: an undo failed; says which and why.
    """
    _switch_off(shell, found.domains.get(prefix, {}), shutdown_s, progress)
    sweep(shell, prefix)
    lease = found.leases.get(prefix)
    owner = lease.owner if lease and lease.owner else "- -"
    steps = [mark_step(prefix), *authorize_steps(prefix, shell.user, owner)]
    if failure := restore(steps, shell, prefix=prefix, progress=progress):
        raise RuntimeError(failure)


def remove_foreign(shell: Shell, found: Found, progress: Progress) -> None:
    """Remove every domain with its disks, and every network but libvirt's own, of nobody's.

    Raises:
        LabError: something stays.
    """
    wipe = "--managed-save --snapshots-metadata --nvram --remove-all-storage"
    domains, networks = found.domains.get("", {}), found.networks.get("", {})
    lines = [
        f"{VIRSH} destroy {uuid} >/dev/null 2>&1; {VIRSH} undefine {uuid} {wipe} >/dev/null "
        f"|| {{ echo {quote(f'domain {name}')} >&2; exit 1; }}"
        for name, uuid in domains.items()
    ] + [
        f"{VIRSH} net-destroy {uuid} >/dev/null 2>&1; {VIRSH} net-undefine {uuid} >/dev/null "
        f"|| {{ echo {quote(f'network {name}')} >&2; exit 1; }}"
        for name, uuid in networks.items()
        if name != _SPARED
    ]
    for name in found.foreign:
        progress(f"{name}: goes")
    outcome = shell.run("\n".join(lines), timeout_s=LIST_TIMEOUT_S + 10 * len(lines))
    if not outcome.ok:
        step = "Remove it with virsh and run the command again"
        raise LabError(
            [Problem(shell.address, f"{outcome.tail} that stays", "none", "orphan", step)]
        )


def _switch_off(
    shell: Shell, domains: Mapping[str, str], shutdown_s: int, progress: Progress
) -> None:
    ends = power_off(shell, domains, timeout_s=shutdown_s)
    for name, end in ends.items():
        progress(f"{name}: {end}")
    failures = [f"{name}: {end}" for name, end in ends.items() if end.startswith("failed")]
    if failures:
        raise RuntimeError("\n".join(failures))


Ask = Callable[[str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What somebody wants gone, and how sure they are."""

    prefix: str = ""
    everything: bool = False
    sure: bool = False  # of what is metalab's
    sure_of_foreign: bool = False


def clean(
    shell: Gateway,
    wish: Wish,
    *,
    shutdown_s: int,
    ask: Ask,
    progress: Progress,
) -> None:
    """Say what will go, have it confirmed, and remove it.

    Args:
        shell: of the hypervisor.
        wish: one prefix, or all there is.
        shutdown_s: seconds for a guest to power itself off.
        ask: puts a question to whoever is there, and answers what was typed.
        progress: told what goes.

    Raises:
        LabError: no wish, no confirmation, or something stays.
        RuntimeError: an undo failed.
    """
    found = survey(shell)
    if not wish.prefix and not wish.everything:
        raise LabError([no_wish(shell.address, found.prefixes)])
    prefixes = found.prefixes if wish.everything else (wish.prefix,)
    foreign = found.foreign if wish.everything else ()
    owned = [f"{prefix}: {thing}" for prefix in prefixes for thing in found.of(prefix)]
    if not owned and not foreign:
        progress(f"{shell.address}: nothing to remove")
        return
    for line in [*owned, *(f"foreign: {thing}" for thing in foreign)]:
        progress(line)
    word = shell.address if wish.everything else wish.prefix
    sure = wish.sure_of_foreign if foreign else wish.sure or wish.sure_of_foreign
    if not sure and ask(f"Type {word} to remove all that, disks included: ").strip() != word:
        raise LabError([_unconfirmed(shell.address, word, foreign=bool(foreign))])
    for prefix in prefixes:
        remove_prefix(shell, prefix, found, shutdown_s=shutdown_s, progress=progress)
    if foreign:
        remove_foreign(shell, found, progress)


def no_wish(where: str, prefixes: Sequence[str]) -> Problem:
    """Removing everything is never what no option means."""
    there = f"of {', '.join(prefixes)}" if prefixes else "of which there is none"
    allowed = f"--prefix with one {there}, or --all"
    return Problem(where, "neither --prefix nor --all", allowed, "cleanup")


def _unconfirmed(where: str, word: str, *, foreign: bool) -> Problem:
    option = "--yes-remove-foreign" if foreign else "--yes"
    step = f"Nothing was removed; in a script: {option}"
    return Problem(where, "another word, or none", word, "cleanup", step)
