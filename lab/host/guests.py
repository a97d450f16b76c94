"""Guests, reached by channels of the hypervisor's one connection; their host keys are pinned."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from shlex import quote
from typing import Literal

from lab.host.session import Channel, Hear, Outcome, PKey, Session, Transport, Wire, execute

GuestRung = Literal["port", "SSH", "host key", "forwarding"]
_PROHIBITED = 1  # RFC 4254, 5.1: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED


@dataclass(frozen=True, kw_only=True, slots=True)
class Guest:
    """How to log in to one guest."""

    address: str  # as the hypervisor reaches it
    private_key: str = field(repr=False)  # OpenSSH text; it stays in this process
    host_key: str  # the only one to accept: "ssh-ed25519 AAAA..."
    user: str = "root"
    port: int = 22


class GuestError(Exception):
    """There is no login to a guest; `rung` says how far it went."""

    def __init__(self, rung: GuestRung, reason: str) -> None:
        self.rung: GuestRung = rung
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class _GuestSession:
    address: str
    transport: Transport = field(repr=False)

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        words = f"sh -c {quote(command)}"
        return execute(self.transport, words, timeout_s=timeout_s, stdin=stdin, hear=hear)


@contextmanager
def log_in(gateway: Transport, target: Guest, *, timeout_s: float) -> Generator[Session]:
    """Hold a login to a guest, on a channel of the hypervisor's paramiko.Transport.

    Args:
        gateway: may be shared by any number of threads.
        target: whom to be, where, and which host key to insist on.
        timeout_s: seconds for each stage: port, key exchange, login.

    Raises:
        GuestError: with the rung that failed.
    """
    import paramiko  # noqa: PLC0415 - comes with fabric, whose 0.2 s only users of SSH should pay

    channel = _open_channel(gateway, target, timeout_s)
    wire: Channel = Wire(channel)
    transport: Transport = paramiko.Transport(wire)
    try:
        _authenticate(transport, target, timeout_s)
        yield _GuestSession(target.address, transport)
    finally:
        transport.close()


def _open_channel(gateway: Transport, target: Guest, timeout_s: float) -> Channel:
    import paramiko  # noqa: PLC0415

    try:
        return gateway.open_channel(
            "direct-tcpip", (target.address, target.port), ("127.0.0.1", 0), timeout=timeout_s
        )
    except paramiko.ChannelException as error:
        if error.code == _PROHIBITED:
            raise GuestError("forwarding", "the hypervisor's sshd forbids TCP forwarding") from None
        raise GuestError("port", f"port {target.port} does not answer") from None
    except (paramiko.SSHException, EOFError, OSError):
        raise GuestError("port", f"port {target.port} does not answer in {timeout_s:g} s") from None


def _authenticate(transport: Transport, target: Guest, timeout_s: float) -> None:
    import paramiko  # noqa: PLC0415

    transport.banner_timeout = transport.handshake_timeout = timeout_s
    transport.auth_timeout = timeout_s
    transport.get_security_options().key_types = ("ssh-ed25519",)  # the pinned one, or none
    try:
        transport.start_client(timeout=timeout_s)
        _check_host_key(transport.get_remote_server_key(), target)
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(target.private_key))
        transport.auth_publickey(target.user, key)
    except paramiko.AuthenticationException:
        raise GuestError("SSH", f"{target.user} may not log in with the stack's key") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise GuestError("SSH", f"no key exchange: {error or 'the guest hung up'}") from None


def _check_host_key(shown: PKey, target: Guest) -> None:
    pinned = target.host_key.split()[:2]
    if [shown.get_name(), shown.get_base64()] != pinned:
        reason = f"the guest shows another host key than the pinned one: {shown.fingerprint}"
        raise GuestError("host key", reason)
