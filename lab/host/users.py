"""Who may log in on a hypervisor, and what they may do there: the user stack, libvirt, keys."""

from __future__ import annotations

import json
from shlex import quote

from lab.host.session import VIRSH
from lab.host.shell import Shell
from lab.host.step import HostStep

STACK = "stack"  # manages the machines: infrared's user, whom undercloud and BMC tools log in as
MADE = "made by metalab"  # in passwd's comment: what bears it is ours to delete
HOMES = ("/home/stack", "/home/metalab-stack")  # the second where somebody has the first
RULES_DIR = "/etc/polkit-1/rules.d"
PKLA_DIR = "/etc/polkit-1/localauthority/50-local.d"  # polkit 0.105, as in Ubuntu 22.04: no rules

# Forwarding only: `restrict` alone would let the key run commands.
_FORWARDING = 'restrict,port-forwarding,command="/bin/false"'
_COMMANDS = "restrict,pty"  # a shell and commands; no forwarding, agent or X11
_BOTH = "restrict,pty,port-forwarding"


def user_steps(user: str) -> tuple[HostStep, ...]:
    """List what makes `stack`, and a login user who is not root, managers of libvirt.

    Args:
        user: the login user. The libvirt plugin dials libvirt's socket as that user, not by sudo.
    """
    managers = [STACK, *([] if user in ("root", STACK) else [user])]
    return (_stack_user(), *(_manage_libvirt(manager) for manager in managers))


def _stack_user() -> HostStep:
    entry = f"getent passwd {STACK}"
    ours = f"{entry} | cut -d: -f5 | grep -qx {quote(MADE)}"
    home = f"home=$({entry} | cut -d: -f6)"
    first, second = HOMES
    return HostStep(
        name="make the user stack",
        # One that was there before is taken as it is.
        probe=f'{home}; [ -n "$home" ] && {{ [ -d "$home" ] || ! {{ {ours}; }}; }}',
        commands=(
            # A password of "*" fits nothing, yet is no lock that sshd without PAM would refuse
            # keys for. A system's user draws no range of subordinate IDs. userdel takes a user's
            # own group along: one that was there is not its own.
            f"{entry} >/dev/null && exit 0; home={first}; [ ! -e {first} ] || home={second}; "
            f"getent group {STACK} >/dev/null && group=-N || group=-U; "
            f"useradd -r -M -d $home -s /bin/bash -p '*' -c {quote(MADE)} $group {STACK}",
            f'{home}; [ -d "$home" ] || '
            f'install -d -m 700 -o {STACK} -g "$(id -g {STACK})" "$home"; '
            '! command -v restorecon >/dev/null || restorecon "$home"',
        ),
        undo=(
            f"{ours} || exit 0\n"
            f"{home}\n"
            # userdel refuses while a process of the user lives, and logind's ends a little later.
            f"loginctl terminate-user {STACK} 2>/dev/null || :\n"
            "left=40\n"
            f"while {entry} >/dev/null; do\n"
            f"  said=$(userdel -r {STACK} 2>&1) && break\n"
            '  left=$((left - 1)); [ $left -gt 0 ] || { echo "$said" >&2; exit 1; }; sleep 0.5\n'
            "done\n"
            f'case $home in {first}|{second}) rm -rf "$home" ;; esac',
        ),
    )


def _manage_libvirt(user: str) -> HostStep:
    own = "" if user == STACK else f"-{user}"
    rule, pkla = f"{RULES_DIR}/50-metalab{own}.rules", f"{PKLA_DIR}/50-metalab{own}.pkla"
    works = f"{_as(user)} {VIRSH} uri >/dev/null"
    return HostStep(
        name=f"let {user} manage libvirt",
        probe=f"{{ [ -f {quote(rule)} ] || [ -f {quote(pkla)} ]; }} && {works}",
        commands=(
            f"made=; {_write(rule, _rule(user))}; {_write(pkla, _pkla(user))}; "
            f"[ -n \"$made\" ] || {{ echo 'polkit has no {RULES_DIR}' >&2; exit 1; }}",
            # polkit looks at its directory soon, not at once.
            f"left=40; until said=$({works} 2>&1); do left=$((left - 1)); "
            '[ $left -gt 0 ] || { echo "$said" >&2; exit 1; }; sleep 0.25; done',
        ),
        undo=(f"rm -f {quote(rule)} {quote(pkla)}",),
    )


def _as(user: str) -> str:
    """Become a user without a session: PAM would start logind's machinery for each probe."""
    name = quote(user)
    # By number: setpriv of EL 8 takes no names.
    return f'setpriv --reuid "$(id -u {name})" --regid "$(id -g {name})" --init-groups'


def _write(path: str, text: str) -> str:
    """Put a file into a directory that is there, whole or not at all; note that in $made."""
    folder, new, file = (quote(each) for each in (path.rpartition("/")[0], f"{path}.new", path))
    return (
        f"if [ -d {folder} ]; then printf '%s' {quote(text)} > {new} && chmod 644 {new} && "
        f"mv -f {new} {file} && made=1 || exit 1; fi"
    )


def _rule(user: str) -> str:
    return (
        "// Made by metalab, which removes it when its last environment leaves this host.\n"
        "polkit.addRule(function(action, subject) {\n"
        f'  if (action.id == "org.libvirt.unix.manage" && subject.user == {json.dumps(user)}) {{\n'
        "    return polkit.Result.YES;\n"
        "  }\n"
        "});\n"
    )


def _pkla(user: str) -> str:
    return (
        f"[metalab: {user} manages libvirt]\n"
        f"Identity=unix-user:{user}\n"
        "Action=org.libvirt.unix.manage\n"
        "ResultAny=yes\nResultInactive=yes\nResultActive=yes\n"
    )


def authorize_steps(prefix: str, user: str, public_key: str) -> tuple[HostStep, ...]:
    """Let a prefix's key through to the guests as the login user, and be `stack`.

    As `stack` it runs commands; as anybody else it forwards connections and does nothing else.
    Whoever manages libvirt can become root there, so a login user's own key line gives less.

    Args:
        prefix: whose key it is; there is one line for each prefix.
        user: the login user.
        public_key: "ssh-ed25519 AAAA...", with or without a comment.
    """
    name = "authorize the lab's key"
    if user == STACK:  # of two lines with one key sshd obeys the first alone
        return (_authorize(name, prefix, STACK, f"{_BOTH} {_bare(public_key)}"),)
    return (
        authorize_key_step(prefix, user, public_key),
        _authorize(f"{name} for {STACK}", prefix, STACK, f"{_COMMANDS} {_bare(public_key)}"),
    )


def authorize_key_step(prefix: str, user: str, public_key: str) -> HostStep:
    """Let a prefix's key pass through the host to the guests, and do nothing else there.

    Args:
        prefix: whose key it is; there is one line for each prefix.
        user: the login user whose authorized_keys is kept.
        public_key: "ssh-ed25519 AAAA...", with or without a comment.
    """
    line = f"{_FORWARDING} {_bare(public_key)}"
    return _authorize("authorize the lab's key", prefix, user, line)


def withdraw_key(shell: Shell, prefix: str, user: str) -> None:
    """Remove a prefix's key from a user whom it no longer logs in as; none there is fine."""
    for command in authorize_key_step(prefix, user, "- -").undo:
        shell.run(command)


def _bare(public_key: str) -> str:
    return " ".join(public_key.split()[:2])


def _authorize(name: str, prefix: str, user: str, options_and_key: str) -> HostStep:
    line = f"{options_and_key} metalab:{prefix}"
    own = f" metalab:{prefix}$"  # anchored: foo is not foo2. A prefix has no special characters.
    there = f"getent passwd {quote(user)} >/dev/null || exit 0; "
    return HostStep(
        name=name,
        probe=_as_user(user, f'[ "$(grep {quote(own)} "$file")" = {quote(line)} ]'),
        commands=(_as_user(user, _rewrite(own, line)),),
        undo=(there + _as_user(user, f'[ ! -f "$file" ] || {{ {_rewrite(own, "")}; }}'),),
        scope="prefix",
    )


def _as_user(user: str, script: str) -> str:
    """Act as the owner: a file in a user's hands is no place for root to write."""
    home = (
        f'home=$(getent passwd {quote(user)} | cut -d: -f6); [ -d "$home" ] || '
        f"{{ echo {quote(f'the user {user} has no home directory')} >&2; exit 1; }}; "
    )
    file = 'file=$home/.ssh/authorized_keys; [ ! -h "$file" ] || file=$(readlink -f "$file"); '
    return f"runuser -u {quote(user)} -- sh -c {quote(home + file + script)}"


def _rewrite(without: str, line: str) -> str:
    """Replace the lines that match by one, in a copy that takes the file's place at once."""
    add = f'printf "%s\\n" {quote(line)} >> "$copy" && ' if line else ""
    return (
        'umask 077; mkdir -p "${file%/*}" && { [ -f "$file" ] || : > "$file"; } && '
        'copy=$(mktemp "$file.XXXXXX") && cp -p "$file" "$copy" && '
        f'{{ grep -v {quote(without)} "$file" > "$copy" || [ $? -eq 1 ]; }} && '
        f'{add}mv -f "$copy" "$file"'
    )
