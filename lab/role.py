"""A role's file: the shape of its nodes."""

from __future__ import annotations

from dataclasses import replace

from lab.config import SHA256, SHA256_FORM
from lab.devices import parse_devices
from lab.layout import Layout
from lab.naming import NAME_FORM, ROLE
from lab.nics import Nics, parse_nics
from lab.osinfo import OS_VARIANT, OS_VARIANT_FORM
from lab.reader import Reader
from lab.specs import DiskSpec, Image, MachineSpec, NodeSpec, SystemSpec

MOST_DISKS = 26  # of one node: vda to vdz
MOST_GIB = 65_536
MOST_MIB = 16_777_216
BUSES = ("virtio", "scsi", "sata")
CACHES = ("none", "writeback", "writethrough", "directsync", "unsafe")
# qcow2 holds its tables in any case; between blocks that are claimed and blocks that are written
# libvirt makes no difference.
PREALLOCATION = {"off": "off", "metadata": "off", "falloc": "full", "full": "full"}
BOOT_MODES = ("bios", "uefi", "uefi-secure")
_MACHINE = r"pc|q35|pc-[a-z0-9.-]+"
_WORD = r"[A-Za-z0-9][\w.+-]*"
_USER = r"[a-z_][a-z0-9_-]{0,30}"
_TIMEZONE = r"[A-Za-z][\w+-]*(?:/[\w+-]+){0,2}"
_CLAIMED = "off or metadata, as the disk is an overlay on an image"


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
    nics = _nics(name, entry, layout)
    deploy_os = entry.boolean("deploy_os", default=True)
    spec = NodeSpec(
        role=name,
        indexes=(),
        vcpus=entry.integer("cpu", at_least=1, at_most=512),
        memory_mib=entry.size_mib("memory", at_least=64, at_most=MOST_MIB),
        disks=_disks(entry, deploy_os=deploy_os),
        deploy_os=deploy_os,
        groups=entry.names("groups"),
        nics=nics.interfaces,
        access=nics.access,
        route=nics.route,
        system=_system(entry),
        machine=_machine(entry),
    )
    entry.close()
    return spec


def _nics(name: str, entry: Reader, layout: Layout) -> Nics:
    if entry.has("interfaces", "external_network", "provision_network"):
        return parse_nics(entry, layout.names, layout.addressed)
    if layout.nics and not layout.has_nics_of(name):
        known = ", ".join(layout.nics)
        allowed = f"a list of networks, as the layout has NICs for {known} alone"
        entry.refuse("interfaces", None, allowed, "nics")
    return layout.nics_of(name)


def _disks(entry: Reader, *, deploy_os: bool) -> tuple[DiskSpec, ...]:
    items = entry.items("disks", short="size", fewest=0, most=MOST_DISKS)
    if deploy_os and not items:
        entry.refuse("disks", [], f"a list of 1 to {MOST_DISKS}, as deploy_os is true", "list")
    image = _image(entry)
    if image and not deploy_os:
        entry.refuse("image_url", image.source, "none, as deploy_os is false", "image")
    disks = tuple(_disk(item, overlay=deploy_os and place == 0) for place, item in enumerate(items))
    if not image or not disks:
        return disks
    return (replace(disks[0], image=disks[0].image or image), *disks[1:])


def _image(entry: Reader) -> Image | None:
    """An image for these nodes, or this disk, instead of the stack's."""
    sha256 = entry.text("image_sha256", default="", pattern=SHA256, means=SHA256_FORM)
    source = entry.text("image_url", default="")
    if sha256 and not source:
        entry.refuse(
            "image_sha256", sha256, "image_url beside it, which it is of", "image-checksum"
        )
    place = entry.where("image_url")
    return Image(sha256=sha256, source=source, place=place) if source else None


def _disk(item: Reader, *, overlay: bool) -> DiskSpec:
    wish = item.choice("preallocation", list(PREALLOCATION), default="off")
    image = _image(item)
    if (overlay or image) and PREALLOCATION[wish] == "full":
        item.refuse("preallocation", wish, _CLAIMED, "preallocation")
    disk = DiskSpec(
        size_gib=item.size_gib("size", at_least=1, at_most=MOST_GIB),
        bus=item.choice("bus", BUSES, default=BUSES[0]),
        cache=item.choice("cache", CACHES, default=""),
        preallocation=PREALLOCATION[wish],
        image=image,
    )
    item.close()
    return disk


def _system(entry: Reader) -> SystemSpec:
    return SystemSpec(
        user=entry.text("user", default="", pattern=_USER, means="a Linux user's name"),
        timezone=entry.text("timezone", default="", pattern=_TIMEZONE, means="such as Europe/Rome"),
        swap_mib=entry.size_mib("swap", at_least=0, at_most=MOST_MIB, default=0),
        packages=entry.names("packages"),
    )


def _machine(entry: Reader) -> MachineSpec:
    firmware = entry.choice("bootmode", BOOT_MODES, default=BOOT_MODES[0])
    machine = entry.text("machine_type", default="", pattern=_MACHINE, means="pc, q35 or a version")
    if firmware == "uefi-secure" and machine and "q35" not in machine:
        entry.refuse("machine_type", machine, "q35, which secure boot needs", "machine")
    return MachineSpec(
        cpu_model=entry.text("cpumodel", default="", pattern=_WORD, means="a CPU model of QEMU's"),
        machine=machine or ("q35" if firmware == "uefi-secure" else ""),
        firmware=firmware,
        os_variant=entry.text(
            "os_variant", default="", pattern=OS_VARIANT.pattern, means=OS_VARIANT_FORM
        ),
        devices=parse_devices(entry, "devices"),
    )
