"""Where an operator's machine keeps what belongs to an environment."""

from __future__ import annotations

import re


def home(prefix: str) -> str:
    """The directory of one environment's key, known hosts and ssh_config, for OpenSSH's eyes."""
    return f"~/.local/state/metalab/{prefix}"


def for_openssh(path: str) -> str:
    """OpenSSH expands `${NAME}` and `~`, but not `$NAME`."""
    return re.sub(r"\$(\w+)", r"${\1}", path)


def for_ansible(path: str) -> str:
    """Ansible starts ssh without a shell, and `ssh -F` does not expand `~` itself."""
    return re.sub("^~", "{{ lookup('env', 'HOME') }}", path)
