"""A role's file: the shape of its nodes."""

from __future__ import annotations

from lab.layout import Layout, parse_nics
from lab.naming import NAME_FORM, ROLE
from lab.reader import Reader
from lab.specs import NodeSpec

MOST_DISKS = 26  # of one node: vda to vdz


def parse_role(file: str, entry: Reader, layout: Layout) -> NodeSpec:
    """Read a role; its indexes are for somebody else to say.

    Args:
        file: what the file is called, without folder and suffix; its nodes are called the same
            unless it says `name`.
        entry: its content.
        layout: says which networks there are, and the role's NICs unless the file does.
    """
    name = entry.text("name", default="", pattern=ROLE.pattern, means=NAME_FORM) or file
    unsaid = entry.raw("name") in (None, "")
    if unsaid and not ROLE.fullmatch(file):  # files may have underscores
        entry.refuse("name", None, f"{NAME_FORM}, since {file} is none", "name")
    own = parse_nics(entry, layout) if entry.has("interfaces", "external_network") else None
    nics = own or layout.nics_of(name)
    if own is None and layout.nics and not layout.has_nics_of(name):
        known = ", ".join(layout.nics)
        allowed = f"a list of networks, as the layout has NICs for {known} alone"
        entry.refuse("interfaces", None, allowed, "nics")
    deploy_os = entry.boolean("deploy_os", default=True)
    fewest = 1 if deploy_os else 0
    spec = NodeSpec(
        role=name,
        indexes=(),
        vcpus=entry.integer("cpu", at_least=1, at_most=512),
        memory_mib=entry.size_mib("memory", at_least=64, at_most=16_777_216),
        disks_gib=entry.sizes_gib(
            "disks", at_least=1, at_most=65_536, fewest=fewest, most=MOST_DISKS
        ),
        deploy_os=deploy_os,
        groups=entry.names("groups"),
        interfaces=nics.interfaces,
        access=nics.access,
    )
    entry.close()
    return spec
