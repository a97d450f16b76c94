"""The floor: the same networks, volumes and domains by plain parallel virsh calls on the host."""

from __future__ import annotations

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
for d in $(virsh list --name | grep '^fl-'); do virsh destroy $d; virsh undefine $d; done >/dev/null
for n in $(virsh net-list --name | grep '^fl-'); do
  virsh net-destroy $n; virsh net-undefine $n
done >/dev/null
virsh -q pool-destroy floor; virsh -q pool-undefine floor
rm -rf $store "$work" /var/log/libvirt/qemu/fl-*
echo "$s $e $count"
"""


def floor_s(host: Hypervisor, prefix: str) -> float:
    """Seconds of wall time to make a copy of an environment that runs, removed again."""
    begun, ended, count = host.run(SCRIPT.replace("PREFIX", prefix)).split()[-3:]
    assert int(count) == 10, f"{count} domains came up"  # noqa: PLR2004 - ten were asked for
    return float(ended) - float(begun)
