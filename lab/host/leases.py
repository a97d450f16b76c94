"""Claim and free what an environment holds of a hypervisor: lease files under the host's lock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from shlex import quote

from lab.errors import LabError, Problem
from lab.host.fact_script import LEASES_DIGEST, RESERVED_MIN, texts_of
from lab.host.facts import parse_lease_texts
from lab.host.lock import BUSY, Progress, Turn, busy, run_locked
from lab.host.session import Outcome
from lab.host.shell import Shell
from lab.lease import Lease, check_claim
from lab.storage import HOST_DIR, LEASES_DIR, LOCK_FILE, RESERVED_DIR

ATTEMPTS = 20  # each lost one means that somebody else got its lease in between
MOVED = 3  # our scripts' exit code: the leases are not those that were judged
_MARK = "@@metalab"

_READ = f"""echo "{_MARK} digest $({LEASES_DIGEST})"
{texts_of(f"{LEASES_DIR}/*.json", f"{_MARK} lease")}
printf '\\n{_MARK} end\\n'"""


def read_leases(shell: Shell) -> Mapping[str, Lease]:
    """Read every lease on the host, by prefix.

    Raises:
        LabError: no answer, or a file that is no lease.
    """
    return _read(shell)[1]


def claim(lease: Lease, shell: Shell, *, memory_limit_mib: int | None, progress: Progress) -> None:
    """Write a lease, if what it claims is still free; a lease of the same prefix is replaced.

    The judging happens here and the writing there, so the write goes through only if not one
    lease has changed since it was judged; else it is judged again.

    Args:
        lease: of one prefix.
        shell: of the hypervisor.
        memory_limit_mib: MiB that all leases together may claim; None: overcommit is allowed.
        progress: told for whom this one waits, if it has to.

    Raises:
        LabError: something is taken by now, a lease cannot be read, or the host refused.
    """
    turn = Turn(prefix=lease.prefix, progress=progress)
    for _ in range(ATTEMPTS):
        digest, others = _read(shell)
        problems = check_claim(
            lease, others, memory_limit_mib=memory_limit_mib, where=shell.address
        )
        if problems:
            shell.run(_unreserve(lease.prefix))
            raise LabError(problems)
        text = lease.to_json()
        script = _write(lease.prefix, digest, text)
        outcome = run_locked(shell, script, turn, timeout_s=60, stdin=text)
        if outcome.ok:
            return
        if outcome.exit_code != MOVED:
            raise LabError([_refused(shell.address, outcome, turn)])
    message = f"leases that changed {ATTEMPTS} times while this one was judged"
    raise LabError([_problem(shell.address, message)])


def reserve(lease: Lease, shell: Shell, *, digest: str, progress: Progress) -> bool:
    """Keep what a plan chose for a few minutes, until the run that made the plan claims it.

    Args:
        lease: as planned; its owner is not known yet.
        shell: of the hypervisor.
        digest: of the facts that the plan was made from, HostFacts.leases_digest.
        progress: told for whom this one waits, if it has to.

    Returns:
        False when somebody else reserved or claimed since: look and plan again.

    Raises:
        LabError: the host refused.
    """
    text = lease.to_json()
    script = f"""{_put(RESERVED_DIR, lease.prefix, digest, text)}
find {RESERVED_DIR} -name '*.json' -mmin +{RESERVED_MIN} -delete"""
    turn = Turn(prefix=lease.prefix, progress=progress)
    outcome = run_locked(shell, script, turn, timeout_s=60, stdin=text)
    if not outcome.ok and outcome.exit_code != MOVED:
        raise LabError([_refused(shell.address, outcome, turn)])
    return outcome.ok


def unreserve(lease: Lease, shell: Shell, *, progress: Progress) -> None:
    """Let go of what was reserved, if it still is; a host that nobody else uses keeps nothing.

    Args:
        lease: as it was reserved; what another run of the prefix reserved since stays.
        shell: of the hypervisor.
        progress: told for whom this one waits, if it has to.
    """
    file = quote(f"{RESERVED_DIR}/{lease.prefix}.json")
    checksum = sha256(lease.to_json().encode()).hexdigest()
    script = f"""echo '{checksum}  '{file} | sha256sum -c --status 2>/dev/null || exit 0
{_unreserve(lease.prefix)}
[ -n "$(find {HOST_DIR} -type f ! -path {LOCK_FILE})" ] || rm -rf {HOST_DIR}"""
    run_locked(shell, script, Turn(prefix=lease.prefix, progress=progress), timeout_s=60)


def _read(shell: Shell) -> tuple[str, Mapping[str, Lease]]:
    outcome = shell.run(_READ)
    if not outcome.ok or f"{_MARK} end" not in outcome.stdout:
        raise LabError([_refused(shell.address, outcome)])
    texts: dict[str, str] = {}
    digest = path = ""
    for line in outcome.stdout.splitlines():
        if seen := re.match(rf"{_MARK} (\w+) ?(.*)", line):
            digest = seen[2] if seen[1] == "digest" else digest
            path = seen[2] if seen[1] == "lease" else ""
            texts |= {path: ""} if path else {}
        elif path:
            texts[path] += line + "\n"
    return digest, parse_lease_texts(texts, shell.address)


def _write(prefix: str, digest: str, text: str) -> str:
    return f"{_put(LEASES_DIR, prefix, digest, text)}\n{_unreserve(prefix)}"


def _unreserve(prefix: str) -> str:
    return f"rm -f {quote(f'{RESERVED_DIR}/{prefix}.json')}; rmdir {RESERVED_DIR} 2>/dev/null || :"


def _put(folder: str, prefix: str, digest: str, text: str) -> str:
    """Write standard input to a folder's file of a prefix, if all is as it was when judged.

    A connection that dies while the text is sent ends it like any other end: hence the sum.
    """
    file = quote(f"{folder}/{prefix}.json")
    new = quote(f"{folder}/.{prefix}.new")  # hidden: no lease until it is whole
    checksum = sha256(text.encode()).hexdigest()
    return f"""mkdir -p -m 700 {folder} {LEASES_DIR}
[ "$({LEASES_DIGEST})" = {quote(digest)} ] || exit {MOVED}
cat > {new} && echo '{checksum}  '{new} | sha256sum -c --status && sync {new} \\
  && mv -f {new} {file} || {{ rm -f {new}; exit 1; }}"""


def _refused(where: str, outcome: Outcome, turn: Turn | None = None) -> Problem:
    if turn and outcome.exit_code == BUSY:
        return _problem(where, busy(outcome, turn))
    return _problem(where, f"exit {outcome.exit_code}: {outcome.tail or 'no message'}")


def _problem(where: str, got: str) -> Problem:
    return Problem(
        where=f"{where}:{LEASES_DIR}",
        got=got,
        allowed="leases that can be read and written",
        rule="lease-claim",
        next_step="Run the command again",
    )
