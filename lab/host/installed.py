"""Which packages metalab brought to a host, noted there, for who wants them gone with it.

Both families answer the same: what is installed, one name in a line, before and after. A run that
is killed between the two leaves its "before", which the next one goes on from.
"""

from __future__ import annotations

from dataclasses import replace

from lab.config import RESTORE
from lab.host.session import VIRSH
from lab.host.step import HostStep
from lab.storage import HOST_DIR

REMOVE_TIMEOUT_S = 600
INSTALLED = f"{HOST_DIR}/installed"  # packages that were not there before
WISH = f"{HOST_DIR}/full"  # is there once somebody who wants them gone has begun to leave
_BEFORE = f"{HOST_DIR}/installed.before"

_LIST = r"""list() {
  if command -v dpkg-query >/dev/null; then
    dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed //p'
  else rpm -qa --qf '%{NAME}.%{ARCH}\n'; fi | sort -u
}"""
NOTE_BEFORE = f"""{_LIST}
[ -f {_BEFORE} ] || {{ list >{_BEFORE}.new && mv -f {_BEFORE}.new {_BEFORE}; }}"""
NOTE_AFTER = f"""{_LIST}
[ -f {_BEFORE} ] || exit 0
list | comm -13 {_BEFORE} - | sort -u - $(ls {INSTALLED} 2>/dev/null) >{INSTALLED}.new || exit 1
if [ -s {INSTALLED}.new ]; then mv -f {INSTALLED}.new {INSTALLED}; else rm {INSTALLED}.new; fi &&
rm -f {_BEFORE}"""

# dpkg and rpm refuse to remove what other packages need; then those stay, and it is told. Who has
# made something in libvirt since, and not with metalab, needs the packages as well.
REMOVE = f"""({NOTE_AFTER}) || exit 1
[ -s {INSTALLED} ] || exit 0
if command -v virsh >/dev/null; then
  {VIRSH} uri >/dev/null || exit 1
  used=$({{ {VIRSH} list --all --name; {VIRSH} net-list --all --name | grep -vx default
    {VIRSH} pool-list --all --name; }} | grep . | tr '\\n' ' ')
  [ -z "$used" ] || {{ echo "note: the packages stay, because libvirt holds $used"; exit 0; }}
  {VIRSH} net-destroy default >/dev/null 2>&1
fi
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
if command -v dpkg >/dev/null; then set -- dpkg --purge; else set -- rpm -e; fi
said=$("$@" $(cat {INSTALLED}) 2>&1) && exit 0
case $said in
  *depend*|*needed\\ by*) echo "note: packages stay that others need";;
  *) echo "$said" | tail -n 3 >&2; exit 1;;
esac"""


def noting(step: HostStep) -> HostStep:
    """The step that installs packages, with a note of those that it brought.

    It is true only once the note is complete: what the host's owner installs later is not ours.
    """
    probe = f"[ ! -f {_BEFORE} ] || exit 1\n{step.probe}"
    return replace(step, probe=probe, commands=(NOTE_BEFORE, *step.commands, NOTE_AFTER))


def note_wish(marker: str) -> str:
    """Shell that keeps what one who leaves wants, from the marker that is about to go."""
    return (
        f"if grep -qsx {RESTORE[1]} {marker}; then : >{WISH}; "
        f"elif [ -f {marker} ]; then rm -f {WISH}; fi"
    )
