"""The part of the seam that anyio has no word for, or none that is cheap enough per packet.

A clock without a look-up, a wake-up without an event object, and a way in from foreign threads.
Everything above uses anyio and these three.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import trio

__all__ = ["Backend", "Parker", "current_backend"]


class Parker(Protocol):
    """Where one task waits to be woken. Nothing is remembered: look first, then park."""

    def park(self) -> Awaitable[None]:
        """Wait for :meth:`unpark`. May be cancelled."""
        ...

    def unpark(self) -> None:
        """Wake the task that is parked, if one is. For the loop's own thread."""
        ...


class Backend(Protocol):
    """One event loop, seen from inside."""

    name: str
    clock: Callable[[], float]
    """Monotonic seconds, the same as :func:`anyio.current_time`; from any thread."""

    def parker(self) -> Parker: ...

    def call_soon(self, function: Callable[[], None]) -> None:
        """Run ``function`` in the loop soon. From any thread; nothing happens once it is over."""
        ...


def current_backend() -> Backend:
    """The loop this task runs in."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return TrioBackend(trio)
    return AsyncioBackend(asyncio.get_running_loop())


class _Batch:
    """What foreign threads want the loop to run: one wake-up for all that comes meanwhile."""

    __slots__ = ("_functions", "_on_its_way")

    def __init__(self) -> None:
        self._functions: deque[Callable[[], None]] = deque()
        self._on_its_way = False

    def add(self, function: Callable[[], None], wake: Callable[[Callable[[], None]], Any]) -> None:
        self._functions.append(function)
        if not self._on_its_way:  # set by two threads at once, it wakes the loop once too often
            self._on_its_way = True
            wake(self._run)

    def _run(self) -> None:
        self._on_its_way = False  # first: what is added from here on may wake the loop again
        functions = self._functions
        while functions:
            functions.popleft()()


class AsyncioBackend:
    __slots__ = ("_batch", "_create", "_wake", "clock")
    name = "asyncio"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._create = functools.partial(asyncio.Future[None], loop=loop)
        self._batch = _Batch()
        self.clock = loop.time
        # Of a task in this loop, for anyio looks there for the loop it runs in.
        context = contextvars.copy_context()
        self._wake = functools.partial(loop.call_soon_threadsafe, context=context)

    def parker(self) -> Parker:
        return _AsyncioParker(self._create)

    def call_soon(self, function: Callable[[], None]) -> None:
        try:
            self._batch.add(function, self._wake)
        except RuntimeError:
            pass  # the loop is closed


class _AsyncioParker:
    __slots__ = ("_create", "_future")

    def __init__(self, create: Callable[[], asyncio.Future[None]]) -> None:
        self._create = create
        self._future: asyncio.Future[None] | None = None

    def park(self) -> asyncio.Future[None]:
        self._future = future = self._create()
        return future

    def unpark(self) -> None:
        future = self._future
        if future is not None:
            self._future = None
            if not future.done():
                future.set_result(None)


class TrioBackend:
    __slots__ = ("_batch", "_token", "_trio", "clock")
    name = "trio"

    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._batch = _Batch()
        self._token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()
        self.clock = trio.lowlevel.current_clock().current_time

    def parker(self) -> Parker:
        return _TrioParker(self._trio)

    def call_soon(self, function: Callable[[], None]) -> None:
        try:
            self._batch.add(function, self._token.run_sync_soon)
        except self._trio.RunFinishedError:
            pass


class _TrioParker:
    __slots__ = ("_lowlevel", "_task")

    def __init__(self, trio: Any) -> None:
        self._lowlevel = trio.lowlevel
        self._task: trio.lowlevel.Task | None = None

    async def park(self) -> None:
        self._task = self._lowlevel.current_task()
        await self._lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, raise_cancel: object) -> Any:
        self._task = None
        return self._lowlevel.Abort.SUCCEEDED

    def unpark(self) -> None:
        task = self._task
        if task is not None:
            self._task = None
            self._lowlevel.reschedule(task)
