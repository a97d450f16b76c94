from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from lab.host.together import Together


def doubled(numbers: Sequence[int]) -> dict[int, int]:
    return {number: 2 * number for number in numbers}


def asked_at_once(together: Together[int, int], numbers: range) -> list[Future[int]]:
    """Finished, each asked for by a thread of its own."""
    start = threading.Barrier(len(numbers))

    def ask(number: int) -> int:
        start.wait(timeout=10)
        return together.ask(number)

    with ThreadPoolExecutor(len(numbers)) as pool:
        return [pool.submit(ask, number) for number in numbers]


def test_what_is_asked_at_one_moment_is_done_once() -> None:
    done: list[tuple[int, ...]] = []

    def do(numbers: Sequence[int]) -> dict[int, int]:
        done.append(tuple(sorted(numbers)))
        return doubled(numbers)

    answers = asked_at_once(Together(do, gather_s=0.3), range(8))
    assert [each.result() for each in answers] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert done == [tuple(range(8))]


def test_who_comes_later_is_not_kept_waiting() -> None:
    slow, begun = threading.Event(), threading.Event()

    def do(numbers: Sequence[int]) -> dict[int, int]:
        if 1 in numbers:
            begun.set()
            assert slow.wait(timeout=10)
        return doubled(numbers)

    together = Together(do, gather_s=0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(together.ask, 1)
        assert begun.wait(timeout=10)
        assert together.ask(2) == 4
        slow.set()
        assert first.result() == 2


def test_an_error_is_everybody_s_and_not_the_next_one_s() -> None:
    def do(numbers: Sequence[int]) -> dict[int, int]:
        if 7 not in numbers:
            raise RuntimeError("no way there")
        return doubled(numbers)

    together = Together(do, gather_s=0.3)
    for each in asked_at_once(together, range(3)):
        with pytest.raises(RuntimeError, match="no way there"):
            each.result()
    assert together.ask(7) == 14
