from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto.provider_pb2 import DeleteRequest
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from components.sdk import widen

MANY = 10
_ALL_HERE = threading.Barrier(MANY)


class Meeting(ResourceProvider):
    """Its resources are deleted together or not at all."""

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        widen()
        _ALL_HERE.wait(timeout=20)


@pytest.fixture
def served() -> Iterator[Any]:
    """The SDK's own process of dynamic resources, as the engine starts it."""
    words = [sys.executable, "-u", "-m", "pulumi.dynamic"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield ResourceProviderStub(channel)
        finally:
            process.terminate()


def test_more_is_done_at_once_than_the_sdk_does(served: Any) -> None:
    request = DeleteRequest(id="x", urn="urn:pulumi:s::p::t::n")
    request.properties.update({"__provider": serialize_provider(Meeting())})
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(lambda _: served.Delete(request), range(MANY)))
