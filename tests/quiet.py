"""For tests whose subject is the real clock: what the machine itself took from them."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import ParamSpec

__all__ = ["Round", "in_rounds", "rounds"]

P = ParamSpec("P")

_NAP = 0.005  # seconds
_STALL = 0.03  # seconds: far above what the interpreter takes to change threads, twice 5 ms
_MOST = 6


class Round:
    """A measurement, during which a thread notes how late it is woken.

    An AssertionError out of the block counts unless the machine stalled meanwhile; then there is
    another round. Python code that blocks an event loop does not stall that thread, which takes its
    turn every 5 ms: such a fault fails the test in the first round.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.again = False
        self.worst = 0.0
        """By how much it was late, in seconds."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watches the machine")

    def _watch(self) -> None:
        over, before = False, time.perf_counter()
        while not over:
            over = self._over.wait(_NAP)
            now = time.perf_counter()
            self.worst = max(self.worst, now - before - _NAP)
            before = now

    @property
    def stalled(self) -> bool:
        return self.worst > _STALL

    def __enter__(self) -> Round:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._over.set()
        self._thread.join()
        self.again = self.stalled and isinstance(error, AssertionError) and self.number < _MOST
        return self.again


def rounds() -> Iterator[Round]:
    """``for measured in rounds(): with measured: ...``: one of them, if the machine is quiet."""
    for number in range(1, _MOST + 1):
        measured = Round(number)
        yield measured
        if not measured.again:
            return


def in_rounds(test: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """The same for the whole of a test."""

    @functools.wraps(test)
    async def repeated(*args: P.args, **kwargs: P.kwargs) -> None:
        for measured in rounds():
            with measured:
                await test(*args, **kwargs)

    return repeated
