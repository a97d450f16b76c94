"""libvirt's daemons: one for all drivers or one for each, as the host has it."""

from __future__ import annotations

from lab.host.distributions import Family
from lab.host.session import VIRSH
from lab.storage import HOST_DIR

_MONOLITHIC = "libvirtd.service libvirtd.socket"
# What a lab talks to. virtproxyd stands where clients over SSH look for libvirtd.
_MODULAR = "virtqemud.socket virtnetworkd.socket virtstoraged.socket virtproxyd.socket"
_DAEMONS = "libvirtd.service virtqemud.service virtnetworkd.service virtstoraged.service"

# There from when packages come under a daemon that runs until it was restarted. It is on disk so
# that a run which is killed in between leaves the restart to the next one.
_ARRIVALS = f"{HOST_DIR}/libvirt-restart"
NOTE_ARRIVALS = f"""if systemctl is-active -q {_DAEMONS} 2>/dev/null; then
  mkdir -p {HOST_DIR} && : > {_ARRIVALS}
fi"""  # to be run right before packages are installed
_BEFORE = f"{HOST_DIR}/libvirt-units"  # what was enabled or active before metalab

# $units: those that the host uses. What runs counts more than what is enabled, and both more than
# what the distribution does by itself: a host that was switched over stays as it is.
_UNITS = """monolithic='{monolithic}'; modular='{modular}'
units() {{
  for verb in is-active is-enabled; do
    for unit in virtqemud.socket virtqemud.service libvirtd.socket libvirtd.service; do
      case $(systemctl $verb $unit 2>/dev/null) in active|enabled) ;; *) continue ;; esac
      case $unit in virtqemud.*) units=$modular ;; *) units=$monolithic ;; esac
      return
    done
  done
  units={default}
}}
units"""
_LISTING = """listing() {
  systemctl list-unit-files --no-legend --state=enabled 'virt*' 'libvirt*' | sed 's/ .*//; s/^/e /'
  systemctl list-units --no-legend --plain --state=active 'virt*' 'libvirt*' |
    sed 's/ .*//; s/^/a /'
}"""


def libvirt_runs(family: Family) -> str:
    """Shell that exits 0 if the daemons are enabled, answer, and know what was installed."""
    return f"""{_units(family)}
[ ! -e {_ARRIVALS} ] || exit 1
set -- $units
[ "$(systemctl is-enabled $units 2>/dev/null | grep -c '^enabled')" -eq $# ] || exit 1
[ "$units" = "$monolithic" ] || [ "$(systemctl is-active $units | grep -c '^active')" -eq $# ] ||
  exit 1
# Its answer counts, not the unit's state: behind a socket the daemon sleeps until asked.
{VIRSH} uri >/dev/null"""


def run_libvirt(family: Family) -> tuple[str, ...]:
    """Shell that enables and starts the daemons; they are restarted only if that is needed."""
    units = _units(family)
    return (
        f"{_LISTING}\nmkdir -p {HOST_DIR}; [ -f {_BEFORE} ] || listing > {_BEFORE}\n"
        f"{units}\nsystemctl enable $units",
        f"""[ -e {_ARRIVALS} ] || exit 0
for unit in {_DAEMONS}; do
  ! systemctl is-active -q $unit || systemctl restart $unit || exit 1
done
rm -f {_ARRIVALS}""",
        f"""{units}
if [ "$units" = "$modular" ]; then systemctl start $units
# With the service running already, systemd refuses to start the socket.
else {VIRSH} uri >/dev/null 2>&1 || systemctl start libvirtd.service; fi""",
    )


def leave_libvirt() -> tuple[str, ...]:
    """Shell that enables and runs what was enabled and ran before, and nothing else.

    What runs goes on as long as a domain does: it is somebody else's by then. A daemon that is
    stopped while it starts may end with an error, which is ours and not the host's.
    """
    return (
        f"""[ -f {_BEFORE} ] || exit 0
{_LISTING}
new() {{ listing | grep "^$1 " | grep -vxFf {_BEFORE} | cut -d ' ' -f 2; }}
[ -n "$({VIRSH} list --name 2>/dev/null)" ] || {{
  new a | xargs -r sh -c 'systemctl stop "$@" || exit; systemctl reset-failed "$@" 2>/dev/null; :' .
}}
new e | xargs -r systemctl disable -q
sed -n 's/^e //p' {_BEFORE} | xargs -r systemctl enable -q
rm -f {_BEFORE}""",
    )


def _units(family: Family) -> str:
    return _UNITS.format(
        monolithic=_MONOLITHIC,
        modular=_MODULAR,
        default="$modular" if family.modular else "$monolithic",
    )
