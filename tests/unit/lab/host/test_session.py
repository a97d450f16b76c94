from __future__ import annotations

import pytest

from lab.host.session import execute


class Channel:
    """Prints the chunks as they are, then ends with 0."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    def recv(self, _size: int) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""

    def recv_stderr(self, _size: int) -> bytes:
        return b""

    def recv_exit_status(self) -> int:
        return 0

    def __getattr__(self, _name: str) -> object:
        return lambda *_words, **_how: None


class Transport:
    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    def open_session(self, timeout: float) -> Channel:
        assert timeout > 0
        return Channel(self.chunks)


@pytest.mark.parametrize(
    ("chunks", "heard"),
    [
        pytest.param([b"a\nb\n"], ["a", "b"], id="whole lines"),
        pytest.param([b"no", b"te: x\nb", b"\n"], ["note: x", "b"], id="lines in pieces"),
        pytest.param([b"a\n\nb"], ["a", ""], id="what has not ended is no line yet"),
        pytest.param([b"\xc3", b"\xa9\n"], ["é"], id="a character in pieces"),
    ],
)
def test_lines_are_heard_as_they_come(chunks: list[bytes], heard: list[str]) -> None:
    lines: list[str] = []
    text = b"".join(chunks).decode()
    outcome = execute(Transport(list(chunks)), "x", timeout_s=5, hear=lines.append)
    assert (lines, outcome.stdout, outcome.exit_code) == (heard, text, 0)
