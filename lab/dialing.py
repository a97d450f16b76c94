"""Where the libvirt plugin dials, and whether it can get there by itself."""

from __future__ import annotations

from urllib.parse import quote

from lab.config import SSH_PORT, HypervisorSpec, is_ipv6
from lab.openssh import KnownKeys, Login

# Below the project's directory, which is where the engine starts plugins: the same path for every
# operator, short, and in nobody else's hands. Where the program does not run, nobody listens there,
# and the plugin's "dial unix PATH: no such file" shows what to set.
FORWARD_DIR = ".metalab/set-PULUMI_OPTION_RUN_PROGRAM=true"


def plugin_limits(
    spec: HypervisorSpec, login: Login, known: KnownKeys, *, certified: bool, encrypted: bool
) -> list[str]:
    """Why the libvirt plugin's own SSH client cannot go where OpenSSH goes; empty if it can.

    It reads some of ~/.ssh/config and ignores the rest, tries one way to log in, and insists on
    an ed25519 host key if the host has one (libvirt provider 0.8.1, uri/ssh.go).

    Args:
        spec: the stack's settings.
        login: what they and OpenSSH's configuration come to.
        known: the host's keys in known_hosts.
        certified: a certificate lies beside the key.
        encrypted: the key has a passphrase.
    """
    renamed = login.hostname != spec.address.lower() or bool(login.host_key_alias)
    limits = {
        "no host-key: it tries one key only": not spec.key,
        "a certificate": certified or bool(login.certificate_files),
        "a key with a passphrase": encrypted,
        f"port {login.port}": login.port != SSH_PORT,
        "a host in between": login.proxied,
        "an IPv6 address": is_ipv6(login.hostname),
        f"the alias {spec.address}": renamed,
        f"the user {login.user}": login.user != _user(spec),
        "no ed25519 key in known_hosts": "ssh-ed25519" not in known.types,
    }
    return [limit for limit, holds in limits.items() if holds]


def libvirt_uri(spec: HypervisorSpec) -> str:
    """Where the libvirt plugin dials by itself.

    Its own SSH client expands `$NAME` in paths but not `~`, and wants the user spelt out.
    """
    options = {
        "sshauth": "privkey" if spec.key else "agent,privkey",
        "keyfile": _with_home(spec.key),
        "knownhosts": _with_home(spec.known_hosts or "~/.ssh/known_hosts"),
    }
    query = "&".join(f"{k}={quote(v, safe='/$,{}')}" for k, v in options.items() if v)
    host = f"[{spec.address}]" if is_ipv6(spec.address) else spec.address
    return f"qemu+ssh://{_user(spec)}@{host}/system?{query}"


def forwarded_uri(prefix: str) -> str:
    """Where the libvirt plugin dials when metalab brings the connection to it."""
    return f"qemu+unix:///system?socket={quote(forward_socket(prefix), safe='/=')}"


def forward_socket(prefix: str) -> str:
    """The path of an environment's forward, from the project's directory."""
    return f"{FORWARD_DIR}/{prefix}"


def _user(spec: HypervisorSpec) -> str:
    return spec.user or "root"


def _with_home(path: str) -> str:
    return f"$HOME{path[1:]}" if path.startswith("~/") else path
