"""Why a hypervisor could not be reached, in the catalogue's form: one function for each reason."""

from __future__ import annotations

import re
import socket
from shlex import quote

from lab.config import SSH_PORT, HypervisorSpec
from lab.errors import Problem

_HUNG_UP = re.compile(r"kex_exchange_identification: .*(closed by remote host|reset by peer)")


def undefined_variable(setting: str, path: str, name: str) -> Problem:
    """A path holds the variable `name`, such as "$HOME", and the environment does not."""
    return Problem(
        where=setting,
        got=f"{path}, where {name} is not set",
        allowed="a path of which every variable is set",
        rule="path-variable",
        next_step='Run `eval "$(make -s env)"` in this shell, or write the path out',
    )


def no_openssh() -> Problem:
    """The programs that know the operator's SSH configuration are not there."""
    return Problem(
        where="this machine",
        got="no ssh on PATH",
        allowed="OpenSSH's client",
        rule="programs",
        next_step="Install it, on Debian with `apt-get install openssh-client`",
    )


def bad_ssh_config(where: str, reason: str) -> Problem:
    """`ssh -G` refuses the configuration of whoever runs it."""
    return Problem(
        where=where,
        got=reason,
        allowed="a configuration that OpenSSH accepts",
        rule="ssh-config",
        next_step="Correct ~/.ssh/config; `ssh -G HOST` shows whether it is read",
    )


def endless_jumps(host: str) -> Problem:
    """ProxyJump leads from one host to the next and never arrives."""
    return Problem(
        where=f"ProxyJump of {host}",
        got="more than ten jump hosts",
        allowed="a way that ends",
        rule="ssh-config",
        next_step="Look at ProxyJump in ~/.ssh/config",
    )


def no_jump(spec: HypervisorSpec, reason: str) -> Problem:
    """What stands between here and the host ended: a jump host, or a ProxyCommand."""
    return Problem(
        where=f"host-address {spec.address}",
        got=f"no way through its jump host: {reason}",
        allowed="jump hosts that known_hosts vouches for and that let you in without a question",
        rule="host-jump",
        next_step=f"Try `ssh -o BatchMode=yes {spec.address} true` and repair what it complains of",
    )


def no_forward(spec: HypervisorSpec, reason: str) -> Problem:
    """OpenSSH could not bring libvirt's socket here."""
    return Problem(
        where=f"host-address {spec.address}",
        got=f"no forward of libvirt's socket: {reason}",
        allowed="a login that `ssh` makes without a question, and forwarding that sshd allows",
        rule="host-forward",
        next_step=f"Try `ssh -o BatchMode=yes {spec.address} true` and repair what it complains of",
    )


def no_program(address: str) -> Problem:
    """The plugin needs the forward that only the program opens, and the program does not run."""
    return Problem(
        where=address,
        got="an operation that does not run the program, which opens the way to libvirt",
        allowed="PULUMI_OPTION_RUN_PROGRAM=true in the environment",
        rule="host-forward",
        next_step="Set it and run the command again; nothing was changed",
    )


def unsafe_folder(path: str, reason: str) -> Problem:
    """The folder of the forwards may be in other hands."""
    return Problem(
        where=path,
        got=reason,
        allowed="a folder of your own that nobody else may enter",
        rule="forward-folder",
        next_step="Remove it and run the command again",
    )


def no_key(path: str) -> Problem:
    """The private key file is not there. It is never made on the way."""
    return Problem(
        where="host-key",
        got=f"{path}, which does not exist",
        allowed="the file of a private SSH key",
        rule="host-key-file",
        next_step=f"Name another file, or make one with `ssh-keygen -t ed25519 -f {quote(path)}`",
    )


def unusable_key(path: str, reason: str) -> Problem:
    """The private key file cannot be read, is no key, or asks for a passphrase."""
    return Problem(
        where="host-key",
        got=f"{path}: {reason}",
        allowed="a readable private key without a passphrase (ed25519, ECDSA or RSA)",
        rule="host-key-file",
        next_step=f"Use another key, or leave host-key empty after `ssh-add {quote(path)}`",
    )


def unreadable_known_hosts(path: str, reason: str) -> Problem:
    """The known_hosts file is there but cannot be read."""
    return Problem(
        where="host-known-hosts",
        got=f"{path}: {reason}",
        allowed="a readable known_hosts file",
        rule="host-known-hosts",
    )


def hung_up(error: Exception, of_jump: str) -> bool:
    """Whether sshd, or that of a jump host, hung up before it said who it is.

    Args:
        error: what a connection ended with.
        of_jump: what the way through a jump host complained of; empty: nothing.
    """
    if of_jump:
        return bool(_HUNG_UP.search(of_jump))
    return isinstance(error, ConnectionResetError | EOFError) or "banner" in str(error)


def why(error: Exception, timeout_s: float) -> str:
    """What a connection that did not come about ended with, for `unreachable`."""
    if isinstance(error, socket.gaierror):
        return "a name that does not resolve"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    errors = getattr(error, "errors", None)  # NoValidConnectionsError: one for each address
    first = next(iter(errors.values())) if errors else error
    return str(getattr(first, "strerror", None) or first or "a connection that broke off").lower()


def unreachable(spec: HypervisorSpec, reason: str, port: int = SSH_PORT) -> Problem:
    """No TCP connection: the name does not resolve, nothing answers, or it refuses."""
    at = f"{_of_port(spec.port)}{_as_user(spec)}{spec.address}"
    return Problem(
        where=f"host-address {spec.address}",
        got=reason,
        allowed=f"an SSH server on port {port}",
        rule="host-unreachable",
        next_step=f"Check the address and the network with `ssh {at} true`",
    )


def unknown_host_key(
    spec: HypervisorSpec, known_hosts: str, name: str, scan: str, key: str
) -> Problem:
    """No line of known_hosts speaks for this host.

    Args:
        spec: the host.
        known_hosts: the file that should.
        name: under which the host is looked up there.
        scan: a command that prints lines for that file.
        key: what it showed: "ssh-ed25519 SHA256:...".
    """
    return Problem(
        where=f"host-address {spec.address}",
        got=f"host key {key}, which is not in {known_hosts}",
        allowed="a host that known_hosts vouches for",
        rule="host-key-unknown",
        next_step=(
            f"Run `{scan} >> {quote(known_hosts)}`, then compare what `ssh-keygen -l -F "
            f"{quote(name)} -f {quote(known_hosts)}` shows with the "
            "output of `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host's console"
        ),
    )


def changed_host_key(
    spec: HypervisorSpec, known_hosts: str, name: str, keys: tuple[str, str]
) -> Problem:
    """known_hosts has another key under this name. `keys` are what it shows and what is known."""
    return Problem(
        where=f"host-address {spec.address}",
        got=f"host key {keys[0]}: it CHANGED, or somebody listens in between; nothing was sent",
        allowed=f"{keys[1]} as in {known_hosts}",
        rule="host-key-changed",
        next_step=(
            "If the host was reinstalled, forget its old key with "
            f"`ssh-keygen -R {quote(name)} -f {quote(known_hosts)}` and run the command again"
        ),
    )


def refused_login(spec: HypervisorSpec, key: str) -> Problem:
    """The host knows none of the keys that were offered. `key` is a path or empty: the agent's."""
    of_key = f"-i {quote(key)} " if key else ""
    at = f"{of_key}{_of_port(spec.port)}{_as_user(spec)}{spec.address}"
    return Problem(
        where=f"host-user {spec.user}@{spec.address}",
        got=f"a refusal of {key or 'every key of the SSH agent and of ~/.ssh'}",
        allowed=f"a key that {spec.user} may log in with",
        rule="host-login",
        next_step=f"Allow it with `ssh-copy-id {at}`",
    )


def no_sudo(user: str, address: str, reason: str) -> Problem:
    """The user is neither root nor allowed to become root without a password."""
    return Problem(
        where=f"host-user {user}@{address}",
        got=reason,
        allowed="root, or a user with sudo that asks for no password",
        rule="host-sudo",
        next_step=(
            f"Set host-user to root, or write `{user} ALL=(ALL) NOPASSWD: ALL` "
            f"to /etc/sudoers.d/{user} with visudo on the host"
        ),
    )


def _as_user(spec: HypervisorSpec) -> str:
    return f"{spec.user}@" if spec.user else ""


def _of_port(port: int) -> str:
    return f"-p {port} " if port else ""
