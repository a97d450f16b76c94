"""Wait until nodes are ready: all at once, over the hypervisor's one connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from lab.host.diagnosis import diagnose, diagnosis_script
from lab.host.guests import Guest, GuestError
from lab.host.lan import find_script, read_address
from lab.host.session import CONNECTION_LOST, TIMED_OUT, Outcome
from lab.host.shell import Gateway

Progress = Callable[[str], None]

POLL_S = 0.3
ATTEMPT_S = 10  # for each stage of one login; an emulated guest needs seconds for a key exchange
DIAGNOSIS_S = 30
THREADS = 64
CONNECTIONS = 5  # one after the other, as each is lost
RECOVERABLE = 2  # cloud-init's exit code for "degraded done"
FINAL_RUNGS = ("host key", "forwarding")  # waiting does not mend them
LOST = "connection"  # the rung below all others: to the hypervisor

# `status --wait` alone says nothing about what went wrong; --long does. Guests without cloud-init
# are ready when they answer.
_ASK = """command -v cloud-init >/dev/null 2>&1 || exit 0
cloud-init status --wait >/dev/null 2>&1; code=$?; cloud-init status --long 2>&1; exit $code"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyNode:
    """A node to wait for."""

    name: str  # of the domain
    address: str  # on the network that carries SSH; empty: to be found on the LAN
    mac: str  # of that network's NIC
    network: str  # the libvirt network's name
    host_key: str  # "ssh-ed25519 AAAA...", pinned
    user: str = "root"
    bridge: str = ""  # that the LAN is on


@dataclass(frozen=True, kw_only=True, slots=True)
class NotReady:
    """A node that did not become ready, and how far it came."""

    node: str
    # That failed: connection, domain, lease, address, port, SSH, host key, forwarding, cloud-init.
    rung: str
    reason: str
    console: str = ""  # its last lines

    def __str__(self) -> str:
        """The message for people, of several lines when there is a console."""
        head = f"{self.node}: not ready: {self.rung}: {self.reason}."
        if not self.console:
            return f"{head} Its console is empty."
        lines = "\n".join(f"    {line}" for line in self.console.splitlines())
        return f"{head} Its console ends with:\n{lines}"


def wait_ready(  # noqa: PLR0913 - two of them take what there is to tell
    shell: Gateway,
    nodes: Sequence[ReadyNode],
    private_key: str,
    *,
    timeout_s: float,
    progress: Progress,
    found: dict[str, str] | None = None,
) -> tuple[NotReady, ...]:
    """Wait for every node to answer SSH with its pinned host key, and for its cloud-init.

    Args:
        shell: of the hypervisor; all threads share its connection.
        nodes: in any order.
        private_key: OpenSSH text of the key that the guests accept; it stays in this process.
        timeout_s: seconds for all nodes together.
        progress: told when a node is ready, and of cloud-init's recoverable errors.
        found: takes the addresses of those on a LAN, by domain.

    Returns:
        The nodes that are not ready, in the order of `nodes`; empty when all are.
    """
    begun = time.monotonic()
    line = threading.Lock()

    def say(text: str) -> None:
        with line:
            progress(text)

    def wait(node: ReadyNode) -> NotReady | None:
        address, rung, reason = _poll(shell, node, private_key, begun + timeout_s)
        if rung == LOST:
            return NotReady(node=node.name, rung=rung, reason=reason)
        if rung:
            return _diagnose(shell, node, rung, reason)
        place = f" at {address}" if node.bridge else ""
        say(f"{node.name}: ready after {time.monotonic() - begun:.1f} s{place}{reason}")
        if node.bridge and found is not None:
            found[node.name] = address
        return None

    with ThreadPoolExecutor(max_workers=min(THREADS, len(nodes)) or 1) as pool:
        return tuple(late for late in pool.map(wait, nodes) if late)


def wait_ready_anew(  # noqa: PLR0913 - as above
    open_gateway: Callable[[], AbstractContextManager[Gateway]],
    nodes: Sequence[ReadyNode],
    private_key: str,
    *,
    timeout_s: float,
    progress: Progress,
    found: dict[str, str] | None = None,
) -> tuple[NotReady, ...]:
    """Wait as `wait_ready` does, over another connection when one is lost.

    Raises:
        LabError: there is no connection; see lab.host.shell.connect.
    """
    deadline = time.monotonic() + timeout_s
    late: dict[str, NotReady] = {}
    waited = nodes
    for _ in range(CONNECTIONS):
        left_s = max(0.0, deadline - time.monotonic())
        with open_gateway() as shell:
            now = wait_ready(
                shell, waited, private_key, timeout_s=left_s, progress=progress, found=found
            )
        for node in waited:  # those that were lost before may be ready by now
            late.pop(node.name, None)
        late |= {node.node: node for node in now}
        waited = [n for n in waited if n.name in late and late[n.name].rung == LOST]
        if not waited:
            break
        progress("the connection to the hypervisor was lost, and is opened again")
    return tuple(late[node.name] for node in nodes if node.name in late)


def _poll(
    shell: Gateway, node: ReadyNode, private_key: str, deadline: float
) -> tuple[str, str, str]:
    """Ask until the node is ready or time is up; answer its address, the failed rung, and why."""
    turn = 0
    while True:
        address = node.address or _find(shell, node, turn)
        rung, reason = _try(shell, node, address, private_key, deadline)
        if rung and not shell.alive:
            return address, LOST, "the connection to the hypervisor was lost"
        # Who has an address of a LAN now need not be who had it before.
        final = rung in FINAL_RUNGS and not node.bridge
        if not rung or rung == "cloud-init" or final or time.monotonic() + POLL_S >= deadline:
            return address, rung, reason
        time.sleep(POLL_S)
        turn += 1


def _find(shell: Gateway, node: ReadyNode, turn: int) -> str:
    script = find_script(domain=node.name, mac=node.mac, bridge=node.bridge, turn=turn)
    return read_address(shell.run(script, timeout_s=DIAGNOSIS_S).stdout, node.mac)


def _try(
    shell: Gateway, node: ReadyNode, address: str, private_key: str, deadline: float
) -> tuple[str, str]:
    if not address:
        return "address", f"nobody on {node.bridge} answers for {node.mac}, nor does a guest agent"
    guest = Guest(address=address, user=node.user, private_key=private_key, host_key=node.host_key)
    try:
        with shell.guest(guest, timeout_s=ATTEMPT_S) as session:
            left_s = max(1.0, deadline - time.monotonic())
            return _judge(session.run(_ASK, timeout_s=left_s))
    except GuestError as error:
        return error.rung, str(error)


def _judge(outcome: Outcome) -> tuple[str, str]:
    """Read cloud-init's verdict: the rung that failed, and why; or nothing, and a note."""
    if outcome.ok:
        return "", ""
    detail = "; ".join(line.strip() for line in outcome.stdout.splitlines() if line.strip())
    if outcome.exit_code == RECOVERABLE:
        return "", f" (cloud-init had recoverable errors: {detail})"
    if outcome.exit_code == TIMED_OUT:
        return "cloud-init", "it did not end in time"
    if outcome.exit_code == CONNECTION_LOST:  # a reboot in the midst of it: ask again
        return "SSH", "the guest hung up"
    return "cloud-init", detail or f"status exited {outcome.exit_code}"


def _diagnose(shell: Gateway, node: ReadyNode, rung: str, reason: str) -> NotReady:
    script = diagnosis_script(domain=node.name, network=node.network, mac=node.mac)
    outcome = shell.run(script, timeout_s=DIAGNOSIS_S)
    rung, reason, console = diagnose(outcome.stdout, rung, reason)
    return NotReady(node=node.name, rung=rung, reason=reason, console=console)
