"""One command on an SSH channel: the wire below lab.host.shell and lab.host.guests.

OpenSSH ends a whole connection when one of its channels goes on after it was closed. paramiko
answers the host's CLOSE in a thread of its own, and what another thread was about to send comes
after it (paramiko issues 1115 and 1705). So nobody may send while the host may close: a command
holds its channel open until it has seen the end of its input, and a channel that is shared is a
Wire.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from shlex import quote
from typing import Any, Protocol, TypeAlias

# Neither paramiko nor fabric has types; their objects go by these names here.
Transport: TypeAlias = Any
Channel: TypeAlias = Any
PKey: TypeAlias = Any
Connection: TypeAlias = Any
Hear: TypeAlias = Callable[[str], None]
AuthStrategy: TypeAlias = Any

VIRSH = "virsh -q -c qemu:///system"  # how our scripts ask libvirt
TIMED_OUT = 124  # as coreutils' timeout says it
CONNECTION_LOST = 255  # as OpenSSH says it
TAIL_LINES = 3
_HOLD_OPEN = '"$@"; code=$?; cat >/dev/null; exit $code'


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command left behind."""

    exit_code: int  # TIMED_OUT and CONNECTION_LOST are ours, too
    stdout: str = ""
    stderr: str = ""

    @property
    def ok(self) -> bool:
        """Whether the command exited 0."""
        return self.exit_code == 0

    @property
    def tail(self) -> str:
        """The last three lines of stderr, or else of stdout, on one line: for messages."""
        lines = [line.strip() for line in (self.stderr.strip() or self.stdout).splitlines()]
        return " / ".join([line for line in lines if line][-TAIL_LINES:])


class Session(Protocol):
    """A place where commands run."""

    @property
    def address(self) -> str:
        """Where it is, for messages."""
        ...

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        """Run a POSIX shell command and wait for it; whatever it answers, nothing is raised.

        Args:
            command: anyone can read it in the host's process list, so it never holds a secret.
            timeout_s: seconds after which the command is ended on the host, too.
            stdin: what the command reads; the way for secrets and for text of any size.
            hear: told each line of standard output as it comes.
        """
        ...


def as_root(command: str, *, user: str, timeout_s: float) -> str:
    """Wrap a command for a login shell of any kind: POSIX sh, root, C locale, bounded in time.

    `timeout` ends the whole process group, so that nothing goes on, or holds a lock, unwatched.
    """
    inner = f'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; {command}'
    bounded = f"timeout -k 5 {timeout_s:g} sh -c {quote(inner)}"
    if user == "root":
        return f"env LC_ALL=C {bounded}"
    # sudo forgets where we came from, and facts want to know. LC_ALL also makes sudo itself speak
    # the language in which its refusal is recognised.
    return f'env LC_ALL=C sudo -n env LC_ALL=C SSH_CONNECTION="$SSH_CONNECTION" {bounded}'


def execute(
    transport: Transport,
    command: str,
    *,
    timeout_s: float,
    stdin: str = "",
    hear: Hear | None = None,
) -> Outcome:
    """Run a command on a channel of its own of a paramiko.Transport.

    The transport may be shared between threads. A lost connection is an Outcome, too.

    Args:
        transport: where to.
        command: a simple command; the login shell may be any.
        timeout_s: seconds until we give up here; what bounds the command itself is its own affair.
        stdin: what it reads. A command that ends before it has read everything is fine.
        hear: told each line of standard output as it comes.
    """
    deadline = time.monotonic() + timeout_s
    try:
        channel = transport.open_session(timeout=timeout_s)
        try:
            return _converse(channel, command, stdin, deadline, hear)
        finally:
            channel.close()
    except TimeoutError:
        return Outcome(TIMED_OUT, stderr=f"no answer within {timeout_s:g} s")
    except Exception as error:  # SSHException, EOFError, OSError: all say the same
        return Outcome(CONNECTION_LOST, stderr=f"the connection was lost: {error}")


def _converse(
    channel: Channel, command: str, stdin: str, deadline: float, hear: Hear | None
) -> Outcome:
    channel.exec_command(f"sh -c {quote(_HOLD_OPEN)} sh {command}")
    with suppress(OSError):  # the connection was lost, which what is read next will say
        channel.sendall(stdin.encode())
    channel.shutdown_write()
    # One after the other will do: a channel's window buffers 2 MiB, far more than we ever ask for.
    stdout = _drain(channel, channel.recv, deadline, hear)
    stderr = _drain(channel, channel.recv_stderr, deadline, None)
    exit_code = channel.recv_exit_status()
    if exit_code < 0:  # paramiko's "none arrived"
        return Outcome(CONNECTION_LOST, stdout, stderr or "the connection was lost")
    return Outcome(exit_code, stdout, stderr)


def _drain(
    channel: Channel, receive: Callable[[int], bytes], deadline: float, hear: Hear | None
) -> str:
    chunks: list[bytes] = []
    begun = b""  # of a line that has not ended yet
    while True:
        channel.settimeout(max(0.1, deadline - time.monotonic()))
        chunk = receive(65536)
        if not chunk:
            return b"".join(chunks).decode(errors="replace")
        chunks.append(chunk)
        if hear:
            *lines, begun = (begun + chunk).split(b"\n")
            for line in lines:
                hear(line.decode(errors="replace"))


class Wire:
    """A channel as a socket for another transport: nothing is sent after it was closed."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._turn = threading.Lock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a channel has
        return getattr(self._channel, name)

    def send(self, data: bytes) -> int:
        """Send some of the data; answer how much."""
        with self._turn:
            return int(self._channel.send(data))

    def close(self) -> None:
        """Close the channel once what is being sent is on its way."""
        with self._turn:
            self._channel.close()
