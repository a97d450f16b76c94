"""A lab by root and by a sudoer: libvirt, the guests' jump, and the machines' manager `stack`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.e2e.engine import Project, Run, Stack
from tests.e2e.hypervisors import SUDOER, Hypervisor

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("users")]
BOOT_S = 120  # 6 are usual
# libvirt makes directories for its first pool and network and keeps them; shadow keeps a copy of
# each file of its own as it was before the last change.
ACCOUNTS = r"""
sha256sum /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/subuid /etc/subgid
find /etc /home /root /var/mail -xdev \
  ! -path '/etc/libvirt/*' ! -name 'passwd-' ! -name 'group-' ! -name 'shadow-' \
  ! -name 'gshadow-' ! -name 'subuid-' ! -name 'subgid-' -exec stat -c '%n %a %u:%g' {} + | sort
cat /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys | sort
"""
MODES = {
    "/var/lib/metalab": "700 root",
    "/var/lib/metalab/leases": "700 root",
    "/var/lib/metalab/prefixes": "700 root",
    "/var/lib/metalab/prefixes/{prefix}": "600 root",
    "/var/lib/libvirt/images/metalab": "711 root",
    "/var/lib/libvirt/images/metalab/base": "711 root",
    "/var/lib/libvirt/images/metalab/prefixes": "710 root",
    "/var/lib/libvirt/images/metalab/prefixes/{prefix}": "711 root",
}


@pytest.fixture(scope="module")
def shared(hypervisor: Hypervisor) -> Hypervisor:
    hypervisor.make_sudoer()
    return hypervisor


@pytest.fixture(scope="module", params=["root", SUDOER])
def lab(
    request: pytest.FixtureRequest, project: Project, shared: Hypervisor
) -> Iterator[tuple[Stack, Hypervisor]]:
    """One guest, by root and by a sudoer, and an empty host afterwards."""
    before = shared.run(ACCOUNTS)
    host = replace(shared, spec=replace(shared.spec, user=request.param))
    stack = project.stack(
        f"by-{request.param}", topology_nodes="tiny:1", image_url="tiny", **host.settings
    )
    stack.up().ok()
    stack.print_ssh_config()
    yield stack, host
    stack.destroy().ok()
    assert shared.run(ACCOUNTS) == before
    left = shared.run(
        "ls -A /var/lib/metalab 2>&1; virsh list --all --name; getent passwd stack; :"
    )
    assert "No such file" in left
    assert "by-" not in left
    assert "stack:" not in left


def on_host(lab: tuple[Stack, Hypervisor], user: str, *words: str) -> Run:
    """Log in to the hypervisor itself, with the lab's key and nothing else."""
    stack, host = lab
    kept = f"{stack.project.env['HOME']}/.local/state/metalab/{stack.prefix}"
    options = ["IdentitiesOnly=yes", f"UserKnownHostsFile={host.spec.known_hosts}"]
    flags = [word for option in options for word in ("-o", option)]
    way = ["ssh", *flags, "-i", f"{kept}/id_ed25519", f"{user}@{host.spec.address}"]
    return stack.project.run(*way, *words)


def as_stack(lab: tuple[Stack, Hypervisor], command: str) -> str:
    """What a command prints, run as `stack`."""
    return on_host(lab, "stack", command).ok().out.strip()


def test_the_guest_answers_through_the_login_user(lab: tuple[Stack, Hypervisor]) -> None:
    stack, _ = lab
    assert stack.ssh("tiny-0", "hostname").ok().out.strip() == f"{stack.prefix}-tiny-0"


def test_a_second_up_changes_nothing(lab: tuple[Stack, Hypervisor]) -> None:
    stack, _ = lab
    stack.unchanged().ok()


def test_the_labs_key_gives_the_login_user_away_to_nobody(lab: tuple[Stack, Hypervisor]) -> None:
    assert "uid=" not in on_host(lab, lab[1].spec.user, "id").refused().out


def test_stack_manages_the_machines(lab: tuple[Stack, Hypervisor]) -> None:
    stack, host = lab
    name = f"{stack.prefix}-tiny-0"
    virsh = "virsh -q -c qemu:///system"
    assert name in as_stack(lab, f"{virsh} list --name")
    process = f"cat /run/libvirt/qemu/{name}.pid"
    was = host.run(process)
    as_stack(lab, f"{virsh} destroy {name}")
    assert as_stack(lab, f"{virsh} domstate {name}") == "shut off"
    as_stack(lab, f"{virsh} start {name}")
    assert as_stack(lab, f"{virsh} domstate {name}") == "running"
    assert host.run(process) != was
    deadline = time.monotonic() + BOOT_S
    while stack.ssh("tiny-0", "hostname").code != 0:
        assert time.monotonic() < deadline


def test_stack_is_nobody_else(lab: tuple[Stack, Hypervisor]) -> None:
    """No password, no group, no sudo, no way on from there."""
    stack, host = lab
    assert as_stack(lab, "id -nG") == "stack"
    assert host.run("passwd -S stack").split()[1] == "L"
    address = stack.outputs()["nodes"]["tiny-0"]["addresses"]["management"]
    forward = on_host(lab, "stack", "-W", f"{address}:22")
    assert "administratively prohibited" in forward.refused().out


def test_what_metalab_keeps_there_is_roots(lab: tuple[Stack, Hypervisor]) -> None:
    stack, host = lab
    wanted = {path.format(prefix=stack.prefix): mode for path, mode in MODES.items()}
    said = host.run(f"stat -c '%n %a %U' {' '.join(wanted)}").splitlines()
    assert dict(line.split(" ", 1) for line in said) == wanted
    base = host.run("stat -c '%a' /var/lib/libvirt/images/metalab/base/*")  # libvirt lends it QEMU
    assert set(base.splitlines()) == {"444"}
    assert ".new." not in host.run("ls -A /var/lib/libvirt/images/metalab")


def test_nobody_on_the_host_reads_what_a_seed_holds(lab: tuple[Stack, Hypervisor]) -> None:
    """Each node's private host key is in its seed, which the plugin makes readable for all."""
    stack, host = lab
    seed = f"/var/lib/libvirt/images/metalab/prefixes/{stack.prefix}/{stack.prefix}-tiny-0-seed.iso"
    assert "PRIVATE KEY" in host.run(f"grep -a 'PRIVATE KEY' {seed}")
    for user in ("nobody", SUDOER, "stack"):
        said = host.run(f"runuser -u {user} -- cat {seed} 2>&1 >/dev/null; :")
        assert "Permission denied" in said


def test_another_login_takes_the_key_along(lab: tuple[Stack, Hypervisor]) -> None:
    """Whoever logs in for the lab has its key's line, and nobody else keeps one."""
    stack, host = lab
    before, after = host.spec.user, "root" if host.spec.user == SUDOER else SUDOER
    keys = {"root": "/root/.ssh/authorized_keys", SUDOER: f"/home/{SUDOER}/.ssh/authorized_keys"}
    mark = f"metalab:{stack.prefix}"
    for old, new in ((before, after), (after, before)):
        stack.configure(host_user=new)
        stack.up().ok()
        assert mark in host.run(f"cat {keys[new]}")
        assert mark not in host.run(f"cat {keys[old]}")
        stack.print_ssh_config()
        assert stack.ssh("tiny-0", "hostname").ok().out.strip() == f"{stack.prefix}-tiny-0"
