"""What the end-to-end tests stand on. Nothing here is faked: engine, libvirt, guests and sshd."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.engine import Project, build_tiny
from tests.e2e.hypervisors import SUITE, Hypervisor, cache, hypervisor, packaged_layer
from tests.soak.neighbours import Neighbours


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    """A short name for this process among those that share the machine."""
    return getattr(request.config, "workerinput", {}).get("workerid", "gw0")


@pytest.fixture(scope="session")
def layer(worker: str) -> str:
    """The layer with packages: made by whichever process comes first."""
    return _layer(worker, SUITE)


@pytest.fixture(scope="session")
def trixie_layer(worker: str, layer: str) -> str:
    """The same for Debian 13."""
    assert layer
    return _layer(worker, "trixie")


def _layer(worker: str, suite: str) -> str:
    with (cache() / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # All that installs packages or builds, one after the other: apt has one lock, too.
        build_tiny()
        return packaged_layer(worker, suite)


@pytest.fixture(scope="module", name="hypervisor")
def packaged(worker: str, layer: str, request: pytest.FixtureRequest) -> Iterator[Hypervisor]:
    """A hypervisor with libvirt's packages and nothing else, for one module of tests."""
    with hypervisor(_name(worker, request), layer) as made:
        yield made


@pytest.fixture(scope="module")
def bare_hypervisor(
    worker: str, layer: str, request: pytest.FixtureRequest
) -> Iterator[Hypervisor]:
    """A hypervisor as Debian installs it."""
    assert layer  # made by now, and with it all that tools/hypervisor installs on this machine
    with hypervisor(_name(worker, request)) as made:
        yield made


@pytest.fixture(scope="module")
def trixie(worker: str, trixie_layer: str, request: pytest.FixtureRequest) -> Iterator[Hypervisor]:
    """A Debian 13 with libvirt's packages and nothing else."""
    with hypervisor(f"{_name(worker, request)[:10]}13", trixie_layer, "trixie") as made:
        yield made


@pytest.fixture(scope="module")
def bare_trixie(worker: str, layer: str, request: pytest.FixtureRequest) -> Iterator[Hypervisor]:
    """A hypervisor as Debian 13 installs it."""
    assert layer
    with hypervisor(f"{_name(worker, request)[:10]}13", suite="trixie") as made:
        yield made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project without any stack."""
    os.environ.setdefault("METALAB_CACHE", str(cache()))
    return Project.copy(tmp_path_factory.mktemp("project"))


def _name(worker: str, request: pytest.FixtureRequest) -> str:
    """At most 12 characters: the kernel's names of the container's links are made of it."""
    stem = Path(str(request.path)).stem.removeprefix("test_")
    return f"{worker.removeprefix('gw')}{stem.replace('_', '')[:10]}"


@pytest.fixture(scope="module")
def neighbours(project: Project, hypervisor: Hypervisor) -> Iterator[Neighbours]:
    """There before and after each test of a module, and not changed by any."""
    made = Neighbours(project, hypervisor)
    yield made
    assert made.changed() == []
    made.leave()
