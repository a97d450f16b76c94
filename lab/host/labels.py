"""SELinux: the image store's label, where libvirt's image directory has another than its policy."""

from __future__ import annotations

from shlex import quote

from lab.facts import HostFacts
from lab.guards import LABEL, wants_label
from lab.host.step import HostStep
from lab.storage import IMAGES_DIR


def label_steps(facts: HostFacts) -> tuple[HostStep, ...]:
    """List what lets confined QEMU have its disks below an image directory on another mount.

    Only our own directory is labelled; the one above it stays as its owner has it, and so does what
    decides here.
    """
    if not wants_label(facts):
        return ()
    store = IMAGES_DIR.rpartition("/")[2]
    # The real path: rules for file contexts know no links.
    path = quote(f"{facts.guards.images_path}/{store}")
    pattern = quote(f"{facts.guards.images_path}/{store}(/.*)?")
    return (
        HostStep(
            name="label the image store",
            probe=f'[ "$(stat -c %C {path} | cut -d: -f3)" = {LABEL} ]',
            commands=(
                "if command -v semanage >/dev/null; then "
                f"semanage fcontext -a -t {LABEL} {pattern} 2>/dev/null || "
                f"semanage fcontext -m -t {LABEL} {pattern} && restorecon -RF {path}; else "
                f"chcon -R -t {LABEL} {path} && echo 'note: without semanage, the next relabelling "
                "of the whole host takes the label away'; fi",
            ),
            undo=(
                f"! command -v semanage >/dev/null || semanage fcontext -d {pattern} 2>/dev/null "
                "|| :",
                f"[ ! -d {path} ] || restorecon -RF {path} || :",
            ),
        ),
    )
