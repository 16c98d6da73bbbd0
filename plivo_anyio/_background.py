"""Tasks that belong to a call: ``session.start_soon``. They end with it and cannot end it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from anyio.abc import TaskGroup

from plivo_anyio._barrier import stopped
from plivo_core import LocalProtocolError, SessionClosedError

__all__ = ["Background"]

# At once, per call: a handler that starts one per key press lets the peer decide how many. As many
# as tool calls (Limits.max_tool_calls).
_MAX_TASKS = 1000


class Background:
    """The tasks of one call, in the driver's own group.

    ``report(error)`` is told of what a task let out. The driver calls :meth:`end` when the call
    ended, then :meth:`finish`, then cancels the group.
    """

    __slots__ = ("_all_done", "_due", "_grace", "_group", "_report", "_running")

    def __init__(
        self, group: TaskGroup, report: Callable[[Exception], Awaitable[None]], *, grace: float
    ) -> None:
        self._group = group
        self._report = report
        self._grace = grace
        self._running = 0
        self._due: float | None = None
        self._all_done = anyio.Event()

    def start_soon(
        self, func: Callable[..., Awaitable[object]], *args: Any, name: object = None
    ) -> None:
        """See :meth:`plivo_anyio.CallSession.start_soon`."""
        if self._due is not None:
            raise SessionClosedError("the call is over: no task of it can start")
        if self._running >= _MAX_TASKS:
            raise LocalProtocolError(
                f"{self._running} tasks of this call run already",
                hint="end some first, or let one task do the work of many",
            )
        self._group.start_soon(self._run, func, args, name=name or func)
        self._running += 1

    def end(self) -> None:
        """The call ended: what runs has ``grace`` seconds from now. Idempotent."""
        if self._due is None:
            self._due = anyio.current_time() + self._grace
            if not self._running:
                self._all_done.set()

    async def finish(self) -> None:
        """Wait until all tasks returned or their grace is over; after :meth:`end`."""
        assert self._due is not None
        with anyio.CancelScope(deadline=self._due):
            await self._all_done.wait()

    async def _run(self, func: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        try:
            await func(*args)
        except BaseException as error:
            if (told := stopped(error)) is None:
                raise
            await self._report(told)
        finally:
            self._running -= 1
            if self._due is not None and not self._running:
                self._all_done.set()
