"""libvirt's socket, brought by OpenSSH to where the plugin can dial it.

The plugin has an SSH client of its own, which knows neither ports nor certificates, jump hosts only
in part, and one key. Where that is not enough, `ssh -N -L` goes, as the user's own ssh would.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab.config import HypervisorSpec
from lab.dialing import FORWARD_DIR, forward_socket, forwarded_uri, libvirt_uri, plugin_limits
from lab.errors import LabError
from lab.host import refusals
from lab.host.keeper import UP, Shelf
from lab.host.openssh import expanded, known_keys, proxy_command, resolve, tail
from lab.openssh import forward_command


@dataclass(frozen=True, slots=True)
class Way:
    """How the plugin gets to libvirt, perhaps still being opened."""

    uri: str
    spec: HypervisorSpec
    keeper: subprocess.Popen[str] | None = None

    def wait(self) -> str:
        """Answer the URI, once somebody answers there.

        Raises:
            LabError: OpenSSH could not open the forward; says what it complained of.
        """
        if self.keeper and self.keeper.stdout:
            said = self.keeper.stdout.readline()
            if said.strip() != UP:
                reason = tail(said + self.keeper.stdout.read()) or "its keeper ended"
                raise LabError([refusals.no_forward(self.spec, reason)])
        return self.uri


def open_way(spec: HypervisorSpec, prefix: str) -> Way:
    """Find the plugin's way to libvirt; a forward lives as long as the engine that runs us.

    Raises:
        LabError: OpenSSH's configuration cannot be read, or the folder is in other hands.
    """
    if not needs_forward(spec):
        return Way(libvirt_uri(spec), spec)
    _own_folder(Path(FORWARD_DIR))
    socket = forward_socket(prefix)
    Shelf(Path(socket)).note_user(_engine())
    here = expanded(spec)
    login = resolve(here)
    command = forward_command(here, login, socket, proxy_command(login, jumps_only=True))
    keeper = subprocess.Popen(  # noqa: S603 - our own module, with words and no shell
        [sys.executable, "-m", "lab.host.keeper", socket, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # ^C asks the engine to end in order, over what still stands
        text=True,
    )
    return Way(forwarded_uri(prefix), spec, keeper)


@cache
def needs_forward(spec: HypervisorSpec) -> bool:
    """Whether the plugin cannot go where OpenSSH goes from this machine; each node's end asks.

    Raises:
        LabError: OpenSSH's configuration cannot be read.
    """
    from lab.host.identities import is_encrypted  # noqa: PLC0415 - comes with paramiko

    here = expanded(spec)
    login = resolve(here)
    return bool(
        plugin_limits(
            spec,
            login,
            known_keys(login),
            certified=bool(here.key) and Path(f"{here.key}-cert.pub").exists(),
            encrypted=bool(here.key) and is_encrypted(here.key),
        )
    )


def check_forward(spec: HypervisorSpec, prefix: str) -> None:
    """Refuse to begin what the plugin could not go on with.

    Raises:
        LabError: a forward is needed, and nobody has opened one.
    """
    if not Shelf(Path(forward_socket(prefix))).is_held() and needs_forward(spec):
        raise LabError([refusals.no_program(spec.address)])


def _engine() -> int:
    """The engine's process: it started the language host, which started this program."""
    host = os.getppid()
    try:
        return int(Path(f"/proc/{host}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return host  # no /proc: the language host lives as long, unless the engine is killed


def _own_folder(folder: Path) -> None:
    """Make the folder; whoever may enter it may use the forward, which is root on the host."""
    folder.parent.mkdir(exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    for part in (folder.parent, folder):
        seen = part.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
            problem = refusals.unsafe_folder(str(part), "a folder of somebody else, or a link")
            raise LabError([problem])
    folder.chmod(0o700)
