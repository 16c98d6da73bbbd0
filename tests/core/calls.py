"""Calls as the tests of the core hold them: bytes and values by hand, time by number."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from plivo_core import (
    ClientConnection,
    Ended,
    Event,
    RequestReceived,
    ServerConnection,
    Session,
    Upgraded,
    serialize_event,
)
from plivo_core.events import AgentEvent, AgentSessionStarted, StreamEvent, StreamStart
from plivo_core.wire._frames import CLOSE, TEXT, close_payload, encode_frame

MASK = b"\x01\x02\x03\x04"
STARTED = AgentSessionStarted(agent_session_id="session-1", call_id="call-1")
START = StreamStart(
    stream_id="stream-1", call_id="call-1", content_type="audio/x-mulaw", sample_rate=8000
)
UPGRADE = (
    b"GET /call HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def random_bytes(count: int) -> bytes:
    return b"\x5a" * count


def message(event: AgentEvent | StreamEvent | Mapping[str, Any]) -> str:
    wire = serialize_event(event) if isinstance(event, AgentEvent | StreamEvent) else event
    return json.dumps(wire)


def frame(text: str) -> bytes:
    """A text message as the platform frames it."""
    return encode_frame(TEXT, text.encode(), MASK)


def close_frame(code: int = 1000, reason: str = "") -> bytes:
    return encode_frame(CLOSE, close_payload(code, reason), MASK)


# --- a session alone ---


def a_session(*openings: AgentEvent | StreamEvent, now: float = 0.0, **options: Any) -> Session:
    """A session that has read ``openings`` and handed them out."""
    session = Session(now=now, **options)
    for event in openings:
        hears(session, event, now=now)
    return session


def hears(
    session: Session, *events: AgentEvent | StreamEvent | Mapping[str, Any] | str, now: float = 0.0
) -> list[Event]:
    """What the session hands out for these messages."""
    for event in events:
        text = event if isinstance(event, str) else message(event)
        session.receive_text(text, now=now)
    return handed_out(session)


def handed_out(session: Session) -> list[Event]:
    return list(iter(session.next_event, None))


def texts(session: Session) -> list[Any]:
    """The messages the session sends, decoded."""
    return [json.loads(text) for text in iter(session.next_text, None)]


# --- a connection ---


def a_connection(now: float = 0.0, **options: Any) -> ServerConnection:
    """The application's end, with an upgrade request that waits for its answer."""
    conn = ServerConnection(now=now, **options)
    conn.receive_data(UPGRADE, now=now)
    assert isinstance(conn.next_event(), RequestReceived)
    return conn


def a_call(
    *openings: AgentEvent | StreamEvent, now: float = 0.0, **options: Any
) -> ServerConnection:
    """The application's end of a call that was accepted and has read ``openings``."""
    conn = a_connection(now, **options)
    conn.accept(now=now)
    assert conn.data_to_send().startswith(b"HTTP/1.1 101")
    receives(conn, *openings, now=now)
    return conn


def receives(
    conn: ServerConnection,
    *events: AgentEvent | StreamEvent | Mapping[str, Any] | str,
    now: float = 0.0,
) -> list[Any]:
    """What the connection hands out when these messages arrive."""
    for event in events:
        text = event if isinstance(event, str) else message(event)
        conn.receive_data(frame(text), now=now)
    return events_of(conn)


def events_of(conn: ServerConnection | ClientConnection) -> list[Any]:
    return list(iter(conn.next_event, None))


def bytes_of(conn: ServerConnection | ClientConnection) -> bytes:
    return b"".join(iter(conn.data_to_send, b""))


def a_pair(now: float = 0.0, **options: Any) -> tuple[ServerConnection, ClientConnection]:
    """Both ends, upgraded, nothing in between."""
    client = ClientConnection(host="localhost", random_bytes=random_bytes, now=now, **options)
    server = ServerConnection(now=now, **options)
    server.receive_data(bytes_of(client), now=now)
    assert isinstance(server.next_event(), RequestReceived)
    server.accept(now=now)
    client.receive_data(bytes_of(server), now=now)
    assert isinstance(client.next_event(), Upgraded)
    return server, client


# --- looking at bytes and at state ---


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """(opcode, payload) of every whole frame, by code that shares nothing with the core's."""
    found: list[tuple[int, bytes]] = []
    while len(data) >= 2:
        size, at = data[1] & 0x7F, 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10], "big"), 10
        key = b"\0\0\0\0"
        if data[1] & 0x80:
            key, at = data[at : at + 4], at + 4
        if len(data) < at + size:
            break
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(data[at : at + size]))
        found.append((data[0] & 0x0F, payload))
        data = data[at + size :]
    return found


def messages(data: bytes) -> list[Any]:
    """The messages in these bytes, decoded."""
    return [json.loads(payload) for opcode, payload in frames(data) if opcode == TEXT]


def names(found: Iterable[Mapping[str, Any]]) -> list[str]:
    return [each.get("type") or each["event"] for each in found]


def close_codes(data: bytes) -> list[int]:
    return [int.from_bytes(payload[:2], "big") for op, payload in frames(data) if op == CLOSE]


def everything(thing: object) -> Any:
    """All that an object of the core holds, as plain comparable data; the clock left out."""
    if isinstance(thing, Enum | str | bytes | int | float | type(None)):
        return thing
    if isinstance(thing, dict):
        return {key: everything(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple | deque):
        return [everything(value) for value in thing]
    if isinstance(thing, bytearray):
        return bytes(thing)
    if not type(thing).__module__.startswith("plivo_core"):
        return type(thing)
    members: dict[str, object] = dict(getattr(thing, "__dict__", {}))
    for cls in type(thing).__mro__:
        for name in getattr(cls, "__slots__", ()):
            if hasattr(thing, name):
                members[name] = getattr(thing, name)
    return {name: everything(value) for name, value in members.items() if name != "now"}


def is_over(conn: ServerConnection | ClientConnection | Session) -> bool:
    """Whether nothing comes out any more, whatever goes in."""
    silent = conn.next_event() is None and conn.deadline() is None
    if isinstance(conn, Session):
        return silent and conn.next_text() is None and conn.closing is None
    return silent and conn.data_to_send() == b""


def the_end(events: Iterable[object]) -> Ended:
    """The one Ended there is, which is the last event."""
    found = list(events)
    *before, last = found
    assert isinstance(last, Ended)
    assert not any(isinstance(event, Ended) for event in before)
    return last
