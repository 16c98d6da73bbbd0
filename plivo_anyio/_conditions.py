"""Who waits for the state of a call: blocks that are cancelled as soon as something is so.

Waiting for room, for a checkpoint's fate or for an interruption is not waiting for an event: what
counts is what the core says after it. So each who waits brings a question, and the driver has all
of them asked, synchronously, wherever the core changed. A task is woken only by an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio

__all__ = ["Conditions", "Watch"]

T = TypeVar("T")

_NEVER = float("inf")


class Watch(Generic[T]):
    """A ``with`` block that ends early, by cancellation, once ``ask()`` gives something.

    What it gave is in :attr:`answer`; None: not yet. At ``deadline`` (seconds, the loop's clock)
    the block ends without one. ``ask`` must neither wait nor raise.
    """

    __slots__ = ("_ask", "_conditions", "_scope", "answer")

    def __init__(
        self, conditions: Conditions, ask: Callable[[], T | None], deadline: float
    ) -> None:
        self._conditions = conditions
        self._ask = ask
        self._scope = anyio.CancelScope(deadline=deadline)
        self.answer: T | None = None

    def look(self) -> None:
        if self.answer is None:
            self.answer = self._ask()
            if self.answer is not None:
                self._scope.cancel()

    def __enter__(self) -> Watch[T]:
        self._scope.__enter__()
        with self._conditions.lock:
            self._conditions.append(self)
            self.look()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._conditions.remove(self)
        return bool(self._scope.__exit__(kind, error, traceback))


class Conditions(list[Watch[Any]]):
    """Those who wait, of one call. Empty nearly always: then the driver's cost is a truth test.

    For the loop's own thread. ``ask`` runs under the driver's lock.
    """

    __slots__ = ("lock",)

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        super().__init__()
        self.lock = lock

    # -- what the driver calls -----------------------------------------------------------------

    def look(self) -> None:
        """Something may have changed. Under the lock."""
        for watch in self:  # one leaves in its own task, not in here
            watch.look()

    # -- what waits ----------------------------------------------------------------------------

    def watch(self, ask: Callable[[], T | None], *, deadline: float = _NEVER) -> Watch[T]:
        """A block to be cut short by an answer."""
        return Watch(self, ask, deadline)

    async def until(self, ask: Callable[[], T | None], *, deadline: float = _NEVER) -> T | None:
        """Wait for an answer; None at the deadline. Cancelled, it leaves nothing behind."""
        with self.lock:
            if (answer := ask()) is not None:
                return answer
        with self.watch(ask, deadline=deadline) as watch:
            await anyio.sleep_forever()
        return watch.answer
