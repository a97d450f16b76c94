"""A full inventory of a host, in lines to compare: "<kind> <name>\t<all that is known of it>".

A rule of the firewall is all name: who allows one allows that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

# Caches, logs of the system, and what lives in memory only. Below /usr, where packages alone put
# things, size and time of change stand for the content.
SKIPPED = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "*/tmp/systemd-private-*",
    "/var/cache",
    "/var/log/journal",
    "/var/log/dpkg.log",
    "/var/log/alternatives.log",
    "/var/log/[lbw]tmp",
    "/var/log/lastlog",
    "/var/log/apt",
    "/var/lib/apt/lists",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/timers",
    "/var/lib/systemd/timesync",
    "/var/lib/private/systemd",
)
# What the kernel counts, and what belongs to one network interface: those are compared as links.
RESTLESS = (
    r"^(fs\.(dentry-state|file-nr|inode-|quota|aio-nr)|kernel\.(random\.|ns_last_pid|pty\.nr|"
    r"perf_event|sched_domain)|net\..*\.(conf|neigh)\.|net\.netfilter\.nf_conntrack_count|"
    r"net\.ipv4\.tcp_fastopen_key)"
)
PRUNED = " -o ".join(f"-path '{path}'" for path in SKIPPED)


def files(*places: str) -> str:
    """Shell that prints a line for the kind, mode, owner and content of all that is there."""
    roots = " ".join(places)
    return rf"""
find {roots} -xdev \( {PRUNED} \) -prune -o ! -type f -printf 'file %p\t%y %m %u %g %l\n'
find {roots} -xdev \( {PRUNED} -o -path /usr \) -prune -o -type f -printf 'mode %p\t%m %u %g\n'
find {roots} -xdev \( {PRUNED} -o -path /usr \) -prune -o -type f -print0 | xargs -0 sha256sum \
  | sed -E 's/^(\S+)  (.*)/file \2\t\1/'"""


SCRIPT = rf"""
export LC_ALL=C
{files("/")}
find /usr -xdev -type f -printf 'file %p\t%s %T@ %m %u %g\n'
getent passwd | sed 's/:/\t/; s/^/user /'
getent group | sed 's/:/\t/; s/^/group /'
systemctl list-unit-files --no-legend --no-pager | grep -v '\.scope ' \
  | sed -E 's/\s+/\t/; s/^/unit /'
sysctl -a 2>/dev/null | grep -vE '{RESTLESS}' | sed 's/ = /\t/; s/^/sysctl /'
cut -d' ' -f1 /proc/modules | sed 's/^/module /'
ip -br link | sed -E 's/[@ ].*//; s/^/link /'
ip -br addr | sed -E 's/\s+/\t/; s/^/address /'
ip rule | sed 's/^/rule /'; ip route | sed 's/^/route /'
nft -s list ruleset | awk '
  /^table/ {{ t = $2 " " $3; next }} /^\tchain/ {{ c = $2; next }} /^\t?}}$/ || !NF {{ next }}
  {{ $1 = $1; print "firewall " t " " c " " $0 }}'
command -v virsh >/dev/null || exit 0
for kind in list net-list pool-list; do
  virsh -q $kind --all --name | grep . | sed "s/^/$kind /"
done
exit 0
"""


def differences(before: str, after: str, allowed: Sequence[str] = ()) -> list[str]:
    """What came and what went, in lines of which no allowed pattern matches kind and name.

    Args:
        before: what SCRIPT printed.
        after: the same, later.
        allowed: shell patterns such as "file /etc/libvirt/storage/*".
    """
    was, now = set(before.splitlines()), set(after.splitlines())
    changed = [f"- {line}" for line in was - now] + [f"+ {line}" for line in now - was]
    return sorted(
        line
        for line in changed
        if not any(fnmatchcase(line[2:].split("\t")[0], pattern) for pattern in allowed)
    )
