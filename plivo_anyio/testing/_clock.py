"""Event loops whose time passes only while a test waits for something.

Held, the clock stands still, whatever the test does meanwhile. Released, it jumps to the next timer
as soon as every task waits. Where a task waits for a socket or a thread, which know nothing of this
clock, real time passes instead.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Protocol

import anyio
import anyio.to_thread

__all__ = ["Clock", "JumpingClock", "RealClock", "TrioClock"]

_NAP = 0.001  # seconds of real time between two looks at a thread that works


class Clock(Protocol):
    """The time of one event loop."""

    options: dict[str, Any]
    """Backend options of anyio that start a loop with it."""

    async def start(self, busy: Callable[[], bool]) -> None:
        """In a task of that loop, for as long as it runs. ``busy``: a thread works for it."""
        ...

    def release(self) -> None: ...

    def hold(self) -> None: ...


class RealClock:
    """Nobody's to move."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    async def start(self, busy: Callable[[], bool]) -> None:
        pass

    def release(self) -> None:
        pass

    def hold(self) -> None:
        pass


class JumpingClock:
    """For asyncio: the loop's selector never sleeps, it moves the clock."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {"loop_factory": lambda: _Loop(self)}
        self.now = 0.0
        self.released = False
        self.executing = 0
        self._busy: Callable[[], bool] = bool

    async def start(self, busy: Callable[[], bool]) -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        self._busy = lambda: self.executing > 0 or limiter.borrowed_tokens > 0 or busy()

    @property
    def busy(self) -> bool:
        return self._busy()

    def release(self) -> None:
        self.released = True

    def hold(self) -> None:
        self.released = False


class _Selector(selectors.DefaultSelector):
    def __init__(self, clock: JumpingClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        clock = self._clock
        # Asked first: a thread that has ended since then has woken the loop, which is found.
        busy = clock.busy or len(self.get_map()) > 1  # one is the loop's own pipe
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        if not clock.released or timeout is None:
            return super().select(None)  # what the test wants next comes through the loop's pipe
        if busy:
            began = time.perf_counter()
            found = super().select(min(timeout, _NAP))
            clock.now += min(timeout, time.perf_counter() - began)
            return found
        clock.now += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: JumpingClock) -> None:
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._clock.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._clock.executing += 1
        future.add_done_callback(self._executed)
        return future

    def _executed(self, future: asyncio.Future[Any]) -> None:
        self._clock.executing -= 1


class TrioClock:
    """For trio: a task beside the others moves a MockClock whenever they all wait."""

    def __init__(self) -> None:
        import trio.testing

        self._trio = trio
        self._clock = trio.testing.MockClock()
        self.options: dict[str, Any] = {"clock": self._clock}
        self._released = False
        self._changed: trio.Event | None = None

    async def start(self, busy: Callable[[], bool]) -> None:
        trio = self._trio
        threads = trio.to_thread.current_default_thread_limiter()
        while True:
            while self._held():
                self._changed = trio.Event()
                await self._changed.wait()
            was_busy = busy()  # a thread that ends from here on wakes the loop, and that is seen
            await trio.testing.wait_all_tasks_blocked()
            if self._held():
                continue
            numbers = trio.lowlevel.current_statistics()
            jump = numbers.seconds_to_next_deadline
            # Of those that read, one is trio's own.
            reading = getattr(numbers.io_statistics, "tasks_waiting_read", 1) > 1
            writing = getattr(numbers.io_statistics, "tasks_waiting_write", 0) > 0
            if reading or writing or threads.borrowed_tokens > 0 or was_busy or busy():
                time.sleep(_NAP)  # noqa: ASYNC251 - real time, so that they get on
                jump = min(_NAP, jump)
            if 0 < jump < math.inf:
                self._clock.jump(jump)
            await trio.lowlevel.checkpoint()

    def _held(self) -> bool:
        return not self._released

    def release(self) -> None:
        self._released = True
        if self._changed is not None:
            self._changed.set()

    def hold(self) -> None:
        self._released = False
