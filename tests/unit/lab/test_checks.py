from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.checks import Check, Examination, check_host, check_lab
from lab.errors import Problem
from lab.facts import HostFacts, KvmFacts
from lab.lease import Lease
from lab.plan import plan_lab
from tests.unit.lab.samples import FACTS, IMAGE, config, holding, plan, topology

SERVER = replace(
    FACTS,
    os_name="Debian GNU/Linux 12 (bookworm)",
    cpu_vendor="AuthenticAMD",
    cpu_virtualization=True,
    kvm=True,
    disk_total_gib=1_000,
    around_kvm=KvmFacts(loaded=frozenset({"kvm_amd"}), nested=frozenset({"kvm_amd"})),
)
PROBLEM = Problem("lab42", "Plan 9", "Debian", "host-os", "Take another")


def rows(facts: HostFacts, *problems: Problem, users: tuple[str, ...] = ()) -> dict[str, Check]:
    return {check.name: check for check in check_host(facts, problems, users)}


def test_a_good_server_is_ok_throughout() -> None:
    found = check_host(SERVER, [], ["foo"])
    assert {check.verdict for check in found} == {"ok"}
    assert [(check.name, check.text) for check in found] == [
        ("system", "Debian GNU/Linux 12 (bookworm), x86_64"),
        ("CPU", "8 threads, AuthenticAMD"),
        ("KVM", "yes"),
        ("nested", "on (kvm_amd)"),
        ("memory", "61440 MiB for nodes (65536 installed, 4096 reserved, 0 taken)"),
        ("disk", "500 GiB free of 1000 at /var/lib/libvirt/images/metalab"),
        ("used by", "foo; 0 domains"),
    ]


@pytest.mark.parametrize(
    ("fields", "name", "verdict", "says"),
    [
        pytest.param({"cpu_count": 3}, "CPU", "note", "3 threads", id="three threads"),
        pytest.param({"cpu_count": 4}, "CPU", "ok", "4 threads", id="four"),
        pytest.param(
            {"kvm": False, "inside": "vmware", "cpu_virtualization": False},
            "KVM",
            "note",
            "under emulation: it is itself a virtual machine (vmware)",
            id="no KVM",
        ),
        pytest.param(
            {"cpu_virtualization": False}, "KVM", "note", "virt-type: kvm may be tried", id="odd"
        ),
        pytest.param(
            {"kvm": False, "around_kvm": KvmFacts(loadable=frozenset({"kvm_amd"}))},
            "KVM",
            "ok",
            "kvm_amd is not loaded yet, and the preparation loads it",
            id="a module that sleeps",
        ),
        pytest.param(
            {"around_kvm": KvmFacts(loaded=frozenset({"kvm_amd"}))},
            "nested",
            "note",
            "off (kvm_amd): the preparation turns it on",
            id="nested is off",
        ),
        pytest.param({"memory_mib": 9_216}, "memory", "ok", "8192 MiB for", id="8 GiB"),
        pytest.param({"memory_mib": 9_215}, "memory", "note", "asks for 8192", id="less"),
        pytest.param({"disk_free_gib": 40}, "disk", "ok", "40 GiB free of 1000", id="40 GiB"),
        pytest.param({"disk_free_gib": 39}, "disk", "note", "asks for 40", id="less disk"),
        pytest.param(
            {"disk_held_gib": 3, "leases": {"foo": Lease(prefix="foo", virt_type="", disk_gib=9)}},
            "disk",
            "ok",
            "disks there occupy 3 GiB and can grow to 9",
            id="disks that can grow",
        ),
        pytest.param(
            {"leases": {"foo": Lease(prefix="foo", virt_type="", disk_gib=501)}},
            "disk",
            "note",
            "can grow to 501, more than there is room for",
            id="the worst case",
        ),
    ],
)
def test_what_is_noted_of_a_host(
    fields: dict[str, Any], name: str, verdict: str, says: str
) -> None:
    found = rows(replace(SERVER, **fields))[name]
    assert found.verdict == verdict
    assert says in found.text


def test_a_refusal_takes_the_place_of_its_row() -> None:
    found = rows(SERVER, PROBLEM, Problem("lab42", "no KVM", "KVM", "kvm"), users=("foo",))
    assert found["host-os"] == Check("refused", "host-os", "Plan 9; expected Debian. Take another.")
    assert found["kvm"].text == "no KVM; expected KVM."
    assert not {"system", "KVM"} & found.keys()


def test_whoever_holds_a_lease_or_has_a_marker_uses_the_host() -> None:
    facts = holding(SERVER, plan("bar").lease, plan("foo").lease)
    assert rows(facts, users=("_operator", "foo"))["used by"].text == (
        "_operator, bar, foo; 0 domains"
    )


def test_a_lab_that_fits_says_its_sums() -> None:
    found = check_lab(plan(facts=SERVER), [], SERVER, wanted=True)
    assert found == [
        Check(
            "ok",
            "3 nodes",
            "576 of 61440 MiB, 3 vCPUs on 8 threads, disks of up to 3 GiB with room for 500",
        )
    ]


@pytest.mark.parametrize(
    ("wanted", "verdict"),
    [
        pytest.param(True, "refused", id="somebody's wish"),
        pytest.param(False, "note", id="a yardstick"),
    ],
)
def test_only_a_lab_that_was_asked_for_is_refused(wanted: bool, verdict: str) -> None:
    (row,) = check_lab(None, [PROBLEM], SERVER, wanted=wanted)
    assert (row.verdict, row.name) == (verdict, "host-os")
    refused = Examination(title="", host=(), steps=(), lab_title="", fits=False, lab=(row,)).refused
    assert refused is wanted


def test_a_yardstick_has_notes_on_size_alone() -> None:
    small = replace(FACTS, disk_free_gib=1)  # no KVM, which its host's row says already
    lab = plan_lab(config(), topology(tiny=range(3)), IMAGE, small)
    assert [row.name for row in check_lab(lab, [], small, wanted=False)] == ["3 nodes", "disk"]
    names = [row.name for row in check_lab(lab, [], small, wanted=True)]
    assert names == ["3 nodes", "virt-type auto", "disk"]
