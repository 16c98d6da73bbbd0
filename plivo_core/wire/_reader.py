"""Frames in, whole messages out: the reading half of a WebSocket, for either role.

Nearly every frame Plivo sends is one unfragmented, small text message. Such a frame is read right
here: unmask and decode. Everything else goes to wsproto, one frame at a time, so that the two
change hands only at frame boundaries; which of them reads a frame depends on its header alone,
never on how the bytes were cut into chunks.

wsproto has no limits and reports a broken frame as a Close; sizes, fragment counts and the
difference between a peer's Close and our failure are decided here. It is driven by
:meth:`MessageReader.feed` and :meth:`MessageReader.next`, and keeps no clock.
"""

from __future__ import annotations

import io
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

from wsproto import events as ws
from wsproto.connection import CLIENT, SERVER, Connection, ConnectionState

from plivo_core.limits import Limits
from plivo_core.wire._frames import xor_mask

__all__ = ["CloseFrame", "Failure", "Fragment", "Item", "MessageReader", "Ping", "Pong"]

_FIN_TEXT = 0x81
_FAST_LIMIT = 65536  # the two-byte length form: what is longer is not a 20 ms packet
_REASONS = {1002: "protocol error", 1007: "invalid UTF-8"}


@dataclass(frozen=True, slots=True)
class Ping:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """A whole frame of a message that goes on: nothing to read yet, but a sign of life."""


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """The peer's Close; code 1005 when it carried none."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The peer broke the protocol or a limit: ``code`` is the Close code to send."""

    code: int
    reason: str


Item: TypeAlias = "str | bytes | Fragment | Ping | Pong | CloseFrame | Failure"
_FRAGMENT = Fragment()


class MessageReader:
    """``next()`` gives a text (str), a binary message (bytes), another frame, or a Failure.

    After a CloseFrame or a Failure it reads nothing more.
    """

    __slots__ = (
        "_binary",
        "_buffer",
        "_client",
        "_events",
        "_fast",
        "_fragments",
        "_limits",
        "_mask_bit",
        "_over",
        "_position",
        "_rest",
        "_size",
        "_slow",
        "_text",
        "in_message",
    )

    def __init__(self, *, client: bool, limits: Limits, fast: bool = True) -> None:
        self._client = client
        self._limits = limits
        self._fast = fast
        self._mask_bit = 0 if client else 0x80  # RFC 6455 5.1: clients mask, servers do not
        # What is unread, from _position on. Usually one read holds one whole message: then this is
        # just what was fed, and nothing is copied or kept.
        self._buffer: bytes | bytearray = b""
        self._position = 0
        self._over = False
        # What wsproto is in the middle of. Most connections never need it.
        self._slow: Connection | None = None
        self._events: Generator[ws.Event, None, None] | None = None
        self._rest = 0  # payload bytes of its current frame that it has not been given
        self.in_message = False
        """Whether a fragmented message has begun whose last frame has not."""
        self._text: io.StringIO | None = None
        self._binary: io.BytesIO | None = None
        self._size = 0
        self._fragments = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the peer; ignored once reading is over."""
        if self._over:
            return
        if not self._buffer:
            self._buffer = bytes(data)  # of bytes: no copy
        else:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self._buffer += data

    @property
    def incomplete(self) -> bool:
        """Whether a message (or a frame) has begun and not ended. Ask after next() gave None."""
        return bool(self._buffer or self._rest or self.in_message) and not self._over

    def next(self) -> Item | None:
        """The next item that is complete, or None: feed more."""
        if not self._buffer:  # so too when reading is over
            return None
        while True:
            if self._events is not None:
                event = next(self._events, None)
                if event is None:
                    self._events = None
                elif (item := self._take(event)) is not None:
                    return item
            elif self._rest:
                if self._position == len(self._buffer):
                    break
                self._give(min(self._rest, len(self._buffer) - self._position))
            else:
                if self._fast and not self.in_message and (text := self._next_fast()) is not None:
                    return text
                if (failed := self._begin_frame()) is not None:
                    return failed
                if self._events is None:
                    break
        if self._position:
            self._buffer = self._buffer[self._position :] or b""
            self._position = 0
        return None

    def _next_fast(self) -> str | Failure | None:
        """A whole, small, unfragmented text frame; None when the next frame is not one (yet)."""
        buffer, start = self._buffer, self._position
        available = len(buffer)
        if available - start < 2 or buffer[start] != _FIN_TEXT:
            return None
        size = buffer[start + 1] ^ self._mask_bit
        start += 2
        if size >= 126:  # longer, or the mask bit is wrong
            if size != 126 or available - start < 2:
                return None
            size = buffer[start] << 8 | buffer[start + 1]
            start += 2
            if size < 126:  # not the shortest form: wsproto says why not
                return None
        if size > self._limits.max_message:
            return None
        if self._mask_bit:
            begin, end = start + 4, start + 4 + size
            if end > available:
                return None
            payload = xor_mask(buffer[begin:end], buffer[start:begin])
        else:
            end = start + size
            if end > available:
                return None
            payload = bytes(buffer[start:end])
        if end == available:
            self._buffer, self._position = b"", 0
        else:
            self._position = end
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return self._fail(1007)

    def _begin_frame(self) -> Failure | None:
        """Hand the next frame's head to wsproto, once it is complete and within the limits."""
        buffer, start = self._buffer, self._position
        available = len(buffer) - start
        if available < 2:
            return None
        first, second = buffer[start], buffer[start + 1]
        size = second & 0x7F
        extended = {126: 2, 127: 8}.get(size, 0)
        head = 2 + extended + (4 if second & 0x80 else 0)
        if available < head:
            return None
        if extended:
            size = int.from_bytes(buffer[start + 2 : start + 2 + extended], "big")
        if self._is_fast(first, second, size) and available < head + size:
            # Wait for the whole of it, also when wsproto will read it: bad UTF-8 is then found at
            # the same byte on either path.
            return None
        opcode = first & 0x0F
        # wsproto says what is wrong with a malformed head; a well-formed one is measured first.
        if opcode <= 2 and not first & 0x70 and _is_shortest(size, extended):
            if size + self._size > self._limits.max_message:
                return self._fail(1009, "message too big")
            if self._fragments + 1 > self._limits.max_fragments:
                return self._fail(1009, "too many fragments")
        if opcode <= 2:
            self._size += size
            self._fragments += 1
            self.in_message = not first & 0x80
        self._rest = size
        if self._slow is None:
            self._slow = Connection(CLIENT if self._client else SERVER)
        self._give(head, of_payload=False)
        return None

    def _is_fast(self, first: int, second: int, size: int) -> bool:
        """Whether this head begins a frame for :meth:`_next_fast`."""
        return (
            not self.in_message
            and first == _FIN_TEXT
            and second & 0x80 == self._mask_bit
            and size < _FAST_LIMIT
            and size <= self._limits.max_message
            and _is_shortest(size, {126: 2, 127: 8}.get(second & 0x7F, 0))
        )

    def _give(self, count: int, *, of_payload: bool = True) -> None:
        assert self._slow is not None
        end = self._position + count
        self._slow.receive_data(bytes(self._buffer[self._position : end]))
        self._position = end
        if of_payload:
            self._rest -= count
        self._events = self._slow.events()

    def _take(self, event: ws.Event) -> Item | None:
        if isinstance(event, ws.TextMessage | ws.BytesMessage):
            return self._take_part(event)
        if isinstance(event, ws.Ping):
            return Ping(bytes(event.payload))
        if isinstance(event, ws.Pong):
            return Pong(bytes(event.payload))
        assert isinstance(event, ws.CloseConnection)
        assert self._slow is not None
        if self._slow.state is ConnectionState.OPEN:  # wsproto's way to report a broken frame
            return self._fail(event.code)
        self._stop()
        return CloseFrame(int(event.code), event.reason or "")

    def _take_part(self, event: ws.TextMessage | ws.BytesMessage) -> str | bytes | Fragment | None:
        done = event.message_finished
        if done:
            self._size = self._fragments = 0
        if isinstance(event, ws.TextMessage):
            if done and self._text is None:
                return event.data
            self._text = self._text or io.StringIO()
            self._text.write(event.data)
            whole: str | bytes = self._text.getvalue() if done else ""
        else:
            if done and self._binary is None:
                return bytes(event.data)
            self._binary = self._binary or io.BytesIO()
            self._binary.write(event.data)
            whole = self._binary.getvalue() if done else b""
        if not done:
            return _FRAGMENT if event.frame_finished else None
        self._text = self._binary = None
        return whole

    def _fail(self, code: int, reason: str = "") -> Failure:
        self._stop()
        return Failure(int(code), reason or _REASONS[code])

    def _stop(self) -> None:
        """Read no more: wsproto would go on buffering after an error (measured: megabytes)."""
        self._over = True
        self._buffer = b""
        self._position = 0
        self._slow = self._events = self._text = self._binary = None


def _is_shortest(size: int, extended: int) -> bool:
    """RFC 6455 5.2: the minimal number of bytes MUST be used for the length; 63 bits at most."""
    if extended == 8:
        return 65536 <= size < 1 << 63
    return extended == 0 or size >= 126
