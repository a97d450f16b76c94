"""Boot and stop one container: overlay, systemd-nspawn, its PID 1."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tools.demo.addresses import subnets
from tools.demo.cache import mounts_below
from tools.demo.cgroups import confined, remove_groups
from tools.demo.instance import Init, Instance, Record, address, address_v6, started_ticks
from tools.demo.network import own_networks
from tools.demo.rootfs import host_keys
from tools.demo.shell import ToolError, run, spawn, tail

POLL_S = 0.02
START_S = 20  # until the links appear; 0.1 s is usual
POWEROFF_S = 60  # libvirt-guests gives running guests a chance
KILL_S = 10
POWEROFF = signal.SIGRTMIN + 4  # what systemd as PID 1 takes for `systemctl poweroff`


def mount(instance: Instance, record: Record) -> None:
    """Mount the instance's overlay on its layers."""
    folder = instance.folder
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(exist_ok=True)
    layers = f"lowerdir={':'.join(record.lowers)},upperdir={folder}/upper,workdir={folder}/work"
    run("mount", "-t", "overlay", "overlay", "-o", layers, instance.root)


def configure(instance: Instance, record: Record) -> None:
    """Write into the mounted root what makes it this instance."""
    etc = instance.root / "etc"
    _write(etc / "hostname", f"{instance.name}\n")
    _write(etc / "hosts", f"127.0.0.1 localhost {instance.name}\n::1 localhost {instance.name}\n")
    _write(etc / "resolv.conf", resolvers())
    _write(etc / "systemd/network/10-eth0.network", network_file(record.index, own_networks()))
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():  # behind a proxy with a CA of its own the container needs that CA, too
        (etc / "ssl/certs/ca-certificates.crt").write_bytes(bundle.read_bytes())
    ssh = instance.root / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    _write(ssh / "authorized_keys", instance.key.with_suffix(".pub").read_text(encoding="ascii"))
    (ssh / "authorized_keys").chmod(0o600)


def _write(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)  # it may be a link to somewhere outside this root
    file.write_text(text, encoding="utf-8")


def resolvers() -> str:
    """Answer a resolv.conf whose servers a container can reach: no loopback stub."""
    for file in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        servers = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver ")]
        if any(not server.startswith(("127.", "::1")) for server in servers):
            return text
    raise ToolError(
        "this machine's resolv.conf names only itself (127.*), which a container "
        "cannot reach; add the nameserver it forwards to"
    )


def network_file(index: int, reachable: list[str]) -> str:
    """Write networkd's file for eth0.

    The machine's own subnets are routed by name, so that a lab sees them as taken and does not
    cut the hypervisor off them.
    """
    v4, v6 = subnets(index)
    routes = (f"[Route]\nDestination={net}\nGateway={v4[1]}\n" for net in reachable)
    return (
        "[Match]\nName=eth0\n\n[Network]\n"
        f"Address={address(index)}/{v4.prefixlen}\nAddress={address_v6(index)}/{v6.prefixlen}\n"
        f"Gateway={v4[1]}\nGateway={v6[1]}\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\n\n"
        + "\n".join(routes)
    )


def known_hosts(record: Record) -> str:
    """Write the known_hosts lines of a container: every key type, both addresses."""
    names = f"{address(record.index)},{address_v6(record.index)}"
    return "".join(f"{names} {key}\n" for key in host_keys(Path(record.lowers[-1])))


def nspawn_command(instance: Instance, devices: list[str]) -> list[str | Path]:
    """Write the command that boots a container; it works without machined and networkd."""
    inner, outer = instance.links
    return [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--boot",
        "--capability=all",  # libvirt and QEMU mount, trace, and make taps and namespaces
        *(f"--bind={device}" for device in devices),
        f"--network-veth-extra={inner}:eth0",  # the way in
        f"--network-veth-extra={outer}:eth1",  # a second NIC, left alone: for bridges
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
        f"--machine={instance.name}",
        f"--directory={instance.root}",
    ]


def boot(instance: Instance, devices: list[str]) -> Init:
    """Start the mounted container; answers once its links are there and its PID 1 is known.

    Raises:
        ToolError: it ended at once; carries what it said.
    """
    log = instance.folder / "console.log"
    log.unlink(missing_ok=True)
    # with the v1 hierarchy every controller is read-only inside, and libvirt starts no domain
    env = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    nspawn = spawn(confined(instance, nspawn_command(instance, devices)), log, env)
    appeared = Path("/sys/class/net") / instance.links[0]
    if _wait(
        START_S, lambda: nspawn.poll() is not None or bool(appeared.exists() and _child(nspawn.pid))
    ):
        pid = _child(nspawn.pid)
        if nspawn.poll() is None and pid:
            return instance.write_init(pid, since_s=int(time.time()))
    raise ToolError(
        f"the container of {instance.name} did not start: "
        f"{tail(log.read_text(encoding='utf-8', errors='replace'))}"
    )


def _child(pid: int) -> int:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        children = listed.read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


def stop(instance: Instance, *, gently: bool) -> None:
    """End the container and unmount its root; nothing to do is fine.

    Args:
        instance: the one to stop.
        gently: shut its guests and services down first; else it ends at once, for good.
    """
    init = instance.init()
    pid = init.pid if init else instance.find_init()
    if pid:
        ticks = started_ticks(pid)
        if gently:
            os.kill(pid, POWEROFF)
            _wait(POWEROFF_S, lambda: started_ticks(pid) != ticks)
        if started_ticks(pid) == ticks:
            os.kill(pid, signal.SIGKILL)  # PID 1 of a namespace: the kernel ends all of it
            _wait(KILL_S, lambda: started_ticks(pid) != ticks)
    (instance.folder / "init.json").unlink(missing_ok=True)
    if not _wait(KILL_S, lambda: _unmounted(instance.root)):
        raise ToolError(f"{instance.root} is still in use; close what works in it and repeat")
    appeared = Path("/sys/class/net") / instance.links[0]
    _wait(KILL_S, lambda: not appeared.exists())  # goes with its namespace, a little later
    _wait(KILL_S, lambda: remove_groups(instance))


def _unmounted(root: Path) -> bool:
    for point in mounts_below(root):
        run("umount", point, check=False)
    return not mounts_below(root)


def _wait(limit_s: float, done: Callable[[], bool]) -> bool:
    """Poll until `done` or the limit; answers whether it was done."""
    end = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True
