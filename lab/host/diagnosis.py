"""Why a node does not answer: the first rung of the ladder that does not hold, and its console."""

from __future__ import annotations

import re
from shlex import quote

from lab.storage import console_log

CONSOLE_LINES = 12
_CONSOLE_BYTES = 8192  # a dozen lines, with an emulated terminal's noise between them
_MARK = "@@metalab"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_CONTROLS = re.compile(r"[^\t\x20-\x7e\xa0-\U0010ffff]")


def diagnosis_script(*, domain: str, network: str, mac: str) -> str:
    """One script that asks about everything below SSH; it only reads, and always exits 0."""
    name, net = quote(domain), quote(network)
    return f"""v() {{ timeout 10 virsh -q -c qemu:///system "$@" 2>&1; }}
echo '{_MARK} state'; v domstate --reason {name}
echo '{_MARK} dhcp'; v net-dumpxml {net} | grep -o '<dhcp>' | head -n 1
echo '{_MARK} lease'; v net-dhcp-leases {net} --mac {quote(mac)} | grep -iF {quote(mac)}
echo '{_MARK} console'; tail -c {_CONSOLE_BYTES} {quote(console_log(domain))} 2>/dev/null
exit 0"""


def diagnose(text: str, rung: str, reason: str) -> tuple[str, str, str]:
    """Find the lowest rung that does not hold.

    Args:
        text: what diagnosis_script printed.
        rung: where SSH from the hypervisor ended: port, SSH, host key, forwarding, cloud-init.
        reason: of that.

    Returns:
        The rung, the reason, and the console's tail.
    """
    sections = _sections(text)
    console = _tail(sections.get("console", ""))
    if rung != "port":  # it answered, so domain and lease hold
        return rung, reason, console
    state = sections.get("state", "").strip()
    if state and not state.startswith("running"):
        return "domain", f"the domain is not running ({_one_line(state)})", console
    if sections.get("dhcp", "").strip() and not sections.get("lease", "").strip():
        return "lease", f"no DHCP lease was asked for, and {reason}", console
    return rung, reason, console


def _sections(text: str) -> dict[str, str]:
    parts = re.split(rf"^{_MARK} (state|dhcp|lease|console)\n", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        found[name] = found.get(name, "") + body
    return found


def _tail(raw: str) -> str:
    """The last lines that say something, fit for any terminal."""
    text = _ESCAPES.sub("", raw).replace("\r\n", "\n")
    lines = (line.rpartition("\r")[2] for line in text.split("\n"))  # a progress bar's last word
    cleaned = [_CONTROLS.sub("", line).rstrip() for line in lines]
    return "\n".join([line for line in cleaned if line][-CONSOLE_LINES:])


def _one_line(text: str) -> str:
    return " ".join(text.split())
