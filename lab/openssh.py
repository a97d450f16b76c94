"""How OpenSSH would reach a hypervisor: read from what `ssh -G` and `ssh-keygen -F` print.

OpenSSH itself reads its configuration, so aliases, Match, Include and jump hosts mean here what
they mean to `ssh`. lab.host.openssh runs it; this module understands what it says.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.config import SSH_PORT, HypervisorSpec, split_place

# Nothing asks, nothing is believed that known_hosts does not say, and nothing is added to it. Every
# connection is our own: one that is shared with a user's session would end with that session.
STRICT = (
    *("-o", "BatchMode=yes"),
    *("-o", "StrictHostKeyChecking=yes"),
    *("-o", "UpdateHostKeys=no"),
    *("-o", "ControlMaster=no"),
    *("-o", "ControlPath=none"),
    *("-o", "ConnectTimeout=10"),
)
LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock"  # on hosts with modular daemons virtproxyd serves it


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """One host as OpenSSH would log in to it; paths and commands are still unexpanded."""

    host: str  # as it was asked for: a name, an alias, an address
    hostname: str  # where to connect
    port: int
    user: str
    identity_files: tuple[str, ...] = ()
    identities_only: bool = False
    certificate_files: tuple[str, ...] = ()
    agent: str = "SSH_AUTH_SOCK"  # or "none", "$NAME", a path
    user_known_hosts: tuple[str, ...] = ()
    global_known_hosts: tuple[str, ...] = ()
    host_key_alias: str = ""
    proxy_jump: str = ""  # user@one:22,two
    proxy_command: str = ""  # with %h, %n, %p, %r
    forwards: bool = False  # the configuration asks for forwards of its own

    @property
    def proxied(self) -> bool:
        """Whether something stands in between."""
        return bool(self.proxy_jump or self.proxy_command)

    @property
    def known_as(self) -> tuple[str, ...]:
        """The names under which known_hosts may keep it, the first one found counts."""
        if self.host_key_alias:
            return (self.host_key_alias,)
        if self.port == SSH_PORT:
            return (self.hostname,)
        return f"[{self.hostname}]:{self.port}", self.hostname


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What known_hosts says of one host: {("ssh-ed25519", "AAAA...")}."""

    name: str  # under which it was found, or would be added
    keys: frozenset[tuple[str, str]] = frozenset()
    types: tuple[str, ...] = ()  # in the file's order

    @property
    def shown(self) -> str:
        """The keys as `ssh-keygen -l` shows them."""
        in_order = sorted(self.keys, key=lambda key: self.types.index(key[0]))
        return " or ".join(f"{kind} SHA256:{fingerprint(blob)}" for kind, blob in in_order)


def parse_login(text: str) -> Login:
    """Read what `ssh -G` printed.

    Raises:
        KeyError: it is something else.
        ValueError: a port that is no number.
    """
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value)
    last = {key: found[-1] for key, found in values.items()}
    hostname = last["hostname"]
    return Login(
        host=last.get("host", hostname),  # OpenSSH before 9.2 does not repeat it
        hostname=hostname,
        port=int(last["port"]),
        user=last["user"],
        identity_files=tuple(values.get("identityfile", ())),
        identities_only=last.get("identitiesonly") == "yes",
        certificate_files=tuple(values.get("certificatefile", ())),
        agent=last.get("identityagent", "SSH_AUTH_SOCK"),
        user_known_hosts=tuple(last.get("userknownhostsfile", "").split()),
        global_known_hosts=tuple(last.get("globalknownhostsfile", "").split()),
        host_key_alias=_set(last.get("hostkeyalias", "")),
        proxy_jump=_set(last.get("proxyjump", "")),
        proxy_command=_set(last.get("proxycommand", "")),
        forwards=any(f"{kind}forward" in values for kind in ("local", "remote", "dynamic")),
    )


def _set(value: str) -> str:
    return "" if value == "none" else value


def settings(spec: HypervisorSpec) -> list[str]:
    """The stack's own settings as arguments of ssh: they win over any configuration file.

    Args:
        spec: its paths are expanded already.
    """
    words: list[str] = []
    if spec.port:
        words += ["-p", str(spec.port)]
    if spec.user:
        words += ["-l", spec.user]
    if spec.key:
        words += ["-i", spec.key, "-o", "IdentitiesOnly=yes"]
    if spec.known_hosts:
        words += ["-o", f'UserKnownHostsFile="{spec.known_hosts}"']
    return words


def parse_known_keys(name: str, text: str) -> KnownKeys:
    """Read what `ssh-keygen -F NAME -f FILE` printed, for one file or several in a row.

    Keys that sign host certificates are left out: paramiko knows no such certificates.
    """
    found: list[tuple[str, str]] = []
    revoked: set[tuple[str, str]] = set()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        key = (words[1], words[2]) if len(words) > 2 else ("", "")  # noqa: PLR2004 - names, type, key
        if marker == "@revoked":
            revoked.add(key)
        elif not marker:
            found.append(key)
    kept = [key for key in found if key not in revoked]
    return KnownKeys(name, frozenset(kept), tuple(dict.fromkeys(kind for kind, _ in kept)))


def algorithms(known: Sequence[str], offered: Sequence[str]) -> list[str]:
    """Order host key algorithms so that a known key is what the host shows.

    A host shows one key, of the first type that it has; the others it does not mention.

    Args:
        known: key types of known_hosts, such as "ssh-rsa".
        offered: all algorithms there are, in order of preference.
    """
    wanted = [kind for kind in offered if _key_type(kind) in known]
    return [*wanted, *(kind for kind in offered if kind not in wanted)]


def _key_type(algorithm: str) -> str:
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def expand_tokens(text: str, login: Login, tokens: Mapping[str, str]) -> str:
    """Expand what ssh_config(5) calls tokens.

    Args:
        text: a path or command of the configuration.
        login: for %h, %n, %p and %r.
        tokens: what only the machine knows: {"d": the home directory, "u": the local user, ...}.
    """
    known = {
        "%": "%",
        "h": login.hostname,
        "k": login.host_key_alias or login.host,
        "n": login.host,
        "p": str(login.port),
        "r": login.user,
        **tokens,
    }
    return re.sub("%(.)", lambda seen: known.get(seen[1], seen[0]), text)


def hop_words(hop: str) -> list[str]:
    """One host of a ProxyJump list, such as `me@bastion:2222`, as arguments of ssh."""
    user, _, place = hop.removeprefix("ssh://").rstrip("/").rpartition("@")
    host, port = split_place(place)
    words = ["-l", user] if user else []
    words += ["-p", str(port)] if port else []
    return [*words, "--", host]


def jump_command(login: Login, hop: str, before: Sequence[str]) -> list[str]:
    """The command whose input and output are the wire to a host behind a jump host.

    Args:
        login: the host behind.
        hop: the last jump host before it.
        before: the same kind of command for what stands before the jump host; may be empty.
    """
    through = ["-o", f"ProxyCommand={as_option(before)}"] if before else []
    # Brackets as OpenSSH writes them itself: they are needed for IPv6, and do no harm.
    return ["ssh", *STRICT, *through, "-W", f"[{login.hostname}]:{login.port}", *hop_words(hop)]


def as_option(command: Sequence[str]) -> str:
    """A command as the value of ProxyCommand: a shell and ssh's tokens stand in between."""
    return shlex.join(command).replace("%", "%%")


def forward_command(
    spec: HypervisorSpec, login: Login, socket: str, proxy: Sequence[str]
) -> list[str]:
    """What holds the libvirt socket of a host here, until it is ended.

    Args:
        spec: its paths are expanded already.
        login: the same host, resolved.
        socket: the path to listen at; nothing is there.
        proxy: what leads there, if a jump host does.
    """
    # Forwards of the user's own may be held by a session of theirs: no reason to give up.
    strictly = "no" if login.forwards else "yes"
    return [
        "ssh",
        "-N",
        *STRICT,
        *("-o", f"ExitOnForwardFailure={strictly}"),
        *("-o", "ServerAliveInterval=15"),
        *("-o", "RequestTTY=no"),
        *("-o", "PermitLocalCommand=no"),
        *(["-o", f"ProxyCommand={as_option(proxy)}"] if proxy else []),
        *("-L", f"{socket}:{LIBVIRT_SOCKET}"),
        *settings(spec),
        "--",
        spec.address,
    ]


def fingerprint(blob: str) -> str:
    """A public key in base64, as the part of SHA256:... that `ssh-keygen -l` shows."""
    digest = hashlib.sha256(base64.b64decode(blob)).digest()
    return base64.b64encode(digest).decode().rstrip("=")


def scan_command(login: Login) -> str:
    """What prints a host's keys as lines for known_hosts, from where the host can be reached."""
    port = f"-p {login.port} " if login.port != SSH_PORT else ""
    scan = f"ssh-keyscan {port}{shlex.quote(login.hostname)}"
    if login.proxy_jump:
        hop = hop_words(login.proxy_jump.rpartition(",")[2])
        scan = f"ssh {shlex.join(word for word in hop if word != '--')} {scan}"
    if login.host_key_alias:
        scan += f" | sed 's/^[^ ]*/{login.host_key_alias}/'"
    return scan
