"""How each of the programs that have a host's NICs moves one into a bridge, and back.

Texts for sh, in which $nic and $bridge stand for the two, and $mac for the NIC's address. Nothing
that belongs to the host is edited where that can be helped: what metalab adds comes before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.storage import BRIDGES_DIR


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One program's."""

    move: str  # changes what runs, and nothing that the next boot reads
    keep: str  # makes that last
    kept: str  # exit 0 says that it does
    undo: str  # of both; harmless where nothing was done, and may exit 0 then
    remember: str = ""  # prints the rest of the undo, which depends on what was there before


# An address that somebody gave by hand comes back with the others.
_ADDRESSES = r"""ip -o -4 addr show dev $nic scope global | grep -v ' dynamic ' |
  sed "s/.* inet \([^ ]*\) .*/ip addr replace \1 dev $nic/" """

# What systemd-networkd reads is a copy of the NIC's own file, in which the bridge stands for the
# NIC; the first file that fits counts, so netplan's and the host's own stay as they are. Below /run
# it ends with the boot. A server of DHCP may know the host by a number that follows from the NIC's
# name. An address that networkd does not know it would not bring along: version 252 gives the NIC
# nonsense instead, as it tries to drop it.
_OURS = "05-metalab-$bridge.netdev 05-metalab-$bridge.network 05-metalab-$nic.network"
NETWORKD = Way(
    move=r"""run=/run/systemd/network; umask 022; mkdir -p $run
index=$(cat /sys/class/net/$nic/ifindex)
state=/run/systemd/netif; file=$(sed -n 's/^NETWORK_FILE=//p' $state/links/$index || :)
sections() {
  [ -z "$file" ] || for part in "$file" $(
    for d in /usr/lib /usr/local/lib /run /etc; do
      ls -d $d/systemd/network/${file##*/}.d/*.conf 2>/dev/null || :; done); do
    awk "/^\[/ { sub(/[ \t]+\$/, \"\"); on = (\$0 $1) } on" "$part"; echo; done
}
for a in $(ip -o -4 addr show dev $nic scope global | sed '/ dynamic /d; s/.* inet //; s/ .*//'); do
  sections '!= "[Match]"' | grep -qF "Address=$a" || {
    echo "$nic has $a, which is not in ${file:-any file of networkd}" >&2; exit 1; }
done
# No boot waits for a link on which the host is nobody.
idle=$(printf '[Link]\nRequiredForOnline=no\n[Network]')
id=$(sed -n 's/^CLIENTID=ff\(........\).*/\1/p' $state/leases/$index 2>/dev/null || :)
case $file in */05-metalab-*) ;; *)
  { printf '[NetDev]\nName=%s\nKind=bridge\nMACAddress=%s\n' $bridge $mac
    printf '[Bridge]\nSTP=no\nForwardDelaySec=0\n'; } >$run/05-metalab-$bridge.netdev
  { printf '[Match]\nName=%s\n' $bridge
    if [ -n "$file" ]; then sections '!= "[Match]"'
    else printf '%s\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' "$idle"; fi
    [ -z "$id" ] || printf '[DHCPv4]\nIAID=%d\n[DHCPv6]\nIAID=%d\n' 0x$id 0x$id
  } >$run/05-metalab-$bridge.network
  { printf '[Match]\nName=%s\n' $nic; sections '== "[Link]"'
    if [ -n "$file" ]; then echo '[Network]'; else echo "$idle"; fi
    printf 'Bridge=%s\nLinkLocalAddressing=no\n' $bridge
  } >$run/05-metalab-$nic.network ;;
esac
networkctl reload""",
    keep=f"""umask 022; mkdir -p /etc/systemd/network
for file in {_OURS}; do cp /run/systemd/network/$file /etc/systemd/network/; done; sync""",
    kept=f"""for file in {_OURS}; do [ -s /etc/systemd/network/$file ] || exit 1; done""",
    undo=f"""there=
for folder in /run/systemd/network /etc/systemd/network; do
  for file in {_OURS}; do [ ! -e $folder/$file ] || there=yes; rm -f $folder/$file; done
done
[ -n "$there" ] || exit 0
networkctl reload; ip link del $bridge 2>/dev/null || :; networkctl reconfigure $nic || :
state=/run/systemd/netif/links/$(cat /sys/class/net/$nic/ifindex); left=50
until grep -qE '^ADMIN_STATE=(configured|unmanaged)' $state || [ $left = 0 ]; do
  left=$((left - 1)); sleep 0.1
done""",
)

# Two profiles come before the host's own by their priority. In memory they end with the boot.
_OF_FAMILY = (
    "method",
    "addresses",
    "gateway",
    "routes",
    "route-metric",
    "dns",
    "dns-search",
    "ignore-auto-dns",
    "ignore-auto-routes",
    "never-default",
    "dhcp-hostname",
)
_COPIED = " ".join(
    ["connection.zone ipv4.dhcp-client-id", *(f"ipv4.{key} ipv6.{key}" for key in _OF_FAMILY)]
)
_PROFILE = "con=$(nmcli -e no -g GENERAL.CON-UUID device show $nic)"
_FORGET = "for c in $nic $bridge; do nmcli connection delete metalab-$c 2>/dev/null || :; done"
NETWORK_MANAGER = Way(
    move=f"""kind=$(sed -n 's/^DEVTYPE=//p' /sys/class/net/$nic/uevent)
[ -z "$kind" ] || {{ echo "$nic is a $kind, and not of Ethernet" >&2; exit 1; }}
{_PROFILE}; {_FORGET}; set --
for key in {_COPIED}; do
  [ -n "$con" ] || break
  value=$(nmcli -e no -g $key connection show "$con")
  [ -z "$value" ] || set -- "$@" $key "$value"
done
[ -n "$con" ] || set -- ipv4.method disabled ipv6.method disabled
# By itself a bridge's route counts less than that of another NIC.
metric=$(ip -4 route show default dev $nic | sed -n 's/.* metric \\([0-9]*\\).*/\\1/p' | head -n 1)
[ -z "$metric" ] || set -- "$@" ipv4.route-metric $metric
first='connection.autoconnect yes connection.autoconnect-priority 999'
nmcli connection add save no type bridge ifname $bridge con-name metalab-$bridge $first \\
  bridge.stp no bridge.mac-address $mac "$@"
nmcli connection add save no type ethernet ifname $nic con-name metalab-$nic $first \\
  master $bridge slave-type bridge \\
  802-3-ethernet.mtu "$(nmcli -g 802-3-ethernet.mtu connection show "$con" 2>/dev/null || :)"
nmcli -w 20 connection up metalab-$nic""",
    keep="for c in $nic $bridge; do nmcli connection modify metalab-$c autoconnect yes; done; sync",
    kept="""[ "$(nmcli -e no -g NAME,FILENAME connection show |
  grep -E "^metalab-($nic|$bridge):" | grep -vc ':/run/')" = 2 ]""",
    undo=f"""nmcli -g NAME connection show | grep -qE "^metalab-($nic|$bridge)$" || exit 0
{_FORGET}; ip link del $bridge 2>/dev/null || :""",
    remember=f"""{_PROFILE}
how='-w 20'; if [ -z "$(ip -o addr show dev $nic scope global)" ]; then how='-w 0'; fi
[ -z "$con" ] || echo "nmcli $how connection up uuid $con ifname $nic"
{_ADDRESSES}""",
)

# There is no file of ours that would come before the host's own: the stanzas of the NIC become
# those of the bridge, in a copy that only we read until it takes the place of the file. dhclient
# keeps the number that servers know it by with the leases.
_NEW = "/run/network/metalab-$bridge"
_WAS = f"{BRIDGES_DIR}/$bridge/.interfaces"
_OWN = "/etc/network/interfaces.d/metalab-$bridge"
_LEASES = "/var/lib/dhcp/dhclient"
IFUPDOWN = Way(
    move=f"""files=$(ls /etc/network/interfaces /etc/network/interfaces.d/* 2>/dev/null || :)
file=$(grep -lE "^[[:space:]]*iface[[:space:]]+$nic([[:space:]]|$)" $files | head -n 1)
mkdir -p /run/network; umask 022; echo "${{file:-{_OWN}}}" >{_NEW}.of
awk -v nic=$nic -v bridge=$bridge -v mac=$mac '
  function of_bridge() {{
    print "    pre-up [ -d /sys/class/net/" bridge " ] || ip link add name " bridge \\
      " address " mac " type bridge stp_state 0 forward_delay 0"
    print "    pre-up ip link set " nic " master " bridge " up"
    print "    post-down ip link del " bridge
  }}
  $1 == "auto" || $1 ~ /^allow-/ {{
    rest = ""
    for (i = 2; i <= NF; i++) if ($i != nic) rest = rest " " $i
    if (rest != "") print $1 rest
    next
  }}
  {{ for (i = 2; i <= NF; i++) if ($i == nic && $(i - 1) ~ /^(dev|iface)$/) $i = bridge }}
  {{ print }}
  $1 == "iface" && $2 == bridge && !seen++ {{ of_bridge() }}
  END {{
    if (!seen) {{
      print "iface " bridge " inet manual"
      of_bridge()
      print "    pre-up echo 1 >/proc/sys/net/ipv6/conf/" bridge "/disable_ipv6"
    }}
    print "auto " nic "\\niface " nic " inet manual\\nauto " bridge
  }}' "${{file:-/dev/null}}" >{_NEW}
ifdown $nic 2>/dev/null || :
leases={_LEASES}.$nic.leases; [ ! -e $leases ] ||
  sed "s/interface \\"$nic\\"/interface \\"$bridge\\"/" $leases >{_LEASES}.$bridge.leases
ifup -i {_NEW} $nic $bridge""",
    keep=f"""file=$(cat {_NEW}.of); umask 022
[ ! -e "$file" ] || [ -e {_WAS} ] || {{ cp -p "$file" {_WAS}; echo "$file" >{_WAS}.of; }}
cat {_NEW} >"$file"; sync""",
    kept="""grep -qsE "^iface[[:space:]]+$bridge([[:space:]]|$)" \\
  /etc/network/interfaces /etc/network/interfaces.d/*""",
    undo=f"""new={_NEW}; [ -e $new ] || [ -e {_WAS}.of ] || [ -e {_OWN} ] || exit 0
[ -e $new ] || new=/etc/network/interfaces
ifdown --force -i $new $bridge $nic 2>/dev/null || :
ip link set $nic nomaster 2>/dev/null || :; ip link del $bridge 2>/dev/null || :
if [ -e {_WAS}.of ]; then cat {_WAS} >"$(cat {_WAS}.of)"; rm -f {_WAS} {_WAS}.of; fi
rm -f {_NEW} {_NEW}.of {_OWN} {_LEASES}.$bridge.leases""",
    remember=f"""! grep -qs "^$nic=" /run/network/ifstate || echo "ifup $nic"
{_ADDRESSES}""",
)

WAYS = {"networkd": NETWORKD, "NetworkManager": NETWORK_MANAGER, "ifupdown": IFUPDOWN}
