"""The libvirt plugin as it was built here, without an engine: a load of calls."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import provider_pb2 as wire
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from lab.dialing import libvirt_uri
from tests.e2e.hypervisors import Hypervisor, full_door
from tools.engine.pins import PLUGIN, plugin_dir, toolchain_dir

pytestmark = pytest.mark.e2e

POOL = "urn:pulumi:demo::metalab::libvirt:index/pool:Pool::pool"
SEED = "urn:pulumi:demo::metalab::libvirt:index/cloudInitDisk:CloudInitDisk::seed"
READS, AT_ONCE = 1_000, 8
HANGS_S = 60  # a read takes some 20 ms


@contextmanager
def running(hypervisor: Hypervisor) -> Iterator[ResourceProviderStub]:
    """A plugin that is configured for a hypervisor."""
    nobody = "127.0.0.1:1"  # where an engine would take log lines
    built = next((path for path in (toolchain_dir(), plugin_dir()) if path.is_dir()), None)
    if built is None:
        pytest.skip("no plugin was built here: the user's own pulumi, and no Go")
    words = [built / PLUGIN.output, nobody]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = ResourceProviderStub(channel)
                settings = _struct(uri=libvirt_uri(hypervisor.spec))
                stub.Configure(wire.ConfigureRequest(args=settings), timeout=HANGS_S)
                yield stub
        finally:
            process.kill()


@pytest.fixture(scope="module")
def plugin(hypervisor: Hypervisor) -> Iterator[ResourceProviderStub]:
    with running(hypervisor) as stub:
        yield stub


def test_a_door_that_is_full_for_a_while(hypervisor: Hypervisor) -> None:
    """Sixteen runs at once are more than sshd admits before they have logged in."""
    pool = _struct(name="door", type="dir", target={"path": "/var/lib/door"})
    with full_door(hypervisor, seconds=3), running(hypervisor) as stub:
        made = stub.Create(wire.CreateRequest(urn=POOL, properties=pool), timeout=HANGS_S)
    assert made.id


def test_a_thousand_seeds_are_read(plugin: ResourceProviderStub, hypervisor: Hypervisor) -> None:
    """Of 60 such downloads one came back empty, and one stopped the plugin for ever."""
    hypervisor.run("virsh pool-create-as seeds dir --target /var/lib/seeds --build")
    inputs = _struct(name="seed.iso", pool="seeds", userData="#cloud-config\n")
    made = plugin.Create(wire.CreateRequest(urn=SEED, properties=inputs), timeout=HANGS_S)

    def read(_number: int) -> str:
        asked = wire.ReadRequest(id=made.id, urn=SEED, properties=made.properties)
        return plugin.Read(asked, timeout=HANGS_S).properties["userData"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(read, range(READS))) == {"#cloud-config\n"}


def _struct(**fields: str) -> Struct:
    struct = Struct()
    struct.update(fields)
    return struct
