"""Drives Plivo's side of one call over TCP: a :class:`PlatformCall` on a ``ClientConnection``.

A :class:`ScenarioRun` is both in one, and what its sockets do wrong besides.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable

import anyio
from anyio.abc import ByteStream

from plivo_anyio._carrier import Carrier, led_by
from plivo_anyio._dial import dial
from plivo_anyio._transport import StreamIO
from plivo_core import ClientConnection, Command, Ended, InvalidMessage, Rejected, Upgraded
from plivo_core.limits import DEFAULT_TIMINGS
from plivo_core.platform import (
    PlatformCall,
    PlatformEvent,
    Scenario,
    ScenarioResult,
    ScenarioRun,
)
from plivo_core.wire import Headers

__all__ = ["CallRun", "drive_scenario", "place_call", "run_scenario"]

_CONNECT = DEFAULT_TIMINGS.handshake
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
    ``on_received`` every command as it passes. Once ``hang_up`` is set the platform ends the call;
    one that was not answered yet, at once. Raises OSError when nobody listens there.
    """
    caller: _Caller | None = None
    ended: Ended | None = None
    unanswered = anyio.CancelScope()

    async def talk() -> None:
        nonlocal caller, ended
        with unanswered:
            async with await _connect(host, port, tls=tls) as stream:
                authority = f"{host}:{port}"
                caller = _Caller(
                    call, stream, authority, target, on_sent, on_received, headers=headers
                )
                ended = await caller.run()

    async def end(event: anyio.Event) -> None:
        await event.wait()
        if caller is None or not caller.hang_up():
            unanswered.cancel()

    await (talk() if hang_up is None else led_by(talk, functools.partial(end, hang_up)))
    if ended is None:  # hung up before it was answered
        call.receive_close(now=anyio.current_time())
        ended = Ended("local", 1006, "", "close", None)
    return ended


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
    await Carrier(run, StreamIO(stream)).run()
    return run.result


class CallRun:
    """A call on a connection, both without I/O, driven as a :class:`ScenarioRun` is.

    The call itself is not told of the end: whether it was over by then is the caller's to see.
    """

    reading = True

    def __init__(
        self,
        call: PlatformCall,
        conn: ClientConnection,
        on_sent: Callable[[PlatformEvent], None],
        on_received: Callable[[Command | InvalidMessage], None],
    ) -> None:
        self._call = call
        self._conn = conn
        self._on_sent = on_sent
        self._on_received = on_received
        self._started = False
        self._close_at: float | None = None
        self.rejected: Rejected | None = None
        """The answer to the upgrade, if it was another than 101."""
        self.ended: Ended | None = None
        """How it ended, once it has."""
        self.ended_at = 0.0

    @property
    def finished(self) -> bool:
        return self.ended is not None

    def receive_data(self, data: bytes, *, now: float) -> None:
        self._conn.receive_data(data, now=now)
        self._drain(now)

    def receive_eof(self, *, now: float) -> None:
        self._conn.receive_eof(now=now)
        self._drain(now)

    def send_failed(self, *, now: float) -> None:
        self._conn.send_failed(now=now)
        self._drain(now)

    def handle_timeout(self, *, now: float) -> None:
        self._drain(now)

    def hang_up(self, *, now: float) -> bool:
        """Somebody else ends the call. False: it was not answered yet, and nobody can be told."""
        if self._started:
            self._call.hang_up(now=now)
        return self._started

    def data_to_send(self) -> bytes:
        return self._conn.data_to_send()

    def next_action(self) -> None:
        """A call does nothing to its socket."""

    def deadline(self) -> float | None:
        waits = [self._conn.deadline(), self._close_at]
        if self._started:
            waits.append(self._call.deadline())
        return min((due for due in waits if due is not None), default=None)

    def _drain(self, now: float) -> None:
        """Pass on what either side has to say, and what the clock says to both."""
        conn, call = self._conn, self._call
        conn.handle_timeout(now=now)
        while (item := conn.next_event()) is not None:
            if isinstance(item, Upgraded):
                self._started = True
                call.start(now=now)
            elif isinstance(item, Rejected):
                self.rejected = item
            elif isinstance(item, Ended):
                self.ended, self.ended_at = item, now
            else:
                self._on_received(item)
                call.receive_command(item, now=now)
        if self.ended is not None or not self._started:
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


class _Caller:
    """A call over a stream; the stream stays open."""

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
        conn = ClientConnection(
            host=host,
            target=target,
            headers=headers,
            random_bytes=secrets.token_bytes,
            now=anyio.current_time(),
        )
        self._call = call
        self._run = CallRun(call, conn, on_sent, on_received)
        self._carrier = Carrier(self._run, StreamIO(stream))

    async def run(self) -> Ended:
        run = self._run
        await self._carrier.run()
        assert run.ended is not None
        self._call.receive_close(run.ended.code, now=run.ended_at)
        return run.ended

    def hang_up(self) -> bool:
        """The platform ends the call. False: it is not answered yet."""
        answered = self._run.hang_up(now=anyio.current_time())
        self._carrier.wake()
        return answered
