"""Python packages and committed files: every version pinned and hashed, no download host named."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
PIN = re.compile(r"(?m)^([a-z0-9._-]+)==([^\s;]+)")
# Spelled so that this file does not name them either.
HOSTS = re.compile(r"pypi\.o[r]g|pythonhosted\.o[r]g|proxy\.golang\.o[r]g|registry\.npmjs\.o[r]g")


def direct() -> list[str]:
    groups = PROJECT["dependency-groups"].values()
    return [*PROJECT["project"]["dependencies"], *(name for group in groups for name in group)]


def test_every_direct_dependency_is_pinned_to_the_hashed_version() -> None:
    wanted = {re.sub(r"\[.*\]", "", requirement) for requirement in direct()}
    assert wanted <= {f"{name}=={version}" for name, version in PIN.findall(REQUIREMENTS)}


def test_the_constraints_of_the_lock_are_the_hashed_versions() -> None:
    constraints = "\n".join(PROJECT["tool"]["uv"]["constraint-dependencies"])
    assert PIN.findall(constraints) == PIN.findall(REQUIREMENTS)


@pytest.mark.parametrize("name", ["requirements.txt", "tools/uv.txt"])
def test_every_pin_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_no_committed_file_names_an_index_or_a_download_host() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files
    named = [
        str(path.relative_to(ROOT))
        for path in files
        if path.is_file() and HOSTS.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert named == []
