"""Commands and files on a hypervisor over one SSH connection, and on the guests behind it.

fabric opens the connection and moves files. Commands go over plain channels of that connection:
invoke's runner writes a command's stdin one byte in 10 ms (invoke/runners.py, handle_stdin), which
a script of 3 kB would spend half a minute on.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from lab.config import HypervisorSpec
from lab.errors import LabError, Problem
from lab.host import guests, refusals
from lab.host.openssh import (
    Proxy,
    expand_file,
    expanded,
    known_keys,
    proxy_command,
    resolve,
)
from lab.host.session import (
    AuthStrategy,
    Channel,
    Connection,
    Hear,
    Outcome,
    PKey,
    Session,
    Transport,
    as_root,
    execute,
)
from lab.openssh import KnownKeys, Login, algorithms, scan_command

PARALLEL_COMMANDS = 8  # sshd allows 10 sessions on one connection (MaxSessions)
PAUSE_S, MOST_PAUSE_S = 0.1, 1.0  # before the second attempt, and between later ones at most
GRACE_S = 10  # how much later than the host's own timeout we give up here
_NO_SUDO = re.compile(
    r"^sudo: .*(password|terminal) is required|sudo.*(not found|No such file)"
    r"|is not in the sudoers|^Sorry, user",
    re.MULTILINE,
)


class Shell(Session, Protocol):
    """A hypervisor; commands run as root there, by sudo if need be."""

    def put(self, local: Path, remote: str) -> None:
        """Copy a file to the host as the login user (no sudo); an existing one is overwritten.

        Raises:
            OSError: not readable here, not writable there, or the disk is full.
        """
        ...


class Gateway(Shell, Protocol):
    """A hypervisor that leads to its guests. Its methods may be called from several threads."""

    @property
    def user(self) -> str:
        """Who logged in there."""
        ...

    @property
    def alive(self) -> bool:
        """Whether the connection still stands, as far as this end knows."""
        ...

    def guest(
        self, target: guests.Guest, *, timeout_s: float = 10
    ) -> AbstractContextManager[Session]:
        """Log in to a guest through the hypervisor's connection.

        Raises:
            guests.GuestError: with the rung that failed; a wrong host key is a rung of its own.
        """
        ...


@contextmanager
def connect(spec: HypervisorSpec, *, timeout_s: float = 10) -> Generator[Gateway]:
    """Hold one connection to the hypervisor for as long as the block lasts.

    The host must be in known_hosts; nothing is ever added to that file.

    Args:
        spec: where to, as whom, with which key; see HypervisorSpec.
        timeout_s: seconds for the TCP connection, and again for the login; and for as long it is
            tried again while sshd hangs up at once, as it does when too many come at a time.

    Raises:
        LabError: one problem that says why there is no connection, and what to do.
    """
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)  # what matters becomes a Problem
    opening = _Opening.of(spec, timeout_s)
    with ExitStack() as stack:
        connection = opening.open(stack)
        yield _FabricShell(spec.address, opening.login.user, connection)


class _UnknownHostKeyError(Exception):
    pass


class _OtherHostKeyError(Exception):
    pass


class _FullError(Exception):
    """More people are logging in than sshd admits at a time (MaxStartups): it has hung up."""


@dataclass(frozen=True, slots=True)
class _KnownHosts:
    """What known_hosts says decides; paramiko's own look-up knows no patterns and no aliases."""

    known: KnownKeys

    def missing_host_key(self, _client: object, _hostname: str, key: PKey) -> None:
        if (key.get_name(), key.get_base64()) in self.known.keys:
            return
        raise (_OtherHostKeyError if self.known.keys else _UnknownHostKeyError)(
            f"{key.get_name()} {key.fingerprint}"
        )

    def transport(self, sock: Channel, **options: Any) -> Transport:  # noqa: ANN401 - paramiko's
        """A transport that asks for a key of a type that is known."""
        import paramiko  # noqa: PLC0415

        transport: Transport = paramiko.Transport(sock, **options)
        security = transport.get_security_options()
        security.key_types = algorithms(self.known.types, security.key_types)
        return transport


@dataclass(frozen=True, slots=True)
class _Opening:
    spec: HypervisorSpec  # with paths of this machine
    login: Login  # what it and OpenSSH's configuration come to
    known: KnownKeys
    timeout_s: float

    @classmethod
    def of(cls, spec: HypervisorSpec, timeout_s: float) -> _Opening:
        spec = expanded(spec)
        login = resolve(spec)
        _check_readable(spec.known_hosts)
        return cls(spec, login, known_keys(login), timeout_s)

    def open(self, stack: ExitStack) -> Connection:
        """Connect and log in; `stack` ends what that takes."""
        keys = self._offers(stack)
        until = time.monotonic() + self.timeout_s
        for attempt in count(1):
            with ExitStack() as this, suppress(_FullError):
                connection = self._open_once(keys, this, last=time.monotonic() >= until)
                stack.push(this.pop_all())
                return connection
            time.sleep(min(attempt * PAUSE_S, MOST_PAUSE_S))
        raise AssertionError  # pragma: no cover - the last attempt says why

    def _open_once(self, keys: AuthStrategy, stack: ExitStack, *, last: bool) -> Connection:
        import fabric  # noqa: PLC0415 - 0.2 s that only those who connect should pay
        from paramiko import SSHException  # noqa: PLC0415

        proxy = self._proxy(stack)
        policy = _KnownHosts(self.known)
        connection: Connection = fabric.Connection(
            self.login.hostname,
            user=self.login.user,
            port=self.login.port,
            connect_timeout=self.timeout_s,
            config=fabric.Config(overrides={"load_ssh_configs": False}),  # OpenSSH has read them
            connect_kwargs={
                "auth_strategy": keys,
                "banner_timeout": self.timeout_s,
                "auth_timeout": self.timeout_s,
                "transport_factory": policy.transport,
                **({"sock": proxy.line} if proxy else {}),
            },
        )
        connection.client.set_missing_host_key_policy(policy)  # fabric's constructor adds keys
        try:
            connection.open()
        except (_UnknownHostKeyError, _OtherHostKeyError, SSHException, OSError, EOFError) as error:
            connection.close()
            if not last and refusals.hung_up(error, proxy.reason() if proxy else ""):
                raise _FullError from None
            raise LabError([self._problem(error, proxy)]) from None
        stack.callback(connection.close)
        with suppress(OSError):  # a jump host's wire is no TCP socket
            # Else Nagle waits for acknowledgements within a command: 60 ms instead of 20, measured.
            connection.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _offers(self, stack: ExitStack) -> AuthStrategy:
        from lab.host.identities import Offers, offers  # noqa: PLC0415 - comes with paramiko

        return Offers(self.login.user, offers(self.spec, self.login, stack))

    def _proxy(self, stack: ExitStack) -> Proxy | None:
        words = proxy_command(self.login)
        if not words:
            return None
        proxy = Proxy.start(words)
        stack.callback(proxy.close)
        return proxy

    def _problem(self, error: Exception, proxy: Proxy | None) -> Problem:
        import paramiko  # noqa: PLC0415

        place = self.login.known_as[0]
        if isinstance(error, _UnknownHostKeyError):
            scan = scan_command(self.login)
            return refusals.unknown_host_key(self.spec, self._file, place, scan, str(error))
        if isinstance(error, _OtherHostKeyError):
            keys = (str(error), self.known.shown)
            return refusals.changed_host_key(self.spec, self._file, self.known.name, keys)
        if isinstance(error, paramiko.AuthenticationException):
            user = replace(self.spec, user=self.login.user)
            return refusals.refused_login(user, self.spec.key)
        if proxy and (reason := proxy.reason()):
            return refusals.no_jump(self.spec, reason)
        why = refusals.why(error, self.timeout_s)
        return refusals.unreachable(self.spec, why, self.login.port)

    @property
    def _file(self) -> str:
        """The first of the user's files, which is the one that ssh would write to."""
        return expand_file(next(iter(self.login.user_known_hosts), "known_hosts"), self.login)


def _check_readable(known_hosts: str) -> None:
    if not known_hosts:
        return
    try:
        with Path(known_hosts).open("rb"):
            pass
    except FileNotFoundError:
        pass  # then no host is known
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise LabError([refusals.unreadable_known_hosts(known_hosts, reason)]) from None


@dataclass(frozen=True, slots=True)
class _FabricShell:
    address: str
    user: str
    connection: Connection = field(repr=False)
    _turn: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(PARALLEL_COMMANDS), repr=False
    )

    @property
    def alive(self) -> bool:
        transport = self.connection.transport
        return transport is not None and transport.is_active()

    def run(
        self, command: str, *, timeout_s: float = 60, stdin: str = "", hear: Hear | None = None
    ) -> Outcome:
        wrapped = as_root(command, user=self.user, timeout_s=timeout_s)
        with self._turn:
            wait_s = timeout_s + GRACE_S
            transport = self.connection.transport
            outcome = execute(transport, wrapped, timeout_s=wait_s, stdin=stdin, hear=hear)
        if not outcome.ok and (refusal := _NO_SUDO.search(outcome.stderr)):
            reason = refusal.string[refusal.start() :].splitlines()[0]
            raise LabError([refusals.no_sudo(self.user, self.address, reason)])
        return outcome

    def put(self, local: Path, remote: str) -> None:
        with self._turn:
            self.connection.sftp().put(str(local), remote)

    def guest(
        self, target: guests.Guest, *, timeout_s: float = 10
    ) -> AbstractContextManager[Session]:
        return guests.log_in(self.connection.transport, target, timeout_s=timeout_s)
