from __future__ import annotations

from typing import Any

import yaml

from lab.views.inventory import inventory
from tests.unit.lab.samples import plan


def tree(**roles: Any) -> dict[str, Any]:
    return yaml.safe_load(inventory(plan(**roles)))["all"]


def test_every_node_is_a_host_and_in_its_groups() -> None:
    found = tree(tiny=[0, 1], compute=[0])
    assert found["hosts"] == {
        "tiny-0": {"ansible_host": "foo-tiny-0", "ansible_user": "root"},
        "tiny-1": {"ansible_host": "foo-tiny-1", "ansible_user": "root"},
        "compute-0": {"ansible_host": "NA"},
    }
    assert found["children"] == {
        "tiny": {"hosts": {"tiny-0": {}, "tiny-1": {}}},
        "compute": {"hosts": {"compute-0": {}}},
        "hypervisor": {
            "hosts": {
                "hypervisor": {
                    "ansible_host": "lab42",
                    "ansible_ssh_common_args": "",
                },
            }
        },
    }


def test_the_ssh_config_is_named_without_a_tilde() -> None:
    """Ansible starts ssh without a shell, and `ssh -F ~/x` does not expand the tilde itself."""
    assert tree()["vars"] == {
        "ansible_ssh_common_args": (
            "-F {{ lookup('env', 'HOME') }}/.local/state/metalab/foo/ssh_config"
        )
    }


def test_equal_plans_give_equal_bytes() -> None:
    assert inventory(plan()) == inventory(plan())
