from __future__ import annotations

from dataclasses import replace

import pytest

from lab.capacity import OVERHEAD_MIB, domain_memory_mib, memory_room, notes, reserve_mib
from lab.facts import DomainFact, HostFacts
from lab.lease import HeldNode, Lease
from tests.unit.lab.samples import FACTS, holding, plan, role


def domain(name: str, memory_mib: int) -> DomainFact:
    return DomainFact(name=name, uuid="u", memory_mib=memory_mib, vcpus=1)


def lease(prefix: str, memory_mib: int, *nodes: str) -> Lease:
    held = {node: HeldNode(numbers={}, disks_gib={}) for node in nodes}
    return Lease(prefix=prefix, virt_type="qemu", nodes=held, memory_mib=memory_mib)


@pytest.mark.parametrize(
    ("installed", "reserve"),
    [
        pytest.param(2_048, 1_024, id="never less than 1 GiB"),
        pytest.param(16_384, 1_024, id="where both meet"),
        pytest.param(65_536, 4_096, id="a sixteenth"),
        pytest.param(0, 1_024, id="nothing"),
    ],
)
def test_reserve(installed: int, reserve: int) -> None:
    assert reserve_mib(installed) == reserve


@pytest.mark.parametrize("virt_type", sorted(OVERHEAD_MIB))
def test_a_domain_costs_more_than_its_guest_sees(virt_type: str) -> None:
    assert domain_memory_mib(128, virt_type) == 128 + OVERHEAD_MIB[virt_type]


@pytest.mark.parametrize(
    ("facts", "used"),
    [
        pytest.param(FACTS, 0, id="an empty host"),
        pytest.param(holding(FACTS, lease("foo", 9_999)), 0, id="our own lease"),
        pytest.param(holding(FACTS, lease("foo2", 512)), 512, id="a lease of another prefix"),
        pytest.param(
            replace(FACTS, domains=(domain("mine", 256),)), 256 + 160, id="a domain of nobody"
        ),
        pytest.param(
            replace(FACTS, kvm=True, domains=(domain("mine", 256),)), 256 + 64, id="under KVM"
        ),
        pytest.param(
            holding(
                replace(FACTS, domains=(domain("foo2-tiny-0", 256),)), lease("foo2", 512, "tiny-0")
            ),
            512,
            id="a leased domain counts once",
        ),
        pytest.param(
            holding(replace(FACTS, domains=(domain("foo-tiny-0", 1),)), lease("foo", 9, "tiny-0")),
            0,
            id="our own domains",
        ),
    ],
)
def test_what_others_use(facts: object, used: int) -> None:
    room = memory_room(facts, "foo")  # type: ignore[arg-type]
    assert room.used_by_others == used
    assert room.available == 65_536 - 4_096 - used


def test_a_full_host_has_nothing_left() -> None:
    assert memory_room(replace(FACTS, memory_mib=512), "foo").available == 0


def test_a_second_plan_does_not_count_itself() -> None:
    first = plan()
    assert memory_room(holding(FACTS, first.lease), "foo") == memory_room(FACTS, "foo")


DEMO = replace(FACTS, cpu_count=2, memory_mib=24_105, disk_free_gib=63)
ROOMY = replace(FACTS, cpu_count=64, memory_mib=262_144, disk_free_gib=900)


def claimed(
    facts: HostFacts, count: int, vcpus: int, memory_mib: int, disk_gib: int
) -> tuple[str, ...]:
    """The notes on nodes of one shape."""
    lease = Lease(
        prefix="foo",
        virt_type="kvm",
        vcpus=count * vcpus,
        memory_mib=count * memory_mib,
        disk_gib=count * disk_gib,
    )
    roles = (role("tiny", range(count), vcpus=vcpus),)
    return tuple(notes(lease, roles, facts, overcommit=True))


def another(**fields: int) -> Lease:
    return Lease(prefix="bar", virt_type="kvm", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "nodes", "said"),
    [
        pytest.param(DEMO, (3, 1, 288, 1), [], id="the demo on two threads"),
        pytest.param(ROOMY, (6, 8, 32_768, 100), [], id="a rack on a big server"),
        pytest.param(
            DEMO,
            (2, 4, 8_192, 20),
            ["tiny of 4 vCPUs on a host of 2 threads", "8 vCPUs on 2 threads, fewer than 4: nodes"],
            id="servers on two threads",
        ),
        pytest.param(
            FACTS, (5, 8, 1_024, 1), ["40 vCPUs on 8 threads, more than 4 a thread"], id="40 on 8"
        ),
        pytest.param(FACTS, (4, 8, 1_024, 1), [], id="32 on 8: just"),
        pytest.param(
            holding(FACTS, another(vcpus=1)),
            (4, 8, 1_024, 1),
            ["33 vCPUs (1 of others) on 8 threads"],
            id="32 and another's on 8",
        ),
        pytest.param(
            replace(FACTS, domains=(DomainFact(name="mine", uuid="u", memory_mib=1, vcpus=1),)),
            (4, 8, 1_024, 1),
            ["33 vCPUs (1 of others) on 8 threads"],
            id="32 and a stranger's on 8",
        ),
        pytest.param(DEMO, (1, 1, 512, 63), [], id="to the last GiB"),
        pytest.param(
            DEMO,
            (1, 1, 512, 64),
            ["disks can grow to 64 GiB, but there is room for 63 GiB (63 free, 0 occupied"],
            id="one GiB more",
        ),
        pytest.param(
            replace(DEMO, disk_held_gib=1), (1, 1, 512, 64), [], id="what they occupy is theirs"
        ),
        pytest.param(
            holding(DEMO, another(disk_gib=40)),
            (1, 1, 512, 40),
            ["grow to 40 GiB, and those of other environments to 40 GiB, but"],
            id="with another's",
        ),
        pytest.param(
            FACTS,
            (2, 1, 40_000, 1),
            ["80000 MiB of nodes on a host with 61440 MiB for them (65536 installed, 4096 reserv"],
            id="memory that is overcommitted",
        ),
    ],
)
def test_notes_say_what_is_tight(
    facts: HostFacts, nodes: tuple[int, int, int, int], said: list[str]
) -> None:
    found = claimed(facts, *nodes)
    assert len(found) == len(said)
    for note, part in zip(found, said, strict=True):
        assert part in note


def test_a_role_of_which_nothing_is_left_is_not_wide() -> None:
    lease = Lease(prefix="foo", virt_type="kvm")
    roles = (role("tiny", (), vcpus=500),)
    assert list(notes(lease, roles, FACTS, overcommit=False)) == []


def test_memory_that_a_rule_refuses_is_no_note() -> None:
    lease = Lease(prefix="foo", virt_type="kvm", memory_mib=80_000)
    assert list(notes(lease, (), FACTS, overcommit=False)) == []
