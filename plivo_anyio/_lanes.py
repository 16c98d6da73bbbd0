"""The lanes of one call: who runs when, so that reading never waits for a handler.

Control events run in order, one at a time. Caller audio has a lane of its own and starts after the
``start`` handler returned. Each ``tool.called`` has its own task and a deadline. Whatever a handler
does is reported and never ends the call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from plivo_anyio._logging import logger
from plivo_anyio._registry import Registry
from plivo_core import (
    Event,
    InvalidMessage,
    Limits,
    SessionClosedError,
    Timings,
    ToolCallExpired,
    UnknownEvent,
    WebSocketError,
)
from plivo_core.events import AgentEvent, StreamEvent, StreamMedia, StreamStart, ToolCall
from plivo_core.playback import audio_duration_ms
from plivo_core.session import ToolCallState

if TYPE_CHECKING:
    from plivo_anyio._session import CallSession

__all__ = ["Lanes"]

HandledEvent = AgentEvent | StreamEvent | UnknownEvent | InvalidMessage | ToolCallExpired
T = TypeVar("T")

_ANSWERED = (ToolCallState.RESULT, ToolCallState.ERROR, ToolCallState.CANCELLED)


class _Lane(Generic[T]):
    """A queue and the one task that works it off; an item that takes too long is cancelled."""

    __slots__ = (
        "_handle",
        "_report_late",
        "_scope",
        "_wake",
        "busy_since",
        "current",
        "paused",
        "queue",
    )

    def __init__(
        self,
        handle: Callable[[T], Awaitable[None]],
        report_late: Callable[[T], Awaitable[None]],
    ) -> None:
        self._handle = handle
        self._report_late = report_late
        self._wake: anyio.Event | None = None
        self._scope: anyio.CancelScope | None = None
        self.queue: deque[T] = deque()
        self.current: T | None = None
        self.busy_since: float | None = None
        self.paused = False

    @property
    def idle(self) -> bool:
        return not self.queue and self.current is None

    def put(self, item: T) -> None:
        self.queue.append(item)
        self.wake()

    def wake(self) -> None:
        if self._wake is not None:
            self._wake.set()

    def cancel_current(self) -> None:
        if self._scope is not None and self.current is not None:
            self._scope.cancel()

    async def work(self, idle: Callable[[], None]) -> None:
        """Run until cancelled. ``idle`` is called whenever the queue ran empty."""
        while True:
            # One scope for many items: making one per packet would cost more than the packet.
            with anyio.CancelScope() as self._scope:
                await self._work(idle)
            late, self.current = self.current, None
            if late is not None:
                await self._report_late(late)

    async def _work(self, idle: Callable[[], None]) -> None:
        while True:
            while self.queue and not self.paused:
                self.current = self.queue.popleft()
                self.busy_since = anyio.current_time()
                await self._handle(self.current)
                self.current = self.busy_since = None
            idle()
            self._wake = anyio.Event()
            await self._wake.wait()
            self._wake = None


class Lanes:
    """All lanes of one call. Fed by the driver with :meth:`put`, ended by :meth:`finish`."""

    def __init__(
        self, *, registry: Registry, session: CallSession, limits: Limits, timings: Timings
    ) -> None:
        self._registry = registry
        self._session = session
        self._limits = limits
        self._timings = timings
        self._control: _Lane[tuple[HandledEvent | None, int]] = _Lane(
            self._run_control, lambda item: self._report_late(item[0])
        )
        self._control_size = 0
        self._media: _Lane[tuple[StreamMedia, float]] = _Lane(
            self._run_media, lambda item: self._report_late(item[0])
        )
        self._media_ms = 0.0
        self._media_started = False
        # `start` handlers (and on_connect) that have not returned: media waits for them.
        self._starts_waiting = 0
        self._connected = anyio.Event()
        self._tools_running = 0
        self._changed: anyio.Event | None = None
        self._tasks: TaskGroup | None = None
        self.dropped_media = 0

    def start(self, tasks: TaskGroup) -> None:
        """Begin with ``on_connect``, in the control lane."""
        self._tasks = tasks
        self._hold_media()
        self._control.put((None, 0))
        tasks.start_soon(self._control.work, self._notify)

    # -- feeding -------------------------------------------------------------------------------

    def put(self, event: HandledEvent, size: int) -> WebSocketError | None:
        """Route an event whose message was ``size`` bytes; gives why the call must end, if so."""
        if isinstance(event, StreamMedia):
            self._put_media(event)
        elif isinstance(event, ToolCall) and not self._registry.tool(event.name)[1]:
            assert self._tasks is not None
            self._tools_running += 1
            self._tasks.start_soon(self._run_tool_task, event)
        else:
            waiting = len(self._control.queue)
            if (
                waiting >= self._limits.control_events
                or self._control_size + size > self._limits.control_events_bytes
            ):
                return WebSocketError(
                    f"{waiting} events ({self._control_size} bytes) wait for handlers",
                    hint="a handler blocks the control lane; start a task for long work",
                )
            self._control_size += size
            if isinstance(event, StreamStart):
                self._hold_media()
            self._control.put((event, size))
        return None

    def _hold_media(self) -> None:
        self._starts_waiting += 1
        self._media.paused = True

    def _put_media(self, event: StreamMedia) -> None:
        if not self._registry.chain(event):
            return
        media_format = self._session.media_format
        content_type = event.content_type or (media_format.content_type if media_format else "")
        ms = audio_duration_ms(event.payload, content_type, event.sample_rate)
        queue = self._media.queue
        self._media_ms += ms
        while queue and self._media_ms > self._limits.media_lane_ms:
            self._media_ms -= queue.popleft()[1]
            self.dropped_media += 1
        self._media.put((event, ms))
        if not self._media_started:
            assert self._tasks is not None
            self._media_started = True
            self._tasks.start_soon(self._media.work, self._notify)

    # -- running -------------------------------------------------------------------------------

    async def _run_control(self, item: tuple[HandledEvent | None, int]) -> None:
        event, size = item
        self._control_size -= size
        try:
            if event is None:
                await self._run_life(self._registry.on_connect)
            elif isinstance(event, ToolCall):
                await self._answer_tool(event)
            else:
                await self._run_chain(event)
        finally:
            if event is None:
                self._connected.set()
            if event is None or isinstance(event, StreamStart):
                self._starts_waiting -= 1
                self._media.paused = self._starts_waiting > 0
                self._media.wake()

    async def _run_media(self, item: tuple[StreamMedia, float]) -> None:
        event, ms = item
        self._media_ms -= ms
        await self._run_chain(event)

    async def _run_chain(self, event: HandledEvent) -> None:
        for handler in self._registry.chain(event):
            try:
                await handler(self._session, event)
            except BaseException as error:  # noqa: BLE001 - the barrier round a handler
                await self._caught(event, error)

    async def _run_life(self, handler: Callable[[CallSession], Awaitable[object]] | None) -> None:
        if handler is not None:
            try:
                await handler(self._session)
            except BaseException as error:  # noqa: BLE001 - the barrier round a handler
                await self._caught(None, error)

    async def _run_tool_task(self, event: ToolCall) -> None:
        try:
            await self._connected.wait()
            await self._answer_tool(event)
        finally:
            self._tools_running -= 1
            self._notify()

    async def _answer_tool(self, event: ToolCall) -> None:
        """Run the tool's handler; what it returns, raises or fails to do becomes the answer."""
        handler, _ = self._registry.tool(event.name)
        result: object = None
        failure = ""
        try:
            with anyio.move_on_after(self._timings.tool_call) as scope:
                await self._run_catch_all(event)
                if handler is not None:
                    result = await handler(self._session, event)
                elif self._registry.catch_all is None:
                    failure = "there is no such tool"
                    logger.warning("no handler for tool %r", event.name, extra=self._about())
            if scope.cancelled_caught:
                failure = "the tool took too long"
                late = TimeoutError(f"tool {event.name!r} ran for {self._timings.tool_call} s")
                await self.report(event, late)
        except BaseException as error:  # noqa: BLE001 - the barrier round a handler
            failure = "the tool failed"
            await self._caught(event, error)
        try:
            self._send_answer(event, result, failure)
        except Exception as error:  # noqa: BLE001 - say, a result that JSON cannot carry
            await self.report(event, error)
            self._send_answer(event, None, "the tool failed")

    async def _run_catch_all(self, event: ToolCall) -> None:
        if self._registry.catch_all is not None:
            try:
                await self._registry.catch_all(self._session, event)
            except BaseException as error:  # noqa: BLE001 - the barrier round a handler
                await self._caught(event, error)

    def _send_answer(self, event: ToolCall, result: object, failure: str) -> None:
        """Send what the handler left unsaid. No text of an exception leaves the house."""
        session = self._session
        if (
            not event.id
            or session.ended is not None
            or session.tool_calls.state(event.id) in _ANSWERED
        ):
            return
        if failure:
            session.send_tool_error(event.id, failure)
        elif result is not None:
            session.send_tool_result(event.id, result)

    # -- trouble -------------------------------------------------------------------------------

    async def _caught(self, event: Event | None, error: BaseException) -> None:
        """Report what a handler raised; let our own cancellation and the process's end pass."""
        if isinstance(error, Exception):
            await self.report(event, error)
        elif isinstance(
            error, anyio.get_cancelled_exc_class()
        ) and anyio.current_effective_deadline() > float("-inf"):
            # On asyncio a handler that awaits a cancelled task raises CancelledError, which would
            # silently end the lane.
            stray = RuntimeError("the handler let a cancellation escape that was not its own")
            stray.__cause__ = error
            await self.report(event, stray)
        else:
            raise error

    async def report(self, event: Event | None, error: Exception) -> None:
        """Tell ``on_handler_error`` (or the log); its own exceptions are only logged."""
        if isinstance(error, SessionClosedError):
            logger.debug("a handler lost the race with the end: %s", error, extra=self._about())
            return
        handler = self._registry.on_handler_error
        if handler is None:
            logger.error(
                "handler of %s failed", type(event).__name__, exc_info=error, extra=self._about()
            )
            return
        try:
            with anyio.fail_after(self._timings.handler):
                await handler(self._session, event, error)
        except Exception:  # noqa: BLE001 - the last barrier
            logger.exception("on_handler_error itself failed", extra=self._about())

    async def _report_late(self, event: HandledEvent | None) -> None:
        what = "on_connect" if event is None else type(event).__name__
        await self.report(
            event,
            TimeoutError(
                f"the handler of {what} ran for over {self._timings.handler} s: cancelled"
            ),
        )

    def deadline(self) -> float | None:
        """When to call check(); an item that has not begun counts as beginning now."""
        since = [
            anyio.current_time() if lane.busy_since is None else lane.busy_since
            for lane in (self._control, self._media)
            if not lane.idle
        ]
        return min(since) + self._timings.handler if since else None

    def check(self, now: float) -> None:
        """Cancel the handlers that have run for too long."""
        for lane in (self._control, self._media):
            if lane.busy_since is not None and now >= lane.busy_since + self._timings.handler:
                lane.cancel_current()

    # -- the end -------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until the control lane has caught up, at most ``Timings.end_grace``."""
        with anyio.move_on_after(self._timings.end_grace):
            while not self._control.idle:
                await self._wait_change()

    async def finish(self) -> None:
        """The call is over: the lanes run dry within their grace, then ``on_disconnect``, once."""
        await self.settle()
        self._media.queue.clear()
        with anyio.move_on_after(self._timings.end_grace):
            while self._tools_running or self._media.current is not None:
                await self._wait_change()

    async def disconnect(self) -> None:
        """Run ``on_disconnect``, at most for ``Timings.handler``."""
        with anyio.move_on_after(self._timings.handler) as scope:
            await self._run_life(self._registry.on_disconnect)
        if scope.cancelled_caught:
            await self.report(None, TimeoutError("on_disconnect was cancelled: it took too long"))

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()

    async def _wait_change(self) -> None:
        if self._changed is None or self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()

    def _about(self) -> dict[str, object]:
        session = self._session
        return {"call_uuid": session.call_uuid, "agent_session_id": session.agent_session_id}
