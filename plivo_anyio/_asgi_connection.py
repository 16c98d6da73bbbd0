"""A call whose WebSocket somebody else frames: ASGI messages in, ASGI messages out.

Sans-IO: a :class:`~plivo_core.Session` and what an ASGI server leaves open - the answer to the
upgrade, the size of a message, a peer that does not read, which of two ends came first. Frames,
pings, fragments and the close handshake are the server's. :class:`AsgiIO` is the other half: how
the messages travel, and what a server may raise while they do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel

from plivo_anyio._barrier import stopped
from plivo_anyio._transport import TransportLost
from plivo_core import (
    Command,
    Ended,
    Event,
    Limits,
    RemoteProtocolError,
    Request,
    RequestReceived,
    Response,
    Session,
    Timings,
    WebSocketError,
)
from plivo_core.session import Closing
from plivo_core.wire import Headers

__all__ = ["AsgiConnection", "AsgiIO", "Message", "Receive", "Scope", "Send", "raw_headers"]

Message: TypeAlias = "MutableMapping[str, Any]"
Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"

# What a server has read already comes without a pause. The handlers need one, or their lanes fill
# up: about as many audio packets as one read of our own server holds.
_BURST = 32


class AsgiConnection:
    """The contract of :class:`~plivo_core.ServerConnection`, one ASGI message at a time.

    ``accepted``: the application has done so. ``can_refuse``: the server can answer an upgrade
    with something else than 403 (``websocket.http.response``).
    """

    __slots__ = (
        "_accepted",
        "_can_refuse",
        "_closing",
        "_closing_at",
        "_ended",
        "_event",
        "_open_since",
        "_out",
        "_request",
        "_start_due",
        "limits",
        "message_size",
        "session",
        "timings",
    )

    def __init__(
        self,
        request: Request,
        *,
        accepted: bool,
        can_refuse: bool,
        now: float,
        limits: Limits,
        timings: Timings,
    ) -> None:
        self.limits = limits
        self.timings = timings
        self.session = Session(now=now, limits=limits, timings=timings)
        self.message_size = 0
        self._request = request
        self._accepted = accepted
        self._can_refuse = can_refuse
        self._start_due: float | None = now + timings.handshake  # None: the request came
        self._event: RequestReceived | None = None
        self._out: list[Message] = []
        self._open_since: float | None = None
        self._closing: Closing | None = None  # handed to the server
        self._closing_at = 0.0
        self._ended = False  # and told

    # -- input ---------------------------------------------------------------------------------

    def receive_data(self, data: Message, *, now: float) -> None:
        """A message of the server; what no WebSocket has is ignored."""
        self.session.now = now
        kind = data.get("type")
        if kind == "websocket.receive":
            self._receive(data, now)
        elif kind == "websocket.disconnect":
            code = data.get("code")
            # 1005 is ASGI's own default (and what servers say when there was no Close at all).
            code = int(code) if isinstance(code, int) else 1005  # an IntEnum in some servers
            self._end(code, data.get("reason") or "", now)
        elif kind == "websocket.connect" and self._start_due is not None:
            self._start_due = None
            self._event = RequestReceived(self._request, upgrade=True)

    def _receive(self, message: Message, now: float) -> None:
        if self._open_since is None:
            return
        text, limit = message.get("text"), self.limits.max_message
        data = message.get("bytes") if text is None else text
        if data is None:
            return
        size = self.message_size = len(data)
        if size > limit or (
            size * 4 > limit  # else it fits in any case: UTF-8 takes at most 4 bytes
            and isinstance(data, str)
            and len(data.encode("utf-8", "surrogatepass")) > limit
        ):
            error = RemoteProtocolError(f"a message is over {limit} bytes")
            self.session.fail(1009, "message too big", error, now=now)
        else:
            self.session.receive_text(data, now=now)

    def receive_eof(self, *, now: float) -> None:
        """The server will say nothing more. Idempotent."""
        self._end(1006, "", now)

    def send_failed(self, *, now: float) -> None:
        """The server did not take the last message: nobody is there any more."""
        self._out.clear()
        self._end(1006, "", now)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due. Harmless if early."""
        self.session.handle_timeout(now=now)
        if self._closing is not None:
            self._end(1006, "", now)
        elif self._start_due is not None:
            if now >= self._start_due:
                self._give_up("the server never said websocket.connect", now)
        elif (stalled := self._stalled_at()) is not None and now >= stalled:
            self._give_up(f"the peer read nothing for {self.timings.write} s", now)

    def accept(self, headers: Headers = (), *, now: float) -> None:
        """Take the call; its events follow."""
        self._open_since = self.session.now = now
        if not self._accepted:
            self._out.append({"type": "websocket.accept", "headers": raw_headers(headers)})

    def reject(
        self, status: int = 403, *, headers: Headers = (), body: bytes = b"", now: float
    ) -> None:
        """Refuse the call in the best way that is left; the end follows."""
        self._start_due = None
        if self._accepted or not self._can_refuse:
            # Before accept() a server makes a 403 of it, whatever the code.
            code = 1013 if status == 503 else 1008
            self._out.append({"type": "websocket.close", "code": code, "reason": ""})
        else:
            # No Content-Length: uvicorn 0.50 writes its own beside it, and clients refuse two.
            kind = "websocket.http.response"
            self._out += [
                {"type": f"{kind}.start", "status": status, "headers": raw_headers(headers)},
                {"type": f"{kind}.body", "body": body},
            ]
        self.session.receive_close(1000, initiator="local", now=now)

    def respond(self, response: Response, *, now: float) -> None:
        """The same, by a Response."""
        self.reject(response.status, headers=response.headers, body=response.body, now=now)

    def send(self, command: Command, *, now: float) -> None:
        """Queue a command; see :meth:`plivo_core.Session.send` for what it raises."""
        self.session.send(command, now=now)

    def close(self, code: int = 1000, reason: str = "", *, now: float) -> None:
        """End the call from our side: flush what is queued, then close. Idempotent."""
        self.session.close(code, reason, now=now)

    # -- output --------------------------------------------------------------------------------

    def next_event(self) -> RequestReceived | Event | None:
        """RequestReceived, then the call's events, and Ended last; None: nothing (more) yet."""
        if (request := self._event) is not None:
            self._event = None
            return request
        event = self.session.next_event()
        if isinstance(event, Ended):
            self._ended = True
        return event

    def data_to_send(self) -> Message | None:
        """One message for the server; call until None."""
        if self._out:
            return self._out.pop(0)
        if self._open_since is None:
            return None
        text = self.session.next_text()
        if text is not None:
            return {"type": "websocket.send", "text": text}
        closing = self.session.closing
        if closing is None or self._closing is not None:
            return None
        self._closing, self._closing_at = closing, self.session.now
        return {"type": "websocket.close", "code": closing.code, "reason": closing.reason}

    def deadline(self) -> float | None:
        """When to call handle_timeout(); None: no wait is bounded (or the end was told)."""
        if self._start_due is not None or self._open_since is None:
            return None if self._ended else self._start_due
        if self._closing is not None:
            # The server has it, and what becomes of it is the server's: the call is over.
            return None if self._ended else self._closing_at
        due, stalled = self.session.deadline(), self._stalled_at()
        if due is None or (stalled is not None and stalled < due):
            return stalled
        return due

    @property
    def wants_to_send(self) -> bool:
        """Whether data_to_send() would give something."""
        if self._out:
            return True
        if self._open_since is None:
            return False
        session = self.session
        return bool(session.output) or (session.closing is not None and self._closing is None)

    @property
    def should_close_transport(self) -> bool:
        """Whether Ended was told and the last message was taken."""
        return self._ended and not self._out

    @property
    def linger(self) -> float:
        """There is no half to close."""
        return 0.0

    # -- inside --------------------------------------------------------------------------------

    def _end(self, code: int, reason: str, now: float) -> None:
        if self._closing is None:
            self.session.receive_close(code, reason, now=now)
        else:  # ours was first
            self.session.receive_close(*self._closing, initiator="local", now=now)

    def _give_up(self, why: str, now: float) -> None:
        error = WebSocketError(why)
        self.session.receive_close(1006, why, initiator="local", error=error, now=now)

    def _stalled_at(self) -> float | None:
        since = self.session.stalled_since
        if since is None or self._open_since is None:
            return None
        return max(since, self._open_since) + self.timings.write


class AsgiIO:
    """Messages by awaiting, in the shape of :class:`~plivo_anyio._transport.ByteIO`.

    A server may raise what it likes: from ``receive`` it is the end, from ``send`` a loss.
    ``connected``: somebody has received ``websocket.connect`` already. ``patience``: how long a
    message that was not taken waits for the news why, in seconds.
    """

    __slots__ = ("_at_end", "_connected", "_left", "_patience", "_receive", "_send", "_told")

    def __init__(self, receive: Receive, send: Send, *, connected: bool, patience: float) -> None:
        self._receive = receive
        self._send = send
        self._connected = connected
        self._patience = patience
        self._left = _BURST
        self._at_end = False
        self._told: anyio.Event | None = None  # made by who waits for the end

    async def receive(self, max_bytes: int) -> Any:
        """The next message, whatever its size; None at the end."""
        if self._connected:
            self._connected = False
            return {"type": "websocket.connect"}
        if self._at_end:  # servers do not like to be asked again
            return None
        self._left -= 1
        if not self._left:
            self._left = _BURST
            await anyio.lowlevel.checkpoint()
        message: Message | None = None
        try:
            message = await self._receive()
        except BaseException as error:
            if stopped(error) is None:
                raise
        if message is None or message.get("type") == "websocket.disconnect":
            self._at_end = True
            if self._told is not None:
                self._told.set()
        return message

    async def send(self, data: Any) -> None:
        """Return when the server can take more. Raises TransportLost."""
        try:
            await self._send(data)
        except BaseException as error:
            if (told := stopped(error)) is None:
                raise
            # Servers learn of the end in one place and tell it in another: how the call ended is
            # in their disconnect, if one comes.
            if not self._at_end:
                self._told = anyio.Event()
                with anyio.move_on_after(self._patience):
                    await self._told.wait()
            raise TransportLost from told

    async def send_eof(self) -> None:
        """There is no half to close."""

    async def aclose(self) -> None:
        """The server closes when the application returns."""


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them: bytes, names in lower case."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
