from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.operation import DEFAULT_LAB, OPERATOR, parse_target, stack_config
from lab.topology import load_topology

STACK = """\
config:
  metalab:host-address: lab42
  metalab:host-user: me
  metalab:topology-nodes: {tiny: 3, compute: 1}
  metalab:remove-nodes: [tiny-1]
  other:key: 1
"""


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.foo.yaml").write_text(STACK)
    (tmp_path / "Pulumi.empty.yaml").write_text("encryptionsalt: v1\n")
    return tmp_path


def test_an_address_is_tried_with_the_default_lab(stacks: Path) -> None:
    target = parse_target("lab42.example.net", stacks, host_user="me", host_key="", virt_type="")
    host = target.config.hypervisor
    assert (host.address, host.user, host.key) == ("lab42.example.net", "me", "")
    assert (target.config.prefix, target.config.virt_type) == (OPERATOR, "auto")
    assert (target.lab, target.wanted, target.of_stack) == (DEFAULT_LAB, False, False)
    assert len(load_topology(target.config).roles) == 3


def test_a_lab_that_is_named_is_wanted(stacks: Path) -> None:
    target = parse_target("192.0.2.1", stacks, topology_nodes="tiny:2")
    assert (target.lab, target.wanted) == ("tiny:2", True)


def test_a_stack_brings_its_settings_and_options_win(stacks: Path) -> None:
    target = parse_target("foo", stacks, host_user="you")
    host = target.config.hypervisor
    assert (host.address, host.user, target.config.prefix) == ("lab42", "you", "foo")
    assert (target.lab, target.wanted) == ("foo: tiny:3,compute:1 without tiny-1", True)


@pytest.mark.parametrize(
    ("host", "options", "says"),
    [
        pytest.param("-oProxyCommand=x", {}, "HOST: got '-oProxyCommand=x'", id="an option"),
        pytest.param("../foo", {}, "HOST: got '../foo'", id="a path"),
        pytest.param("lab42", {"host_user": "a b"}, "--user: got 'a b'", id="a user"),
        pytest.param("lab42", {"virt_type": "xen"}, "--virt-type: got 'xen'", id="a type"),
        pytest.param("lab42", {"topology_nodes": "tiny"}, "--nodes: got 'tiny'", id="no count"),
        pytest.param("empty", {}, "stacks/Pulumi.empty.yaml: host-address", id="a stack's file"),
    ],
)
def test_what_is_wrong_bears_the_name_it_was_given_by(
    stacks: Path, host: str, options: dict[str, str], says: str
) -> None:
    with pytest.raises(LabError) as caught:
        parse_target(host, stacks, **options)
    assert says in str(caught.value)


def test_an_unreadable_stack_is_named(stacks: Path) -> None:
    (stacks / "Pulumi.odd.yaml").write_text("config: [")
    with pytest.raises(LabError, match=r"stacks/Pulumi\.odd\.yaml.*\[file\]"):
        parse_target("odd", stacks)


def test_a_secret_of_a_stack_is_there_and_not_read(tmp_path: Path) -> None:
    """Only the engine can decrypt it, and hand tools need no more than that it is set."""
    text = "config:\n  metalab:host-address: h\n  metalab:topology-nodes: tiny:1\n"
    vnc = "  metalab:vnc-external: true\n  metalab:vnc-password:\n    secure: v1:abc\n"
    (tmp_path / "Pulumi.foo.yaml").write_text(text + vnc)
    assert stack_config("foo", tmp_path).vnc_external
