"""The floor: the same networks, volumes and domains by plain parallel virsh calls on the host."""

from __future__ import annotations

from dataclasses import dataclass

from tests.e2e.hypervisors import Hypervisor

# Copies an environment's own XML under other names, so that both make exactly the same things.
SCRIPT = r"""
set -e
work=$(mktemp -d); cd "$work"; p=PREFIX; store=/var/lib/libvirt/images/metalab/floor
i=0
for n in $(virsh net-list --name | grep "^$p-"); do
  i=$((i + 1))
  virsh net-dumpxml --inactive $n | sed "s/$p-/fl-/g; /<uuid>/d" | sed '/<mac address/{/host/!d}' \
    | sed -E "s#'(10|172|192)\.[0-9]+\.[0-9]+\.#'10.250.$i.#g" > $n.net
done
for d in $(virsh list --name | grep "^$p-"); do
  virsh dumpxml --inactive $d | sed "s/$p-/fl-/g; /<uuid>/d; s#/prefixes/$p/#/floor/#" > $d.dom
done
mkdir -p $store
virsh -q pool-define-as floor dir --target $store
virsh -q pool-start floor
net() { virsh -q net-define $1; virsh -q net-start $(sed -n 's#.*<name>\(.*\)</name>.*#\1#p' $1); }
one() {
  n=$(basename $1 .dom | sed "s/^$p-/fl-/")
  virsh -q vol-create-as floor $n-vda.qcow2 1G --format qcow2
  virsh -q define $1; virsh -q start $n
}
s=$(date +%s.%N)
for f in *.net; do net $f >/dev/null & done; wait
for f in *.dom; do one $f >/dev/null & done; wait
e=$(date +%s.%N)
count=$(virsh list --name | grep -c '^fl-')
sleep SETTLED
no() { virsh -q destroy $1; virsh -q undefine $1; virsh -q vol-delete --pool floor $1-vda.qcow2; }
nonet() { virsh -q net-destroy $1; virsh -q net-undefine $1; }
g=$(date +%s.%N)
for d in $(virsh list --name | grep '^fl-'); do no $d >/dev/null & done; wait
for n in $(virsh net-list --name | grep '^fl-'); do nonet $n >/dev/null & done; wait
virsh -q pool-destroy floor; virsh -q pool-undefine floor
z=$(date +%s.%N)
rm -rf $store "$work" /var/log/libvirt/qemu/fl-*
echo "$s $e $g $z $count"
"""


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds of wall time."""

    make: float
    remove: float


def floor(host: Hypervisor, prefix: str, count: int, settled_s: int) -> Floor:
    """Make a copy of an environment that runs, and remove it once it has settled."""
    script = SCRIPT.replace("PREFIX", prefix).replace("SETTLED", str(settled_s))
    *times, made = host.run(script).split()[-5:]
    assert int(made) == count, f"{made} domains came up"
    begun, ended, going, gone = map(float, times)
    return Floor(make=ended - begun, remove=gone - going)
