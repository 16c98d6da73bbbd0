"""A network without sockets: peers written from the RFCs, and drivers that record what is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from plivo_core.limits import Limits, Timings
from plivo_core.wire import (
    RequestReceived,
    Response,
    WebSocketClient,
    WebSocketServer,
    WireClosed,
)

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = bytes.fromhex("37fa213d")  # RFC 6455 5.7

# RFC 6455 1.3: the key of the example, and what answers it.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
UPGRADE_LINES = (
    b"Host: server.example.com",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: " + KEY.encode(),
    b"Sec-WebSocket-Version: 13",
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n"
)


def frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, mask: bytes | None = MASK
) -> bytes:
    """One frame, a client's unless ``mask`` is None."""
    size = len(payload)
    bit = 0 if mask is None else 0x80
    length = bytes([bit | min(size, 126 if size < 65536 else 127)])
    if size >= 126:
        length = bytes([bit | (126 if size < 65536 else 127)])
        length += size.to_bytes(2 if size < 65536 else 8, "big")
    first = bytes([0x80 * final | opcode])
    if mask is None:
        return first + length + payload
    return first + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def close_frame(code: int, reason: str = "", *, mask: bytes | None = MASK) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode(), mask=mask)


def frames_in(data: bytes) -> list[tuple[int, bytes]]:
    """(opcode, payload) of whole, unfragmented frames of either role."""
    found: list[tuple[int, bytes]] = []
    while data:
        assert data[0] & 0xF0 == 0x80, data[:20]
        size, at = data[1] & 0x7F, 2
        if size >= 126:
            extra = 2 if size == 126 else 8
            size, at = int.from_bytes(data[2 : 2 + extra], "big"), 2 + extra
        mask = b"\0\0\0\0"
        if data[1] & 0x80:
            mask, at = data[at : at + 4], at + 4
        payload = data[at : at + size]
        assert len(payload) == size
        found.append((data[0] & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))))
        data = data[at + size :]
    return found


def request_head(
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"/chat?call=1",
    version: bytes = b"1.1",
    host: bytes | None = b"server.example.com",
) -> bytes:
    """An HTTP head of just these lines (and a Host)."""
    hosts = [] if host is None else [b"Host: " + host]
    return b"\r\n".join([method + b" " + target + b" HTTP/" + version, *hosts, *lines, b"", b""])


def upgrade_head(
    *more: bytes,
    without: bytes = b"-",
    method: bytes = b"GET",
    target: bytes = b"/chat?call=1",
    version: bytes = b"1.1",
) -> bytes:
    """RFC 6455 1.2's request, changed in one place."""
    kept = [line for line in UPGRADE_LINES[1:] if not line.startswith(without)]
    return request_head(*kept, *more, method=method, target=target, version=version)


def told(event: object) -> object:
    """An event as a value: errors compare by type and text."""
    if isinstance(event, WireClosed):
        return (event.initiator, event.code, event.reason, type(event.error), str(event.error))
    return event


def drain(
    conn: WebSocketServer | WebSocketClient, *, accept: bool = True
) -> tuple[list[Any], bytes]:
    """Everything that is to be told and sent. Upgrades are accepted, requests answered 200."""
    events: list[Any] = []
    now = conn.clock.now
    while (event := conn.next_event()) is not None:
        events.append(event)
        if accept and isinstance(event, RequestReceived):
            assert isinstance(conn, WebSocketServer)
            if event.upgrade:
                conn.accept(now=now)
            else:
                conn.respond(Response(body=event.request.body), now=now)
    return events, taken(conn)


def taken(conn: WebSocketServer | WebSocketClient) -> bytes:
    data = b""
    while piece := conn.data_to_send():
        data += piece
    return data


def fed(
    conn: WebSocketServer | WebSocketClient, *pieces: bytes, now: float = 0.0, accept: bool = True
) -> tuple[list[Any], bytes]:
    """What is told and sent in response to these pieces, drained after each."""
    events: list[Any] = []
    data = b""
    for piece in pieces:
        conn.receive_data(piece, now=now)
        more, sent = drain(conn, accept=accept)
        events += more
        data += sent
    return events, data


def snapshot(conn: WebSocketServer | WebSocketClient) -> tuple[object, ...]:
    """All that a driver can see of the state."""
    return conn.deadline(), conn.idle, conn.closed, conn.should_close_transport, conn.linger


def a_server(
    *, limits: Limits | None = None, timings: Timings | None = None, fast: bool = True
) -> WebSocketServer:
    server = WebSocketServer(now=0.0, limits=limits, timings=timings)
    server._fast = fast  # pyright: ignore[reportPrivateUsage]
    return server


def an_upgraded_server(
    *, limits: Limits | None = None, timings: Timings | None = None, fast: bool = True
) -> WebSocketServer:
    server = a_server(limits=limits, timings=timings, fast=fast)
    events, data = fed(server, upgrade_head())
    assert events[0].upgrade
    assert data.startswith(b"HTTP/1.1 101 ")
    return server


def rfc_random(size: int) -> bytes:
    """The RFC's nonce for the handshake, its mask for every frame."""
    return b"the sample nonce" if size == 16 else MASK[:size]


def a_client(*, limits: Limits | None = None, timings: Timings | None = None) -> WebSocketClient:
    return WebSocketClient(
        host="server.example.com",
        target="/chat",
        random_bytes=rfc_random,
        now=0.0,
        limits=limits,
        timings=timings,
    )


def an_upgraded_client(
    *, limits: Limits | None = None, timings: Timings | None = None
) -> WebSocketClient:
    client = a_client(limits=limits, timings=timings)
    taken(client)
    events, _ = fed(client, SWITCHING)
    assert len(events) == 1
    return client


def closings(events: Iterable[object]) -> list[WireClosed]:
    return [event for event in events if isinstance(event, WireClosed)]
