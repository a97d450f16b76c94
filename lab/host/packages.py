"""The packages of a hypervisor: only missing ones, all of them in one transaction.

Two sets. `packages` is what labs need. `tools` (virt-install and libguestfs with XFS) is what
people use by hand, installed with host-tools: true. Measured on a fresh Debian 12 without
recommended packages:

    set        packages   download   on disk   CPU time of apt-get install
    packages        103      56 MB    218 MB    16 s
    and tools       273     110 MB    452 MB    39 s

No lab needs them: cloud-init makes a guest's settings, and libvirt is asked by its own protocol.
libguestfs also brings mdadm, LVM, GRUB's tools and a DHCP client, whose units start with the host
from then on (lvm2-monitor, mdadm-shutdown, dm-event, uuidd), and they stay when metalab leaves.
It pulls no kernel: its appliance is made of the one that the host runs.
"""

from __future__ import annotations

from shlex import quote

from lab.errors import Problem
from lab.host.distributions import Family
from lab.host.lock import BUSY
from lab.host.rom import ROM_VERSION, old_rom, rom_is_old_script
from lab.host.services import NOTE_ARRIVALS

LOCK_WAIT_S = 600  # for another apt or dnf to end

# What is provided is not missing: dnsmasq-base-lua is a dnsmasq-base, Proxmox' QEMU a QEMU.
_APT_MISSING = """missing() {
  dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\\n' | awk -v want="$names" '
    $1 == "installed" {
      gsub(/\\([^)]*\\)/, ""); gsub(/,/, " "); for (i = 2; i <= NF; i++) have[$i] }
    END { n = split(want, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}"""
# What is provided is not missing: curl-minimal is a curl.
_DNF_MISSING = """missing() {
  for p in $names; do rpm -q --quiet --whatprovides $p || echo $p; done 2>/dev/null
}"""

# Runs a command, what it says in $said; again and again as long as another process has the lock.
# apt waits by itself for one of its locks, dpkg for none, dnf for ever: so all are asked not to.
_PATIENT = """begun=$(date +%s); told=
patient() {
  while :; do
    said=$("$@" 2>&1) && return 0
    code=$?
    case $said in
      *'Could not get lock'*|*'locked by'*|*'transaction lock'*) ;;
      *) return $code ;;
    esac
    holder
    [ $(($(date +%s) - begun)) -lt WAIT ] || refuse HELD "$who" BUSY
    [ "$who" = "$told" ] || echo "note: waiting for $who, which has the package manager's lock"
    told=$who; sleep 1
  done
}
holder() {
  pid=$(printf '%s\\n' "$said" |
    sed -nE 's/.*(held by process|with pid|locked by|with PID) ([0-9]+).*/\\2/p' | head -n 1)
  # rpm names nobody: whoever has its lock's file open.
  [ -n "$pid" ] || pid=$(find /proc/[0-9]*/fd -lname '*/.rpm.lock' 2>/dev/null |
    head -n 1 | cut -d / -f 3)
  line=$({ tr '\\0\\n' '  ' </proc/"${pid:-none}"/cmdline; } 2>/dev/null | tr -dc '[:print:]' |
    cut -c 1-80)
  who="process ${pid:-of unknown number} (${line:-gone by now})"
}
fail() { printf '%s\\n' "$said" >&2; exit 1; }
refuse() { printf "$1\\n" "$2" >&2; exit ${3:-1}; }"""

_APT = """export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt() {
  patient apt-get -q -o DPkg::Lock::Timeout=0 -o Dpkg::Options::=--force-confold "$@"
}
update() {
  updated=1; apt -o Acquire::Retries=3 update
  trouble=$(printf '%s\\n' "$said" | grep -E '^(E:|W: Failed)' | tail -n 2)
}"""
# What an interrupted run left is finished first; else these do nothing.
_APT_REPAIR = """patient dpkg --configure -a --force-confold || fail
apt-get -q check >/dev/null 2>&1 || apt -y --no-remove --fix-broken install || fail"""
# No lists yet, or lists so old that their packages are gone: only then are the mirrors asked.
_APT_INSTALL = """updated=
resolve() { apt -s --no-remove --no-install-recommends install $missing; }
lacking() {
  apt-cache policy $missing | awk -v want="$missing" '
    /^[^ ]/ { name = $1; sub(/:$/, "", name) }
    /^  Candidate:/ && $2 != "(none)" { have[name] }
    END { n = split(want, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}
get() { apt -y --no-remove --no-install-recommends install $missing; }
resolve || { update; resolve; } || {
  lacking=$(echo $(lacking)); [ -n "$lacking" ] || fail
  [ -z "$trouble" ] || printf '%s\\n' "$trouble" >&2
  refuse UNRESOLVED "$(listed)"
}
ARRIVALS
get || { [ -z "$updated" ] && update; get; } || fail"""

_DNF = """dnf() { patient command dnf -q --setopt=exit_on_lock=True "$@"; }"""
# BerkeleyDB, as EL 8 has it, may stay locked by a process that was killed.
_DNF_REPAIR = "rpm -qa >/dev/null 2>&1 || patient rpm --rebuilddb || fail"
_DNF_INSTALL = """if [ -e /run/ostree-booted ]; then refuse IMAGE ''; fi
dnf repoquery --available --provides --whatprovides "$(echo $missing | tr ' ' ',')" || fail
lacking=$(echo $(printf '%s\\n' "$said" | awk -v want="$missing" '
  { have[$1] }
  END { n = split(want, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'))
[ -z "$lacking" ] || refuse UNRESOLVED "$(listed)"
ARRIVALS
dnf -y install $missing || fail"""

# "ovmf, swtpm (main); virtinst (universe)", of $lacking; $repositories holds "main:ovmf main:..."
_LISTED = """listed() {
  printf '%s\\n' $repositories | awk -F : -v lacking="$lacking" '
    BEGIN { n = split(lacking, l, " "); for (i = 1; i <= n; i++) lacks[l[i]] }
    { gsub(/_/, " ", $1) }
    ($2 in lacks) && $1 != last { if (last) all = all " (" last "); "; sep = "" }
    ($2 in lacks) { all = all sep $2; sep = ", "; last = $1 }
    END { print all " (" last ")" }'
}"""


def packages_installed(family: Family, *, tools: bool) -> str:
    """Shell that exits 0 if nothing is missing; reads only."""
    return f'{_names(family, tools=tools)}\n{_missing(family)}\n[ -z "$(missing)" ]'


def install_packages(
    family: Family, *, tools: bool, lock_wait_s: int = LOCK_WAIT_S
) -> tuple[str, ...]:
    """Shell that repairs what was left half installed, then installs what is missing.

    Before anything is installed, every package is looked up: one refusal names all those that no
    repository has, and the repositories that should. Nothing that is installed is upgraded for its
    own sake, and nothing is removed. Another package manager's lock is waited for, with a line that
    begins with "note:" for each holder; at the limit the command exits BUSY and names the holder.

    Args:
        family: of the host.
        tools: whether to bring the tools, too.
        lock_wait_s: seconds that another package manager may hold its lock.
    """
    if family.manager == "apt":
        prepare, repair, install = _APT, _APT_REPAIR, _APT_INSTALL
    else:
        prepare, repair, install = _DNF, _DNF_REPAIR, _DNF_INSTALL
    patient = _PATIENT.replace("WAIT", str(lock_wait_s)).replace("BUSY", str(BUSY))
    patient = patient.replace("HELD", _format(busy("%s")))
    start = f"{patient}\n{prepare}"
    install = install.replace("UNRESOLVED", _format(unresolved("%s", family)))
    install = install.replace("IMAGE", _format(image_based())).replace("ARRIVALS", NOTE_ARRIVALS)
    only_missing = f'{_missing(family)}\nmissing=$(echo $(missing)); [ -n "$missing" ] || exit 0'
    names = _names(family, tools=tools)
    return (
        # The first line is what a failure shows of the command.
        f": finish what was left half installed\n{start}\n{repair}",
        f": install what is missing\n{names}\n{only_missing}\n{start}\n{_LISTED}\n{install}",
    )


def rom_is_new() -> str:
    """Shell that exits 0 unless the installed iPXE ROMs are too old."""
    return f"v=$({ROM_VERSION}); ! {{ {rom_is_old_script(chr(34) + '$v' + chr(34))}; }}"


def refuse_rom() -> str:
    """Shell that says which ROMs are installed, and fails."""
    message = _format(old_rom("%s", "packages"))
    return f'printf {message}"\\n" "$({ROM_VERSION})" >&2; exit 1'


def unresolved(lacking: str, family: Family) -> Problem:
    """No repository has some packages. `lacking` is "ovmf, swtpm (main); virtinst (universe)"."""
    return Problem(
        where="packages",
        got=f"no repository that has {lacking}",
        allowed="those in parentheses to be enabled and to have them",
        rule="host-packages",
        next_step=family.hint,
    )


def image_based() -> Problem:
    """The host's packages are part of an image that is replaced as a whole."""
    return Problem(
        where="packages",
        got="a system that is replaced as a whole (ostree)",
        allowed="one where dnf may install packages",
        rule="host-packages",
        next_step="Add the packages to its image, or name another hypervisor with host-address",
    )


def busy(holder: str) -> Problem:
    """Another package manager did not end. `holder` is "process 4711 (apt-get upgrade)"."""
    return Problem(
        where="packages",
        got=f"the package manager's lock in the hands of {holder}",
        allowed="it to end in time",
        rule="host-packages-busy",
        next_step="Wait for it, or end it",
    )


def _format(problem: Problem) -> str:
    """A problem as a shell word: printf's format, with its one %s left to fill in."""
    return quote(str(problem))


def _names(family: Family, *, tools: bool) -> str:
    wanted = family.wanted(tools=tools)
    pairs = [
        f"{repository.replace(' ', '_')}:{name}"
        for repository, names in wanted.items()
        for name in names
    ]
    names = " ".join(name for names in wanted.values() for name in names)
    return f"names={quote(names)}; repositories={quote(' '.join(pairs))}"


def _missing(family: Family) -> str:
    return _APT_MISSING if family.manager == "apt" else _DNF_MISSING
