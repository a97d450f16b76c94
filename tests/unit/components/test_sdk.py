from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pulumi.dynamic

from components.sdk import widen


def test_more_is_done_at_once_than_the_sdk_does() -> None:
    all_here = threading.Barrier(10)

    def work(_number: int) -> int:
        widen()
        return all_here.wait(timeout=10)  # breaks, unless ten are at work

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, range(10))) == list(range(10))
    widen.cache_clear()


def test_the_sdk_still_serves_with_such_a_pool() -> None:
    served = (Path(pulumi.dynamic.__file__).parent / "__main__.py").read_text()
    assert re.search(r"grpc\.server\(\s*futures\.ThreadPoolExecutor\(", served)
