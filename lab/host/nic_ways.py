"""How each of the programs that have a host's NICs moves one into a bridge, and back.

Texts for sh, in which $nic and $bridge stand for the two, and $mac for the NIC's address. Nothing
that belongs to the host is edited where that can be helped: what metalab adds comes before it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One program's."""

    move: str  # changes what runs, and nothing that the next boot reads
    keep: str  # makes that last
    kept: str  # exit 0 says that it does
    undo: str  # of both; harmless where nothing was done
    remember: str = ""  # prints the rest of the undo, which depends on what was there before


# What systemd-networkd reads is a copy of the NIC's own file, in which the bridge stands for the
# NIC; the first file that fits counts, so netplan's and the host's own stay as they are. Below /run
# it ends with the boot. A server of DHCP may know the host by a number that follows from the NIC's
# name.
_OURS = "05-metalab-$bridge.netdev 05-metalab-$bridge.network 05-metalab-$nic.network"
NETWORKD = Way(
    move=r"""run=/run/systemd/network; umask 022; mkdir -p $run
index=$(cat /sys/class/net/$nic/ifindex)
file=$(sed -n 's/^NETWORK_FILE=//p' /run/systemd/netif/links/$index)
sections() {
  [ -z "$file" ] || for part in "$file" $(
    for d in /usr/lib /usr/local/lib /run /etc; do
      ls -d $d/systemd/network/${file##*/}.d/*.conf 2>/dev/null; done); do
    awk "/^\[/ { sub(/[ \t]+\$/, \"\"); on = (\$0 $1) } on" "$part"; echo; done
}
id=$(sed -n 's/^CLIENTID=ff\(........\).*/\1/p' /run/systemd/netif/leases/$index 2>/dev/null)
case $file in */05-metalab-*) ;; *)
  { printf '[NetDev]\nName=%s\nKind=bridge\nMACAddress=%s\n' $bridge $mac
    printf '[Bridge]\nSTP=no\nForwardDelaySec=0\n'; } >$run/05-metalab-$bridge.netdev
  { printf '[Match]\nName=%s\n' $bridge
    if [ -n "$file" ]; then sections '!= "[Match]"'
    else printf '[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n'; fi
    [ -z "$id" ] || printf '[DHCPv4]\nIAID=%d\n[DHCPv6]\nIAID=%d\n' 0x$id 0x$id
  } >$run/05-metalab-$bridge.network
  { printf '[Match]\nName=%s\n' $nic; sections '== "[Link]"'
    printf '[Network]\nBridge=%s\nLinkLocalAddressing=no\n' $bridge
  } >$run/05-metalab-$nic.network ;;
esac
networkctl reload""",
    keep=f"""umask 022; mkdir -p /etc/systemd/network
for file in {_OURS}; do cp /run/systemd/network/$file /etc/systemd/network/; done; sync""",
    kept=f"""for file in {_OURS}; do [ -s /etc/systemd/network/$file ] || exit 1; done""",
    undo=f"""for folder in /run/systemd/network /etc/systemd/network; do
  for file in {_OURS}; do rm -f $folder/$file; done
done
ip link set $nic nomaster 2>/dev/null || :; ip link del $bridge 2>/dev/null || :
networkctl reload; networkctl reconfigure $nic 2>/dev/null || :""",
    remember="""up=$(($(cat /sys/class/net/$nic/flags) & 1))
[ $up = 1 ] || echo "ip link set $nic down" """,
)

WAYS = {"networkd": NETWORKD}
