"""Drives Plivo's side of one call over TCP: a :class:`PlatformCall` on a ``ClientConnection``.

A :class:`ScenarioRun` is both in one, and what its sockets do wrong besides.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import anyio
from anyio.abc import ByteStream

from plivo_anyio._dial import dial
from plivo_anyio._transport import StreamIO, TransportLost
from plivo_core import ClientConnection, Command, Ended, InvalidMessage, Rejected, Upgraded
from plivo_core.limits import DEFAULT_LIMITS, DEFAULT_TIMINGS
from plivo_core.platform import (
    PlatformCall,
    PlatformEvent,
    Scenario,
    ScenarioResult,
    ScenarioRun,
    SocketAction,
)
from plivo_core.wire import Headers

__all__ = ["drive_scenario", "place_call", "run_scenario"]

_READ = DEFAULT_LIMITS.read_size
_CONNECT = DEFAULT_TIMINGS.handshake
_WRITE = DEFAULT_TIMINGS.write
_CLOSE_GRACE = 1.0  # seconds for the application to close after the call is over, then we do


async def place_call(
    call: PlatformCall,
    host: str,
    port: int,
    *,
    target: str = "/",
    headers: Headers = (),
    tls: bool = False,
    hang_up: anyio.Event | None = None,
    on_sent: Callable[[PlatformEvent], None] = lambda event: None,
    on_received: Callable[[Command | InvalidMessage], None] = lambda command: None,
) -> Ended:
    """Play ``call`` against the application at ``ws://host:port{target}``; how it ended.

    ``headers`` go with the upgrade, which ``tls`` makes wss. ``on_sent`` sees every event,
    ``on_received`` every command as it passes. Once ``hang_up`` is set the platform ends the call.
    Raises OSError when nobody listens there.
    """
    async with await _connect(host, port, tls=tls) as stream:
        caller = _Caller(
            call, stream, f"{host}:{port}", target, on_sent, on_received, headers=headers
        )
        if hang_up is None:
            return await caller.run()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.hang_up_after, hang_up)
            await caller.run()
            tasks.cancel_scope.cancel()
        return caller.outcome


async def _connect(host: str, port: int, *, tls: bool = False) -> ByteStream:
    with anyio.fail_after(_CONNECT):  # TimeoutError is an OSError
        return await dial(host, port, tls=tls)


async def run_scenario(
    scenario: Scenario,
    host: str,
    port: int,
    *,
    target: str = "/",
    on_sent: Callable[[PlatformEvent], None] = lambda event: None,
    on_received: Callable[[Command | InvalidMessage], None] = lambda command: None,
) -> ScenarioResult:
    """Play ``scenario``, in real time, against the application at ``ws://host:port{target}``.

    ``on_sent`` and ``on_received`` are those of :func:`place_call`. Raises OSError when nobody
    listens there; everything else that can go wrong is in the result.
    """
    async with await _connect(host, port) as stream:
        run = ScenarioRun(
            scenario,
            random_bytes=secrets.token_bytes,
            now=anyio.current_time(),
            host=f"{host}:{port}",
            target=target,
            on_sent=on_sent,
            on_received=on_received,
        )
        return await drive_scenario(run, stream)


async def drive_scenario(run: ScenarioRun, stream: ByteStream) -> ScenarioResult:
    """Drive ``run`` over a stream that is connected; it is left open, unless the script drops it.

    The clock is the event loop's, be it real or one of a test.
    """
    transport = StreamIO(stream)
    while True:
        while data := run.data_to_send():
            try:
                with anyio.fail_after(_WRITE):
                    await transport.send(data)
            except (TransportLost, TimeoutError):
                run.send_failed(now=anyio.current_time())
        if (action := run.next_action()) is not None:
            if action is SocketAction.DROP:
                await transport.aclose()
            else:
                await transport.send_eof()
            continue
        if run.finished:
            return run.result
        due = run.deadline()
        with anyio.CancelScope(deadline=float("inf") if due is None else due):
            if not run.reading:
                await anyio.sleep_forever()
            elif data := await transport.receive(_READ):
                run.receive_data(data, now=anyio.current_time())
            else:
                run.receive_eof(now=anyio.current_time())
        run.handle_timeout(now=anyio.current_time())


class _Caller:
    def __init__(
        self,
        call: PlatformCall,
        stream: ByteStream,
        host: str,
        target: str,
        on_sent: Callable[[PlatformEvent], None],
        on_received: Callable[[Command | InvalidMessage], None],
        *,
        headers: Headers = (),
    ) -> None:
        self._call = call
        self._transport = StreamIO(stream)
        self._on_sent = on_sent
        self._on_received = on_received
        self._conn = ClientConnection(
            host=host,
            target=target,
            headers=headers,
            random_bytes=secrets.token_bytes,
            now=anyio.current_time(),
        )
        self._waiting: anyio.CancelScope | None = None
        self._started = False
        self._close_at: float | None = None
        self._ended: Ended | None = None

    @property
    def outcome(self) -> Ended:
        """How it ended, once it has."""
        assert self._ended is not None
        return self._ended

    async def run(self) -> Ended:
        conn = self._conn
        while True:
            self._drain(anyio.current_time())
            while data := conn.data_to_send():
                await self._send(data)
                self._drain(anyio.current_time())
            if self._ended is not None:
                return self._ended
            with anyio.CancelScope(deadline=self._due()) as self._waiting:
                data = await self._transport.receive(conn.limits.read_size)
                if data:
                    conn.receive_data(data, now=anyio.current_time())
                else:
                    conn.receive_eof(now=anyio.current_time())

    async def hang_up_after(self, event: anyio.Event) -> None:
        """The platform ends the call."""
        await event.wait()
        now = anyio.current_time()
        if self._started:
            self._call.hang_up(now=now)
        else:
            self._conn.close(now=now)
        if self._waiting is not None:
            self._waiting.cancel()

    async def _send(self, data: bytes) -> None:
        try:
            with anyio.fail_after(self._conn.timings.write):
                await self._transport.send(data)
        except (TransportLost, TimeoutError):
            self._conn.send_failed(now=anyio.current_time())

    def _drain(self, now: float) -> None:
        """Pass on what either side has to say, and what the clock says to both."""
        conn, call = self._conn, self._call
        conn.handle_timeout(now=now)
        while (item := conn.next_event()) is not None:
            if isinstance(item, Upgraded):
                self._started = True
                call.start(now=now)
            elif isinstance(item, Ended):
                self._ended = item
                call.receive_close(item.code, now=now)
            elif not isinstance(item, Rejected):  # its Ended says it all
                self._on_received(item)
                call.receive_command(item, now=now)
        if self._ended is not None:
            return
        if not self._started:
            return
        call.handle_timeout(now=now)
        while (event := call.next_event()) is not None:
            self._on_sent(event)
            conn.send(event, now=now)
        if call.finished:
            if self._close_at is None:
                self._close_at = now + _CLOSE_GRACE
            elif now >= self._close_at:
                conn.close(now=now)
                self._close_at = float("inf")

    def _due(self) -> float:
        waits = (self._conn.deadline(), self._call.deadline(), self._close_at)
        return min((due for due in waits if due is not None), default=float("inf"))
