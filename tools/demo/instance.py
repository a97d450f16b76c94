"""One demo hypervisor on disk: its folder, its record, and which process it is."""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.demo.addresses import CONTAINER, subnets
from tools.demo.cache import cache_root
from tools.demo.shell import ToolError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,11}")  # "ml" + name + "a" is a link name: 15 characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What an instance was made from; it stays the same until `down`."""

    suite: str
    layer: str  # name of the extra layer, or empty
    lowers: tuple[str, ...]  # folders below the instance's own, the topmost first
    index: int  # of its subnet


@dataclass(frozen=True, kw_only=True, slots=True)
class Init:
    """PID 1 of a running container, so described that no other process is ever taken for it."""

    pid: int
    started_ticks: int  # since boot, from /proc/PID/stat: a reused pid differs here
    boot: str  # the kernel's boot_id: after a reboot nothing of this holds
    since_s: int  # seconds since the epoch, for people


@dataclass(frozen=True, slots=True)
class Instance:
    """The folder of a hypervisor and the names that go with it."""

    name: str

    @property
    def folder(self) -> Path:
        """Where all of it lives."""
        return shelf() / self.name

    @property
    def root(self) -> Path:
        """The mounted overlay."""
        return self.folder / "root"

    @property
    def links(self) -> tuple[str, str]:
        """The machine's ends of the container's eth0 and eth1."""
        return f"ml{self.name}a", f"ml{self.name}b"

    @property
    def table(self) -> str:
        """The nft table that holds its NAT rule."""
        return f"metalab-demo-{self.name}"

    @property
    def key(self) -> Path:
        """The client key that opens it."""
        return self.folder / "id_ed25519"

    def record(self) -> Record | None:
        """Read the record; None when there is none, or it was cut off by a crash."""
        stored = _load(self.folder / "record.json")
        try:
            return Record(**stored | {"lowers": tuple(stored["lowers"])})
        except (KeyError, TypeError):
            return None

    def write_record(self, record: Record) -> None:
        """Store the record and the address that goes with it."""
        _store(self.folder / "record.json", asdict(record))
        (self.folder / "address").write_text(f"{address(record.index)}\n", encoding="ascii")

    def init(self) -> Init | None:
        """Answer the running PID 1 of the container; None when it does not run."""
        try:
            init = Init(**_load(self.folder / "init.json"))
        except TypeError:
            return None
        alive = init.boot == boot_id() and started_ticks(init.pid) == init.started_ticks
        return init if alive else None

    def write_init(self, pid: int, since_s: int) -> Init:
        """Remember which process is the container's PID 1."""
        init = Init(pid=pid, started_ticks=started_ticks(pid), boot=boot_id(), since_s=since_s)
        _store(self.folder / "init.json", asdict(init))
        return init

    def find_init(self) -> int | None:
        """Find the container's PID 1 without any note of it, by the overlay it stands on."""
        mark = f"upperdir={self.folder / 'upper'},"
        return next((pid for pid in _namespace_inits() if mark in _read(pid, "mountinfo")), None)


def named(name: str) -> Instance:
    """Answer the instance of a name.

    Raises:
        ToolError: the name is not allowed.
    """
    if not NAME.fullmatch(name):
        raise ToolError(
            f"hypervisor name: got {name!r}, expected 1 to 12 of a-z, 0-9 and -, "
            "beginning with a letter or digit"
        )
    return Instance(name)


def instances() -> list[Instance]:
    """List the instances of this cache, running or not."""
    folders = sorted(shelf().iterdir()) if shelf().is_dir() else []
    return [Instance(folder.name) for folder in folders if NAME.fullmatch(folder.name)]


def shelf() -> Path:
    """Answer the folder that holds the instances."""
    return cache_root() / "hypervisors"


def address(index: int) -> str:
    """Answer the IPv4 address of the container with this index."""
    return str(subnets(index)[0][CONTAINER])


def address_v6(index: int) -> str:
    """Answer the IPv6 address of the container with this index."""
    return str(subnets(index)[1][CONTAINER])


def boot_id() -> str:
    """Name the machine's current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def started_ticks(pid: int) -> int:
    """Answer when a process started, in clock ticks since boot; 0 when there is none."""
    stat = _read(pid, "stat").rpartition(")")[2].split()  # the command before it may hold blanks
    return int(stat[19]) if stat and stat[0] not in "ZX" else 0


def guests(init: Init) -> int:
    """Count the QEMU processes in the container of `init`."""
    try:
        space = Path(f"/proc/{init.pid}/ns/pid").readlink()
    except OSError:
        return 0
    return sum(_is_guest(pid, space) for pid in _pids())


def _is_guest(pid: int, space: Path) -> bool:
    try:
        return (
            _read(pid, "comm").startswith("qemu-system")
            and Path(f"/proc/{pid}/ns/pid").readlink() == space
        )
    except OSError:
        return False


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]  # noqa: PTH208 - names only


def _namespace_inits() -> list[int]:
    status = ((pid, _read(pid, "status")) for pid in _pids())
    return [
        pid for pid, text in status if re.search(r"^NSpid:\t\d+\t(\d+\t)*1$", text, re.MULTILINE)
    ]


def _read(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it ended, or ends while we look
        return ""


def _load(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _store(file: Path, content: dict) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.replace(file)
