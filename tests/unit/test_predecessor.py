"""What is documented to fail in infrared virsh: each failure is a test here, or names one.

docs/reference/predecessor.md is the same list for readers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest

from lab.config import parse_config
from lab.edit import extended, names_of
from lab.facts import HostFacts
from lab.lease import Lease
from lab.plan import plan_lab
from lab.plans import LabPlan
from lab.topology import load_topology
from tests.golden import check_golden

ROOT = Path(__file__).parents[2]
HOST = HostFacts(hostname="h", os_id="debian", memory_mib=1 << 24, disk_free_gib=1 << 20)
HERE = "tests/unit/test_predecessor.py"
CHANGES, LAB, CLEANUP = (f"tests/e2e/test_{name}.py" for name in ("changes", "lab", "cleanup"))

# (what went wrong, the test that shows that it does not)
FAILURES = {
    "Cleaning up": (
        ("a cleanup by prefix took whatever had the prefix anywhere in its name",
         f"{CLEANUP}::test_one_prefix_goes_and_nobody_else_notices"),
        ("a cleanup by prefix failed where nothing was left",
         f"{CLEANUP}::test_again_finds_nothing"),
        ("a plain cleanup took every machine of the host, whoever had made it",
         f"{CLEANUP}::test_no_wish_is_answered_with_who_is_there"),
        ("a cleanup of all asked nobody about what was foreign",
         f"{CLEANUP}::test_all_takes_what_is_foreign_only_when_somebody_says_so"),
        ("the last prefix of a host could not be cleaned up to the end",
         f"{LAB}::test_a_second_environment_beside_the_first"),
        ("an environment whose making had failed halfway could not be cleaned up",
         f"{CHANGES}::test_killed_up_can_be_destroyed"),
        ("a destroy failed at networks without an address",
         "tests/e2e/test_layouts.py::test_frames_alone_reach_whoever_is_on_the_wire"),
        ("bridges of the host were not given back",
         "tests/e2e/test_bridges.py::test_a_guest_on_a_second_nic"),
        ("the host kept users, keys and settings",
         "tests/e2e/test_restored.py::test_two_environments_leave_what_the_list_says"),
    ),
    "Prefixes": (
        ("a prefix had four characters at most",
         "tests/unit/lab/test_naming.py::test_a_bridge_fits_the_kernel_and_begins_like_its_prefix"),
        ("the first prefix got the subnet that an environment without one had",
         f"{LAB}::test_data_is_moved_from_the_subnet_that_the_machine_has"),
        ("the 25th environment got an address beyond 255, and holes stayed holes",
         f"{HERE}::test_a_hundred_environments_have_subnets_of_their_own"),
        ("all environments had one IPv6 subnet",
         "tests/e2e/test_ipv6.py::test_another_prefix_gets_another_64"),
        ("a prefix lost what a layout says of a role's NICs",
         f"{HERE}::test_a_prefix_keeps_what_a_layout_says_of_roles"),
        ("addresses of prefixed machines were not pinned",
         f"{LAB}::test_management_gives_the_planned_lease"),
        ("base images were made anew, in place, by each run",
         "tests/e2e/host/test_preparation.py::test_images_are_verified_and_parallel_uploads_end_well"),
        ("two runs at once made each other's networks",
         "tests/e2e/test_together.py::test_two_first_ups_at_once_both_succeed"),
    ),
    "Running again": (
        ("a second run failed at names that were there",
         f"{LAB}::test_a_second_up_changes_nothing"),
        ("machines that ran counted as memory that was missing",
         "tests/unit/lab/test_rules.py::test_memory_of_shut_off_domains_and_other_leases_counts"),
        ("each run restarted libvirt and SSH",
         "tests/e2e/host/test_packages.py::test_a_second_run_restarts_nothing_and_the_roms_are_new"),
        ("edits of networks were passed over in silence",
         f"{CHANGES}::test_another_subnet_moves_the_network_and_its_nodes"),
        ("a second run overwrote the disk of a machine that was off",
         f"{CHANGES}::test_another_disk_size_is_refused_and_the_disk_kept"),
        ("a run that broke off was not taken up again",
         f"{CHANGES}::test_killed_up_is_resumed_by_the_next"),
    ),
    "Extending": (
        ("indexes were counted, so that a hole gave a node that lived its number again",
         f"{HERE}::test_more_nodes_get_the_next_numbers"),
        ("roles whose names contain another's were counted with it",
         f"{HERE}::test_more_nodes_get_the_next_numbers"),
        ("extending made the base image of all nodes anew",
         "tests/unit/lab/test_plan.py::test_a_node_keeps_its_image_and_new_ones_take_the_new"),
        ("without its inventory a run did nothing, and said it was fine",
         f"{CHANGES}::test_another_state_of_a_prefix_is_refused_and_takes_nothing"),
        ("networks could not be extended",
         "tests/e2e/test_ipv6.py::test_nodes_come_and_go_without_the_network"),
    ),
    "Removing nodes": (
        ("removing compute-1 deleted the disks of compute-10 to compute-19",
         f"{HERE}::test_removing_one_leaves_those_whose_names_begin_alike"),
        ("its console logs went with theirs",
         "tests/e2e/host/test_guests.py::"
         "test_power_off_lets_the_guest_finish_and_takes_its_logs_only"),
        ("a NIC on a bridge made the removal fail",
         "tests/e2e/test_bridges.py::test_a_hybrid_layout_takes_two_nics"),
        ("an unknown name failed midway, when earlier ones were gone",
         "tests/unit/lab/test_edit.py::test_shrinking_refuses_slips"),
        ("nobody was asked to drain or to confirm: the last of a role went like any other",
         "tests/unit/lab/test_edit.py::test_the_last_of_a_role_takes_the_role_along"),
        ("reservations were cut out of the network by the lines that had the name in them",
         "tests/unit/lab/test_plan.py::test_networks_change_in_nothing_but_their_names"),
    ),
}  # fmt: skip
ROWS = [(section, *row) for section, rows in FAILURES.items() for row in rows]


@pytest.mark.parametrize(("section", "failure", "test"), ROWS)
def test_each_failure_has_a_test(section: str, failure: str, test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (section, failure)


def test_the_documentation_has_the_list() -> None:
    lines = ["# What went wrong in infrared virsh", ""]
    lines += ["Each documented failure of the predecessor's life cycle, and the test that shows"]
    lines += ["that metalab does not have it.", ""]
    for section, rows in FAILURES.items():
        lines += [f"## {section}", "", "| what went wrong | test |", "|---|---|"]
        lines += [f"| {failure} | `{test}` |" for failure, test in rows]
        lines += [""]
    check_golden(ROOT / "docs/reference/predecessor.md", "\n".join(lines))


@pytest.mark.parametrize(
    ("nodes", "removed", "more", "new"),
    [
        pytest.param("compute:3", "", {"compute": 2}, "compute-3 compute-4", id="no hole"),
        pytest.param("compute:4", "compute-1", {"compute": 1}, "compute-4", id="a hole"),
        pytest.param(
            "compute:4",
            "compute-0,compute-1,compute-2",
            {"compute": 1},
            "compute-4",
            id="the last one alone",
        ),
        pytest.param(
            "openshift-tester:1,cfme_tester:1", "", {"tester": 1}, "tester-0", id="within a name"
        ),
    ],
)
def test_more_nodes_get_the_next_numbers(
    nodes: str, removed: str, more: dict[str, int], new: str
) -> None:
    words = {"host-address": "h", "topology-nodes": nodes, "remove-nodes": removed}
    config = parse_config(words, "foo")
    before = {name for role in load_topology(config).roles for name in names_of(role)}
    after = [name for r in load_topology(extended(config, more)).roles for name in names_of(r)]
    assert [name for name in after if name not in before] == new.split()
    assert before <= set(after)


def test_a_hundred_environments_have_subnets_of_their_own() -> None:
    """And whose subnets are free again are the next one's."""
    leases: dict[str, Lease] = {}
    for number in range(100):
        leases[f"env{number}"] = planned(f"env{number}", leases).lease
    every = [IPv4Network(s) for lease in leases.values() for s in lease.subnets.values()]
    assert len(every) == 300
    assert not [pair for pair in combinations(every, 2) if pair[0].overlaps(pair[1])]
    kept = {prefix: lease for prefix, lease in leases.items() if not prefix.endswith("7")}
    for prefix in leases.keys() - kept.keys():
        assert planned(prefix, kept).lease.subnets == leases[prefix].subnets


def test_a_prefix_keeps_what_a_layout_says_of_roles() -> None:
    words = {"host-address": "h", "topology-nodes": "odl:1", "topology-network": "3_nets"}
    nics = {
        prefix: [nic.network for nic in blank(words, prefix).nodes["odl-0"].nics]
        for prefix in ("a", "much-longer-than-four")
    }
    assert nics["a"] == nics["much-longer-than-four"]


def test_removing_one_leaves_those_whose_names_begin_alike() -> None:
    words = {"host-address": "h", "topology-nodes": "compute:20"}
    before = blank(words, "foo")
    after = blank({**words, "remove-nodes": "compute-1"}, "foo", {"foo": before.lease})
    assert before.nodes.keys() - after.nodes.keys() == {"compute-1"}
    assert all(after.nodes[name] == before.nodes[name] for name in after.nodes)


def planned(prefix: str, leases: dict[str, Lease]) -> LabPlan:
    return blank({"host-address": "h", "topology-nodes": "compute:1"}, prefix, leases)


def blank(words: dict[str, str], prefix: str, leases: dict[str, Lease] | None = None) -> LabPlan:
    """A plan of nodes without a system, which needs no image."""
    config = parse_config(words, prefix)
    topology = load_topology(config)
    roles = tuple(replace(role, deploy_os=False) for role in topology.roles)
    facts = replace(HOST, leases=leases or {})
    return plan_lab(config, replace(topology, roles=roles), None, facts)
