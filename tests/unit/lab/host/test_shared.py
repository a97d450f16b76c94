from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lab.config import HypervisorSpec
from lab.host import shared


class Line:
    def __init__(self) -> None:
        self.alive = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    lines: list[Line] = []

    @contextmanager
    def connect(_spec: HypervisorSpec) -> Iterator[Line]:
        lines.append(Line())
        yield lines[-1]

    monkeypatch.setattr(shared, "connect", connect)
    monkeypatch.setattr(shared, "_OPEN", {})
    return lines


def borrowed(address: str = "lab42") -> object:
    with shared.borrow(HypervisorSpec(address=address)) as line:
        return line


def test_a_host_is_connected_to_once_however_many_ask(opened: list[Line]) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: borrowed(), range(40))) == {opened[0]}


def test_another_host_is_another_connection(opened: list[Line]) -> None:
    assert borrowed() is not borrowed("lab43")


def test_a_connection_that_was_lost_is_opened_anew(opened: list[Line]) -> None:
    first = borrowed()
    opened[0].alive = False
    assert borrowed() is not first
