"""Switch a domain off before it is deleted, so that its guest can write what it holds."""

from __future__ import annotations

from shlex import quote

from lab.host.session import VIRSH
from lab.host.shell import Shell
from lab.storage import LOG_DIR, console_log

OFF = 5  # VIR_DOMAIN_SHUTOFF


def power_off(shell: Shell, domain: str, *, uuid: str, timeout_s: int) -> str:
    """Switch a domain off and remove its logs; the domain stays defined.

    One round trip. A guest that has not written to a disk since power-on has nothing to lose and
    is switched off at once; else it is asked by ACPI and gets `timeout_s` to comply.

    Args:
        shell: of the hypervisor.
        domain: its name. One of that name with another UUID is not ours, and left alone.
        uuid: of the domain.
        timeout_s: seconds for the guest's own shutdown.

    Returns:
        How it ended: "absent", "foreign", "off already", "off at once", "shut down",
        "switched off after N s"; or "failed: ..." with the reason.
    """
    outcome = shell.run(_script(domain, uuid, timeout_s), timeout_s=timeout_s + 60)
    if not outcome.ok:
        return f"failed: {outcome.tail or f'exit {outcome.exit_code}'}"
    lines = outcome.stdout.split("\n")
    return next(
        (line.removeprefix("@@metalab ") for line in reversed(lines) if "@@metalab" in line), ""
    )


def _script(domain: str, uuid: str, timeout_s: int) -> str:
    logs = " ".join(
        quote(f"{log}{rotated}")  # exact names: a glob for compute-1 would take compute-10's
        for log in (f"{LOG_DIR}/{domain}.log", console_log(domain))
        for rotated in ("", *(f".{n}" for n in range(10)))
    )
    return f"""uuid={quote(uuid)}; name={quote(domain)}
say() {{ echo "@@metalab $*"; }}
clean() {{ rm -f {logs}; }}
command -v virsh >/dev/null || {{ say absent; exit 0; }}
found=$({VIRSH} "domuuid $name; domstats --state --block $name" 2>&1); code=$?
case $code:$found in
0:"$uuid"*) ;;
0:*) say foreign; exit 0 ;;
*"failed to get domain"*) clean; say absent; exit 0 ;;
*) echo "$found" >&2; exit 1 ;;
esac
on() {{ state=$({VIRSH} domstate "$uuid") && [ "$state" != "shut off" ]; }}
off() {{ state=$({VIRSH} "destroy $uuid; domstate $uuid" | grep . | tail -n 1); }}
ended="off already"; state=on
case $found in *state.state={OFF}*) state="shut off" ;; esac
if [ "$state" = on ]; then
  if ! printf '%s\\n' "$found" | grep -q 'wr\\.bytes=[1-9]'; then
    off; ended="off at once"
  else
    {VIRSH} shutdown "$uuid" >/dev/null; ended="shut down"
    left={int(timeout_s) * 5}
    while on && [ $left -gt 0 ]; do left=$((left - 1)); sleep 0.2; done
    if on; then off; ended="switched off after {timeout_s} s"; fi
  fi
fi
if [ "$state" != "shut off" ]; then echo "the domain is still on" >&2; exit 1; fi
clean
say "$ended"
"""
