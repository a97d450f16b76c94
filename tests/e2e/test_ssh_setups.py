"""A hypervisor reached in every way in which OpenSSH's users reach hosts: `up` to `destroy`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.engine import Project, Run, Stack
from tests.e2e.hypervisors import Hypervisor
from tests.e2e.operators import HOME, Operator, agent, ipv6, known_lines, run

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("ssh")]
FORWARD = ".metalab/set-PULUMI_OPTION_RUN_PROGRAM=true"
RUN_PROGRAM = {"PULUMI_OPTION_RUN_PROGRAM": "true"}

# What an administrator would have done: another port, a certificate authority, a sudoer who may use
# libvirt, and an sshd that only this machine itself can reach.
PREPARE = r"""
useradd -m -s /bin/sh ops && install -d -m 700 -o ops -g ops /home/ops/.ssh
echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops
install -m 600 -o ops -g ops /root/.ssh/authorized_keys /home/ops/.ssh/authorized_keys
cat > /etc/polkit-1/rules.d/60-ops.rules <<'EOF'
polkit.addRule(function(action, subject) {
  if (action.id == "org.libvirt.unix.manage" && subject.user == "ops") return polkit.Result.YES;
});
EOF
cat > /etc/ssh/sshd_config.d/lab.conf <<'EOF'
Port 22
Port 2222
TrustedUserCAKeys /etc/ssh/user_ca.pub
EOF
systemctl restart ssh
/usr/sbin/sshd -p 2200 -o ListenAddress=127.0.0.1 -o PidFile=none
"""


@dataclass
class Scene:
    """Everything that a set-up may be made of."""

    project: Project
    host: Hypervisor
    me: Operator
    key: Path  # lies in ~/.ssh as id_lab, and opens the host
    authority: Path  # signs users' certificates
    stack: ExitStack

    @property
    def address(self) -> str:
        return self.host.spec.address

    def knows(self, name: str = "", *kinds: str) -> None:
        """Fill ~/.ssh/known_hosts."""
        self.me.write("known_hosts", known_lines(self.host, name or self.address, *kinds))

    def configured(self, text: str) -> None:
        """Fill ~/.ssh/config."""
        self.me.write("config", text)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "user_ca"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    return path


@pytest.fixture(scope="module")
def host(hypervisor: Hypervisor, project: Project, authority: Path) -> Hypervisor:
    project.add_blank()
    public = authority.with_suffix(".pub").read_text()
    hypervisor.run(f"echo '{public.strip()}' > /etc/ssh/user_ca.pub; {PREPARE}")
    return hypervisor


@pytest.fixture
def scene(host: Hypervisor, project: Project, authority: Path, tmp_path: Path) -> Iterator[Scene]:
    me = Operator.arrive(tmp_path / "ssh")
    key = me.write("id_lab", Path(host.spec.key).read_text())
    with ExitStack() as stack:
        yield Scene(project, host, me, key, authority, stack)


def alias(scene: Scene) -> dict[str, Any]:
    scene.knows("rack.example.net")
    scene.configured(
        f"Host rack\n  HostName {scene.address}\n  User root\n  IdentityFile ~/.ssh/id_lab\n"
        "  HostKeyAlias rack.example.net\n"
    )
    return {"host_address": "rack"}


def port(scene: Scene) -> dict[str, Any]:
    scene.knows(f"[{scene.address}]:2222")
    return {"host_address": f"{scene.address}:2222", "host_key": "~/.ssh/id_lab"}


def user(scene: Scene) -> dict[str, Any]:
    scene.knows()
    scene.configured(f"Match host {scene.address}\n  User ops\n  IdentityFile ~/.ssh/id_lab\n")
    return {"host_address": scene.address}


def jump(scene: Scene) -> dict[str, Any]:
    lines = [known_lines(scene.host, name) for name in (scene.address, "[127.0.0.1]:2200")]
    scene.me.write("known_hosts", "".join(lines))
    scene.configured(
        f"Host bastion\n  HostName {scene.address}\n  User ops\n"
        "Host inner\n  HostName 127.0.0.1\n  Port 2200\n  ProxyJump bastion\n  User root\n"
        "Host *\n  IdentityFile ~/.ssh/id_lab\n"
    )
    return {"host_address": "inner"}


def agent_with_two_keys(scene: Scene) -> dict[str, Any]:
    scene.knows()
    scene.me.key("id_other")
    held = agent(scene.me.ssh_dir / "id_other", scene.key)
    scene.me = replace(scene.me, env=scene.stack.enter_context(held))
    scene.key.unlink()
    return {"host_address": scene.address, "host_user": "root"}


def locked_key_in_an_agent(scene: Scene) -> dict[str, Any]:
    scene.knows()
    public = run("ssh-keygen", "-y", "-f", str(scene.key))
    scene.me.write("id_lab.pub", public)
    word = "open-sesame"
    run("ssh-keygen", "-q", "-p", "-P", "", "-N", word, "-f", str(scene.key))
    held = agent(scene.key, passphrase=word)
    scene.me = replace(scene.me, env=scene.stack.enter_context(held))
    return {"host_address": scene.address, "host_user": "root", "host_key": "~/.ssh/id_lab"}


def certificate(scene: Scene) -> dict[str, Any]:
    scene.knows()
    scene.key.unlink()
    scene.me.key("id_signed")  # in nobody's authorized_keys
    public = scene.me.ssh_dir / "id_signed.pub"
    sign = ("ssh-keygen", "-q", "-s", str(scene.authority), "-I", "me", "-n", "root")
    run(*sign, "-V", "-1d:+1d", str(public))
    (scene.me.ssh_dir / "id_signed-cert.pub").rename(scene.me.ssh_dir / "paper.pub")
    scene.configured(
        "Host *\n  User root\n  IdentityFile ~/.ssh/id_signed\n  CertificateFile ~/.ssh/paper.pub\n"
    )
    return {"host_address": scene.address}


def one_host_key(kind: str) -> Callable[[Scene], dict[str, Any]]:
    def setup(scene: Scene) -> dict[str, Any]:
        scene.knows("", kind)
        return {"host_address": scene.address, "host_user": "root", "host_key": "~/.ssh/id_lab"}

    return setup


def hashed(scene: Scene) -> dict[str, Any]:
    scene.knows(f"[{scene.address}]:2222")
    run("ssh-keygen", "-q", "-H", "-f", str(scene.me.ssh_dir / "known_hosts"))
    (scene.me.ssh_dir / "known_hosts.old").unlink()
    assert scene.address not in (scene.me.ssh_dir / "known_hosts").read_text()
    return {
        "host_address": f"{scene.address}:2222",
        "host_user": "root",
        "host_key": "~/.ssh/id_lab",
        "host_known_hosts": "~/.ssh/known_hosts",
    }


def sudoer(scene: Scene) -> dict[str, Any]:
    scene.knows()
    return {"host_address": scene.address, "host_user": "ops", "host_key": "~/.ssh/id_lab"}


def ipv6_literal(scene: Scene) -> dict[str, Any]:
    scene.knows(ipv6(scene.host))
    return {"host_address": ipv6(scene.host), "host_user": "root", "host_key": "~/.ssh/id_lab"}


# name, nodes, whether the plugin goes by itself
SETUPS = [
    pytest.param(alias, "tiny:1", False, id="alias"),
    pytest.param(port, "blank:1", False, id="port"),
    pytest.param(user, "blank:1", False, id="user"),
    pytest.param(jump, "tiny:1", False, id="jump"),
    pytest.param(agent_with_two_keys, "blank:1", False, id="agent"),
    pytest.param(locked_key_in_an_agent, "blank:1", False, id="locked"),
    pytest.param(certificate, "tiny:1", False, id="certificate"),
    pytest.param(one_host_key("ssh-ed25519"), "blank:1", True, id="ed25519"),
    pytest.param(one_host_key("ssh-rsa"), "blank:1", False, id="rsa"),
    pytest.param(one_host_key("ecdsa-sha2-nistp256"), "blank:1", False, id="ecdsa"),
    pytest.param(hashed, "blank:1", False, id="hashed"),
    pytest.param(sudoer, "tiny:1", True, id="sudoer"),
    pytest.param(ipv6_literal, "blank:1", False, id="ipv6"),
]


@pytest.mark.parametrize(("setup", "nodes", "by_itself"), SETUPS)
def test_from_up_to_destroy(
    scene: Scene,
    setup: Callable[[Scene], dict[str, Any]],
    nodes: str,
    by_itself: bool,
    request: pytest.FixtureRequest,
) -> None:
    prefix = request.node.callspec.id.split("-")[-1]
    settings = {"topology_nodes": nodes, "image_url": "tiny", **setup(scene)}
    before = files(scene.me.ssh_dir)
    stack = scene.me.stack(scene.project, prefix, **settings)
    try:
        stack.up().ok()
        assert scene.host.run(f"virsh list --name | grep -c '^{prefix}-'").strip() == "1"
        if nodes.startswith("tiny"):
            stack.print_ssh_config()
            assert stack.ssh("tiny-0", "hostname").ok().out.strip() == f"{prefix}-tiny-0"
        stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes").ok()
        state = exported(stack)
        assert ("qemu+unix" not in state) is by_itself, "which way the plugin goes"
        assert private_to(scene, state) == []
    finally:
        env = {} if by_itself else RUN_PROGRAM
        gone = stack.pulumi("destroy", "--yes", "--skip-preview", **env)
    gone.ok()
    assert prefix not in scene.host.run("virsh list --all --name")
    assert files(scene.me.ssh_dir) == before
    assert left_over(prefix) == []


def exported(stack: Stack) -> str:
    """The provider's URI and everything that metalab's own resources remember."""
    text = stack.project.run("pulumi", "stack", "export", "-s", stack.prefix).ok().out
    return text.replace(str(stack.project.folder), "PROJECT")


def private_to(scene: Scene, state: str) -> list[str]:
    """What of this operator's machine the state names."""
    return [path for path in (str(scene.me.ssh_dir), f"{HOME}/.ssh", "/tmp/") if path in state]  # noqa: S108


def files(folder: Path) -> dict[str, str]:
    """Nothing is ever added to known_hosts, nor anything else changed there."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def left_over(prefix: str, within_s: float = 3) -> list[str]:
    """Processes that hold a forward, once their time is up."""
    deadline = time.monotonic() + within_s
    while holders := _holders(f"{FORWARD}/{prefix}"):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return holders


def _holders(socket: str) -> list[str]:
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(word == socket or word.startswith(f"{socket}:") for word in words):
            lines.append(f"{file.parent.name} {' '.join(words)}")
    return lines


@pytest.fixture(scope="module")
def shared(
    host: Hypervisor, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stack, Stack]]:
    """One environment of two operators: one goes by a jump host, one by another port."""
    stacks = []
    for name in ("ann", "bob"):
        me = Operator.arrive(tmp_path_factory.mktemp(name) / "ssh")
        me.write(f"id_{name}", Path(host.spec.key).read_text())
        names = (host.spec.address, "[127.0.0.1]:2200", f"[{host.spec.address}]:2222")
        me.write("known_hosts", "".join(known_lines(host, known) for known in names))
        way = (
            f"HostName {host.spec.address}\n  Port 2222"
            if name == "ann"
            else f"HostName 127.0.0.1\n  Port 2200\n  ProxyJump root@{host.spec.address}"
        )
        common = f"Host *\n  IdentityFile ~/.ssh/id_{name}\n"
        me.write("config", f"Host both\n  {way}\n  User root\n{common}")
        settings = {"topology_nodes": "blank:1", "host_address": "both"} if name == "ann" else {}
        stacks.append(me.stack(project, "both", **settings))
    ann, bob = stacks
    ann.up().ok()
    yield ann, bob
    bob.pulumi("destroy", "--yes", "--skip-preview", **RUN_PROGRAM).ok()
    assert left_over("both") == []


def test_two_operators_alternate_without_a_difference(shared: tuple[Stack, Stack]) -> None:
    ann, bob = shared
    for stack in (bob, ann, bob):
        stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes").ok()


def test_refresh_runs_the_program_or_says_what_to_set(shared: tuple[Stack, Stack]) -> None:
    ann, _ = shared
    said = ann.pulumi("refresh", "--yes", "--skip-preview").refused().out
    assert "PULUMI_OPTION_RUN_PROGRAM=true" in said
    words = ("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    ann.pulumi(*words, **RUN_PROGRAM).ok()


def test_destroy_without_the_program_says_what_to_set_and_touches_nothing(
    shared: tuple[Stack, Stack], host: Hypervisor
) -> None:
    ann, _ = shared
    said = ann.pulumi("destroy", "--yes", "--skip-preview").refused().out
    assert "expected PULUMI_OPTION_RUN_PROGRAM=true in the environment" in said
    assert "both-blank-0" in host.run("virsh list --name")
    ann.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes").ok()


def test_a_killed_engine_leaves_no_forward(shared: tuple[Stack, Stack]) -> None:
    ann, _ = shared
    assert left_over("both") == []
    engine = subprocess.Popen(
        ann.project.entered("pulumi", "preview", "-s", "both", "--non-interactive"),
        cwd=ann.project.folder,
        env=ann.project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not any(" -N " in line for line in _holders(f"{FORWARD}/both")):
            assert time.monotonic() < deadline
            assert engine.poll() is None
            time.sleep(0.02)
        os.kill(engine.pid, signal.SIGKILL)  # it alone: its plugins do not notice
        engine.wait()
        assert left_over("both") == []
    finally:
        with suppress(ProcessLookupError):
            os.killpg(engine.pid, signal.SIGKILL)  # the plugins of the engine that was killed


def wrong_host_key(scene: Scene) -> dict[str, Any]:
    settings = alias(scene)
    stranger = (scene.me.key("id_stranger")).split()
    scene.me.write("known_hosts", f"rack.example.net {stranger[0]} {stranger[1]}\n")
    return settings


def unknown_host_key(scene: Scene) -> dict[str, Any]:
    settings = port(scene)
    scene.me.write("known_hosts", "")
    return settings


def unknown_jump_host(scene: Scene) -> dict[str, Any]:
    settings = jump(scene)
    scene.me.write("known_hosts", known_lines(scene.host, "[127.0.0.1]:2200"))
    config = (scene.me.ssh_dir / "config").read_text()
    scene.configured(f"{config}  StrictHostKeyChecking accept-new\n")
    return settings


def refused_login(scene: Scene) -> dict[str, Any]:
    settings = alias(scene)
    scene.key.unlink()
    scene.me.key("id_lab")
    return settings


def closed_port(scene: Scene) -> dict[str, Any]:
    return {**port(scene), "host_address": f"{scene.address}:2223"}


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        pytest.param(wrong_host_key, ["[host-key-changed]", "ssh-keygen -R rack.ex"], id="changed"),
        pytest.param(
            unknown_host_key, ["[host-key-unknown]", "ssh-keyscan -p 2222 10."], id="unknown"
        ),
        pytest.param(unknown_jump_host, ["[host-jump]", "Host key verification failed"], id="jump"),
        pytest.param(refused_login, ["[host-login]", "host-user root@rack"], id="login"),
        pytest.param(closed_port, ["[host-unreachable]", "port 2223"], id="port"),
    ],
)
def test_refusals_name_what_to_do_and_add_nothing(
    scene: Scene,
    setup: Callable[[Scene], dict[str, Any]],
    says: list[str],
    request: pytest.FixtureRequest,
) -> None:
    prefix = f"bad-{request.node.callspec.id}"
    stack = scene.me.stack(scene.project, prefix, topology_nodes="blank:1", **setup(scene))
    before = files(scene.me.ssh_dir)
    said: Run = stack.pulumi("preview").refused()
    assert [text for text in says if text not in said.out] == [], said.out
    assert files(scene.me.ssh_dir) == before
    assert left_over(prefix) == []
