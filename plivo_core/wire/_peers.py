"""Both ends of one TCP connection that starts as HTTP/1.1 and becomes a WebSocket.

:class:`WebSocketServer` and :class:`WebSocketClient` keep the core's contract (input, drain, wait):

1. after each input, call ``next_event()`` until it gives None, and ``data_to_send()`` until it
   gives ``b""``;
2. when ``should_close_transport`` is True: half-close, go on reading for at most ``linger``
   seconds or until the peer closes, then close; when the end was told but the transport does not
   take the last bytes within ``Timings.write``, close all the same (no deadline says so any more);
3. else wait for bytes, or until ``deadline()``, then call ``handle_timeout()``.

No input method raises for what a peer did; that arrives as the last event, :class:`WireClosed`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import NoReturn

from plivo_core._close_codes import check_close_code
from plivo_core.errors import (
    LocalProtocolError,
    RemoteProtocolError,
    SessionClosedError,
    WebSocketError,
)
from plivo_core.limits import DEFAULT_LIMITS, DEFAULT_TIMINGS, Limits, Timings
from plivo_core.wire._clock import Clock
from plivo_core.wire._http import HttpClient, HttpServer, Refused, check_headers
from plivo_core.wire._messages import (
    Headers,
    Initiator,
    Rejected,
    Request,
    RequestReceived,
    Response,
    Upgraded,
    WireClosed,
)
from plivo_core.wire._upgrade import accept_token, client_key, unacceptable
from plivo_core.wire._websocket import WebSocket

__all__ = ["WebSocketClient", "WebSocketServer"]


class _Peer(abc.ABC):
    """What both roles share: the HTTP phase's bookkeeping and, once upgraded, the WebSocket."""

    __slots__ = (
        "__weakref__",
        "_closed",
        "_eof",
        "_fast",
        "_linger",
        "_out",
        "_stalled_since",
        "_started_at",
        "_verdict",
        "_ws",
        "clock",
        "limits",
        "timings",
    )

    def __init__(self, *, now: float, limits: Limits | None, timings: Timings | None) -> None:
        self.limits = limits or DEFAULT_LIMITS
        self.timings = timings or DEFAULT_TIMINGS
        self.clock = Clock(now)
        self._out = bytearray()
        self._started_at = now
        self._stalled_since: float | None = None
        self._eof = False
        self._verdict: WireClosed | None = None
        self._closed = False
        self._linger = 0.0
        self._fast = True
        self._ws: WebSocket | None = None

    # -- input ---------------------------------------------------------------------------------

    def receive_data(self, data: bytes | bytearray | memoryview, *, now: float) -> None:
        """Bytes from the peer, any number of them; ignored after the end."""
        self.clock.now = now
        if self._ws is not None:
            self._ws.feed(data)
        elif not self._over:
            self._feed_http(data)

    def receive_eof(self, *, now: float) -> None:
        """The peer will send nothing more. Idempotent."""
        self.clock.now = now
        self._eof = True
        if self._ws is not None:
            self._ws.feed_eof()

    def send_failed(self, *, now: float) -> None:
        """The bytes last taken never left: the transport is dead."""
        self.clock.now = now
        if self._ws is not None:
            self._ws.lose()
        else:
            self._out.clear()
            self._lose(None)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due; harmless if early."""
        self.clock.now = now
        if self._ws is not None:
            self._ws.handle_timeout()
        elif not self._over and (due := self.deadline()) is not None and now >= due:
            self._http_timeout()

    def send_message(self, message: str | bytes, *, now: float) -> None:
        """Queue a text (str) or binary (bytes) message.

        Raises LocalProtocolError before the upgrade and for a lone surrogate, SessionClosedError
        after the end, SendQueueFull when over ``Limits.control_buffer`` bytes would wait.
        """
        self.clock.now = now
        if self._ws is None:
            self._not_now("send_message")
        else:
            self._ws.send(message)

    def close(self, code: int = 1000, reason: str = "", *, now: float) -> None:
        """Queue a Close (RFC 6455 7.1.2) behind what waits; harmless when closing already."""
        check_close_code(code)
        self.clock.now = now
        if self._ws is not None:
            self._ws.close(code, reason)
        elif not self._over:
            self._out.clear()
            self._verdict = WireClosed("local", 1006, reason)

    # -- output --------------------------------------------------------------------------------

    def data_to_send(self) -> bytes:
        """Bytes for the peer; call until it gives ``b""``."""
        if self._ws is not None:
            return self._ws.data_to_send()
        data = bytes(self._out)
        self._out.clear()
        self._stalled_since = None
        return data

    def deadline(self) -> float | None:
        """When to call handle_timeout(), on the clock of ``now``; None: no wait is bounded."""
        if self._ws is not None:
            return self._ws.deadline()
        if self._over:
            return None
        due = self._http_deadline()
        if self._stalled_since is not None:
            stalled = self._stalled_since + self.timings.write
            due = stalled if due is None else min(due, stalled)
        return due

    @property
    def websocket(self) -> WebSocket | None:
        """The WebSocket, once upgraded."""
        return self._ws

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._out if self._ws is None else self._ws.idle

    @property
    def closed(self) -> bool:
        """Whether WireClosed was told."""
        return self._closed if self._ws is None else self._ws.closed

    @property
    def should_close_transport(self) -> bool:
        """Whether the end was told and its last bytes were taken."""
        return self.closed and self.idle

    @property
    def linger(self) -> float:
        """Seconds to go on reading after the half-close, so that no RST eats our last bytes."""
        if self._eof:
            return 0.0
        return self._linger if self._ws is None else self._ws.linger

    # -- inside --------------------------------------------------------------------------------

    @property
    def _over(self) -> bool:
        return self._verdict is not None or self.closed

    @abc.abstractmethod
    def _feed_http(self, data: bytes | bytearray | memoryview) -> None: ...

    @abc.abstractmethod
    def _http_deadline(self) -> float | None: ...

    @abc.abstractmethod
    def _http_timeout(self) -> None: ...

    def _next_closed(self) -> WireClosed | None:
        """The terminal event of the HTTP phase, once."""
        if self._verdict is None or self._closed:
            return None
        self._closed = True
        return self._verdict

    def _lose(self, error: WebSocketError | None) -> None:
        if not self._over:
            self._out.clear()
            self._stalled_since = None
            initiator: Initiator = "remote" if error is None else "local"
            self._verdict = WireClosed(initiator, 1006, error.message if error else "", error)

    def _write(self, data: bytes) -> None:
        self._out += data
        if self._stalled_since is None:
            self._stalled_since = self.clock.now

    def _upgrade(self, random_bytes: Callable[[int], bytes] | None, trailing: bytes) -> None:
        self._ws = WebSocket(
            clock=self.clock,
            limits=self.limits,
            timings=self.timings,
            random_bytes=random_bytes,
            head=bytes(self._out),
            fast=self._fast,
        )
        del self._out  # from now on the WebSocket's, and so is all that asks for it
        self._ws.feed(trailing)
        if self._eof:
            self._ws.feed_eof()

    def _not_now(self, what: str) -> NoReturn:
        if self._over:
            raise SessionClosedError("the connection is closed")
        raise LocalProtocolError(f"{what}() makes no sense in this state of the handshake")


class WebSocketServer(_Peer):
    """The accepting end. ``now`` is the moment of ``accept``: the handshake timer starts there."""

    __slots__ = ("_asked_to_continue", "_early", "_head_at", "_http", "_request", "_upgrade_asked")

    def __init__(
        self, *, now: float, limits: Limits | None = None, timings: Timings | None = None
    ) -> None:
        super().__init__(now=now, limits=limits, timings=timings)
        self._http = HttpServer(self.limits)
        self._request: Request | None = None
        self._asked_to_continue = False
        self._upgrade_asked = False
        self._head_at: float | None = None
        self._early = bytearray()

    def next_event(self) -> RequestReceived | str | bytes | WireClosed | None:
        """RequestReceived, then (after accept()) messages, and WireClosed last; None: wait."""
        if self._ws is not None:
            return self._ws.next()
        if not self._over and self._request is None:
            item = self._http.next()
            if isinstance(item, Refused):
                self._answer(item.response, error=self._refusal_error(item.response))
            elif item is not None:
                self._request = item
                self._upgrade_asked = self._http.upgrade
                self._early += self._http.trailing
                return RequestReceived(item, upgrade=self._upgrade_asked)
            elif self._http.wants_continue() and not self._asked_to_continue:
                self._asked_to_continue = True
                self._write(self._http.interim())
            if self._http.head_received and self._head_at is None:
                self._head_at = self.clock.now
            # After the request a client may half-close and still want its answer.
            if self._eof and not self._over:
                self._lose(None)
        return self._next_closed()

    def accept(self, headers: Headers = (), *, now: float) -> None:
        """Answer 101 to an upgrade; messages follow. ``headers`` are added to the answer.

        Raises LocalProtocolError when no valid upgrade waits for an answer, SessionClosedError
        when the peer has gone.
        """
        self.clock.now = now
        request = self._request if self._upgrade_asked and self._ws is None else None
        if request is None or self._over:
            self._not_now("accept")
        check_headers(headers, switching=True)
        answer = (
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", accept_token(request.header("sec-websocket-key") or "")),
        )
        self._write(self._http.switch(answer + headers))
        self._upgrade(None, bytes(self._early))
        # h11 and what it remembers of the head are a fifth of what an idle call would hold.
        del self._http, self._early

    def reject(
        self, status: int = 403, *, headers: Headers = (), body: bytes = b"", now: float
    ) -> None:
        """Refuse the request with an HTTP status and close; also before it has arrived (503)."""
        self.clock.now = now
        if self._over or self._ws is not None:
            self._not_now("reject")
        check_headers(headers)
        self._answer(Response(status=status, headers=headers, body=body), error=None)

    def respond(self, response: Response, *, now: float) -> None:
        """Answer a request that was received, and close.

        Raises LocalProtocolError when none waits for an answer or HTTP cannot carry this one.
        """
        self.clock.now = now
        if self._request is None or self._over or self._ws is not None:
            self._not_now("respond")
        check_headers(response.headers)
        self._answer(response, error=None)

    # -- inside --------------------------------------------------------------------------------

    def _feed_http(self, data: bytes | bytearray | memoryview) -> None:
        if self._request is None:
            self._http.feed(data)
        elif self._upgrade_asked:
            self._early += data
            if len(self._early) > self.limits.max_head:  # a client waits for the 101 before talking
                self._early.clear()
                self._lose(RemoteProtocolError("too many bytes before the upgrade was answered"))

    def _http_deadline(self) -> float | None:
        if self._request is not None:
            return None  # the application's turn
        if self._head_at is not None:
            return self._head_at + self.timings.body
        return self._started_at + self.timings.handshake

    def _http_timeout(self) -> None:
        if not self.idle:
            self._lose(WebSocketError(f"the peer read nothing for {self.timings.write} s"))
        else:
            response = Response(status=408, body=b"the request took too long\n")
            self._answer(response, error=RemoteProtocolError("the request took too long"))

    def _answer(self, response: Response, *, error: WebSocketError | None) -> None:
        self._write(self._http.answer(response))
        self._early.clear()
        self._linger = self.timings.error_linger if error else self.timings.linger
        self._verdict = WireClosed(
            "local", 1002 if error else 1000, f"HTTP {response.status}", error
        )

    @staticmethod
    def _refusal_error(response: Response) -> RemoteProtocolError:
        return RemoteProtocolError(
            f"HTTP {response.status}: {response.body.decode().strip()}",
            hint="the peer sent no valid HTTP/1.1 or WebSocket request",
        )


class WebSocketClient(_Peer):
    """The connecting end: queues its upgrade request at once, masks with ``random_bytes(n)``.

    ``host`` goes into the Host header, ``target`` is path and query. Raises LocalProtocolError when
    HTTP cannot carry them.
    """

    __slots__ = ("_http", "_key", "_random_bytes")

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
    ) -> None:
        super().__init__(now=now, limits=limits, timings=timings)
        check_headers(headers, switching=True)
        self._random_bytes = random_bytes
        self._key = client_key(random_bytes(16))
        self._http = HttpClient(self.limits)
        own = (
            ("host", host),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", self._key),
            ("sec-websocket-version", "13"),
        )
        self._write(self._http.request(target, own + headers))

    def next_event(self) -> Upgraded | Rejected | str | bytes | WireClosed | None:
        """Upgraded or Rejected, then messages, and WireClosed last; None: wait."""
        if self._ws is not None:
            return self._ws.next()
        if not self._over:
            answer = self._http.next(eof=self._eof)
            if isinstance(answer, str):
                self._lose(RemoteProtocolError(answer))
            elif answer is not None:
                return self._take_answer(answer)
            elif self._eof:
                self._lose(None)
        return self._next_closed()

    def _take_answer(self, answer: Response) -> Upgraded | Rejected | WireClosed | None:
        if answer.status != 101:
            error = RemoteProtocolError(f"the server answered {answer.status} to the upgrade")
            self._verdict = WireClosed("remote", 1006, f"HTTP {answer.status}", error)
            return Rejected(answer)
        if (wrong := unacceptable(answer, self._key)) is not None:
            self._lose(RemoteProtocolError(wrong))
            return self._next_closed()
        self._upgrade(self._random_bytes, self._http.trailing)
        del self._http
        return Upgraded(answer)

    def _feed_http(self, data: bytes | bytearray | memoryview) -> None:
        self._http.feed(data)

    def _http_deadline(self) -> float | None:
        return self._started_at + self.timings.handshake

    def _http_timeout(self) -> None:
        self._lose(RemoteProtocolError("the server did not answer the upgrade in time"))
