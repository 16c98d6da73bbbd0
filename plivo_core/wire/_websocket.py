"""One WebSocket after its handshake: messages, keepalive and the closing handshake, either role.

Driven by the server and client connections of this package with the contract of the core: bytes
in, one item at a time out, one deadline. It never negotiates permessage-deflate.
"""

from __future__ import annotations

from collections.abc import Callable

from plivo_core._close_codes import check_close_code, is_sendable_close_code
from plivo_core.errors import (
    LocalProtocolError,
    RemoteProtocolError,
    SendQueueFull,
    SessionClosedError,
    WebSocketError,
)
from plivo_core.limits import Limits, Timings
from plivo_core.wire._clock import Clock
from plivo_core.wire._frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_payload,
    encode_frame,
)
from plivo_core.wire._messages import WireClosed
from plivo_core.wire._reader import CloseFrame, Failure, MessageReader, Ping

__all__ = ["WebSocket"]


class WebSocket:
    """``random_bytes`` (client role) supplies masking keys; None means the server role.

    ``head`` is what must leave before any frame: the answer to the handshake.
    """

    __slots__ = (
        "_alive_at",
        "_clock",
        "_close_sent_at",
        "_closed",
        "_eof",
        "_head",
        "_limits",
        "_message_since",
        "_out",
        "_ping_sent_at",
        "_pong",
        "_random_bytes",
        "_reader",
        "_sent_code",
        "_sent_reason",
        "_stalled_since",
        "_timings",
        "_verdict",
        "linger",
    )

    def __init__(
        self,
        *,
        clock: Clock,
        limits: Limits,
        timings: Timings,
        random_bytes: Callable[[int], bytes] | None = None,
        head: bytes = b"",
        fast: bool = True,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._timings = timings
        self._random_bytes = random_bytes
        self._reader = MessageReader(client=random_bytes is not None, limits=limits, fast=fast)
        self._out = bytearray(head)
        self._head = len(head)  # of the bytes in _out; whatever else is dropped, these leave
        self._pong: bytes | None = None  # at most one, the newest (RFC 6455 5.5.3)
        self._stalled_since = clock.now if head else None
        self._alive_at = clock.now
        self._ping_sent_at: float | None = None
        self._message_since: float | None = None
        self._close_sent_at: float | None = None
        self._sent_code = 1006
        self._sent_reason = ""
        self._eof = False
        self._verdict: WireClosed | None = None  # decided by a timer, told by next()
        self._closed = False
        self.linger = 0.0

    # -- input ---------------------------------------------------------------------------------

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        if self._verdict is None:
            self._reader.feed(data)

    def feed_eof(self) -> None:
        self._eof = True

    def lose(self, error: WebSocketError | None = None) -> None:
        """The transport is dead: nothing more can be sent."""
        self._head = 0
        self._forget_output()
        if self._over:
            return
        if error is not None:
            self._verdict = WireClosed("local", 1006, error.message, error)
        elif self._close_sent_at is not None:
            self._verdict = self._finished()
        else:
            self._verdict = WireClosed("remote", 1006)

    def send(self, message: str | bytes) -> None:
        """Queue a text or binary message.

        Raises SessionClosedError, SendQueueFull, and LocalProtocolError for a lone surrogate.
        """
        if self._over or self._close_sent_at is not None:
            raise SessionClosedError("the WebSocket is closed")
        opcode = BINARY
        if isinstance(message, str):
            opcode = TEXT
            try:
                message = message.encode()
            except UnicodeEncodeError as error:
                raise LocalProtocolError(f"the text is not Unicode: {error.reason}") from error
        if self._out and len(self._out) + len(message) > self._limits.control_buffer:
            raise SendQueueFull(f"{len(self._out)} bytes wait to be sent: the peer does not read")
        self._write(self._frame(opcode, message))

    def text_frame(self, text: str) -> bytes:
        """The frame of a text message, for a caller that keeps the queue itself."""
        mask = None if self._random_bytes is None else self._random_bytes(4)
        return encode_frame(TEXT, text.encode(), mask)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Queue a Close behind what is queued; harmless when one was sent or the end was told."""
        check_close_code(code)
        if not self._over and self._close_sent_at is None:
            self._send_close(code, reason)

    def fail(self, code: int, reason: str, error: WebSocketError) -> None:
        """End now: drop what is queued, queue a Close, tell the end without waiting for theirs."""
        if self._over:
            return
        self._verdict = self._failed(code, reason, error)

    def handle_timeout(self) -> None:
        now, timings = self._clock.now, self._timings
        if self._over:
            return
        if self._stalled_since is not None and now >= self._stalled_since + timings.write:
            self.stall()
        elif self._close_sent_at is not None:
            if now >= self._close_sent_at + timings.close:
                self._verdict = self._finished()
                self._forget_output()  # not taken in all this time
                self.linger = timings.linger
        elif self._message_since is not None and now >= self._message_since + timings.message:
            slow = RemoteProtocolError(f"a message took longer than {timings.message} s")
            self.fail(1008, "message timeout", slow)
        elif self._ping_sent_at is not None:
            if now >= self._ping_sent_at + timings.ping_timeout:
                silent = WebSocketError(f"no frame within {timings.ping_timeout} s of a ping")
                self.fail(1011, "keepalive ping timeout", silent)
        elif now >= self._alive_at + timings.ping_interval:
            self._ping_sent_at = now
            self._write(self._frame(PING, b""))

    def stall(self) -> None:
        """Give the transport up: the peer reads nothing."""
        self.lose(WebSocketError(f"the peer read nothing for {self._timings.write} s"))

    # -- output --------------------------------------------------------------------------------

    def next(self) -> str | bytes | WireClosed | None:
        """The next message, or the terminal WireClosed, or None."""
        reader = self._reader
        while not self._closed:
            if self._verdict is not None:
                self._closed = True
                return self._verdict
            item = reader.next()
            if item is None:
                if self._eof:
                    self.lose()
                    continue
                if not reader.incomplete:
                    self._message_since = None
                elif self._message_since is None:
                    self._message_since = self._clock.now
                return None
            self._alive_at = self._clock.now
            self._ping_sent_at = None
            if not reader.in_message:
                self._message_since = None  # what the buffer still holds begins now
            if isinstance(item, (str, bytes)):
                if self._close_sent_at is None:
                    return item
            elif isinstance(item, Ping):
                if self._close_sent_at is None:
                    self._pong = item.payload
                    self._stall_from_now()
            elif isinstance(item, CloseFrame):
                self._verdict = self._answer_close(item)
            elif isinstance(item, Failure):
                error = RemoteProtocolError(f"{item.reason} (Close {item.code})")
                self._verdict = self._failed(item.code, item.reason, error)
        return None

    def data_to_send(self) -> bytes:
        if self._pong is not None:
            self._out[self._head : self._head] = self._frame(PONG, self._pong)
            self._pong = None
        self._stalled_since = None
        if not self._out:
            return b""
        data = bytes(self._out)
        self._out.clear()
        self._head = 0
        return data

    def deadline(self) -> float | None:
        if self._verdict is not None:
            return None
        timings = self._timings
        if self._close_sent_at is not None:
            due = self._close_sent_at + timings.close
        elif self._ping_sent_at is not None:
            due = self._ping_sent_at + timings.ping_timeout
        else:
            due = self._alive_at + timings.ping_interval
        if self._message_since is not None and self._close_sent_at is None:
            due = min(due, self._message_since + timings.message)
        if self._stalled_since is not None:
            due = min(due, self._stalled_since + timings.write)
        return due

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send."""
        return not self._out and self._pong is None

    @property
    def closed(self) -> bool:
        """Whether WireClosed was told."""
        return self._closed

    @property
    def close_sent(self) -> bool:
        return self._close_sent_at is not None

    @property
    def takes_messages(self) -> bool:
        """Whether a message may still leave: no Close was sent, and the end was not told."""
        return self._close_sent_at is None and not self._closed

    # -- inside --------------------------------------------------------------------------------

    @property
    def _over(self) -> bool:
        return self._verdict is not None

    def _frame(self, opcode: int, payload: bytes) -> bytes:
        mask = None if self._random_bytes is None else self._random_bytes(4)
        return encode_frame(opcode, payload, mask)

    def _write(self, data: bytes) -> None:
        self._out += data
        self._stall_from_now()

    def _stall_from_now(self) -> None:
        if self._stalled_since is None:
            self._stalled_since = self._clock.now

    def _forget_output(self) -> None:
        del self._out[self._head :]
        self._pong = None
        if not self._head:
            self._stalled_since = None

    def _send_close(self, code: int, reason: str) -> None:
        self._pong = None
        self._close_sent_at = self._clock.now
        self._sent_code, self._sent_reason = code, reason
        self._write(self._frame(CLOSE, close_payload(code, reason)))

    def _answer_close(self, frame: CloseFrame) -> WireClosed:
        if self._close_sent_at is not None:
            return self._finished()
        self._forget_output()
        if is_sendable_close_code(frame.code):
            self._send_close(frame.code, "")
        else:
            self._close_sent_at = self._clock.now
            self._write(self._frame(CLOSE, b""))
        # RFC 6455 7.1.1: the server closes TCP first; a client waits for that.
        self.linger = 0.0 if self._random_bytes is None else self._timings.linger
        return WireClosed("remote", frame.code, frame.reason)

    def _failed(self, code: int, reason: str, error: WebSocketError) -> WireClosed:
        if self._close_sent_at is not None:
            verdict = self._finished()
        else:
            self._forget_output()
            self._send_close(code, reason)
            verdict = WireClosed("local", code, reason, error)
        self.linger = self._timings.error_linger
        return verdict

    def _finished(self) -> WireClosed:
        """Our Close went first; what came of it does not change how the end is told."""
        self.linger = 0.0 if self._random_bytes is None else self._timings.linger
        return WireClosed("local", self._sent_code, self._sent_reason)
