"""KVM and nested virtualization: the steps, and what of them waits for another day."""

from __future__ import annotations

from collections.abc import Sequence

from lab.host.session import Session
from lab.host.step import HostStep
from lab.verdict import NESTED, kvm_module

LOAD = "load KVM"
ENABLE_NESTED = f"enable {NESTED}"
MODULES_FILE = "/etc/modules-load.d/metalab-kvm.conf"
NESTED_FILE = "/etc/modprobe.d/metalab-nested.conf"
_OFF = "# tried: stays off"  # a line of NESTED_FILE, once a reload has shown it

# Shell functions about the module $m. A module in use, or built into the kernel, is not reloaded.
_LOOK = f"""on() {{ grep -qx '[1Y]' /sys/module/$m/parameters/nested; }}
idle() {{ [ "$(cat /sys/module/$m/refcnt 2>/dev/null)" = 0 ]; }}
reload() {{
  for try in 1 2 3; do  # a machine that starts or ends just now makes unloading fail
    idle || return 0
    if modprobe -r $m; then modprobe $m; return; fi
    sleep 0.3
  done
}}
later() {{
  if grep -qx '{_OFF}' {NESTED_FILE}; then
    echo "stays off: loading $m anew did not turn it on, so the CPU or its firmware may lack it"
  elif [ -e /sys/module/$m/refcnt ]; then
    echo "is active after the next boot, or at the next preparation while no virtual machine runs"
  else echo "is active after a boot with $m.nested=1 on the kernel's command line"; fi
}}
"""


def kvm_steps(cpu_vendor: str) -> tuple[HostStep, ...]:
    """Load KVM for a CPU, and let guests run guests of their own."""
    module = kvm_module(cpu_vendor)
    return (_load(module), _enable_nested(module))


def pending(steps: Sequence[HostStep], shell: Session) -> list[str]:
    """What of these steps is set, yet not in force on the host: a clause each, for people.

    One round trip, and none where no step can leave anything for later.
    """
    if all(step.name != ENABLE_NESTED for step in steps):
        return []
    outcome = shell.run(_PENDING)
    return [f"{NESTED} {line}" for line in outcome.stdout.splitlines() if line.strip()]


def _load(module: str) -> HostStep:
    step = "switch virtualization on in the firmware, or set virt-type: qemu"
    return HostStep(
        name=LOAD,
        probe="[ -c /dev/kvm ] && (: <>/dev/kvm)",
        commands=(
            f"modprobe {module} || {{ echo '{step}' >&2; exit 1; }}",
            # What has to be loaded by hand is not there after the next boot.
            f"echo {module} > {MODULES_FILE}",
        ),
        # Somebody's machines may run by now: then it stays until the next boot.
        undo=(f"rm -f {MODULES_FILE}", f"modprobe -r {module} || :"),
    )


def _enable_nested(module: str) -> HostStep:
    look = f"m={module}; {_LOOK}"
    return HostStep(
        name=ENABLE_NESTED,
        # While machines run it is enough to have asked for it: the next load brings it.
        probe=f"{look}on || {{ [ -f {NESTED_FILE} ] && "
        f"{{ ! idle || grep -qx '{_OFF}' {NESTED_FILE}; }}; }}",
        commands=(
            f"echo 'options {module} nested=1' > {NESTED_FILE}",
            # Unloading fails where a machine has started since, and so ends none.
            f"{look}reload",
            # No reason to refuse a lab: few guests run guests, and not every CPU can.
            f"{look}if on; then exit 0; fi; ! idle || echo '{_OFF}' >> {NESTED_FILE}; "
            'echo "note: it $(later)"',
        ),
        undo=(f"rm -f {NESTED_FILE}", f"{look}reload"),
    )


_PENDING = f"""[ -f {NESTED_FILE} ] || exit 0
{_LOOK}
for m in kvm_intel kvm_amd; do
  [ -d /sys/module/$m ] || continue
  on || later
done"""
