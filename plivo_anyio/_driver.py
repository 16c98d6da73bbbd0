"""Drives one connection: the core's contract (input, drain, wait) over a transport.

The transport hands over what came and pulls what leaves, the lanes run handlers, one task keeps the
time and the order at the end. Each touches the core without awaiting. No decision about the
protocol is made here.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup

from plivo_anyio._backend import Backend
from plivo_anyio._background import Background
from plivo_anyio._conditions import Conditions
from plivo_anyio._connection import Connection
from plivo_anyio._lanes import Lanes
from plivo_anyio._session import CallSession
from plivo_anyio._site import Answers, Site
from plivo_anyio._stats import LaneStats
from plivo_anyio._transport import Transport, TransportLost
from plivo_anyio._turnstile import Turnstile
from plivo_anyio._waits import Waiters
from plivo_core import (
    Command,
    Ended,
    Event,
    Interrupted,
    PlivoError,
    RequestReceived,
    Response,
    SessionClosedError,
)
from plivo_core.events import StreamMedia

__all__ = ["Driver"]

Pending = Callable[[], Awaitable[None]]


class Driver:
    """One connection. :meth:`run` returns when it is over and the handlers are done.

    The lock is for handlers in threads: whoever touches the core holds it, and nobody awaits or
    blocks while holding it.
    """

    __slots__ = (  # not for speed: beyond 30 names CPython makes a dictionary per call
        "_answers",
        "_armed",
        "_at_eof",
        "_background",
        "_ended",
        "_failure",
        "_farewell",
        "_lanes",
        "_main",
        "_on_request",
        "_over",
        "_peer",
        "_pending",
        "_posted",
        "_refusal",
        "_session",
        "_site",
        "_tally",
        "_tasks",
        "_thread",
        "_timer",
        "_transport",
        "_waking",
        "backend",
        "clock",
        "conditions",
        "conn",
        "lock",
        "turnstile",
        "waiters",
    )

    def __init__(
        self,
        transport: Transport,
        conn: Connection,
        *,
        site: Site,
        on_request: Callable[[], None],
        backend: Backend,
        refusal: Response | None = None,
        peer: str | None = None,
        turnstile: Turnstile | None = None,
        answers: Answers | None = None,
    ) -> None:
        self._transport = transport
        self._peer = peer
        self.conn = conn
        self._refusal = refusal  # the answer, whatever the request may be
        self._site = site
        self._answers = answers  # in place of the site, which then only counts
        self._on_request = on_request
        self.backend = backend
        self.turnstile = turnstile  # for the thread of this call's handlers
        self.clock = self.backend.clock
        self.lock = threading.RLock()
        self._thread = threading.get_ident()
        self._session: CallSession | None = None
        self._lanes: Lanes | None = None
        self._tally = 0, 0  # of the lanes that are no more
        self._background: Background | None = None
        self.waiters = Waiters()
        self.conditions = Conditions(self.lock)
        self._tasks: TaskGroup | None = None
        self._main = self.backend.parker()
        self._pending: Pending | None = None  # what must be awaited before more is pulled
        self._timer: anyio.CancelScope | None = None
        self._armed = float("inf")
        self._at_eof = False
        self._ended: Ended | None = None
        self._failure: BaseException | None = None
        self._over = False  # the task group has ended, or is about to
        self._farewell = (1001, "server shutting down")
        self._waking = False  # a wake-up of the loop is on its way
        self._posted: list[Callable[[], object]] = []

    @property
    def lanes(self) -> Lanes:
        assert self._lanes is not None
        return self._lanes

    @property
    def dropped_media(self) -> int:
        return self._tally[0] if self._lanes is None else self._lanes.dropped_media

    @property
    def abandoned_handlers(self) -> int:
        return self._tally[1] if self._lanes is None else self._lanes.abandoned_handlers

    @property
    def thread_is_awake(self) -> bool:
        """Whether sync handlers are at work: a clock of a test's must not go on meanwhile."""
        return self._lanes is not None and self._lanes.thread_is_awake

    @property
    def lane_stats(self) -> LaneStats:
        return LaneStats() if self._lanes is None else self._lanes.stats

    @property
    def background(self) -> Background:
        if self._background is None:
            raise SessionClosedError("the call is over: no task of it can start")
        return self._background

    @property
    def tasks(self) -> TaskGroup:
        assert self._tasks is not None
        return self._tasks

    # -- what a session asks, from any thread --------------------------------------------------

    def send(self, command: Command, now: float | None) -> None:
        with self.lock:
            try:
                self.conn.send(command, now=self.clock() if now is None else now)
            finally:
                self._flush_from_anywhere()

    def interrupt(self) -> Interrupted:
        with self.lock:
            try:
                return self.conn.session.interrupt(now=self.clock())
            finally:
                self._flush_from_anywhere()

    def close(self, code: int, reason: str) -> None:
        with self.lock:
            self.conn.close(code, reason, now=self.clock())
            self._flush_from_anywhere()

    def end_call(self) -> None:
        with self.lock:
            try:
                self.conn.session.end_call(now=self.clock())
            finally:
                self._flush_from_anywhere()

    def fail(self, code: int, reason: str, error: PlivoError) -> None:
        """End the call for what the application did; the error is told by ``session.ended``."""
        with self.lock:
            self.conn.session.fail(code, reason, error, now=self.clock())
            self._flush_from_anywhere()

    def post(self, function: Callable[[], object]) -> None:
        """Have the loop run ``function``; one wake-up for all that comes meanwhile."""
        with self.lock:
            self._posted.append(function)
            self._wake()

    def _flush_from_anywhere(self) -> None:
        if threading.get_ident() == self._thread:
            self._transport.flush()
            if self._transport.blocked_since is not None:
                self._rearm(self.clock())
            if self.conditions:
                self.conditions.look()
        else:
            self._wake()

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            self.backend.call_soon(self._woken)

    def _woken(self) -> None:
        with self.lock:
            self._waking = False
            self._flush_from_anywhere()
            if not self._posted:
                return
            posted, self._posted = self._posted, []
        for function in posted:
            try:
                function()
            except Exception as error:  # noqa: BLE001 - the loop, and other calls, go on
                self._fail(error)

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> bool:
        """Start a task of the call. False: its tasks are over, nothing was started.

        For what a thread posted, or a callback of the loop found: the call may end on its way here.
        """
        if self._tasks is None or self._over:
            return False
        self._tasks.start_soon(function, *args)
        return True

    # -- what the transport tells --------------------------------------------------------------

    def received(self, data: Any) -> None:
        try:
            with self.lock:
                now = self.clock()
                self.conn.receive_data(data, now=now)
                self._drain(now)
        except BaseException as error:  # noqa: BLE001 - the main task raises it
            self._fail(error)

    def received_eof(self) -> None:
        try:
            with self.lock:
                now = self.clock()
                self._at_eof = True
                self.conn.receive_eof(now=now)
                self._drain(now)
                self._main.unpark()
        except BaseException as error:  # noqa: BLE001 - the main task raises it
            self._fail(error)

    def pull(self) -> Any:
        with self.lock:
            if self._transport.blocked_since is not None:
                self.conn.session.now = self.clock()  # what leaves plays from now on
            data = self.conn.data_to_send()
            if self.conditions and data:
                self.conditions.look()  # there is room
            return data

    def pulled(self) -> None:
        if self.conn.session.stalled_since is not None:
            self._rearm_now()  # else the time of what is left would begin with the next input

    def writable(self) -> None:
        with self.lock:
            self.conn.session.now = self.clock()  # what leaves plays from now on
            self._transport.flush()
            self._rearm_now()

    def all_sent(self) -> None:
        if self._ended is not None:
            self._main.unpark()
        elif self.conn.session.closing is not None:
            self._rearm_now()  # a Close that went out is waited for

    def send_failed(self) -> None:
        with self.lock:
            now = self.clock()
            self.conn.send_failed(now=now)
            self._drain(now)
            self._main.unpark()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._main.unpark()

    # -- the main task -------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection to its end. Raises nothing a peer or a handler did."""
        try:
            async with anyio.create_task_group() as self._tasks:
                self._transport.start(self, self._tasks)
                if (refusal := self._refusal) is not None:
                    self._refuse(refusal)
                await self._keep_time()
                await self._flush_rest()
                await self._close_transport()
                if self._lanes is not None:
                    await self._lanes.finish()
                    await self.background.finish()
                self._over = True
                self._tasks.cancel_scope.cancel()
        except Exception:
            self._farewell = (1011, "internal error")
            raise
        finally:
            self._over = True
            with anyio.CancelScope(shield=True):
                await self._say_goodbye()
                await self._transport.aclose()
                if self._session is not None:
                    self._session.ended = self._ended
                    self.waiters.end()
                    with self.lock:
                        self.conditions.look()
                    self.background.end()
                    try:
                        await self.lanes.disconnect()
                    finally:
                        self._site.counters.abandoned_handlers += self.abandoned_handlers
                        self._site.ended(self._session)
                self._let_go()

    def _let_go(self) -> None:
        """Cut the circles between the parts of a call that is over.

        Python would find them, but late: a server with a hundred thousand objects of its own keeps
        hundreds of ended calls until then, and its memory never quite comes back.
        """
        if (lanes := self._lanes) is not None:
            self._tally = lanes.dropped_media, lanes.abandoned_handlers
            lanes.let_go()
        self._lanes = self._session = self._background = None
        self._tasks = self._timer = self._pending = None

    def _refuse(self, answer: Response) -> None:
        with self.lock:
            now = self.clock()
            self.conn.reject(answer.status, headers=answer.headers, body=answer.body, now=now)
            self._drain(now)

    async def _keep_time(self) -> None:
        """Wait for timers, and for what must be awaited between two events, until the end."""
        while self._ended is None:
            if self._failure is not None:
                raise self._failure
            if self._pending is not None:
                await self._pending()
                self._resume()
                continue
            with self.lock:
                self._armed = self._due()
            with anyio.CancelScope(deadline=self._armed) as self._timer:
                await self._main.park()
            if self._timer.cancelled_caught:
                self._time_is_up()
            self._timer = None  # no deadline of the core cuts what is awaited here short

    def _resume(self) -> None:
        with self.lock:
            self._pending = None
            self._drain(self.clock())
            if self._pending is None:
                self._transport.resume_reading()

    def _time_is_up(self) -> None:
        with self.lock:
            now = self.clock()
            self.conn.handle_timeout(now=now)
            if self._lanes is not None:
                self._lanes.check(now)
            # A clock may end a call, too: what its last handlers say leaves first.
            if self.conn.session.finishing:
                self._wait_for(self._settle)
            else:
                self._drain(now)

    def _drain(self, now: float) -> None:
        """Hand out events until there are no more, or until one must be waited for."""
        conn = self.conn
        while self._pending is None and (event := conn.next_event()) is not None:
            if type(event) is StreamMedia:  # nearly all of them, and nothing ends with one
                if self.waiters:
                    self.waiters.observe(event)
                self.lanes.put_media(event)
            else:
                self._take(event)
        if self._ended is not None or conn.wants_to_send:
            self._transport.flush()
        self._rearm(now)
        if self.conditions:
            self.conditions.look()

    def _take(self, event: RequestReceived | Event) -> None:
        if isinstance(event, RequestReceived):
            self._wait_for(functools.partial(self._answer, event))
        elif isinstance(event, Ended):
            self._ended = event
            if self._session is not None:
                self._session.ended = event
                self.waiters.end()
                self.background.end()
            self._main.unpark()
        else:
            if self.waiters:
                self.waiters.observe(event)
            error = self.lanes.put(event, self.conn.message_size)
            if error is not None:
                self.fail(1008, "handlers too slow", error)
                self.start_soon(self.lanes.report, event, error)
            elif self.conn.session.finishing:
                # The next pull ends the call; what its last handlers say must leave first.
                self._wait_for(self._settle)

    def _wait_for(self, pending: Pending) -> None:
        self._pending = pending
        self._transport.pause_reading()
        self._main.unpark()

    async def _settle(self) -> None:
        self.waiters.end()  # no event comes any more: a handler that waits would only hold us up
        await self.lanes.settle()

    async def _answer(self, event: RequestReceived) -> None:
        self._on_request()
        conn = self.conn
        verdict = await (self._answers or self._site.answer)(event, self._peer)
        try:
            with self.lock:
                if isinstance(verdict, Response):
                    conn.respond(verdict, now=self.clock())
                    return
                conn.accept(verdict.headers, now=self.clock())
        except SessionClosedError:
            return  # the peer was faster; its end is an event of its own
        self._session = CallSession(self, event.request)
        self._lanes = Lanes(self, self._session, verdict.registry)
        self._background = Background(
            self.tasks,
            functools.partial(self._lanes.report, None),
            grace=conn.timings.end_grace,
        )
        self._site.began(self._session)
        self._lanes.start()

    # -- the end -------------------------------------------------------------------------------

    async def _flush_rest(self) -> None:
        """Let the last bytes leave.

        What is being written counts from when that began: a peer that reads nothing has had its
        time when the core gives it up.
        """
        began = self._transport.blocked_since
        began = self.clock() if began is None else began
        with anyio.CancelScope(deadline=began + self.conn.timings.write):
            while not (self._transport.lost or self._is_flushed):
                await self._main.park()

    @property
    def _is_flushed(self) -> bool:
        return self.conn.should_close_transport and self._transport.blocked_since is None

    async def _close_transport(self) -> None:
        """Half-close, let the peer finish for ``linger`` seconds, close: no RST eats our Close."""
        if self._is_flushed and self.conn.linger > 0:
            self._transport.resume_reading()
            with anyio.move_on_after(self.conn.linger):
                await self._transport.send_eof()
                while not self._at_eof:
                    await self._main.park()
        await self._transport.aclose()

    async def _say_goodbye(self) -> None:
        """Cut off in mid-call (a shutdown): one attempt at a Close frame, 1 s at most."""
        if self._ended is not None or self._session is None:
            return
        self._transport.pause_reading()  # what comes would find no task that handles it
        now = self.clock()
        with self.lock:
            self.conn.close(*self._farewell, now=now)
        if self._transport.blocked_since is None:  # else a frame was cut in two: no Close fits
            with anyio.move_on_after(1):
                try:
                    while data := self.pull():
                        await self._transport.send_last(data)
                except TransportLost:
                    pass
        with self.lock:
            self.conn.receive_eof(now=now)
            while (event := self.conn.next_event()) is not None:
                if isinstance(event, Ended):
                    self._ended = event

    # -- timers --------------------------------------------------------------------------------

    def _due(self) -> float:
        due = self.conn.deadline()
        if self._lanes is not None and (late := self._lanes.deadline()) is not None:
            due = late if due is None else min(due, late)
        return float("inf") if due is None else due

    def _rearm_now(self) -> None:
        with self.lock:
            self._rearm(self.clock())

    def _rearm(self, now: float) -> None:
        """Move the timer only if it would be late: early is harmless, re-arming is dear."""
        timer = self._timer
        if timer is None:
            return
        armed = self._armed
        # A handler that begins now is late after Timings.handler: a timer that rings before that
        # needs no look at the lanes, and that is nearly always so.
        late_enough = armed <= now + self.conn.timings.handler
        due = self.conn.deadline() if late_enough else self._due()
        if due is not None and due < armed:
            self._armed = timer.deadline = due
