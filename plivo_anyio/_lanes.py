"""The lanes of one call: who runs when, so that reading never waits for a handler.

Control events run in order, one at a time. Caller audio has a lane of its own and starts after the
``start`` handler returned. Each ``tool.called`` has its own task and a deadline. Sync handlers run
in the call's thread. Whatever a handler does is reported and never ends the call.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import anyio

from plivo_anyio._barrier import stopped
from plivo_anyio._lane import Lane
from plivo_anyio._logging import logger
from plivo_anyio._registry import Chain, Handler, Registry
from plivo_anyio._stats import LaneStats
from plivo_anyio._thread import CallThread, as_exception, not_sync
from plivo_core import (
    Event,
    InvalidMessage,
    SendQueueFull,
    SessionClosedError,
    ToolCallExpired,
    UnknownEvent,
    WebSocketError,
)
from plivo_core.events import AgentEvent, StreamEvent, StreamMedia, StreamStart, ToolCall
from plivo_core.events._stream import DEFAULT_RATE
from plivo_core.playback import audio_duration_ms
from plivo_core.session import ToolCallState

if TYPE_CHECKING:
    from plivo_anyio._driver import Driver
    from plivo_anyio._session import CallSession

__all__ = ["Lanes"]

HandledEvent = AgentEvent | StreamEvent | UnknownEvent | InvalidMessage | ToolCallExpired

_HIGHEST_RATE = 16000  # Hz, of what Plivo sends (PROTOCOL.md 13)
_ANSWERED = (ToolCallState.RESULT, ToolCallState.ERROR, ToolCallState.CANCELLED)


_MAX_REPORTS = 100  # waiting for on_handler_error: two seconds of packets that all fail
_ANY_MEDIA = StreamMedia(payload="")


class Lanes:
    """All lanes of one call. Fed by the driver with :meth:`put`, ended by :meth:`finish`."""

    def __init__(self, driver: Driver, session: CallSession, registry: Registry) -> None:
        self._driver = driver
        self._session = session
        self._registry = registry
        self._limits = driver.conn.limits
        self._timings = driver.conn.timings
        # None as long as nothing has been in it: most of a call's time is spent without events.
        self._control: Lane[tuple[HandledEvent | None, int]] | None = None
        self._control_size = 0
        self._media_chain = registry.chain(_ANY_MEDIA)
        self._media: Lane[tuple[StreamMedia, float]] | None = None  # from the first packet on
        self._media_ms = 0.0
        self._thread: CallThread | None = None  # from the first sync handler on
        # `start` handlers (and on_connect) that have not returned: media waits for them.
        self._starts_waiting = 0
        self._connected: anyio.Event | None = None  # set once on_connect has returned
        self._tools_running = 0
        self._tools_size = 0
        self._changed: anyio.Event | None = None
        self._dropped_media = 0
        self._reports: list[tuple[Event, Exception]] = []

    def start(self) -> None:
        """Begin with ``on_connect``, in the control lane."""
        if self._registry.on_connect is not None:
            self._connected = anyio.Event()
            self._hold_media()
            self._put_control(None, 0)

    @property
    def dropped_media(self) -> int:
        return self._dropped_media

    @property
    def abandoned_handlers(self) -> int:
        return 0 if self._thread is None else self._thread.abandoned

    @property
    def thread_is_awake(self) -> bool:
        return self._thread is not None and self._thread.is_awake

    @property
    def stats(self) -> LaneStats:
        """What waits now."""
        lane, thread = self._media, self._thread
        waiting = 0 if self._control is None else len(self._control.queue)
        return LaneStats(
            control_events=waiting,
            control_bytes=self._control_size,
            media_ms=(self._media_ms if lane is not None and lane.queue else 0.0)
            + (0.0 if thread is None else thread.media_ms),
            tools_running=self._tools_running,
        )

    @property
    def thread(self) -> CallThread:
        if self._thread is None:
            self._thread = CallThread(
                self._driver, self._handle_media_in_thread, self._thread_is_idle
            )
            self._thread.pause_media(self._starts_waiting > 0)
        return self._thread

    # -- feeding -------------------------------------------------------------------------------

    def put(self, event: HandledEvent, size: int) -> WebSocketError | None:
        """Route an event (no caller audio) whose message was ``size`` bytes.

        Gives why the call must end, if so.
        """
        if isinstance(event, ToolCall) and not self._registry.tool(event.name)[1]:
            return self._put_tool(event, size)
        waiting = 0 if self._control is None else len(self._control.queue)
        if (
            waiting >= self._limits.control_events
            or self._control_size + size > self._limits.control_events_bytes
        ):
            return WebSocketError(
                f"{waiting} events ({self._control_size} bytes) wait for handlers",
                hint="a handler blocks the control lane; start a task for long work",
            )
        if (
            self._control_is_idle
            and not isinstance(event, ToolCall)
            and not self._registry.chain(event).handlers
        ):
            return None  # nobody to run, and nobody to wait for
        if isinstance(event, StreamStart):
            self._hold_media()
        self._put_control(event, size)
        return None

    @property
    def _control_is_idle(self) -> bool:
        return self._control is None or self._control.is_idle

    def _put_control(self, event: HandledEvent | None, size: int) -> None:
        if self._control is None:
            self._control = Lane(
                self._driver,
                self._run_control,
                lambda item, error: self._report_late(item[0], error),
                self._notify,
                patience=self._timings.handler,
                stays=False,
            )
        self._control_size += size
        self._control.put((event, size))

    def _put_tool(self, event: ToolCall, size: int) -> WebSocketError | None:
        if (
            self._tools_running >= self._limits.max_tool_calls
            or self._tools_size + size > self._limits.control_events_bytes
        ):
            return WebSocketError(
                f"{self._tools_running} tools ({self._tools_size} bytes of calls) run already",
                hint="the platform calls tools faster than they return",
            )
        self._tools_running += 1
        self._tools_size += size
        self._driver.tasks.start_soon(self._run_tool_task, event, size)
        return None

    def _hold_media(self) -> None:
        self._starts_waiting += 1
        self._pause_media()

    def _pause_media(self) -> None:
        paused = self._starts_waiting > 0
        if self._media is not None:
            self._media.paused = paused
            self._media.wake()
        if self._thread is not None:
            self._thread.pause_media(paused)

    def put_media(self, event: StreamMedia) -> None:
        """Route caller audio; over ``Limits.media_lane_ms`` the oldest is dropped."""
        chain = self._media_chain
        if not chain.handlers:
            return
        stream = self._driver.conn.session.media_format
        content_type, rate = event.content_type, event.sample_rate
        if stream is not None:
            content_type = content_type or stream.content_type
            if rate == DEFAULT_RATE:  # what a packet shows that names none
                rate = stream.sample_rate
        # The rate and the size are the peer's word: no rate makes a megabyte short or a packet
        # longer than the lane (infinite, say, and sums would never recover), and an empty one
        # counts a millisecond.
        ms = audio_duration_ms(event.payload, content_type, min(rate, _HIGHEST_RATE))
        ms = min(max(ms, 1.0), self._limits.media_lane_ms)
        if chain.threaded:
            self._dropped_media += self.thread.put_media(event, ms, self._limits.media_lane_ms)
            return
        lane = self._media
        if lane is None:
            lane = self._media = Lane(
                self._driver,
                self._run_media,
                lambda item, error: self._report_late(item[0], error),
                self._notify,
                patience=self._timings.handler,
                stays=True,
            )
            lane.paused = self._starts_waiting > 0
        self._media_ms += ms
        while lane.queue and self._media_ms > self._limits.media_lane_ms:
            self._media_ms -= lane.queue.popleft()[1]
            self._dropped_media += 1
        lane.put((event, ms))

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
                await self._run_chain(self._registry.chain(event), event)
        finally:
            if event is None and self._connected is not None:
                self._connected.set()
            if event is None or isinstance(event, StreamStart):
                self._starts_waiting -= 1
                self._pause_media()

    async def _run_media(self, item: tuple[StreamMedia, float]) -> None:
        event, ms = item
        self._media_ms -= ms
        for function, threaded in self._media_chain.handlers:
            try:
                if threaded:
                    await self.thread.run(function, self._session, event)
                else:
                    await function(self._session, event)
            except BaseException as error:  # noqa: BLE001 - the barrier round a handler
                await self._caught(event, error)

    async def _run_chain(self, chain: Chain, event: HandledEvent) -> None:
        for function, threaded in chain.handlers:
            try:
                if threaded:
                    await self.thread.run(function, self._session, event)
                else:
                    await function(self._session, event)
            except BaseException as error:  # noqa: BLE001 - the barrier round a handler
                await self._caught(event, error)

    async def _run(self, handler: Handler, *arguments: Any) -> object:
        if handler.threaded:
            return await self.thread.run(handler.function, *arguments)
        result: object = await handler.function(*arguments)
        return result

    async def _run_life(self, handler: Handler | None) -> None:
        if handler is not None:
            try:
                await self._run(handler, self._session)
            except BaseException as error:  # noqa: BLE001 - the barrier round a handler
                await self._caught(None, error)

    def _handle_media_in_thread(self, event: StreamMedia) -> None:
        for function, _ in self._media_chain.handlers:
            try:
                result = function(self._session, event)
                if result is None or not inspect.isawaitable(result):
                    continue
                error = not_sync(function, result)
            except BaseException as raised:  # noqa: BLE001 - the barrier round a handler
                error = as_exception(raised)
            # Of one that was left to itself the deadline was reported: once is enough.
            if self.thread.is_handling(event):
                self._driver.post(functools.partial(self._report_soon, event, error))

    def _report_soon(self, event: Event, error: Exception) -> None:
        """Report from outside any task; one report at a time, as a lane's are."""
        if len(self._reports) >= _MAX_REPORTS:
            self._log(event, error)  # on_handler_error cannot follow
            return
        self._reports.append((event, error))
        if len(self._reports) == 1 and not self._driver.start_soon(self._work_off_reports):
            self._reports.clear()
            self._log(event, error)  # the call ended on the way here

    async def _work_off_reports(self) -> None:
        while self._reports:
            try:
                await self.report(*self._reports[0])
            finally:
                del self._reports[0]

    def _thread_is_idle(self) -> None:
        if self._changed is not None:
            self._driver.post(self._notify)

    async def _run_tool_task(self, event: ToolCall, size: int) -> None:
        try:
            if self._connected is not None:
                await self._connected.wait()
            await self._answer_tool(event)
        finally:
            self._tools_running -= 1
            self._tools_size -= size
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
                    result = await self._run(handler, self._session, event)
                elif self._registry.catch_all is None:
                    failure = "there is no such tool"
                    logger.warning("no handler for tool %r", event.name[:64], extra=self._about())
            if scope.cancelled_caught:
                failure = "the tool took too long"
                late = TimeoutError(f"tool {event.name[:64]!r} ran for {self._timings.tool_call} s")
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
                await self._run(self._registry.catch_all, self._session, event)
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
        try:
            if failure:
                session.send_tool_error(event.id, failure)
            elif result is not None:
                session.send_tool_result(event.id, result)
        except (SessionClosedError, SendQueueFull):
            pass  # the call is over, or is being ended for that

    # -- trouble -------------------------------------------------------------------------------

    async def _caught(self, event: Event | None, error: BaseException) -> None:
        """Report what a handler let out; our own cancellation and the process's end pass."""
        if (told := stopped(error)) is None:
            raise error
        await self.report(event, told)

    async def report(self, event: Event | None, error: Exception) -> None:
        """Tell ``on_handler_error`` (or the log); what that lets out is only logged."""
        handler = self._registry.on_handler_error
        if handler is None or isinstance(error, SessionClosedError):
            self._log(event, error)
            return
        try:
            with anyio.fail_after(self._timings.handler):
                await self._run(handler, self._session, event, error)
        except BaseException as failure:
            if (told := stopped(failure)) is None:
                raise
            logger.error("on_handler_error itself failed", exc_info=told, extra=self._about())

    def _log(self, event: Event | None, error: Exception) -> None:
        if isinstance(error, SessionClosedError):
            logger.debug("a handler lost the race with the end: %s", error, extra=self._about())
            return
        what = "on_connect, on_disconnect or a task" if event is None else type(event).__name__
        logger.error("handler of %s failed", what, exc_info=error, extra=self._about())

    async def _report_late(self, event: HandledEvent | None, error: Exception) -> None:
        if isinstance(event, ToolCall):  # an ordered one
            self._send_answer(event, None, "the tool took too long")
        await self.report(event, error)

    def deadline(self) -> float | None:
        """When to call check()."""
        due: float | None = None
        for lane in (self._control, self._media, self._thread):
            late = None if lane is None else lane.deadline()
            if late is not None and (due is None or late < due):
                due = late
        return due

    def check(self, now: float) -> None:
        """Cancel the handlers that have run for too long; leave a sync one to itself."""
        for lane in (self._control, self._media):
            if lane is not None:
                lane.check(now)
        if self._thread is not None and (event := self._thread.check(now)) is not None:
            error = TimeoutError(
                f"it ran for over {self._timings.handler} s and was left to itself"
            )
            self._driver.tasks.start_soon(self.report, event, error)

    # -- the end -------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until the control lane has caught up, at most ``Timings.end_grace``."""
        with anyio.move_on_after(self._timings.end_grace):
            while not self._control_is_idle:
                await self._wait_change()

    async def finish(self) -> None:
        """The call is over: the lanes run dry within their grace, then ``on_disconnect``, once."""
        await self.settle()
        if self._media is not None:
            self._media.queue.clear()
        if self._thread is not None:
            self._thread.end_media()
        # Before the first look: the thread tells of its end only whom it finds waiting.
        self._changed = anyio.Event()
        with anyio.move_on_after(self._timings.end_grace):
            while self._tools_running or self._media_is_running:
                await self._wait_change()
        if self._media is not None:
            self._media.leave()

    @property
    def _media_is_running(self) -> bool:
        return (self._media is not None and self._media.current is not None) or (
            self._thread is not None and self._thread.media_is_running
        )

    async def disconnect(self) -> None:
        """Run ``on_disconnect``, at most for ``Timings.handler``; then the thread ends, too."""
        if self._thread is not None:
            self._thread.leave_media()
        try:
            with anyio.fail_after(self._timings.handler):
                await self._run_life(self._registry.on_disconnect)
        except Exception as error:  # noqa: BLE001 - late, or what its cancellation left of it
            await self.report(None, error)
        finally:
            if self._thread is not None:
                self._thread.end()

    def let_go(self) -> None:
        """Nothing runs any more; see the driver's. A thread left to itself keeps what it needs."""
        self._control = self._media = None
        if not self.abandoned_handlers:
            self._thread = None

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
