"""The keys that a login offers, in OpenSSH's order: files, certificates and the agent's.

Imports paramiko, whose 0.2 s only those who connect should pay: import this module late.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from copy import copy
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.auth_strategy import AuthSource, AuthStrategy, InMemoryPrivateKey
from paramiko.pkey import PublicBlob

from lab.config import HypervisorSpec
from lab.errors import LabError, Problem
from lab.host import refusals
from lab.host.openssh import agent_socket, expand_file
from lab.host.session import PKey
from lab.openssh import Login

_CERTIFICATE = "-cert-v01@openssh.com"


class Offers(AuthStrategy):
    """One key after the other until the host takes one."""

    def __init__(self, user: str, keys: Sequence[PKey]) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())  # OpenSSH has read it
        self._user, self._keys = user, keys

    def get_sources(self) -> Iterator[AuthSource]:
        """The keys as paramiko wants to have them."""
        return (InMemoryPrivateKey(self._user, key) for key in self._keys)


def offers(spec: HypervisorSpec, login: Login, stack: ExitStack) -> list[PKey]:
    """Collect what may open a host.

    With `host-key` that key is all: another one would be offered first, and sshd counts.

    Args:
        spec: its paths are expanded already.
        login: the same host, resolved.
        stack: ends the conversation with the agent, once the keys have served.

    Raises:
        LabError: `host-key` is missing, is no key, or is locked and in no agent.
    """
    files = [spec.key] if spec.key else [expand_file(text, login) for text in login.identity_files]
    agent = _agent_keys(agent_socket(login), stack)
    if spec.key:
        keys = [_named_key(spec.key, agent)]
    else:
        keys = _in_order(files, agent, only_files=login.identities_only)
    paths = [*(expand_file(text, login) for text in login.certificate_files)]
    paths += [f"{file}-cert.pub" for file in files]
    certificates = [blob for path in paths if (blob := _public_part(path))]
    return [offer for key in keys for offer in (*_certified(key, certificates), key)]


def is_encrypted(path: str) -> bool:
    """Whether a private key has a passphrase."""
    try:
        paramiko.PKey.from_path(path)
    except (TypeError, paramiko.PasswordRequiredException):
        return True
    except Exception:
        return False
    return False


def _in_order(files: Sequence[str], agent: Sequence[PKey], *, only_files: bool) -> list[PKey]:
    """The agent's keys that files name, the agent's others, then what is in files alone."""
    loaded = [(path, _load(path)) for path in files]
    public = [key.asbytes() if key else _public_bytes(path) for path, key in loaded]
    named = sorted(
        (key for key in agent if key.asbytes() in public),
        key=lambda key: public.index(key.asbytes()),
    )
    others = [] if only_files else [key for key in agent if key not in named]
    held = {key.asbytes() for key in agent}
    return [*named, *others, *(key for _, key in loaded if key and key.asbytes() not in held)]


def _load(path: str) -> PKey | None:
    with suppress(Exception):  # missing, locked, of a kind that paramiko does not know: as ssh does
        return _read(path)
    return None


def _read(path: str) -> PKey:
    key = paramiko.PKey.from_path(path)
    key.public_blob = None  # a certificate that lies beside it: an offer of its own
    return key


def _named_key(path: str, agent: Sequence[PKey]) -> PKey:
    """The key of a path that the user gave; a locked one may be in the agent."""
    try:
        return _read(path)
    except FileNotFoundError:
        problem = refusals.no_key(path)
    except OSError as error:
        problem = refusals.unusable_key(path, error.strerror or "cannot be read")
    except (TypeError, paramiko.PasswordRequiredException):
        wanted = _public_bytes(path)
        if held := next((key for key in agent if wanted and key.asbytes() == wanted), None):
            return held
        problem = _locked(path)
    except Exception:
        problem = refusals.unusable_key(path, "it is no private key that SSH can use")
    raise LabError([problem])


def _locked(path: str) -> Problem:
    return refusals.unusable_key(path, "it is protected by a passphrase, and in no agent")


def _public_bytes(path: str) -> bytes:
    blob = _public_part(f"{path}.pub")
    return blob.key_blob if blob else b""


def _public_part(path: str) -> PublicBlob | None:
    with suppress(Exception):  # most files have none beside them
        return PublicBlob.from_file(path) if Path(path).is_file() else None
    return None


def _certified(key: PKey, certificates: Sequence[PublicBlob]) -> Iterator[PKey]:
    """The key with each of its certificates."""
    for certificate in certificates:
        if _certifies(certificate, key):
            yield _with_certificate(key, certificate)


def _certifies(certificate: PublicBlob, key: PKey) -> bool:
    """A certificate is its type, a nonce, then the fields of the public key (PROTOCOL.certkeys)."""
    if certificate.key_type != f"{key.get_name()}{_CERTIFICATE}":
        return False
    signed, plain = paramiko.Message(certificate.key_blob), paramiko.Message(key.asbytes())
    for message, fields in ((signed, 2), (plain, 1)):
        for _ in range(fields):
            message.get_string()
    return signed.get_remainder().startswith(plain.get_remainder())


def _with_certificate(key: PKey, certificate: PublicBlob) -> PKey:
    # An AgentKey asks itself for what it has not, and copy() asks before there is anything.
    held = isinstance(key, AgentKey)
    twin: PKey = AgentKey(key.agent, key.blob, key.comment) if held else copy(key)
    twin.public_blob = certificate
    return twin


def _agent_keys(path: str, stack: ExitStack) -> list[PKey]:
    """What the agent holds, without FIDO keys, which paramiko cannot offer."""
    if not path:
        return []
    with suppress(OSError, paramiko.SSHException):
        agent = _Agent(path)
        stack.callback(agent.close)
        keys: list[PKey] = [_as_held(key) for key in agent.get_keys()]
        return [key for key in keys if key.inner_key is not None]
    return []


def _as_held(key: PKey) -> PKey:
    if key.get_name().endswith(_CERTIFICATE):
        key.public_blob = PublicBlob(type_=key.get_name(), blob=key.blob)
    return key


class _Agent(AgentSSH):
    """An agent at a path of one's own; paramiko's knows $SSH_AUTH_SOCK alone."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._line = line = socket.socket(socket.AF_UNIX)
        line.settimeout(10)
        try:
            line.connect(path)
        except OSError:
            self.close()
            raise
        # The stubs leave it out; paramiko.Agent itself is made of it.
        self._connect(line)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]

    def close(self) -> None:
        """Hang up."""
        self._line.close()
