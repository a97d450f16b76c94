"""The one script that looks at a hypervisor. It only reads, and needs nothing installed there."""

from __future__ import annotations

from lab.host.guard_facts import GUARD_SCRIPT
from lab.host.ipv6_facts import IPV6_SCRIPT
from lab.host.kvm_facts import KVM_SCRIPT
from lab.host.link_facts import LINK_SCRIPT
from lab.host.rom import ROM_VERSION
from lab.storage import IMAGES_DIR, LEASES_DIR, RESERVED_DIR

MARK = "@@metalab"  # begins the line that opens a section: "@@metalab <section> [<detail>]"

RESERVED_MIN = 10  # minutes for which a reservation counts: a run that was killed leaves one
# Names and contents, so that a renamed or an added file shows, too.
LEASES_DIGEST = (
    f"sha256sum {LEASES_DIR}/*.json {RESERVED_DIR}/*.json 2>/dev/null | sha256sum | cut -d' ' -f1"
)
_RESERVED = f"$(find {RESERVED_DIR} -name '*.json' -mmin -{RESERVED_MIN} 2>/dev/null)"


def texts_of(files: str, mark: str) -> str:
    """Shell that says each file's name and text, but of those that somebody removes meanwhile.

    Two processes for all of them: one for each took 0.1 s beside a hundred environments. The last
    text may lack the end of its line.

    Args:
        files: words for the shell, such as a pattern.
        mark: begins the line that ends with a file's name.
    """
    read = f"tail -v -n +1 /dev/null {files} 2>/dev/null"  # without a file it would read its input
    return f"{read} | sed -e '1d' -e 's|^==> \\(/.*\\) <==$|{mark} \\1|'"


NL = "\n"  # virsh's echo ends no line by itself

# virsh costs 20 to 40 ms a start, so there are two: one for what can be listed at once, one for
# the networks' XML. UUIDs need no quoting. A network of metalab has ~250 <host/> lines: cut here.
FACT_SCRIPT = f"""
s() {{ printf '\\n{MARK} %s\\n' "$*"; }}
s os; cat /etc/os-release
s machine; uname -n; uname -m; getconf _NPROCESSORS_ONLN
s cpu; grep -m1 '^vendor_id' /proc/cpuinfo; grep -m1 -owE 'vmx|svm|hypervisor' /proc/cpuinfo
{KVM_SCRIPT}
s memory; grep MemTotal /proc/meminfo
s disk; d={IMAGES_DIR}/prefixes; [ ! -d "$d" ] || echo "held $(du -skx "$d" | cut -f1)"
until [ -d "$d" ]; do d=${{d%/*}}; d=${{d:-/}}; done; df -Pk "$d"
s addr; ip -o -4 addr show
s route; ip -o -4 route show
{IPV6_SCRIPT}
s resolv; cat /etc/resolv.conf /run/systemd/resolve/resolv.conf
s ssh; echo "$SSH_CONNECTION"
s login; echo "${{SUDO_USER:-$(id -un)}}"
s rom; {ROM_VERSION}
{GUARD_SCRIPT}
{LINK_SCRIPT}
s digest; {LEASES_DIGEST}
{texts_of(f"{LEASES_DIR}/*.json", f"{MARK} lease")}
{texts_of(_RESERVED, f"{MARK} reserved")}
s end
command -v virsh >/dev/null || exit 0
v() {{ timeout 30 virsh -q -c qemu:///system "$@"; }}
listed=$(v "echo --str '{MARK} uuids{NL}'; net-list --all --uuid
  echo --str '{MARK} pools{NL}'; pool-list --all --name
  echo --str '{MARK} domains{NL}'; list --all --uuid --name
  echo --str '{MARK} domstats{NL}'; domstats --balloon --vcpu --nowait") || s silent
printf '%s\\n' "$listed"
dumps=
for u in $(printf '%s\\n' "$listed" | sed -n '/{MARK} uuids/,/{MARK} pools/{{/^[0-9a-f-]*$/p}}'); do
  dumps="$dumps echo --str '{MARK} network{NL}'; net-dumpxml $u;"
done
[ -z "$dumps" ] || v "$dumps" | grep -v '<host .*/>$'
s end
"""
