"""One lane: a queue and the one task that works it off, while there is something in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

if TYPE_CHECKING:
    from plivo_anyio._driver import Driver

__all__ = ["Lane"]

T = TypeVar("T")


class Lane(Generic[T]):
    """Handles items in order, one at a time; one that takes over ``patience`` s is cancelled.

    ``report(item, error)`` is told of an item that was late, with what its cancellation left of it,
    or a TimeoutError. ``idle()`` is called whenever the queue ran empty. The task of a lane that
    ``stays`` waits for more; else it ends, and the next item starts another: an idle call should
    cost as little as it can.
    """

    __slots__ = (
        "_driver",
        "_due",
        "_handle",
        "_idle",
        "_patience",
        "_report",
        "_scope",
        "_stays",
        "_wake",
        "_working",
        "current",
        "paused",
        "queue",
    )

    def __init__(
        self,
        driver: Driver,
        handle: Callable[[T], Awaitable[None]],
        report: Callable[[T, Exception], Awaitable[None]],
        idle: Callable[[], None],
        *,
        patience: float,
        stays: bool,
    ) -> None:
        self._driver = driver
        self._handle = handle
        self._report = report
        self._idle = idle
        self._patience = patience
        self._stays = stays
        self._wake = driver.backend.parker()
        self._working = False
        self._scope: anyio.CancelScope | None = None
        self._due: float | None = None  # when the current item is late
        self.queue: deque[T] = deque()
        self.current: T | None = None
        self.paused = False

    @property
    def is_idle(self) -> bool:
        return not self.queue and self.current is None

    def put(self, item: T) -> None:
        self.queue.append(item)
        self.wake()

    def wake(self) -> None:
        if self._working:
            self._wake.unpark()
        elif self.queue and not self.paused:
            self._working = True
            self._driver.tasks.start_soon(self._work)

    def leave(self) -> None:
        """No item follows: let a task that waits for one return.

        Cancelled, it would leave a traceback behind that holds all it knew, on asyncio.
        """
        self._stays = False
        self._wake.unpark()

    def deadline(self) -> float | None:
        """When to call check(); an item that has not begun counts as beginning now."""
        if self._due is None and self.queue and not self.paused:
            return self._driver.clock() + self._patience
        return self._due

    def check(self, now: float) -> None:
        """Cancel the current item if it is late. Once: how long it then takes is its business."""
        if self._due is not None and now >= self._due:
            self._due = None
            assert self._scope is not None
            self._scope.cancel()

    async def _work(self) -> None:
        while self._working:
            error: Exception = TimeoutError(f"it ran for over {self._patience} s and was cancelled")
            try:
                # One scope for many items: making one per packet would cost more than the packet.
                with anyio.CancelScope() as self._scope:
                    await self._work_off()
            except Exception as left:  # noqa: BLE001 - of a group that held our cancellation
                error = left
            late, self.current, self._due = self.current, None, None
            if late is not None:
                await self._report(late, error)

    async def _work_off(self) -> None:
        scope, queue, handle = self._scope, self.queue, self._handle
        clock, patience = self._driver.clock, self._patience
        assert scope is not None
        while True:
            while queue and not self.paused:
                self.current = queue.popleft()
                self._due = clock() + patience
                await handle(self.current)
                if scope.cancel_called:
                    return  # late, although it survived its cancellation
                self.current = self._due = None
            self._idle()
            if not self._stays:
                self._working = False
                return
            await self._wake.park()
