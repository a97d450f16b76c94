"""What is secret is nowhere in plain; and another operator goes on with the same state."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.engine import Project, Stack
from tests.e2e.hypervisors import TOOL, Hypervisor

pytestmark = pytest.mark.e2e
PASSPHRASE, PASSWORD = "correct-horse-battery", "geheim12"
# Every argument of every process, over and over: what is there for a moment is seen by some.
WATCH = "while sleep 0.05; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; done"


@pytest.fixture(scope="module")
def lab(project: Project, hypervisor: Hypervisor) -> tuple[Stack, str, str]:
    """A lab with all secrets that there are; what its first `up` said, and what `ps` showed."""
    project.add_blank()
    owner = replace(project, env={**project.env, "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE})
    ways = {"host_key": "$LAB_KEY", "host_known_hosts": "$LAB_HOSTS"}
    owner.env.update(LAB_KEY=hypervisor.spec.key, LAB_HOSTS=hypervisor.spec.known_hosts)
    stack = owner.stack(
        "foo",
        topology_nodes="tiny:1,blank:1",
        image_url="tiny",
        **{**hypervisor.settings, **ways},
    )
    owner.run("pulumi", "config", "set", "-s", "foo", "--secret", "vnc-password", PASSWORD).ok()
    with watched(hypervisor) as seen:
        said = stack.pulumi("up", "--yes", "--debug", "--show-config", "--diff").ok().out
        said += stack.fab("ssh-config").ok().out + stack.fab("drift").ok().out
    return stack, said, "\n".join(seen)


@contextmanager
def watched(host: Hypervisor) -> Iterator[list[str]]:
    """Arguments of processes here and on the hypervisor, while something runs."""
    seen: list[str] = []
    watchers = [
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True, errors="replace")
        for words in (["sh", "-c", WATCH], [TOOL, "ssh", host.name, WATCH])
    ]
    readers = [threading.Thread(target=_gather, args=(each, seen)) for each in watchers]
    for reader in readers:
        reader.start()
    try:
        yield seen
    finally:
        for watcher in watchers:
            watcher.kill()
        for reader, watcher in zip(readers, watchers, strict=True):
            reader.join()
            watcher.wait()
            watcher.stdout.close()  # type: ignore[union-attr]


def _gather(watcher: subprocess.Popen[str], seen: list[str]) -> None:
    assert watcher.stdout
    known: set[str] = set()
    for line in watcher.stdout:
        if line not in known:
            known.add(line)
            seen.append(line)


def secrets(stack: Stack) -> dict[str, str]:
    """Everything that nobody may see: by what it is, a part of it that is nowhere else."""
    words = ("stack", "export", "--show-secrets", "-s", "foo")
    state = json.loads(stack.project.run("pulumi", *words).ok().out)
    resources = state["deployment"]["resources"]
    keys = next(each for each in resources if each["type"].endswith("metalab:Keys"))
    seed = json.loads(keys["outputs"]["seed"]["plaintext"])
    disk = next(each for each in resources if each["type"].endswith("CloudInitDisk"))
    user_data = json.loads(disk["outputs"]["userData"]["plaintext"])
    # The fourth line begins with the secret half; the others have the public one, too.
    host_key = re.findall(r"^ *(\w[\w+/=]{60,})$", user_data, re.MULTILINE)[3][:42]
    client = stack.outputs()["private_key"].splitlines()[4][:42]
    return {
        "passphrase": PASSPHRASE,
        "VNC password": PASSWORD,
        "seed": seed,
        "private key": client,
        "host key": host_key,
    }


def test_no_secret_is_in_what_was_said_or_shown(lab: tuple[Stack, str, str]) -> None:
    stack, said, arguments = lab
    assert "pulumi" in arguments
    assert "virsh" in arguments
    known = secrets(stack)
    assert [name for name, secret in known.items() if secret in said] == []
    # The passphrase is in the environment of processes, which is not theirs to show.
    assert [name for name, secret in known.items() if secret in arguments] == []


def test_no_secret_is_in_the_state_or_the_stack_s_file(lab: tuple[Stack, str, str]) -> None:
    stack, *_ = lab
    files = [*(stack.project.folder / "state").rglob("*"), stack.file]
    texts = [file.read_text(errors="replace") for file in files if file.is_file()]
    assert any("metalab:Keys" in text for text in texts)
    known = secrets(stack)
    assert [name for name, secret in known.items() if any(secret in text for text in texts)] == []
    exported = stack.project.run("pulumi", "stack", "export", "-s", "foo").ok().out
    assert [name for name, secret in known.items() if secret in exported] == []


def test_on_the_hypervisor_root_alone_reads_what_has_to_be_there(
    lab: tuple[Stack, str, str], hypervisor: Hypervisor
) -> None:
    """A node's own key in its seed, and the VNC password in a domain's definition."""
    stack, *_ = lab
    places = "/etc /var /root /home /tmp /run /dev/shm"
    found: dict[str, list[str]] = {}
    for name, secret in secrets(stack).items():
        pattern = secret.replace("+", r"\+")
        said = hypervisor.run(
            f"grep -rlaE -- '{pattern}' {places} 2>/dev/null | grep -v /journal/ || :"
        )
        found[name] = said.split()
    assert found.pop("passphrase") == found.pop("seed") == found.pop("private key") == []
    pool = "/var/lib/libvirt/images/metalab/prefixes/foo"
    of_node = [f"{pool}/foo-tiny-0-seed.iso", f"{pool}/foo-tiny-0-vda.qcow2"]
    assert sorted(found.pop("host key")) == of_node  # in the seed, and where the node put it
    defined = found.pop("VNC password")
    assert {path.rpartition("/")[2] for path in defined} <= {
        "foo-tiny-0.xml", "foo-blank-0.xml",
    }  # fmt: skip
    for path in [*defined, *of_node]:
        denied = hypervisor.run(f"runuser -u nobody -- cat {path} 2>&1 >/dev/null; :")
        assert "Permission denied" in denied


def test_the_journal_of_the_hypervisor_has_none(
    lab: tuple[Stack, str, str], hypervisor: Hypervisor
) -> None:
    stack, *_ = lab
    journal = hypervisor.run("journalctl --no-pager -o cat; cat /var/log/libvirt/qemu/*.log")
    assert [name for name, secret in secrets(stack).items() if secret in journal] == []


def test_another_operator_goes_on(
    lab: tuple[Stack, str, str], hypervisor: Hypervisor, tmp_path: Path
) -> None:
    """Another machine: another checkout and home, an SSH key of their own, the same backend."""
    stack, *_ = lab
    key = tmp_path / "mine"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    hypervisor.run(f"echo '{key.with_suffix('.pub').read_text().strip()}' >> .ssh/authorized_keys")
    (tmp_path / "checkout").mkdir()
    theirs = Project.copy(tmp_path / "checkout")
    theirs.env.update(
        PULUMI_BACKEND_URL=stack.project.env["PULUMI_BACKEND_URL"],
        PULUMI_CONFIG_PASSPHRASE=PASSPHRASE,
        LAB_KEY=str(key),
        LAB_HOSTS=hypervisor.spec.known_hosts,
    )
    theirs.add_blank()
    shutil.copy(stack.file, theirs.folder / "stacks")
    other = Stack(theirs, "foo")
    pids = "cd /run/libvirt/qemu; cat foo-tiny-0.pid; echo; cat foo-blank-0.pid"
    before = hypervisor.run(pids)
    other.unchanged().ok()
    other.configure(topology_nodes="tiny:1,blank:2")
    other.up().ok()
    assert hypervisor.run(pids) == before
    other.print_ssh_config()
    assert other.ssh("tiny-0", "hostname").ok().out.strip() == "foo-tiny-0"
    shutil.copy(other.file, stack.file)
    stack.unchanged().ok()


def test_without_the_passphrase_nothing_is_to_be_had(
    lab: tuple[Stack, str, str], hypervisor: Hypervisor
) -> None:
    stack, *_ = lab
    before = hypervisor.inventory()
    guess = {"PULUMI_CONFIG_PASSPHRASE": "a guess"}
    for verb in ("up", "destroy"):
        assert "passphrase" in stack.pulumi(verb, "--yes", **guess).refused().out
    assert hypervisor.inventory() == before
