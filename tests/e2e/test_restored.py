"""A host is given back: a full inventory before the first `up` and after the last `destroy`."""

from __future__ import annotations

import pytest

from lab.host.remains import ALWAYS, FULL, Remain
from tests.e2e.engine import Project
from tests.e2e.hypervisors import Hypervisor
from tests.e2e.inventory import SCRIPT, differences

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("restored")]


def allowed(*parts: tuple[Remain, ...]) -> list[str]:
    return [pattern for part in parts for remain in part for pattern in remain.patterns]


def test_two_environments_leave_what_the_list_says(
    project: Project, hypervisor: Hypervisor
) -> None:
    """They go in the order in which they came. The packages were there before."""
    before = hypervisor.run(SCRIPT)
    foo, bar = (
        project.stack(name, topology_nodes="tiny:1", image_url="tiny", **hypervisor.settings)
        for name in ("foo", "bar")
    )
    foo.up().ok()
    bar.up().ok()
    there = differences(before, hypervisor.run(SCRIPT), allowed(ALWAYS))
    for line in ("+ file /var/lib/metalab/prefixes/foo", "+ file /var/lib/metalab/prefixes/bar"):
        assert [seen for seen in there if seen.startswith(line)], there
    foo.destroy().ok()
    there = differences(before, hypervisor.run(SCRIPT), allowed(ALWAYS))
    assert [line for line in there if "foo" in line] == []
    assert [line for line in there if line.startswith("+ list bar-tiny-0")], there
    bar.destroy().ok()
    assert differences(before, hypervisor.run(SCRIPT), allowed(ALWAYS)) == []


def test_a_fresh_host_is_left_without_packages_on_demand(
    project: Project, bare_hypervisor: Hypervisor
) -> None:
    before = bare_hypervisor.run(SCRIPT)
    stack = project.stack(
        "fresh",
        topology_nodes="tiny:1",
        image_url="tiny",
        host_restore="full",
        **bare_hypervisor.settings,
    )
    stack.up().ok()
    stack.destroy().ok()
    after = bare_hypervisor.run(SCRIPT)
    assert differences(before, after, allowed(ALWAYS, FULL)) == []
    assert "list" not in {line.split()[0] for line in after.splitlines()}  # there is no virsh
