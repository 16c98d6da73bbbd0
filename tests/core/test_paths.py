"""The paths a frame can take are indistinguishable: bytes in, events, bytes, state and time out.

A text frame is read out of the bytes it came in, or out of a buffer when it came in pieces, or by
wsproto. Here whole connections, of either role, get the same arbitrary frames in the same arbitrary
pieces by each of these ways, and all that a driver can see is compared after every input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from hypothesis import example, given, settings
from hypothesis import strategies as st

from plivo_core import (
    ClientConnection,
    Ended,
    Limits,
    PlivoError,
    RequestReceived,
    ServerConnection,
    Upgraded,
)
from plivo_core.commands import Checkpoint, Command, serialize_command
from plivo_core.events import (
    AgentSessionEnded,
    Interruption,
    StreamMedia,
    StreamStart,
    ToolCall,
)
from plivo_core.testing import (
    chunkings,
    client_frames,
    commands,
    conversations,
    hostile_frames,
    hostile_messages,
)
from tests.core._wire import BINARY, CONTINUATION, PING, PONG, TEXT, close_frame, frame
from tests.core.calls import UPGRADE, bytes_of, everything, message

Connection: TypeAlias = "ServerConnection | ClientConnection"
Feed: TypeAlias = "Callable[[Connection, bytes, float], None]"

SMALL = Limits(max_message=1000, max_fragments=3, max_invalid_messages=2)
MASKS = st.binary(min_size=4, max_size=4)


# --- what a peer may say --------------------------------------------------------------------------


def events_as_text() -> st.SearchStrategy[list[bytes]]:
    hostile = hostile_messages().filter(lambda raw: not isinstance(raw, dict))
    odd = hostile.map(
        lambda raw: raw if isinstance(raw, bytes) else str(raw).encode("utf-8", "replace")
    )
    told = conversations(max_parts=3).map(lambda said: [message(event).encode() for event in said])
    return st.one_of(told, told, st.lists(odd, min_size=1, max_size=3))


def commands_as_text() -> st.SearchStrategy[list[bytes]]:
    def text_of(command: Command) -> bytes:
        return message(serialize_command(command)).encode()

    return st.lists(commands().map(text_of), max_size=4)


@st.composite
def framed(draw: st.DrawFn, payload: bytes, *, masked: bool, rules: bool) -> bytes:
    """A message in one of the shapes it can take, or (without ``rules``) in one it must not."""
    mask = draw(MASKS) if masked else None
    lawful, unlawful = ["text", "text", "text", "binary", "fragments"], ["longer", "mask", "utf-8"]
    shape = draw(st.sampled_from(lawful if rules else ["text", *unlawful]))
    if shape == "fragments":
        half = draw(st.integers(0, len(payload)))
        between = draw(st.sampled_from([b"", frame(PING, b"p", mask=mask), frame(PONG, mask=mask)]))
        first = frame(TEXT, payload[:half], final=False, mask=mask)
        return first + between + frame(CONTINUATION, payload[half:], mask=mask)
    if shape == "longer":  # a length in two bytes, or in eight, that fits into fewer
        whole = frame(TEXT, payload, mask=mask)
        size, bit = len(payload), 0x80 * masked
        body = whole[len(whole) - size - 4 * masked :]
        if size < 126 and draw(st.booleans()):
            return bytes([0x81, bit | 126]) + size.to_bytes(2, "big") + body
        return bytes([0x81, bit | 127]) + size.to_bytes(8, "big") + body
    if shape == "mask":
        return frame(TEXT, payload, mask=None if masked else draw(MASKS))
    if shape == "utf-8":
        payload += draw(st.sampled_from([b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80"]))
    return frame(BINARY if shape == "binary" else TEXT, payload, mask=mask)


@st.composite
def streams(draw: st.DrawFn, *, masked: bool) -> list[bytes]:
    """Frames of a call, of any other conversation, and of nobody's; in pieces."""
    texts = draw(events_as_text() if masked else commands_as_text())
    # Just inside and outside of what a fast path may take: the length forms and Limits.max_message.
    edges = st.sampled_from([0, 1, 125, 126, 127, 999, 1000, 1001, 65535, 65536])
    texts += [b"x" * size for size in draw(st.lists(edges, max_size=2))]
    rules = draw(st.booleans())
    parts = [draw(framed(text, masked=masked, rules=rules)) for text in texts]
    others = client_frames(masked=masked, max_messages=2)
    parts += draw(st.lists(others if rules else others | hostile_frames(masked=masked), max_size=2))
    if draw(st.booleans()):
        code = draw(st.sampled_from([1000, 1001, 1005, 4000]))
        parts.append(close_frame(code, "bye", mask=draw(MASKS) if masked else None))
    if draw(st.booleans()):
        parts = draw(st.permutations(parts))
    if draw(st.booleans()):
        return draw(chunkings(b"".join(parts)))
    # As a network delivers that loses nothing: some whole messages at a time.
    pieces = [b""]
    for part in parts:
        if draw(st.booleans()):
            pieces.append(b"")
        pieces[-1] += part
    return pieces


# --- the ways to take it --------------------------------------------------------------------------


def as_bytes(conn: Connection, piece: bytes, now: float) -> None:
    conn.receive_data(piece, now=now)


def in_a_shared_buffer(conn: Connection, piece: bytes, now: float) -> None:
    """As a driver that reads into one buffer for all: overwritten as soon as the call is back."""
    shared = bytearray(piece)
    conn.receive_data(memoryview(shared), now=now)
    shared[:] = b"\x81" * len(shared)


def a_server(limits: Limits, *, fast: bool) -> ServerConnection:
    conn = ServerConnection(now=0, limits=limits)
    conn._wire._fast = fast  # pyright: ignore[reportPrivateUsage]
    conn.receive_data(UPGRADE, now=0)
    assert isinstance(conn.next_event(), RequestReceived)
    conn.accept(now=0)
    bytes_of(conn)
    return conn


def a_client(limits: Limits, *, fast: bool) -> ClientConnection:
    client = ClientConnection(host="h", random_bytes=bytes, now=0, limits=limits)
    client._wire._fast = fast  # pyright: ignore[reportPrivateUsage]
    server = ServerConnection(now=0)
    server.receive_data(bytes_of(client), now=0)
    assert isinstance(server.next_event(), RequestReceived)
    server.accept(now=0)
    client.receive_data(bytes_of(server), now=0)
    assert isinstance(client.next_event(), Upgraded)
    return client


def react(conn: Connection, event: object) -> None:
    """An application, or a simulator, that answers; refusals are part of what is compared."""
    if isinstance(conn, ClientConnection):
        if isinstance(event, Checkpoint):
            conn.send_text('{"event":"playedStream"}', now=0)
    elif isinstance(event, StreamMedia):
        conn.session.send_media(event.payload)
    elif isinstance(event, StreamStart):
        conn.session.send_checkpoint("greeting")
    elif isinstance(event, ToolCall):
        conn.session.send_tool_result(event.id, {"echo": event.name})
    elif isinstance(event, Interruption):
        conn.session.clear_audio()
    elif isinstance(event, AgentSessionEnded):
        conn.session.speak("bye")


def outcome(event: object) -> object:
    """An event as a value: errors compare by type and text."""
    if isinstance(event, Ended):
        return event.initiator, event.code, event.reason, event.cause, repr(event.error)
    return type(event), event


def seen(conn: Connection) -> list[Any]:
    """Everything a driver can see after an input: it drains, then looks."""
    found: list[Any] = []
    while (event := conn.next_event()) is not None:
        found.append(outcome(event))
        try:
            react(conn, event)
        except PlivoError as error:
            found.append(repr(error))
    found += [bytes_of(conn), conn.deadline(), conn.should_close_transport, conn.linger]
    if isinstance(conn, ServerConnection):
        found += [conn.wants_to_send, conn.message_size, everything(conn.session)]
    return found


def run(conn: Connection, feed: Feed, pieces: list[bytes], pauses: list[float]) -> list[Any]:
    """What is seen after each piece, after each timer that is due meanwhile, and at the end.

    A negative pause: the driver reads on before it looks.
    """
    now, story = 0.0, []
    for at, piece in enumerate(pieces):
        pause = pauses[at % len(pauses)]
        while (due := conn.deadline()) is not None and due <= now + pause:
            conn.handle_timeout(now=due)
            story.append(seen(conn))
        now += max(pause, 0.0)
        feed(conn, piece, now)
        if pause >= 0:
            story.append(seen(conn))
    for _ in range(3):  # a ping, the end of the patience with it, the end of that with the Close
        if (due := conn.deadline()) is not None:
            conn.handle_timeout(now=max(due, now))
            story.append(seen(conn))
    conn.receive_eof(now=1000)
    return [*story, seen(conn)]


pauses = st.lists(st.sampled_from([0.0, 0.0, 0.02, 3.0, 19.0, 25.0, 31.0, -1.0]), min_size=1)
limits = st.sampled_from([Limits(), SMALL])


@settings(max_examples=100)
@given(streams(masked=True), pauses, limits)
@example([frame(TEXT, b"x" * 200, mask=None)], [0.0], Limits())
def test_a_server_cannot_tell_by_which_path_a_frame_came(
    pieces: list[bytes], pauses: list[float], limits: Limits
) -> None:
    slow = run(a_server(limits, fast=False), as_bytes, pieces, pauses)
    assert run(a_server(limits, fast=True), as_bytes, pieces, pauses) == slow
    assert run(a_server(limits, fast=True), in_a_shared_buffer, pieces, pauses) == slow


@settings(max_examples=150)
@given(streams(masked=False), pauses, limits)
@example([frame(TEXT, b"x" * 200)], [0.0], Limits())
def test_a_client_cannot_tell_by_which_path_a_frame_came(
    pieces: list[bytes], pauses: list[float], limits: Limits
) -> None:
    slow = run(a_client(limits, fast=False), as_bytes, pieces, pauses)
    assert run(a_client(limits, fast=True), as_bytes, pieces, pauses) == slow
    assert run(a_client(limits, fast=True), in_a_shared_buffer, pieces, pauses) == slow
