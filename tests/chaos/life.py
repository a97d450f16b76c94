"""One environment's life under blows, and what must be so after each."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from difflib import unified_diff
from pathlib import Path

from tests.chaos.points import OPERATIONS, Life, Point
from tests.chaos.strike import Struck, kill, run
from tests.e2e.engine import Project
from tests.e2e.hypervisors import Hypervisor
from tests.soak.crowd import FOREIGN

# /var/lib in a file system of its own: one that may be filled.
SMALL_DISK = """set -e
systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd
mount -t tmpfs -o size=400M,mode=755 tmpfs /mnt
cp -a /var/lib/. /mnt
mount --bind /mnt /var/lib
systemctl start libvirtd.socket libvirtd
findmnt -n -o FSTYPE /var/lib | grep -qx tmpfs"""
# Everything of everybody else, to the byte.
OTHERS = """
for d in $(virsh list --all --name); do case $d in foo-blank-*) ;; *) virsh dumpxml $d; esac; done
for n in $(virsh net-list --all --name); do
  case $n in foo-data|foo-management|foo-external) ;; *) virsh net-dumpxml $n; esac; done
cat /run/libvirt/qemu/foo2-*.pid 2>/dev/null; cat /var/lib/libvirt/images/foo-db.img
cd /var/lib/metalab 2>/dev/null && sha256sum leases/foo2.json prefixes/foo2 2>/dev/null
getent passwd stack >/dev/null && ls /etc/polkit-1/rules.d | sed 's/^/rule /'
getent passwd stack || :
{ iptables-save; ip6tables-save; } | grep -v '^[#:]' | sort
"""
UP = ("up", "--skip-preview")
ROLE = "cpu: 1\nmemory: {memory}\ndisks: [1G]\ndeploy_os: false\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What came of one blow."""

    life: int
    operation: str
    fault: str
    by: str
    part: float
    at: str  # where it fell; empty: the run was over before
    ended: str  # how the run that was struck ended: "succeeded", "failed", "hung"
    converged: bool  # one more run did it, and nothing is otherwise than planned
    residue: tuple[str, ...]  # what is left after the life's end, and what changed of others
    struck_s: float  # how long the run that was struck took
    seconds: float  # with what came after it
    why: str = ""  # the end of what was printed, where it did not converge

    def to_plain(self) -> dict[str, object]:
        return {**asdict(self), "residue": list(self.residue)}


class Stage:
    """A hypervisor with things that are somebody else's, and the runs that nobody disturbed."""

    def __init__(self, host: Hypervisor, folder: Path, *, neighbour: bool) -> None:
        self.host, self.folder = host, folder
        self.project = Project.copy(folder)
        host.run(SMALL_DISK)
        host.run(FOREIGN)
        self._role(64)
        if neighbour:
            self.project.stack("foo2", topology_nodes="blank:1", **host.settings).up().ok()
        self.foo = self.project.stack("foo", topology_nodes="blank:2", **host.settings)
        self._live(self._begin)  # what libvirt makes once is made
        self.before, self.others = host.inventory(), host.run(OTHERS)
        self.plain: dict[str, Struck] = {}
        self._live(self._time)
        assert self._residue() == ()

    def live(self, life: Life) -> Iterator[Verdict]:
        """Live one life; answers the verdict of each blow once the life is over."""
        blows: list[tuple[Point, Struck, str, float]] = []
        self._role(64)
        self.foo.configure(topology_nodes="blank:2", remove_nodes=None)
        stop_at = life.points[-1].operation
        for operation in OPERATIONS:
            point, begun = life.of(operation), time.monotonic()
            if point is None:
                if operation == "destroy" or OPERATIONS.index(operation) < OPERATIONS.index(
                    stop_at
                ):
                    why = self._again(operation)
                    blows = [(*blow[:2], blow[2] or why, blow[3]) for blow in blows]
                continue
            self._set(operation)
            struck = run(self.foo, _words(operation), point, self.plain[operation], self.host)
            converges = operation == "destroy" or len(life.points) > 1
            why = "the run hung\n" + struck.out[-1500:] if struck.hung else ""
            why = why or (self._again(operation) if converges else "")
            kill(struck.left)
            blows.append((point, struck, why, time.monotonic() - begun))
        residue = self._residue()
        for point, struck, why, seconds in blows:
            ended = "hung" if struck.hung else "failed" if struck.code else "succeeded"
            yield Verdict(
                life=life.number,
                **asdict(point),
                at=struck.at,
                ended=ended,
                converged=not why,
                residue=residue,
                struck_s=round(struck.seconds, 1),
                seconds=round(seconds, 1),
                why=why,
            )
        if residue or any(why for _, _, why, _ in blows):
            self._start_over()

    def _live(self, act: Callable[[str], object]) -> None:
        self._role(64)
        self.foo.configure(topology_nodes="blank:2", remove_nodes=None)
        for operation in OPERATIONS:
            act(operation)

    def _time(self, operation: str) -> None:
        self._set(operation)
        self.plain[operation] = run(self.foo, _words(operation), None, None, self.host)
        assert self.plain[operation].code == 0, self.plain[operation].out

    def _begin(self, operation: str) -> None:
        self._set(operation)
        self.foo.pulumi(*_words(operation), "--yes").ok()

    def _set(self, operation: str) -> None:
        """An edit: one node goes, one comes, and all others get more memory."""
        if operation == "edit":
            self._role(72)
            self.foo.configure(topology_nodes="blank:2", remove_nodes="blank-0")

    def _role(self, memory_mib: int) -> None:
        role = self.folder / "topologies" / "nodes" / "blank.yaml"
        role.write_text(ROLE.format(memory=memory_mib))

    def _again(self, operation: str) -> str:
        """Run it once more, as a user would: what is wrong then, or nothing."""
        self._set(operation)
        runs = self.foo.pulumi(*_words(operation), "--yes")
        if "currently locked" in runs.out:  # whoever was killed holds it
            self.foo.pulumi("cancel", "--yes")
            runs = self.foo.pulumi(*_words(operation), "--yes")
        if runs.code:
            return runs.out[-3000:]
        if operation == "destroy":
            return ""
        drift = self.foo.fab("drift")
        same = self.foo.unchanged() if not drift.code else drift
        return same.out[-3000:] if same.code else ""

    def _residue(self) -> tuple[str, ...]:
        now, was = set(self.host.inventory()), set(self.before)
        theirs = list(unified_diff(self.others.splitlines(), self.host.run(OTHERS).splitlines()))
        return (
            *(f"+ {line}" for line in sorted(now - was)),
            *(f"- {line}" for line in sorted(was - now)),
            *(f"of others: {line}" for line in theirs if line[0] in "+-"),
        )

    def _start_over(self) -> None:
        """A failure is reported once, not by every life that follows."""
        login = ("--user", "root", "--key", self.host.spec.key)
        login += ("--known-hosts", self.host.spec.known_hosts)
        words = ("fab", "cleanup", self.host.spec.address, *login, "--prefix", "foo", "--yes")
        self.project.run("uv", "run", "--frozen", *words)
        self.foo.pulumi("cancel", "--yes")
        self.project.run("pulumi", "stack", "rm", "foo", "--force", "--yes", "--preserve-config")
        shutil.rmtree(self.folder / "state" / ".pulumi" / "locks", ignore_errors=True)
        self.foo = self.project.stack("foo", topology_nodes="blank:2", **self.host.settings)
        self.before, self.others = self.host.inventory(), self.host.run(OTHERS)


def _words(operation: str) -> tuple[str, ...]:
    return ("destroy", "--skip-preview") if operation == "destroy" else UP
