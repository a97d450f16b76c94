"""What libvirt itself has forgotten: the rest of a network whose start was cut short."""

from __future__ import annotations

from lab.host.session import VIRSH

# A libvirtd that is killed while it starts a network leaves the bridge, and perhaps dnsmasq and
# rules of the firewall, and knows of none of them when it comes back. Only a bridge that is on no
# network and has no port but libvirt's own is taken for one. Takes the network and the bridge.
FORGET_BRIDGE = f"""forget_bridge() {{
  [ -d /sys/class/net/$2/bridge ] || return 0
  [ -z "$(ls /sys/class/net/$2/brif | grep -vx "$2-nic")" ] || return 0
  for n in $({VIRSH} net-list --all --name); do
    if {VIRSH} net-dumpxml --inactive "$n" | grep -q "<bridge name='$2'"; then return 0; fi
  done
  p=$(cat /run/libvirt/network/$1.pid 2>/dev/null)
  if [ -n "$p" ] && grep -qs "dnsmasq/$1.conf" /proc/$p/cmdline; then kill $p; fi
  for f in 4 6; do
    net=$(ip -$f route show dev $2 proto kernel | sed -n '/^fe80/d; s/ .*//p' | head -n 1)
    i=iptables; [ $f = 4 ] || i=ip6tables
    for t in filter nat mangle; do
      $i -w -t $t -S | sed -n '/ LIBVIRT_/s/$/ /p' | grep -F -e "-i $2 " -e "-o $2 " \
        -e "-s ${{net:-none}} " | sed 's/^-A/-D/' | while read -r rule; do $i -w -t $t $rule; done
    done
    i=ip; [ $f = 4 ] || i=ip6
    nft -a list table $i libvirt_network | grep -F -e chain -e "\\"$2\\"" \
      -e "saddr ${{net:-none}} " | while read -r word chain rest; do
      if [ "$word" = chain ]; then c=$chain; else
        nft delete rule $i libvirt_network $c handle ${{rest##* }}
      fi
    done
  done 2>/dev/null
  ip link delete $2
}}"""
