"""Bytes <-> typed events and commands: one object per TCP connection, for either end of a call.

:class:`ServerConnection` is the application's end (Plivo connects to us), :class:`ClientConnection`
Plivo's, for simulators and tests. Both keep the core's one contract, after *each* input::

    while (event := conn.next_event()) is not None: ...   # react: conn.session.speak("hello")
    while data := conn.data_to_send(): ...                # write it, unless the transport is full
    if conn.should_close_transport: ...                   # half-close, read on, close
    conn.deadline()                                       # wait no longer than this

Take bytes only when they can be written: what the transport holds, no later command can overtake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from plivo_core.codec import Codec, codec_for
from plivo_core.commands import Command, parse_command
from plivo_core.errors import LocalProtocolError
from plivo_core.events import (
    AgentEvent,
    Ended,
    Event,
    InvalidMessage,
    StreamEvent,
    UnknownEvent,
    serialize_event,
)
from plivo_core.limits import Limits, Timings
from plivo_core.session import Session
from plivo_core.wire import (
    Headers,
    Rejected,
    Request,
    RequestReceived,
    Response,
    Upgraded,
    WebSocket,
    WebSocketClient,
    WebSocketServer,
    WireClosed,
)

__all__ = ["ClientConnection", "ClientEvent", "ServerConnection", "ServerEvent"]

ServerEvent: TypeAlias = "RequestReceived | Event"
ClientEvent: TypeAlias = "Upgraded | Rejected | Command | InvalidMessage | Ended"


class ServerConnection:
    """The application's end of one TCP connection: HTTP/1.1 first, then, after accept(), a call.

    ``now`` is the moment of ``accept``; all times are seconds on one monotonic clock of the
    driver's choice. Input methods never raise for what a peer did.
    """

    __slots__ = (
        "__weakref__",
        "_accepted_at",
        "_clock",
        "_wire",
        "_ws",
        "limits",
        "message_size",
        "request",
        "session",
        "timings",
    )

    def __init__(
        self,
        *,
        now: float,
        limits: Limits | None = None,
        timings: Timings | None = None,
        codec: Codec | None = None,
    ) -> None:
        self._wire = WebSocketServer(now=now, limits=limits, timings=timings)
        self._ws: WebSocket | None = None  # from accept() on, asked without the detour
        self._clock = self._wire.clock
        self.limits = self._wire.limits
        self.timings = self._wire.timings
        self.session = Session(now=now, limits=self.limits, timings=self.timings, codec=codec)
        self.request: Request | None = None
        """The request, from RequestReceived on."""
        self._accepted_at = now
        self.message_size = 0
        """Bytes (or characters, for text) of the message that gave the last event."""

    # -- input ---------------------------------------------------------------------------------

    def receive_data(self, data: bytes | bytearray | memoryview, *, now: float) -> None:
        """Bytes from the peer, cut anywhere; ignored after the end."""
        self.session.now = now
        if self._ws is None:
            self._wire.receive_data(data, now=now)
        else:
            self._clock.now = now
            self._ws.feed(data)

    def receive_eof(self, *, now: float) -> None:
        """The peer will send nothing more. Idempotent."""
        self.session.now = now
        self._wire.receive_eof(now=now)

    def send_failed(self, *, now: float) -> None:
        """The bytes last taken never left: the transport is dead. Ended follows."""
        self.session.now = now
        self._wire.send_failed(now=now)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due: keepalive, time-outs, expired tool calls. Harmless if early."""
        self._wire.handle_timeout(now=now)
        self.session.handle_timeout(now=now)
        stalled = self._stalled_at()
        if self._ws is not None and stalled is not None and now >= stalled:
            self._ws.stall()

    def accept(self, headers: Headers = (), *, now: float) -> None:
        """Answer an upgrade with 101, plus ``headers``; events of the call follow.

        Raises LocalProtocolError when no upgrade waits, SessionClosedError when the peer left.
        """
        self.session.now = now
        self._wire.accept(headers, now=now)
        self._ws = self._wire.websocket
        self._accepted_at = now

    def reject(
        self, status: int = 403, *, headers: Headers = (), body: bytes = b"", now: float
    ) -> None:
        """Refuse the request, or (with 503, say) a connection whose request is not even there."""
        self.session.now = now
        self._wire.reject(status, headers=headers, body=body, now=now)

    def respond(self, response: Response, *, now: float) -> None:
        """Answer a plain request; the connection closes behind it (no keep-alive)."""
        self.session.now = now
        self._wire.respond(response, now=now)

    def send(self, command: Command, *, now: float) -> None:
        """Queue a command; see :meth:`Session.send` for what it raises."""
        self._clock.now = now
        if self._ws is None and not self._wire.closed:
            raise LocalProtocolError("no call yet", hint="accept() the upgrade first")
        self.session.send(command, now=now)

    def close(self, code: int = 1000, reason: str = "", *, now: float) -> None:
        """End the call from our side: flush what is queued, then Close. Idempotent."""
        self._clock.now = now
        if self._ws is None:
            self._wire.close(code, reason, now=now)
        else:
            self.session.close(code, reason, now=now)

    # -- output --------------------------------------------------------------------------------

    def next_event(self) -> ServerEvent | None:
        """RequestReceived, then the call's events, and Ended last; None: nothing (more) yet."""
        session, ws = self.session, self._ws
        while True:
            event = session.next_event()
            if event is not None:
                return event
            item = self._wire.next_event() if ws is None else ws.next()
            if item is None:
                return None
            if isinstance(item, (str, bytes)):
                self.message_size = len(item)
                session.receive_text(item, now=session.now)
            elif isinstance(item, WireClosed):
                session.receive_close(
                    item.code,
                    item.reason,
                    initiator=item.initiator,
                    error=item.error,
                    now=session.now,
                )
            else:
                self.request = item.request
                return item

    def data_to_send(self) -> bytes:
        """Bytes for the peer, about ``Limits.transport_buffer`` at most; call until ``b""``."""
        ws = self._ws
        if ws is None:
            return self._wire.data_to_send()
        data = ws.data_to_send()
        if not ws.takes_messages:
            return data
        session = self.session
        # Most drains find one message or none: no list, no join.
        text = session.next_text()
        if text is not None:
            frame = ws.text_frame(text)
            data = data + frame if data else frame
            if session.output and len(data) < self.limits.transport_buffer:
                data = self._fill(ws, data)
        if (closing := session.closing) is not None:
            self._wire.close(closing.code, closing.reason, now=session.now)
            data += ws.data_to_send()
        return data

    def _fill(self, ws: WebSocket, data: bytes) -> bytes:
        parts, size = [data], len(data)
        while (
            size < self.limits.transport_buffer and (text := self.session.next_text()) is not None
        ):
            frame = ws.text_frame(text)
            parts.append(frame)
            size += len(frame)
        return b"".join(parts)

    def deadline(self) -> float | None:
        """When to call handle_timeout(); None: no wait is bounded (or the end was told)."""
        due = self._wire.deadline() if self._ws is None else self._ws.deadline()
        if due is None:
            return None
        if (other := self.session.deadline()) is not None and other < due:
            due = other
        if self.session.stalled_since is not None:
            stalled = self._stalled_at()
            if stalled is not None and stalled < due:
                due = stalled
        return due

    def _stalled_at(self) -> float | None:
        """When a peer that takes nothing is given up."""
        since = self.session.stalled_since
        if since is None or self._ws is None:
            return None
        # What was queued before accept() could not leave earlier.
        return max(since, self._accepted_at) + self.timings.write

    @property
    def wants_to_send(self) -> bool:
        """Whether data_to_send() would give something: spares drivers that sleep a wake-up."""
        if not self._wire.idle:
            return True
        if self._ws is None or not self._ws.takes_messages:
            return False
        return bool(self.session.output) or self.session.closing is not None

    @property
    def should_close_transport(self) -> bool:
        """Whether Ended was told and the last bytes were taken."""
        if self._ws is None:
            return self._wire.should_close_transport
        return self._ws.closed and self._ws.idle

    @property
    def linger(self) -> float:
        """Seconds to go on reading (and discarding) between the half-close and the close."""
        return self._wire.linger


class ClientConnection:
    """Plivo's end: sends events, receives commands. Queues its upgrade request at once.

    ``host`` fills the Host header, ``target`` is path and query, ``random_bytes(n)`` supplies the
    handshake key and the masking keys.
    """

    __slots__ = ("__weakref__", "_codec", "_wire", "limits", "timings")

    def __init__(
        self,
        *,
        host: str,
        target: str = "/",
        headers: Headers = (),
        random_bytes: Callable[[int], bytes],
        now: float,
        limits: Limits | None = None,
        timings: Timings | None = None,
        codec: Codec | None = None,
    ) -> None:
        self._wire = WebSocketClient(
            host=host,
            target=target,
            headers=headers,
            random_bytes=random_bytes,
            now=now,
            limits=limits,
            timings=timings,
        )
        self._codec = codec or codec_for(self._wire.limits)
        self.limits = self._wire.limits
        self.timings = self._wire.timings

    def receive_data(self, data: bytes | bytearray | memoryview, *, now: float) -> None:
        """Bytes from the server, cut anywhere; ignored after the end."""
        self._wire.receive_data(data, now=now)

    def receive_eof(self, *, now: float) -> None:
        """The server will send nothing more. Idempotent."""
        self._wire.receive_eof(now=now)

    def send_failed(self, *, now: float) -> None:
        """The bytes last taken never left: the transport is dead. Ended follows."""
        self._wire.send_failed(now=now)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due; harmless if early."""
        self._wire.handle_timeout(now=now)

    def send(self, event: AgentEvent | StreamEvent | UnknownEvent, *, now: float) -> None:
        """Queue an event. Raises as :meth:`send_text` does, InvalidCommandError for bad extras."""
        self.send_text(self._codec.encode(serialize_event(event)), now=now)

    def send_text(self, text: str | bytes, *, now: float) -> None:
        """Queue a message as it is (bytes: a binary frame), well-formed or not.

        Raises LocalProtocolError before the upgrade, SessionClosedError after the end and
        SendQueueFull when ``Limits.control_buffer`` is exceeded.
        """
        self._wire.send_message(text, now=now)

    def close(self, code: int = 1000, reason: str = "", *, now: float) -> None:
        """Queue a Close behind what waits. Idempotent."""
        self._wire.close(code, reason, now=now)

    def next_event(self) -> ClientEvent | None:
        """Upgraded or Rejected, then commands, and Ended last; None: nothing yet, or no more."""
        item = self._wire.next_event()
        if isinstance(item, (str, bytes)):
            return parse_command(item, codec=self._codec)
        if isinstance(item, WireClosed):
            return Ended(
                item.initiator,
                item.code,
                item.reason,
                "close" if item.error is None else "error",
                item.error,
            )
        return item

    def data_to_send(self) -> bytes:
        """Bytes for the server; call until ``b""``."""
        return self._wire.data_to_send()

    def deadline(self) -> float | None:
        """When to call handle_timeout(); None: no wait is bounded (or the end was told)."""
        return self._wire.deadline()

    @property
    def should_close_transport(self) -> bool:
        """Whether Ended was told and the last bytes were taken."""
        return self._wire.should_close_transport

    @property
    def linger(self) -> float:
        """Seconds to go on reading (and discarding) between the half-close and the close."""
        return self._wire.linger
