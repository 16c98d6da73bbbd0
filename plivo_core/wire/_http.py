"""HTTP/1.1 on top of h11: one request and one answer per connection, in either role.

h11 parses; what it leaves open is closed here: the size of a head that arrives in one piece, the
number of headers, control characters and non-ASCII in values, Content-Length together with
Transfer-Encoding, odd targets and versions, the size of a body. Every answer says
``Connection: close``, which ends keep-alive, pipelining and request smuggling as classes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import h11

from plivo_core.errors import LocalProtocolError
from plivo_core.limits import Limits
from plivo_core.wire._messages import Headers, Request, Response
from plivo_core.wire._upgrade import is_upgrade, refusal

__all__ = ["HttpClient", "HttpServer", "Refused", "check_headers"]

_REASONS = {
    101: b"Switching Protocols",
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    426: b"Upgrade Required",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}
# h11 lets control characters other than NUL into values, and any byte from 0x80 up.
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ASCII_ONLY = (b"host", b"connection", b"upgrade", b"content-", b"transfer-", b"sec-websocket-")
_OURS = frozenset(
    {"connection", "content-length", "transfer-encoding"}
    | {f"sec-websocket-{name}" for name in ("accept", "extensions", "protocol")}
)
_OURS_IN_AN_UPGRADE = _OURS | {"host", "upgrade", "sec-websocket-key", "sec-websocket-version"}
# A call keeps its request, and every call brings these: one of each is enough for all. (Not
# sys.intern(): what a peer may choose would stay for ever on CPython 3.12.)
_NAMES = {
    name.encode(): name
    for name in (
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "origin",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-version",
        "upgrade",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-plivo-signature-ma-v3",
        "x-plivo-signature-v3",
        "x-plivo-signature-v3-nonce",
    )
}
_ANSWER_EXCERPT = 64 * 1024  # of a rejecting server's body: enough for its explanation


@dataclass(frozen=True, slots=True)
class Refused:
    """The request cannot be taken; ``response`` is the answer the core gives by itself."""

    response: Response


def _refused(status: int, text: str) -> Refused:
    return Refused(Response(status=status, body=f"{text}\n".encode()))


class HttpServer:
    """Reads one request, writes one answer."""

    __slots__ = ("_body", "_buffer", "_h11", "_head", "_limits", "_request", "trailing", "upgrade")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.max_head + 1)
        self._buffer = bytearray()
        self._head = 0  # bytes h11 has been given while the head was incomplete
        self._request: h11.Request | None = None
        self._body = bytearray()
        self.upgrade = False
        self.trailing = b""  # behind an upgrade's head: the first frames

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self._buffer += data

    @property
    def head_received(self) -> bool:
        return self._request is not None

    def next(self) -> Request | Refused | None:
        """The request once it is whole, or the refusal of it; None: feed more. Once each."""
        try:
            if self._request is None:
                return self._next_head()
            return self._next_body()
        except (h11.RemoteProtocolError, ValueError) as error:  # UnicodeError is a ValueError
            status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
            return _refused(501 if status == 501 else 400, "malformed HTTP")

    def _next_head(self) -> Request | Refused | None:
        limit = self._limits.max_head
        room = limit - self._head
        _feed(self._h11, self._buffer[:room])
        self._head += min(room, len(self._buffer))
        del self._buffer[:room]
        event = self._h11.next_event()
        if not isinstance(event, h11.Request):
            if self._head == limit:
                return _refused(431, f"the head is over {limit} bytes")
            return None
        self._request = event
        return self._check_head(event) or self._next_body()

    def _check_head(self, event: h11.Request) -> Refused | None:
        headers = event.headers.raw_items()
        if len(headers) > self._limits.max_headers:
            return _refused(431, f"over {self._limits.max_headers} headers")
        names = [name.lower() for name, _ in headers]
        for name, (_, value) in zip(names, headers, strict=True):
            if _CONTROLS.search(value) or (name.startswith(_ASCII_ONLY) and not value.isascii()):
                return _refused(400, "a header value holds characters that are not allowed")
        if event.http_version not in (b"1.0", b"1.1"):
            return _refused(505, "HTTP/1.1, please")
        if b"content-length" in names and b"transfer-encoding" in names:
            return _refused(400, "Content-Length together with Transfer-Encoding")
        target = event.target
        connect = event.method == b"CONNECT"  # whose target is an authority, never a path
        if connect or not target.startswith(b"/") or b"#" in target or b"\\" in target:
            return _refused(400, "the target must be a path")
        decoded = self._headers(event)
        if is_upgrade(decoded):
            self.upgrade = True
            if (
                response := refusal(event.method.decode(), event.http_version, decoded)
            ) is not None:
                return Refused(response)
        length = event.headers  # h11 has normalised it: digits, one value
        if any(n == b"content-length" and int(v) > self._limits.max_body for n, v in length):
            return _refused(413, f"the body is over {self._limits.max_body} bytes")
        return None

    def _next_body(self) -> Request | Refused | None:
        assert self._request is not None
        if not self.upgrade:
            _feed(self._h11, self._buffer)
            self._buffer.clear()
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > self._limits.max_body:
                    return _refused(413, f"the body is over {self._limits.max_body} bytes")
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return None
        if self.upgrade:
            self.trailing = self._h11.trailing_data[0] + bytes(self._buffer)
            self._buffer.clear()
        return Request(
            method=self._request.method.decode(),
            target=self._request.target.decode(),
            headers=self._headers(self._request),
            body=bytes(self._body),
        )

    def wants_continue(self) -> bool:
        """Whether the peer waits for a 100 before it sends the body (RFC 9110 10.1.1)."""
        return self._h11.they_are_waiting_for_100_continue

    def interim(self) -> bytes:
        """The 100 answer."""
        return self._send(h11.InformationalResponse(status_code=100, headers=[]))

    def switch(self, headers: Headers) -> bytes:
        """The 101 answer. Raises LocalProtocolError for headers HTTP cannot carry."""
        return self._send(_written(h11.InformationalResponse, 101, headers))

    def answer(self, response: Response) -> bytes:
        """Any other answer, whole. Raises LocalProtocolError for headers HTTP cannot carry."""
        bodiless = response.status in (204, 304)
        extra: Headers = (("connection", "close"),)
        if not bodiless:
            extra += (("content-length", str(len(response.body))),)
        data = self._send(_written(h11.Response, response.status, response.headers + extra))
        if not bodiless and not (self._request and self._request.method == b"HEAD"):
            data += self._send(h11.Data(data=response.body))
        return data + self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""

    @staticmethod
    def _headers(event: h11.Request) -> Headers:
        return tuple(
            (_NAMES.get(name) or name.decode(), value.decode("latin-1"))
            for name, value in event.headers
        )


def _feed(parser: h11.Connection, data: bytearray) -> None:
    """Give h11 bytes; none at all would mean the end of the stream to it."""
    if data:
        parser.receive_data(bytes(data))


def check_headers(headers: Headers, *, switching: bool = False) -> None:
    """Refuse headers that the core writes by itself. Raises LocalProtocolError.

    A 426 must name ``Upgrade`` (RFC 9110 15.5.22), so only the two heads of the handshake
    (``switching``) keep it for us.
    """
    ours = _OURS_IN_AN_UPGRADE if switching else _OURS
    for name, _ in headers:
        if name.lower() in ours:
            raise LocalProtocolError(f"the header {name!r} is written by the core; leave it out")


def _written(
    kind: type[h11.Response] | type[h11.InformationalResponse], status: int, headers: Headers
) -> h11.Response | h11.InformationalResponse:
    try:
        return kind(
            status_code=status,
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers],
            reason=_REASONS.get(status, b""),
        )
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise LocalProtocolError(f"HTTP cannot carry this answer: {error}") from error


class HttpClient:
    """Writes one upgrade request, reads its answer."""

    __slots__ = ("_body", "_buffer", "_h11", "_head", "_limits", "_response", "trailing")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.max_head + 1)
        self._buffer = bytearray()
        self._head = 0
        self._response: h11.Response | None = None
        self._body = bytearray()
        self.trailing = b""

    def request(self, target: str, headers: Headers) -> bytes:
        """The bytes of the upgrade. Raises LocalProtocolError for what HTTP cannot carry."""
        try:
            event = h11.Request(
                method="GET",
                target=target,
                headers=[
                    (name.encode("ascii"), value.encode("latin-1")) for name, value in headers
                ],
            )
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise LocalProtocolError(f"HTTP cannot carry this request: {error}") from error
        return (self._h11.send(event) or b"") + (self._h11.send(h11.EndOfMessage()) or b"")

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self._buffer += data

    def next(self, *, eof: bool) -> Response | str | None:
        """The answer, or what is wrong with it as text; None: feed more. Once each."""
        try:
            return self._next(eof=eof)
        except (h11.RemoteProtocolError, ValueError):
            return "the server's answer is not HTTP/1.1"

    def _next(self, *, eof: bool) -> Response | str | None:
        while self._response is None:
            room = self._limits.max_head - self._head
            _feed(self._h11, self._buffer[:room])
            self._head += min(room, len(self._buffer))
            del self._buffer[:room]
            event = self._h11.next_event()
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    self.trailing = self._h11.trailing_data[0] + bytes(self._buffer)
                    return self._made(event)
            elif isinstance(event, h11.Response):
                self._response = event
            elif self._head == self._limits.max_head:
                return f"the head of the server's answer is over {self._limits.max_head} bytes"
            else:
                return None
        return self._next_body(self._response, eof=eof)

    def _next_body(self, response: h11.Response, *, eof: bool) -> Response | None:
        _feed(self._h11, self._buffer)
        self._buffer.clear()
        while len(self._body) < _ANSWER_EXCERPT:
            event = self._h11.next_event()
            if isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage) or eof:
                break
            else:
                return None
        return self._made(response)

    def _made(self, event: h11.Response | h11.InformationalResponse) -> Response:
        return Response(
            status=event.status_code,
            headers=tuple(
                (name.decode(), value.decode("latin-1")) for name, value in event.headers
            ),
            body=bytes(self._body[:_ANSWER_EXCERPT]),
        )
