"""Drives one connection: the core's contract (input, drain, wait) over a transport.

One task reads, one task writes, the lanes run handlers. Each touches the core without awaiting and
then awaits exactly one thing. No decision about the protocol is made here.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from plivo_anyio._lanes import Lanes
from plivo_anyio._session import CallSession
from plivo_anyio._site import Site
from plivo_anyio._transport import Transport, TransportLost
from plivo_core import (
    Command,
    Ended,
    Limits,
    RequestReceived,
    Response,
    ServerConnection,
    SessionClosedError,
    Timings,
)

__all__ = ["Driver"]

Pending = Callable[[], Awaitable[None]]


class Driver:
    """One TCP connection. :meth:`run` returns when it is over and the handlers are done."""

    def __init__(
        self,
        transport: Transport,
        *,
        site: Site,
        limits: Limits,
        timings: Timings,
        accepted_at: float,
        on_request: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._site = site
        self._on_request = on_request
        self.conn = ServerConnection(now=accepted_at, limits=limits, timings=timings)
        self._session: CallSession | None = None
        self._lanes: Lanes | None = None
        self._tasks: TaskGroup | None = None
        self._timer: anyio.CancelScope | None = None
        self._output = anyio.Event()
        self._sending_since: float | None = None  # while a write is under way
        self._flushed = anyio.Event()
        self._ended: Ended | None = None
        self._farewell = (1001, "server shutting down")

    @property
    def lanes(self) -> Lanes:
        assert self._lanes is not None
        return self._lanes

    # -- what a session asks -------------------------------------------------------------------

    def send(self, command: Command, now: float | None) -> None:
        if now is None:
            now = anyio.current_time()
        try:
            self.conn.send(command, now=now)
        finally:
            self._wake_writer(now)

    def close(self, code: int, reason: str) -> None:
        now = anyio.current_time()
        self.conn.close(code, reason, now=now)
        self._wake_writer(now)

    # -- tasks ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection to its end. Raises nothing a peer or a handler did."""
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._write)
                await self._read()
                # What is being written counts from when that began: a peer that reads nothing has
                # had its time when the core gives it up.
                began = self._sending_since
                began = anyio.current_time() if began is None else began
                with anyio.CancelScope(deadline=began + self.conn.timings.write):
                    await self._flushed.wait()
                await self._close_transport()
                if self._lanes is not None:
                    await self._lanes.finish()
                self._tasks.cancel_scope.cancel()
        except Exception:
            self._farewell = (1011, "internal error")
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._say_goodbye()
                await self._transport.aclose()
                if self._session is not None:
                    self._session.ended = self._ended
                    try:
                        await self.lanes.disconnect()
                    finally:
                        self._site.ended(self._session)

    async def _read(self) -> None:
        """Feed the core until it told the end."""
        conn, receive, size = self.conn, self._transport.receive, self.conn.limits.read_size
        at_eof = False
        while self._ended is None:
            pending: Pending | None = None
            with anyio.CancelScope(deadline=self._due()) as self._timer:
                while pending is None and self._ended is None:
                    if at_eof:
                        await anyio.sleep_forever()
                    data = await receive(size)
                    now = anyio.current_time()
                    if data:
                        conn.receive_data(data, now=now)
                    else:
                        at_eof = True
                        conn.receive_eof(now=now)
                    pending = self._drain()
                    self._rearm(now)
            if self._timer.cancelled_caught:
                now = anyio.current_time()
                conn.handle_timeout(now=now)
                if self._lanes is not None:
                    self._lanes.check(now)
                # A clock may end a call, too: what its last handlers say leaves first.
                pending = self.lanes.settle if conn.session.finishing else self._drain()
            self._timer = None  # no deadline of the core cuts what is awaited here short
            while pending is not None:
                await pending()
                pending = self._drain()

    def _drain(self) -> Pending | None:
        """Hand out events until there are no more, or until one must be waited for."""
        conn = self.conn
        while (event := conn.next_event()) is not None:
            if isinstance(event, RequestReceived):
                return functools.partial(self._answer, event)
            if isinstance(event, Ended):
                self._ended = event
                if self._session is not None:
                    self._session.ended = event
                continue
            error = self.lanes.put(event, conn.message_size)
            if error is not None:
                assert self._tasks is not None
                conn.session.fail(1008, "handlers too slow", error, now=anyio.current_time())
                self._tasks.start_soon(self.lanes.report, event, error)
            elif conn.session.finishing:
                # The next pull ends the call; what its last handlers say must leave first.
                return self.lanes.settle
        if conn.wants_to_send or self._ended is not None:
            self._output.set()
        return None

    async def _answer(self, event: RequestReceived) -> None:
        self._on_request()
        conn = self.conn
        verdict = await self._site.answer(event)
        now = anyio.current_time()
        try:
            if isinstance(verdict, Response):
                conn.respond(verdict, now=now)
                return
            conn.accept(verdict.headers, now=now)
        except SessionClosedError:
            return  # the peer was faster; its end is an event of its own
        assert self._tasks is not None
        self._session = CallSession(self, event.request)
        self._lanes = Lanes(
            registry=verdict.registry,
            session=self._session,
            limits=conn.limits,
            timings=conn.timings,
        )
        self._site.began(self._session)
        self._lanes.start(self._tasks)

    async def _write(self) -> None:
        """Write what the core gives, as the transport takes it: what it holds nothing overtakes."""
        conn, send = self.conn, self._transport.send
        while True:
            while data := conn.data_to_send():
                self._sending_since = anyio.current_time()
                try:
                    await send(data)
                except TransportLost:
                    conn.send_failed(now=anyio.current_time())
                    self._flushed.set()
                    self._wake_reader()
                    return
            if conn.should_close_transport:
                self._flushed.set()
                return
            self._sending_since = None
            self._rearm(anyio.current_time())  # a Close that went out is waited for
            await self._output.wait()
            self._output = anyio.Event()

    # -- the end -------------------------------------------------------------------------------

    async def _close_transport(self) -> None:
        """Half-close, let the peer finish for ``linger`` seconds, close: no RST eats our Close."""
        if self._flushed.is_set() and self.conn.linger > 0:
            with anyio.move_on_after(self.conn.linger):
                await self._transport.send_eof()
                while await self._transport.receive(self.conn.limits.read_size):
                    pass
        await self._transport.aclose()

    async def _say_goodbye(self) -> None:
        """Cut off in mid-call (a shutdown): one attempt at a Close frame, 1 s at most."""
        if self._ended is not None or self._session is None:
            return
        now = anyio.current_time()
        self.conn.close(*self._farewell, now=now)
        if self._sending_since is None:  # else a frame was cut in two: no Close fits behind it
            with anyio.move_on_after(1):
                try:
                    while data := self.conn.data_to_send():
                        await self._transport.send(data)
                except TransportLost:
                    pass
        self.conn.receive_eof(now=now)
        while (event := self.conn.next_event()) is not None:
            if isinstance(event, Ended):
                self._ended = event

    # -- timers and wake-ups -------------------------------------------------------------------

    def _due(self) -> float:
        due = self.conn.deadline()
        if self._lanes is not None and (late := self._lanes.deadline()) is not None:
            due = late if due is None else min(due, late)
        return float("inf") if due is None else due

    def _rearm(self, now: float) -> None:
        """Move the timer only if it would be late: early is harmless, re-arming is dear."""
        timer = self._timer
        if timer is None:
            return
        armed = timer.deadline
        # A handler that begins now is late after Timings.handler: a timer that rings before that
        # needs no look at the lanes, and that is nearly always so.
        late_enough = armed <= now + self.conn.timings.handler
        due = self.conn.deadline() if late_enough else self._due()
        if due is not None and due < armed:
            timer.deadline = due

    def _wake_writer(self, now: float) -> None:
        self._output.set()
        self._rearm(now)

    def _wake_reader(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
