"""One lane: a queue and the one task that works it off."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

__all__ = ["Lane"]

T = TypeVar("T")


class Lane(Generic[T]):
    """Handles items in order, one at a time; one that takes over ``patience`` s is cancelled.

    ``report(item, error)`` is told of an item that was late, with what its cancellation left of it,
    or a TimeoutError. ``idle()`` is called whenever the queue ran empty.
    """

    __slots__ = (
        "_due",
        "_handle",
        "_idle",
        "_patience",
        "_report",
        "_scope",
        "_wake",
        "current",
        "paused",
        "queue",
    )

    def __init__(
        self,
        handle: Callable[[T], Awaitable[None]],
        report: Callable[[T, Exception], Awaitable[None]],
        idle: Callable[[], None],
        patience: float,
    ) -> None:
        self._handle = handle
        self._report = report
        self._idle = idle
        self._patience = patience
        self._wake: anyio.Event | None = None
        self._scope = anyio.CancelScope()
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
        if self._wake is not None:
            self._wake.set()

    def deadline(self) -> float | None:
        """When to call check(); an item that has not begun counts as beginning now."""
        if self._due is None and self.queue and self.current is None and not self.paused:
            return anyio.current_time() + self._patience
        return self._due

    def check(self, now: float) -> None:
        """Cancel the current item if it is late. Once: how long it then takes is its business."""
        if self._due is not None and now >= self._due:
            self._due = None
            self._scope.cancel()

    async def work(self) -> None:
        """Run until cancelled."""
        while True:
            error: Exception = TimeoutError(f"it ran for over {self._patience} s and was cancelled")
            try:
                # One scope for many items: making one per packet would cost more than the packet.
                with anyio.CancelScope() as self._scope:
                    await self._work()
            except Exception as left:  # noqa: BLE001 - of a group that held our cancellation
                error = left
            late, self.current, self._due = self.current, None, None
            if late is not None:
                await self._report(late, error)

    async def _work(self) -> None:
        while True:
            while self.queue and not self.paused:
                self.current = self.queue.popleft()
                self._due = anyio.current_time() + self._patience
                await self._handle(self.current)
                if self._scope.cancel_called:
                    return  # late, although it survived its cancellation
                self.current = self._due = None
            self._idle()
            self._wake = anyio.Event()
            await self._wake.wait()
            self._wake = None
