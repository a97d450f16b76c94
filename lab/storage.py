"""Where things live on a hypervisor: pools, base images, leases, logs."""

from __future__ import annotations

# Root's; holds leases/, prefixes/ (markers), done/ (undo records), lock.
HOST_DIR = "/var/lib/metalab"
LEASES_DIR = f"{HOST_DIR}/leases"  # <prefix>.json
RESERVED_DIR = f"{HOST_DIR}/reserved"  # <prefix>.json: what a run is about to lease
PREFIXES_DIR = f"{HOST_DIR}/prefixes"  # an empty file for each environment that uses the host
BRIDGES_DIR = f"{HOST_DIR}/bridges"  # <bridge>/<prefix>: who uses a bridge that metalab made
LOCK_FILE = f"{HOST_DIR}/lock"  # flock: steps and leases

# Below libvirt's own image directory, where SELinux and AppArmor expect disks.
IMAGES_DIR = "/var/lib/libvirt/images/metalab"
BASE_DIR = f"{IMAGES_DIR}/base"
BASE_POOL = "metalab-base"  # shared by all prefixes; no prefix's pool can be called so
LOG_DIR = "/var/log/libvirt/qemu"


def base_volume(sha256: str) -> str:
    """The name of a base image in BASE_POOL: its content decides, so it never changes."""
    return f"{sha256}.qcow2"


def pool_name(prefix: str) -> str:
    """The libvirt pool of one environment; a dot cannot occur in a prefix, so none collides."""
    return f"metalab.{prefix}"


def pool_path(prefix: str) -> str:
    """The directory behind pool_name."""
    return f"{IMAGES_DIR}/prefixes/{prefix}"


def console_log(domain: str) -> str:
    """The file that takes a domain's serial output, on the hypervisor."""
    return f"{LOG_DIR}/{domain}.console"
