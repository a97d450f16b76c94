"""What must be true on a hypervisor before a lab can stand on it: a list of steps, data only."""

from __future__ import annotations

from shlex import quote

from lab.config import RESTORE, StackConfig
from lab.facts import HostFacts
from lab.host.bridges import bridge_steps
from lab.host.distributions import DEBIAN, Family, check_os, family_of
from lab.host.installed import note_wish, noting
from lab.host.kvm import kvm_steps
from lab.host.labels import label_steps
from lab.host.packages import install_packages, packages_installed, refuse_rom, rom_is_new
from lab.host.services import leave_libvirt, libvirt_runs, run_libvirt
from lab.host.session import VIRSH
from lab.host.sshd import sshd_steps
from lab.host.step import HostStep
from lab.host.users import authorize_key_step, authorize_steps, user_steps
from lab.plans import LabPlan
from lab.storage import BASE_DIR, BASE_POOL, HOST_DIR, IMAGES_DIR, LEASES_DIR, PREFIXES_DIR

__all__ = [
    "HostStep",
    "authorize_key_step",
    "authorize_steps",
    "check_os",
    "marker_path",
    "plan_steps",
    "steps_as_set",
    "steps_for",
]

INSTALL_TIMEOUT_S = 1800  # a slow mirror, and another apt that has to finish first


def plan_steps(  # noqa: PLR0913 - what hosts differ in
    facts: HostFacts,
    *,
    prefix: str,
    virt_type: str,
    restore: str = RESTORE[0],
    tools: bool = False,
    user: str = "root",
    nodes: int = 0,
) -> tuple[HostStep, ...]:
    """List what this host needs for this prefix, in order.

    Only what the steps leave alone decides: distribution, CPU vendor, the label of libvirt's own
    directory. So the list is the same before and after, and a second run shows no difference.

    Args:
        facts: of a host that check_os does not object to.
        prefix: whose marker goes to the host.
        virt_type: "kvm" or "qemu", as planned.
        restore: one of RESTORE: what goes when this prefix is the last to leave.
        tools: whether people's tools come with the packages that a lab needs.
        user: the login user, root or a sudoer.
        nodes: that answer SSH; many of them take more of the host's sshd than it usually gives.
    """
    family = family_of(facts) or DEBIAN
    kvm = kvm_steps(facts.cpu_vendor) if virt_type == "kvm" else ()
    # The marker comes first: from then on no other prefix that leaves takes the host apart.
    return (
        mark_step(prefix, restore),
        *_package_steps(family, tools=tools),
        _libvirt(family),
        *user_steps(user),
        *sshd_steps(nodes),
        *kvm,
        _image_store(),
        *label_steps(facts),
    )


def steps_for(plan: LabPlan, facts: HostFacts) -> tuple[HostStep, ...]:
    """List what the host needs for an environment; the lab's keys come on top, once they exist."""
    nodes = sum(node.deploy_os for node in plan.nodes.values())
    steps = steps_as_set(
        plan.config, facts, prefix=plan.prefix, virt_type=plan.virt_type, nodes=nodes
    )
    return (*steps, *bridge_steps(plan.prefix, plan.networks))


def steps_as_set(
    config: StackConfig, facts: HostFacts, *, prefix: str, virt_type: str, nodes: int = 0
) -> tuple[HostStep, ...]:
    """List what the host needs, as plan_steps does, with what the settings say of hosts."""
    return plan_steps(
        facts,
        prefix=prefix,
        virt_type=virt_type,
        restore=config.host_restore,
        tools=config.host_tools,
        user=facts.login,
        nodes=nodes,
    )


def marker_path(prefix: str) -> str:
    """The file that says that a prefix uses the host."""
    return f"{PREFIXES_DIR}/{prefix}"


def mark_step(prefix: str, restore: str = RESTORE[0]) -> HostStep:
    """The first step: from then on the prefix counts. What it wants undone stands in the marker."""
    marker = quote(marker_path(prefix))
    folders = f"{HOST_DIR} {LEASES_DIR} {PREFIXES_DIR}"
    # Root's alone: whoever opens the lock's file could hold it for ever, and undo records are run.
    ours = f"[ \"$(stat -c '%a %u' {folders} | sort -u)\" = '700 0' ]"
    return HostStep(
        name="mark the host as used",
        probe=f"grep -qx {restore} {marker} && {ours}",
        commands=(
            f"install -d -m 700 {folders}",
            f"umask 077; echo {restore} > {marker}",
        ),
        undo=(note_wish(marker), f"rm -f {marker}"),
        scope="prefix",
    )


def _package_steps(family: Family, *, tools: bool) -> tuple[HostStep, ...]:
    install = HostStep(
        name="install packages",
        probe=packages_installed(family, tools=tools),
        commands=install_packages(family, tools=tools),
        timeout_s=INSTALL_TIMEOUT_S,
    )
    return (
        noting(install),
        HostStep(name="check the iPXE ROMs", probe=rom_is_new(), commands=(refuse_rom(),)),
    )


def _libvirt(family: Family) -> HostStep:
    return HostStep(
        name="run libvirt",
        probe=libvirt_runs(family),
        commands=run_libvirt(family),
        undo=leave_libvirt(),
    )


def _image_store() -> HostStep:
    info = f"{VIRSH} pool-info {BASE_POOL}"
    prefixes = f"{IMAGES_DIR}/prefixes"
    # The group that QEMU runs in, as qemu.conf or the distribution has it.
    group = (
        f"group=$({VIRSH} capabilities | sed -n "
        "\"s|.*<baselabel type='qemu'>+[0-9]*:+\\([0-9]*\\)</baselabel>.*|\\1|p\" | head -n 1)"
    )
    return HostStep(
        name="make the image store",
        probe=(
            f'[ "$(stat -c %a {BASE_DIR} {prefixes} | tr "\\n" " ")" = "711 710 " ] && '
            f"[ $({info} | grep -cE '^(State: +running|Autostart: +yes)') -eq 2 ]"
        ),
        commands=(
            # QEMU's user must pass through, and has no need to list. Nobody else passes to what
            # environments have there: seeds hold their nodes' host keys, and are readable.
            f"install -d -m 711 {IMAGES_DIR} {BASE_DIR}; {group}; "
            f"[ -n \"$group\" ] || {{ echo 'libvirt does not say which group QEMU is in' >&2; "
            f"exit 1; }}; install -d -m 710 -g $group {prefixes}",
            f"{info} >/dev/null 2>&1 || {VIRSH} pool-define-as {BASE_POOL} dir --target {BASE_DIR}",
            f"{VIRSH} pool-autostart {BASE_POOL}",
            f"{info} | grep -q '^State: *running' || {VIRSH} pool-start {BASE_POOL}",
        ),
        undo=(
            f"if {info} >/dev/null 2>&1; then {VIRSH} pool-destroy {BASE_POOL} || :; "
            f"{VIRSH} pool-undefine {BASE_POOL}; fi",
            # What is not empty stays: base images serve the next lab.
            f"rmdir {prefixes} {BASE_DIR} {IMAGES_DIR} 2>/dev/null || :",
        ),
    )
