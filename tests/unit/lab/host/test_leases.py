from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host.facts import look
from lab.host.leases import claim, read_leases, reserve
from lab.host.runner import restore
from lab.host.session import Hear, Outcome
from lab.lease import Lease
from lab.storage import LEASES_DIR
from tests.unit.lab.host.shells import LocalShell, ScriptedShell


def lease(prefix: str, subnet: str = "10.1.0.0/24", memory_mib: int = 100) -> Lease:
    return Lease(prefix=prefix, virt_type="qemu", subnets={"data": subnet}, memory_mib=memory_mib)


class Racing(LocalShell):
    """Lets another run claim between this one's reading and its writing."""

    def __init__(self, folder: Path, others: list[Lease]) -> None:
        super().__init__(folder)
        self.others = others

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        if stdin and self.others:
            claim(self.others.pop(), LocalShell(self.folder), memory_limit_mib=None, progress=print)
        return super().run(command, timeout_s=timeout_s, stdin=stdin, hear=hear)


def test_a_lease_is_written_read_replaced_and_freed(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    assert read_leases(shell) == {}
    assert restore((), shell, prefix="foo", progress=print) == ""
    assert not list((tmp_path / "var/lib").iterdir())  # to free nothing leaves nothing
    claim(lease("foo"), shell, memory_limit_mib=100, progress=print)
    claim(
        lease("foo", memory_mib=50), shell, memory_limit_mib=100, progress=print
    )  # its own does not count
    claim(lease("foo2", "10.2.0.0/24"), shell, memory_limit_mib=None, progress=print)
    assert read_leases(shell) == {
        "foo": lease("foo", memory_mib=50),
        "foo2": lease("foo2", "10.2.0.0/24"),
    }
    assert restore((), shell, prefix="foo", progress=print) == ""
    assert list(read_leases(shell)) == ["foo2"]
    assert [path.name for path in (tmp_path / "var/lib/metalab/leases").iterdir()] == ["foo2.json"]
    (tmp_path / "var/lib/metalab/leases/.foo.new").touch()  # of a run that was killed: no lease
    assert restore((), shell, prefix="foo2", progress=print) == ""
    assert not list((tmp_path / "var/lib").iterdir())


@pytest.mark.parametrize(
    ("others", "rule"),
    [
        pytest.param([lease("b", "10.2.0.0/24")], "", id="judged again, and still fine"),
        pytest.param([lease("b")], "lease-subnet", id="the subnet is gone"),
        pytest.param(
            [lease("b", "10.2.0.0/24", 200)], "memory-overcommit", id="the memory is gone"
        ),
        pytest.param(
            [lease(f"b{n}", f"10.2.{n}.0/24", 1) for n in range(5)], "", id="five in a row"
        ),
        pytest.param(
            [lease(f"b{n}", f"10.2.{n}.0/24", 1) for n in range(30)], "lease-claim", id="no end"
        ),
    ],
)
def test_what_others_claim_meanwhile_counts(tmp_path: Path, others: list[Lease], rule: str) -> None:
    try:
        claim(lease("a"), Racing(tmp_path, others), memory_limit_mib=250, progress=print)
    except LabError as error:
        assert [problem.rule for problem in error.problems] == [rule]  # noqa: PT017
    assert ("a" in read_leases(LocalShell(tmp_path))) is (not rule)


def test_a_lease_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    claim(lease("foo"), shell, memory_limit_mib=None, progress=print)
    (tmp_path / "var/lib/metalab/leases/bar.json").write_text("{")
    with pytest.raises(LabError, match=r"lab42:.*/leases/bar\.json: got a file that cannot"):
        claim(lease("a", "10.9.0.0/24"), shell, memory_limit_mib=None, progress=print)


class Vanishing(LocalShell):
    """Lets another run let go of its lease just when that is read."""

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        gone = f'tail() {{ rm -f {LEASES_DIR}/gone.json; command tail "$@"; }}\n'
        return super().run(gone + command, timeout_s=timeout_s, stdin=stdin, hear=hear)


def test_a_lease_that_goes_while_all_are_read_is_none(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    claim(lease("gone"), shell, memory_limit_mib=None, progress=print)
    claim(lease("stays", "10.2.0.0/24"), shell, memory_limit_mib=None, progress=print)
    assert list(read_leases(Vanishing(tmp_path))) == ["stays"]


def test_a_text_without_the_end_of_its_line_does_not_run_into_the_next(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    for prefix, subnet in (("a", "10.1.0.0/24"), ("b", "10.2.0.0/24")):
        claim(lease(prefix, subnet), shell, memory_limit_mib=None, progress=print)
        shell.run(f"truncate -s -1 {LEASES_DIR}/{prefix}.json")
    assert list(read_leases(shell)) == ["a", "b"]


def test_an_empty_file_is_not_taken_for_nobodys(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    claim(lease("a"), shell, memory_limit_mib=None, progress=print)
    shell.run(f": > {LEASES_DIR}/a.json")
    with pytest.raises(LabError, match=r"a\.json"):
        read_leases(shell)


def test_a_lock_that_stays_taken_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.host.lock.LOCK_WAIT_S", 0)
    digest = Outcome(0, "@@metalab digest 0\n@@metalab end\n")
    shell = ScriptedShell([digest, Outcome(75, "", "the run of bar (me@here, process 7)")])
    with pytest.raises(LabError, match=r"got the run of bar \(me@here, process 7\), which held"):
        claim(lease("a"), shell, memory_limit_mib=None, progress=print)


class Breaking(LocalShell):
    """Loses the connection while the lease is sent: what reads it sees an early end."""

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        super().run(command, timeout_s=timeout_s, stdin=stdin[: len(stdin) // 2], hear=hear)
        return Outcome(255, "", "the connection was lost") if stdin else super().run(command)


def test_a_lease_that_arrives_in_part_is_none(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="the connection was lost"):
        claim(lease("a"), Breaking(tmp_path), memory_limit_mib=None, progress=print)
    assert read_leases(LocalShell(tmp_path)) == {}
    assert list((tmp_path / "var/lib/metalab/leases").iterdir()) == []


def test_a_refused_claim_gives_its_reservation_up(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    claim(lease("a"), shell, memory_limit_mib=None, progress=print)
    digest = look(shell).leases_digest
    assert reserve(lease("b"), shell, digest=digest, progress=print)
    with pytest.raises(LabError, match="lease-subnet"):
        claim(lease("b"), shell, memory_limit_mib=None, progress=print)
    assert not (tmp_path / "var/lib/metalab/reserved").exists()
