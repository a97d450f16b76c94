"""The verbs of demo hypervisors: up, down, ssh and what they need of each other."""

import socket
import time
from dataclasses import replace

from tools.demo import container, layers, network
from tools.demo.cache import locked, remove_tree
from tools.demo.instance import Instance, Record, address
from tools.demo.kvm import usable_kvm
from tools.demo.machine import HYPERVISOR_PACKAGES, require_packages, require_root
from tools.demo.rootfs import root_layer
from tools.demo.shell import ToolError, run, say, succeeds, tail

SSH_S = 60  # 1.4 s is usual; a machine under load took 10
ANSWER_S = 1
NEW = 0  # the index of a record that has none yet


def up(instance: Instance, suite: str, layer: str) -> Record:
    """Make the hypervisor run and answer SSH; at once if it does.

    A stopped one (the machine was rebooted, the container killed) boots again with its disk.

    Args:
        instance: which one.
        suite: Debian's codename; only for a new one.
        layer: an extra layer to start a new one from; empty for a fresh Debian.

    Raises:
        ToolError: it exists with another suite or layer, or this machine cannot run it.
    """
    record = instance.record()
    if record:
        _refuse_other(instance, record, suite, layer)
    if record and instance.init() and answers(record):
        return record
    require_root("a demo hypervisor")
    require_packages(HYPERVISOR_PACKAGES)
    fresh = record or _new_record(suite, layer)
    with locked(instance.folder):
        record = instance.record()  # whoever held the lock may have done the work
        if not (record and instance.init()):
            record = _start(instance, record or fresh)
    _await_ssh(instance, record)
    return record


def _refuse_other(instance: Instance, record: Record, suite: str, layer: str) -> None:
    if (record.suite, record.layer) != (suite, layer):
        made = f"{record.suite} with layer {record.layer}" if record.layer else record.suite
        raise ToolError(
            f"{instance.name} exists and is {made}; give it another name, or remove "
            f"it first with `tools/hypervisor down {instance.name}`"
        )


def _new_record(suite: str, layer: str) -> Record:
    root = root_layer(suite)
    lowers = layers.stack_of(layer, root) if layer else (str(root),)
    return Record(suite=suite, layer=layer, lowers=lowers, index=NEW)


def _start(instance: Instance, record: Record) -> Record:
    _clear_leftovers(instance, keep_disk=record.index != NEW)
    devices = ["/dev/net/tun", *usable_kvm()]
    with locked(network.RUN):
        record = replace(record, index=network.choose_index(instance, record.index or None))
        _make_key(instance)
        container.mount(instance, record)
        container.configure(instance, record)
        hosts = instance.folder / "known_hosts"
        hosts.write_text(container.known_hosts(record), encoding="ascii")
        container.boot(instance, devices)
        network.attach(instance, record.index)
        instance.write_record(record)
    return record


def _clear_leftovers(instance: Instance, *, keep_disk: bool) -> None:
    """End what a crash left of an earlier run; its disk stays if its record tells what it is."""
    container.stop(instance, gently=False)
    if network.leads_elsewhere(instance.links[0]):
        raise ToolError(
            f"the link {instance.links[0]} exists: a hypervisor {instance.name} of another cache "
            "runs here; choose another name, or remove that one with its METALAB_CACHE"
        )
    for link in instance.links:
        network.remove_stale(link)
    if not keep_disk:
        remove_tree(instance.folder / "upper")
    remove_tree(instance.folder / "work")  # the kernel refuses the work folder of another mount


def _make_key(instance: Instance) -> None:
    public = instance.key.with_suffix(".pub")
    if instance.key.exists() and public.exists():
        return
    instance.key.unlink(missing_ok=True)
    comment = f"metalab-{instance.name}"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", instance.key)


def answers(record: Record) -> bool:
    """Say whether sshd of a running container greets us."""
    try:
        with socket.create_connection((address(record.index), 22), timeout=ANSWER_S) as stream:
            return stream.recv(4) == b"SSH-"
    except OSError:
        return False


def _await_ssh(instance: Instance, record: Record) -> None:
    end = time.monotonic() + SSH_S
    while not (answers(record) and succeeds(*ssh_command(instance, record, "true"))):
        if time.monotonic() > end or not instance.init():
            log = (instance.folder / "console.log").read_text(encoding="utf-8", errors="replace")
            raise ToolError(
                f"{instance.name} does not answer SSH at {address(record.index)}; "
                f"its console ends with: {tail(log)}"
            )
        time.sleep(container.POLL_S)


def ssh_command(instance: Instance, record: Record, *command: str) -> list[str]:
    """Write the ssh command line into a hypervisor, with its key and its pinned host keys."""
    options = (
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "ConnectTimeout=5",
        "LogLevel=ERROR",
        f"UserKnownHostsFile={instance.folder / 'known_hosts'}",
        "GlobalKnownHostsFile=none",
        "StrictHostKeyChecking=yes",
    )
    flags = [word for option in options for word in ("-o", option)]
    return [
        "ssh",
        "-F",
        "none",
        *flags,
        "-i",
        str(instance.key),
        f"root@{address(record.index)}",
        *command,
    ]


def down(instance: Instance) -> None:
    """Remove a hypervisor and everything it holds; fine if there is none."""
    if not _traces(instance):
        return
    require_root("removing a hypervisor")
    with locked(instance.folder):
        container.stop(instance, gently=False)
        with locked(network.RUN):
            network.detach(instance)
        remove_tree(instance.folder)
    say(f"{instance.name} is gone")


def _traces(instance: Instance) -> bool:
    return instance.folder.exists() or instance.find_init() is not None
