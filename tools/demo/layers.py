"""Extra layers: what a stopped hypervisor had on top of its root, kept under a name for others."""

import json
import re
from pathlib import Path

from tools.demo import container, network
from tools.demo.cache import cache_root, locked, remove_tree, workshop
from tools.demo.instance import Instance
from tools.demo.shell import ToolError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
PER_INSTANCE = (  # what a new instance writes or draws anew
    "etc/machine-id",
    "etc/systemd/network/10-eth0.network",
    "root/.ssh/authorized_keys",
    "var/lib/systemd/random-seed",
)


def layer_folder(name: str, root: Path) -> Path:
    """Answer the folder of a layer; another recipe of the root means another folder.

    Raises:
        ToolError: the name is not allowed.
    """
    if not NAME.fullmatch(name):
        raise ToolError(f"layer name: got {name!r}, expected 1 to 40 of a-z, 0-9, '.', '_' and -")
    return cache_root() / "layers" / f"{root.name}+{name}"


def stack_of(name: str, root: Path) -> tuple[str, ...]:
    """Answer the folders of a layer, its own first and the root last.

    Raises:
        ToolError: there is no such layer on this root.
    """
    folder = layer_folder(name, root)
    if not folder.is_dir():
        raise ToolError(
            f"there is no layer {name} for {root.name}; make it with "
            f"`tools/hypervisor layer {name} --from NAME`"
        )
    below = json.loads((folder / "lowers.json").read_text(encoding="utf-8"))
    return (str(folder / "upper"), *below)


def keep(instance: Instance, name: str) -> Path:
    """Shut a hypervisor down and keep its overlay as a layer; the hypervisor is gone then.

    Raises:
        ToolError: there is no such hypervisor, or the layer exists.
    """
    record = instance.record()
    if not record:
        raise ToolError(f"there is no hypervisor {instance.name} to make a layer from")
    folder = layer_folder(name, Path(record.lowers[-1]))
    if folder.exists():
        raise ToolError(
            f"the layer {name} exists; remove it with `tools/hypervisor layer {name} "
            "--remove` first"
        )
    with locked(instance.folder):
        container.stop(instance, gently=True)
        _move_upper(instance, record.lowers, folder)
        with locked(network.RUN):
            network.detach(instance)
        remove_tree(instance.folder)
    return folder


def _move_upper(instance: Instance, lowers: tuple[str, ...], folder: Path) -> None:
    upper = instance.folder / "upper"
    for file in PER_INSTANCE:
        (upper / file).unlink(missing_ok=True)  # the root's empty machine-id shows again
    with locked(folder.parent), workshop(folder.parent) as draft:
        (draft / "layer").mkdir()
        (draft / "layer/lowers.json").write_text(json.dumps(lowers), encoding="utf-8")
        upper.rename(draft / "layer/upper")
        (draft / "layer").rename(folder)


def remove(name: str, root: Path) -> None:
    """Remove a layer; fine if there is none. Running hypervisors on it lose their ground."""
    remove_tree(layer_folder(name, root))
