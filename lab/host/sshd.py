"""sshd's limit on connections that have not logged in yet, raised where a lab needs it."""

from __future__ import annotations

from shlex import quote

from lab.host.step import HostStep

# `ssh` to each node at the same moment is one connection through the host for each. Of 40, eight or
# nine were closed at sshd's own 10:30:100, none at ours; of 15, one; of 12, none (Debian 12).
USUAL_START = 10  # connections from which sshd's own setting begins to drop some
START, RATE, FULL = 100, 30, 200
DROP_IN = "/etc/ssh/sshd_config.d/50-metalab.conf"
MAIN = "/etc/ssh/sshd_config"
_TEXT = f"# Made by metalab, which removes it again.\nMaxStartups {START}:{RATE}:{FULL}\n"
# Before 8.2 it reads no drop-ins, and on some hosts the main file includes none.
_READS = f"grep -qiE '^[[:space:]]*Include[[:space:]].*sshd_config\\.d/' {MAIN}"
_NOW = "sshd -T -C user=root,host=localhost,addr=127.0.0.1 | sed -n 's/^maxstartups //p'"
# Behind a socket there may be no daemon to ask; then the next one reads the file. A daemon that
# reads it anew does not listen for a moment: whoever comes after this step shall not meet that.
_RELOAD = (
    "for unit in ssh sshd; do systemctl is-active -q $unit.service || continue; "
    "systemctl reload $unit.service && sleep 0.5; left=50; port=$(sshd -T 2>/dev/null | "
    "sed -n 's/^port //p' | head -n 1); while [ $left -gt 0 ] && "
    '[ -z "$(ss -Hltn "sport = :${port:-22}")" ]; do left=$((left - 1)); sleep 0.1; done; '
    "break; done"
)


def sshd_steps(nodes: int) -> tuple[HostStep, ...]:
    """List what lets all nodes of a lab be reached at the same moment.

    MaxSessions stays: jumps are no sessions, and metalab itself holds nine of the ten at most.

    Args:
        nodes: that answer SSH, each through the host.
    """
    if nodes <= USUAL_START:
        return ()
    number = "now=${now%%:*}; [ ${now:-0} -ge " + str(START) + " ]"
    return (
        HostStep(
            name="admit many connections at once",
            # A setting of somebody else's that admits less, and comes first, is let stand.
            probe=f"[ -f {DROP_IN} ] || ! {_READS} || {{ now=$({_NOW}); {number}; }}",
            commands=(
                # The whole is tried before sshd, which may start anew at any moment, can see it.
                f"set -e; new=$(mktemp {DROP_IN}.XXXXXX); trap 'rm -f $new $new.all' EXIT; "
                f"printf '%s' {quote(_TEXT)} > $new; cat $new {MAIN} > $new.all; "
                f"sshd -t -f $new.all; chmod 644 $new; mv -f $new {DROP_IN}; {_RELOAD}; "
                f"now=$({_NOW}); {number} || "
                f'echo "note: MaxStartups is $now by a setting that comes before {DROP_IN}"',
            ),
            undo=(f"rm -f {DROP_IN} {DROP_IN}.*", f"! sshd -t || {{ {_RELOAD}; }}"),
        ),
    )
