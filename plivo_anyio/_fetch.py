"""A small HTTP/1.1 client: one request on a connection of its own, as the platform calls back."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import h11

from plivo_anyio._dial import dial
from plivo_anyio._transport import ByteIO, StreamIO, TransportLost
from plivo_core.wire import Headers

__all__ = ["Fetched", "NoAnswer", "fetch"]

_READ = 16 * 1024
_MAX_HEAD = 16 * 1024  # bytes: what h11 takes by default
_MAX_BODY = 100 * 1024 + 1  # answer XML has at most 100 KB (PROTOCOL.md 7.7); one more shows


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came; a body that is longer than 100 KiB is cut behind its first byte too many."""

    status: int
    body: bytes


class NoAnswer(Exception):  # noqa: N818 - an outcome, told to whoever asked
    """There is no answer; ``connected`` says whether there was a connection."""

    def __init__(self, text: str, *, connected: bool) -> None:
        super().__init__(text)
        self.connected = connected


async def fetch(
    method: str,
    url: str,
    *,
    headers: Headers = (),
    body: bytes = b"",
    connect_timeout: float,
    read_timeout: float,
) -> Fetched:
    """Ask once, follow nothing. Raises :class:`NoAnswer`; times are in seconds."""
    parts = urlsplit(url)  # the account took no address that this cannot read
    secure = parts.scheme.lower() == "https"
    host = parts.hostname or ""
    target = url[url.index("//") + 2 + len(parts.netloc) :].partition("#")[0]
    if not target.startswith("/"):
        target = f"/{target}"
    conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
    head = [("host", parts.netloc.rpartition("@")[2]), *headers, ("connection", "close")]
    if method != "GET":
        head.append(("content-length", str(len(body))))
    try:
        request = h11.Request(method=method, target=target, headers=head)
        data = _sent(conn, request, h11.Data(data=body), h11.EndOfMessage())
        with anyio.fail_after(connect_timeout):
            stream = await dial(host, parts.port or (443 if secure else 80), tls=secure)
    # TimeoutError is an OSError; UnicodeError, a ValueError, is what no head can hold.
    except (OSError, ValueError, h11.LocalProtocolError) as error:
        raise NoAnswer(f"no connection: {error!r}", connected=False) from error
    try:
        with anyio.fail_after(read_timeout):
            async with stream:
                io = StreamIO(stream)
                await io.send(data)
                return await _read(io, conn)
    except (OSError, TransportLost, h11.RemoteProtocolError) as error:
        raise NoAnswer(f"no answer: {error!r}", connected=True) from error


def _sent(conn: h11.Connection, *events: h11.Event) -> bytes:
    return b"".join(conn.send(event) or b"" for event in events)


async def _read(io: ByteIO, conn: h11.Connection) -> Fetched:
    status, body = 0, bytearray()
    while True:
        event = conn.next_event()
        if event is h11.NEED_DATA:
            conn.receive_data(await io.receive(_READ))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif not isinstance(event, h11.InformationalResponse):
            break  # the end of the message
        if len(body) >= _MAX_BODY:
            break
    return Fetched(status, bytes(body[:_MAX_BODY]))
