"""Imports go one way only: this table is the design's, and every file is held to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("lab", "components", "policies")
ROOT_FILES = ("__main__.py", "fabfile.py")

# A package and the only files that may import it; a trailing slash means all files below.
ONLY_IMPORTERS = {
    "pulumi_libvirt": ("components/libvirt.py",),
    "pulumi": ("components/", "__main__.py"),
    "pulumi_policy": ("policies/",),
    "fabric": ("lab/host/shell.py", "fabfile.py"),
    "paramiko": ("lab/host/",),
    "invoke": ("lab/host/", "fabfile.py"),
    "yaml": ("lab/files.py",),
    "cryptography": ("lab/keys.py",),
    "subprocess": ("lab/host/", "fabfile.py"),
    "socket": ("lab/host/",),
    "random": (),
    "secrets": ("components/keys_provider.py",),
    "time": ("lab/host/",),
    "datetime": ("lab/host/",),
    "components": ("components/", "__main__.py"),
    "lab.host": ("lab/host/", "components/", "__main__.py", "fabfile.py"),
    "policies": (),
    "metalab_policies": ("policies/__main__.py",),
    "tools": (),
    "tests": (),
    "bench": (),
    "fabfile": (),
}


def sources() -> list[str]:
    rooms = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    files = (ROOT / name for name in ROOT_FILES if (ROOT / name).exists())
    return sorted(str(path.relative_to(ROOT)) for path in (*rooms, *files))


def imports(source: str) -> Iterator[str]:
    """Every module that a text imports, at its top or within a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room is meant"
            module = node.module or ""
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def breaches(path: str, source: str) -> list[str]:
    """What a file at this path imports and may not."""
    return sorted(
        {
            package
            for module in imports(source)
            for package, importers in ONLY_IMPORTERS.items()
            if module == package or module.startswith(f"{package}.")
            if not any(
                path == importer or (importer.endswith("/") and path.startswith(importer))
                for importer in importers
            )
        }
    )


@pytest.mark.parametrize("path", sources())
def test_imports_go_down_only(path: str) -> None:
    assert breaches(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        pytest.param("lab/plan.py", "import pulumi", ["pulumi"], id="Pulumi in lab"),
        pytest.param(
            "lab/plan.py", "from lab.host import facts", ["lab.host"], id="the host in lab"
        ),
        pytest.param("lab/plan.py", "from lab import host", ["lab.host"], id="by its other name"),
        pytest.param("lab/a.py", "def f():\n    import fabric", ["fabric"], id="within a function"),
        pytest.param(
            "components/a.py", "import pulumi_libvirt as lv", ["pulumi_libvirt"], id="libvirt"
        ),
        pytest.param("components/a.py", "import pulumi", [], id="Pulumi where it belongs"),
        pytest.param(
            "policies/a.py", "from components import x", ["components"], id="up the house"
        ),
        pytest.param("lab/a.py", "import yamllint, lab.hosts", [], id="names that begin alike"),
        pytest.param("lab/a.py", "import time", ["time"], id="a clock in lab"),
    ],
)
def test_the_wall_itself(path: str, source: str, found: list[str]) -> None:
    assert breaches(path, source) == found


def test_relative_imports_are_refused() -> None:
    with pytest.raises(AssertionError, match="relative"):
        list(imports("from . import x"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_was_looked_at(room: str) -> None:
    assert any(path.startswith(f"{room}/") for path in sources())


def test_package_files_stay_empty() -> None:
    """The engine's plugin process imports them: what stands there runs there."""
    full = [
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
        if path.read_text()
    ]
    assert full == []
