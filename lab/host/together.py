"""What several threads ask for at the same moment, done once for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

_Asked = TypeVar("_Asked", bound=Hashable)
_Answer = TypeVar("_Answer")


class Together(Generic[_Asked, _Answer]):
    """Gathers what is asked for.

    Who comes first waits a moment for others, and does what all of them came for. Who comes later
    than that waits for nobody: the next ones gather meanwhile.
    """

    def __init__(
        self, do: Callable[[Sequence[_Asked]], Mapping[_Asked, _Answer]], *, gather_s: float
    ) -> None:
        self._do, self._gather_s = do, gather_s
        self._turn = threading.Lock()
        self._gathered: dict[_Asked, Future[_Answer]] = {}

    def ask(self, asked: _Asked) -> _Answer:
        """Have one thing done, and get its answer; an error of the doing is everybody's."""
        with self._turn:
            first = not self._gathered
            answer = self._gathered.setdefault(asked, Future())
        if first:
            time.sleep(self._gather_s)
            with self._turn:
                gathered, self._gathered = self._gathered, {}
            self._answer(gathered)
        return answer.result()

    def _answer(self, gathered: Mapping[_Asked, Future[_Answer]]) -> None:
        try:
            answers = self._do(tuple(gathered))
            for asked, future in gathered.items():
                future.set_result(answers[asked])
        except BaseException as error:
            for future in gathered.values():
                if not future.done():
                    future.set_exception(error)
            raise
