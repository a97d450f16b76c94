"""Many environments on one hypervisor, made and removed side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import unified_diff
from ipaddress import ip_network
from itertools import combinations
from typing import Any

from tests.e2e.engine import Project, Run, Stack
from tests.e2e.hypervisors import Hypervisor

# Somebody else's, called as if they were foo's.
FOREIGN = """
virsh -q define /dev/stdin <<X
<domain type='qemu'><name>foo-db</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'>
<driver name='qemu' type='raw'/><source file='/var/lib/libvirt/images/foo-db.img'/>
<target dev='vda' bus='virtio'/></disk></devices></domain>
X
virsh -q net-define /dev/stdin <<X
<network><name>foo-net</name><ip address='10.99.99.1' netmask='255.255.255.0'/></network>
X
echo theirs > /var/lib/libvirt/images/foo-db.img
"""
# By whom, to the byte: {"foo2": [lines]}; what is nobody's is by "".
EVERYBODY = r"""
cd /
say() { sed "s/^/$1\t/"; }
for d in $(virsh list --all --name); do
  o=$(virsh dumpxml --inactive $d | sed -n 's/.*:owner .*prefix=.\([a-z0-9-]*\).*/\1/p')
  { virsh dumpxml $d; cat /run/libvirt/qemu/$d.pid 2>/dev/null; echo; } | say "$o"
done
for n in $(virsh net-list --all --name); do
  o=$(virsh net-dumpxml --inactive $n | sed -n 's/.*:owner .*prefix=.\([a-z0-9-]*\).*/\1/p')
  virsh net-dumpxml $n | say "$o"
done
for f in $(find /var/lib/metalab/leases /var/lib/metalab/prefixes -type f ! -name '.*'); do
  p=${f##*/}; sha256sum $f | say ${p%.json}
done
sha256sum /var/lib/libvirt/images/foo-db.img | say ''
find /var/lib/libvirt/images/metalab/prefixes -type f -printf '%i %p\n' | while read i p; do
  q=${p#*/prefixes/}; echo "$i $p" | say ${q%%/*}
done
sed -n 's/.*\(metalab:\([a-z0-9-]*\)\)$/\2\t&/p' /root/.ssh/authorized_keys
"""


@dataclass
class Crowd:
    """Environments of one project on one hypervisor."""

    project: Project
    host: Hypervisor
    at_once: int
    running: int  # how many of their nodes stay on: each is a QEMU that emulates
    stacks: dict[str, Stack] = field(default_factory=dict[str, Stack])

    def make(self, count: int) -> None:
        """Add stacks up to a count, and bring them up, `at_once` at a time."""
        known = len(self.stacks)
        names = [f"env{n}" for n in range(known, count)]
        settings = {"topology_nodes": "blank:1", "host_memory_overcommit": True}
        for prefix in names:
            self.stacks[prefix] = self.project.stack(prefix, **settings, **self.host.settings)
        self.each(names, self.up)

    def up(self, stack: Stack) -> Run:
        """Bring one up, and switch its node off: it is blank, so that is its lab's affair."""
        run = stack.up()
        if list(self.stacks).index(stack.prefix) >= self.running and not run.code:
            self.host.run(f"virsh destroy {stack.prefix}-blank-0")
        return run

    def each(self, prefixes: Iterable[str], act: Callable[[Stack], Run]) -> float:
        """Do something with each, `at_once` at a time; all succeed. Answers the seconds."""
        begun = time.monotonic()
        with ThreadPoolExecutor(self.at_once) as pool:
            runs = dict(
                zip(prefixes, pool.map(act, [self.stacks[p] for p in prefixes]), strict=True)
            )
        failed = {prefix: run.out[-2000:] for prefix, run in runs.items() if run.code}
        assert not failed, "\n".join(f"{prefix}: {said}" for prefix, said in failed.items())
        return time.monotonic() - begun

    def leases(self) -> dict[str, dict[str, str]]:
        """The subnets of each prefix, as the host has them."""
        said = self.host.run("cd /var/lib/metalab/leases && for f in *.json; do cat $f; done")
        found, rest = list[dict[str, Any]](), said
        while rest.strip():
            lease, end = json.JSONDecoder().raw_decode(rest.lstrip())
            found.append(lease)
            rest = rest.lstrip()[end:]
        return {
            lease["prefix"]: {**lease["subnets"], **lease.get("subnets6", {})} for lease in found
        }

    def overlapping(self) -> list[tuple[str, str]]:
        """Subnets that are two environments' at once."""
        subnets = [subnet for lease in self.leases().values() for subnet in lease.values()]
        nets = [ip_network(subnet) for subnet in subnets]
        v4 = [net for net in nets if net.version == 4]
        return [(str(a), str(b)) for a, b in combinations(v4, 2) if a.overlaps(b)]


def everybody(host: Hypervisor) -> dict[str, list[str]]:
    """All that there is on a host, by whose it is."""
    found: dict[str, list[str]] = {}
    for line in host.run(EVERYBODY).splitlines():
        whose, _, what = line.partition("\t")
        found.setdefault(whose, []).append(what)
    return found


def changed(
    was: dict[str, list[str]], now: dict[str, list[str]], but: Sequence[str] = ()
) -> list[str]:
    """What is not as before, with whose it is, apart from those that were meant."""
    return [
        f"{who}: {line}"
        for who in {*was, *now} - set(but)
        for line in unified_diff(was.get(who, []), now.get(who, []), n=0, lineterm="")
    ]
