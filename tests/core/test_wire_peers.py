"""Both ends as a driver sees them: any cut, any state, any garbage, and somebody else's peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as TheirRequest
from websockets.http11 import Response as TheirResponse
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from plivo_core.errors import LocalProtocolError, SessionClosedError, WebSocketError
from plivo_core.limits import Limits
from plivo_core.testing import chunkings, client_frames, hostile_frames, hostile_heads
from plivo_core.wire import (
    RequestReceived,
    Response,
    Upgraded,
    WebSocketClient,
    WebSocketServer,
    WireClosed,
)
from tests.core._wire import (
    CLOSE,
    PING,
    PONG,
    SWITCHING,
    a_client,
    a_server,
    an_upgraded_client,
    an_upgraded_server,
    close_frame,
    closings,
    drain,
    fed,
    frame,
    frames_in,
    request_head,
    snapshot,
    taken,
    told,
    upgrade_head,
)

Peer = WebSocketServer | WebSocketClient
Step = tuple[list[object], bytes]
SMALL = Limits(max_message=1000, max_fragments=4)

frames_of_a_client = client_frames() | hostile_frames()
frames_of_a_server = client_frames(masked=False) | hostile_frames(masked=False)
requests = (
    st.just(upgrade_head())
    | hostile_heads()
    | st.builds(
        lambda body: request_head(b"Content-Length: %d" % len(body), method=b"POST") + body,
        st.binary(max_size=50),
    )
    | st.builds(
        lambda size, body: (
            request_head(b"Transfer-Encoding: chunked", method=b"POST") + b"%x\r\n" % size + body
        ),
        st.integers(0, 20),
        st.binary(max_size=30),
    )
).filter(lambda head: b"Expect" not in head)  # whether a 100 is needed depends on the timing
answers = (
    st.just(SWITCHING)
    | st.just(b"HTTP/1.1 103 Early\r\n\r\n" + SWITCHING)
    | st.builds(
        lambda status, body: b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status + body,
        st.integers(200, 999),
        st.binary(max_size=20),
    )
    | st.binary(max_size=60)
)


def steps_of(peer: Peer, pieces: Sequence[bytes]) -> list[Step]:
    """What each piece brings about, drained after each."""
    steps: list[Step] = []
    for piece in pieces:
        events, data = fed(peer, piece)
        steps.append(([told(event) for event in events], data))
    return steps


def ending_of(peer: Peer) -> tuple[object, ...]:
    """All that can still be seen of the state, now and when the peer is gone."""
    seen: list[object] = [snapshot(peer)]
    if (due := peer.deadline()) is not None:
        peer.handle_timeout(now=due)
        events, data = drain(peer)
        seen += [[told(event) for event in events], data, snapshot(peer)]
    peer.receive_eof(now=100.0)
    events, data = drain(peer)
    return (*seen, [told(event) for event in events], data, snapshot(peer))


def with_one_pong_per_piece(bytewise: list[Step], pieces: list[bytes]) -> list[Step]:
    """What ``pieces`` must bring about, given what their single bytes did.

    The same, except that a pong still pending is replaced by the next one, goes before other
    output and is dropped for a Close.
    """
    merged: list[Step] = []
    at = 0
    for piece in pieces:
        events: list[object] = []
        pong, rest = b"", b""
        for more, data in bytewise[at : at + len(piece)]:
            events += more
            if data[:1] == bytes([0x80 | PONG]):
                pong = data
            else:
                rest += data
        closes = rest[:1] == bytes([0x80 | CLOSE])
        head, end, behind = rest.rpartition(b"\r\n\r\n")
        closes |= behind[:1] == bytes([0x80 | CLOSE])
        merged.append((events, head + end + (b"" if closes else pong) + behind))
        at += len(piece)
    return merged


@given(st.data(), requests, frames_of_a_client, st.sampled_from([Limits(), SMALL]))
def test_no_chunking_changes_events_bytes_or_state_of_a_server(
    data: st.DataObject, head: bytes, frames: bytes, limits: Limits
) -> None:
    stream = (head + frames)[:6000]
    pieces = data.draw(chunkings(stream))
    bytewise, cut = a_server(limits=limits), a_server(limits=limits)
    singles = steps_of(bytewise, [bytes([byte]) for byte in stream])
    assert steps_of(cut, pieces) == with_one_pong_per_piece(singles, pieces)
    assert ending_of(cut) == ending_of(bytewise)


@given(st.data(), answers, frames_of_a_server)
def test_no_chunking_changes_events_bytes_or_state_of_a_client(
    data: st.DataObject, answer: bytes, frames: bytes
) -> None:
    stream = (answer + frames)[:6000]
    pieces = data.draw(chunkings(stream))
    bytewise, cut = a_client(), a_client()
    assert taken(bytewise) == taken(cut)
    singles = steps_of(bytewise, [bytes([byte]) for byte in stream])
    assert steps_of(cut, pieces) == with_one_pong_per_piece(singles, pieces)
    assert ending_of(cut) == ending_of(bytewise)


@settings(max_examples=60)
@given(st.data(), frames_of_a_client, st.sampled_from([Limits(), SMALL]))
def test_with_and_without_the_fast_path_a_server_is_the_same(
    data: st.DataObject, frames: bytes, limits: Limits
) -> None:
    pieces = data.draw(chunkings(upgrade_head() + frames))
    fast, slow = a_server(limits=limits), a_server(limits=limits, fast=False)
    assert steps_of(fast, pieces) == steps_of(slow, pieces)
    assert ending_of(fast) == ending_of(slow)


# -- never raises ------------------------------------------------------------------------------

PHASES: dict[str, Callable[[], Peer]] = {
    "server, fresh": a_server,
    "server, upgraded": an_upgraded_server,
    "client, fresh": a_client,
    "client, upgraded": an_upgraded_client,
}
inputs = st.one_of(
    st.binary(max_size=200),
    requests,
    answers,
    frames_of_a_client,
    frames_of_a_server,
    st.sampled_from(["eof", "timer", "failed", "close", "send"]),
)


@pytest.mark.parametrize("phase", PHASES)
@settings(max_examples=60)
@given(st.lists(inputs, max_size=6))
def test_nothing_that_a_peer_or_the_clock_does_raises(
    phase: str, script: list[bytes | str]
) -> None:
    peer = PHASES[phase]()
    events: list[object] = []
    for number, move in enumerate(script):
        now = number * 7.0
        if isinstance(move, bytes):
            peer.receive_data(memoryview(move), now=now)
        elif move == "eof":
            peer.receive_eof(now=now)
        elif move == "timer":
            peer.handle_timeout(now=now)
        elif move == "failed":
            peer.send_failed(now=now)
        elif move == "close":
            peer.close(now=now)
        else:
            try:
                peer.send_message("x", now=now)
            except (LocalProtocolError, SessionClosedError):
                pass
        more, data = drain(peer)
        assert not (data and closings(events)), "bytes after the end"
        events += more
        assert peer.closed is bool(closings(events))
        assert (peer.deadline() is None) is peer.closed
    if closings(events):
        assert len(closings(events)) == 1
        assert isinstance(events[-1], WireClosed)


# -- every method in every state ---------------------------------------------------------------


def waiting(head: bytes) -> WebSocketServer:
    server = a_server()
    fed(server, head, accept=False)
    return server


def after(peer: Any, *moves: Callable[[Any], object]) -> Any:
    for move in moves:
        move(peer)
        drain(peer)
    return peer


def closes(peer: Peer) -> None:
    peer.close(1000, "bye", now=0.0)


def loses(peer: Peer) -> None:
    peer.send_failed(now=0.0)


def receives(data: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.receive_data(data, now=0.0)


SERVER_STATES: dict[str, Callable[[], WebSocketServer]] = {
    "before the head": a_server,
    "head incomplete": lambda: waiting(upgrade_head()[:20]),
    "body incomplete": lambda: waiting(request_head(b"Content-Length: 9", method=b"POST")),
    "upgrade received": lambda: waiting(upgrade_head()),
    "request received": lambda: waiting(request_head()),
    "upgraded": an_upgraded_server,
    "close sent": lambda: after(an_upgraded_server(), closes),
    "close received": lambda: after(an_upgraded_server(), receives(close_frame(1000))),
    "ended": lambda: after(an_upgraded_server(), closes, receives(close_frame(1000))),
    "failed": lambda: after(an_upgraded_server(), receives(frame(0x3))),
    "lost": lambda: after(an_upgraded_server(), loses),
    "lost before the head": lambda: after(a_server(), loses),
    "closed before the head": lambda: after(a_server(), closes),
    "refused": lambda: after(a_server(), receives(b"\x00")),
    "answered": lambda: after(a_server(), receives(request_head())),
}
CLIENT_STATES: dict[str, Callable[[], WebSocketClient]] = {
    "before the answer": a_client,
    "answer incomplete": lambda: after(a_client(), receives(SWITCHING[:20])),
    "upgraded": an_upgraded_client,
    "close sent": lambda: after(an_upgraded_client(), closes),
    "close received": lambda: after(an_upgraded_client(), receives(close_frame(1000, mask=None))),
    "ended": lambda: after(an_upgraded_client(), closes, receives(close_frame(1000, mask=None))),
    "failed": lambda: after(an_upgraded_client(), receives(frame(0x3, mask=None))),
    "lost": lambda: after(an_upgraded_client(), loses),
    "lost before the answer": lambda: after(a_client(), loses),
    "closed before the answer": lambda: after(a_client(), closes),
    "rejected": lambda: after(
        a_client(), receives(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    ),
}
METHODS: dict[str, Callable[[Any], object]] = {
    "receive_data": lambda peer: peer.receive_data(b"\x81", now=1.0),
    "receive_data, none": lambda peer: peer.receive_data(b"", now=1.0),
    "receive_eof": lambda peer: peer.receive_eof(now=1.0),
    "send_failed": lambda peer: peer.send_failed(now=1.0),
    "handle_timeout": lambda peer: peer.handle_timeout(now=1.0),
    "close": lambda peer: peer.close(1001, "x", now=1.0),
    "close(1005)": lambda peer: peer.close(1005, now=1.0),
    "send_message": lambda peer: peer.send_message("x", now=1.0),
    "accept": lambda peer: peer.accept(now=1.0),
    "reject": lambda peer: peer.reject(403, now=1.0),
    "respond": lambda peer: peer.respond(Response(), now=1.0),
}
OURS, LATE = LocalProtocolError, SessionClosedError
OVER = dict.fromkeys(["accept", "reject", "respond", "send_message"], LATE)
NOT_YET = {"accept": OURS, "respond": OURS, "send_message": OURS}
IN_A_CALL = {"accept": OURS, "reject": OURS, "respond": OURS}
# What each state refuses; whatever is not named here is allowed. `close(1005)` is never.
REFUSALS: dict[str, dict[str, type[WebSocketError]]] = {
    "before the head": NOT_YET,
    "head incomplete": NOT_YET,
    "body incomplete": NOT_YET,
    "upgrade received": {"send_message": OURS},
    "request received": {"accept": OURS, "send_message": OURS},
    "before the answer": {"send_message": OURS},
    "answer incomplete": {"send_message": OURS},
    "upgraded": IN_A_CALL,
    "close sent": IN_A_CALL | {"send_message": LATE},
}
SERVER_CASES = [(state, method) for state in SERVER_STATES for method in METHODS]
CLIENT_CASES = [
    (state, method)
    for state in CLIENT_STATES
    for method in METHODS
    if method not in ("accept", "reject", "respond")
]


def refusal(state: str, method: str) -> type[WebSocketError] | None:
    return OURS if method == "close(1005)" else REFUSALS.get(state, OVER).get(method)


def rest_of_life(peer: Peer) -> list[object]:
    """Everything that is told and sent from here on; the end exactly once, then silence."""
    ended_before = peer.closed
    seen: list[object] = [snapshot(peer)]
    for move in ("drain", "receive_eof", "send_failed"):
        if move != "drain":
            getattr(peer, move)(now=2.0)
        events, data = drain(peer, accept=False)
        seen += [*map(told, events), data, snapshot(peer)]
    ends = [thing for thing in seen if isinstance(thing, tuple) and thing[0] in ("local", "remote")]
    assert len(ends) == (0 if ended_before else 1)
    assert peer.closed
    assert peer.should_close_transport
    for method in METHODS.values():
        if hasattr(peer, method.__code__.co_names[0]):
            try:
                method(peer)
            except WebSocketError:
                pass
        assert peer.next_event() is None
        assert peer.data_to_send() == b""
        assert peer.deadline() is None
    return seen


def check_one_case(make: Callable[[], Peer], state: str, method: str) -> None:
    peer, twin = make(), make()
    expected = refusal(state, method)
    if expected is None:
        METHODS[method](peer)
        rest_of_life(peer)
    else:
        with pytest.raises(expected) as caught:
            METHODS[method](peer)
        assert type(caught.value) is expected
        assert rest_of_life(peer) == rest_of_life(twin)


@pytest.mark.parametrize(("state", "method"), SERVER_CASES)
def test_every_method_of_a_server_keeps_its_word_in_every_state(state: str, method: str) -> None:
    check_one_case(SERVER_STATES[state], state, method)


@pytest.mark.parametrize(("state", "method"), CLIENT_CASES)
def test_every_method_of_a_client_keeps_its_word_in_every_state(state: str, method: str) -> None:
    check_one_case(CLIENT_STATES[state], state, method)


def test_between_an_end_and_its_telling_nothing_more_is_accepted() -> None:
    server = a_server()
    server.reject(503, now=0.0)
    assert not server.closed
    for method in ("accept", "reject", "respond", "send_message"):
        with pytest.raises(SessionClosedError):
            METHODS[method](server)
    assert closings(drain(server)[0]) == [WireClosed("local", 1000, "HTTP 503")]


# -- our two ends, and somebody else's ---------------------------------------------------------


def drain_keeping_output(peer: Peer) -> list[object]:
    events: list[object] = []
    while (event := peer.next_event()) is not None:
        events.append(event)
        if isinstance(event, RequestReceived):
            assert isinstance(peer, WebSocketServer)
            peer.accept(now=0.0)
    return events


messages = st.lists(st.text(max_size=80) | st.binary(max_size=300), max_size=5)


@given(messages, messages)
def test_our_two_ends_understand_each_other(
    ours: list[str | bytes], theirs: list[str | bytes]
) -> None:
    client, server = a_client(), a_server()
    server.receive_data(taken(client), now=0.0)
    assert [type(event) for event in drain_keeping_output(server)] == [RequestReceived]
    client.receive_data(taken(server), now=0.0)
    assert [type(event) for event in drain_keeping_output(client)] == [Upgraded]
    for message in ours:
        client.send_message(message, now=0.0)
    for message in theirs:
        server.send_message(message, now=0.0)
    client.close(4001, "done", now=0.0)
    to_server, to_client = taken(client), taken(server)
    client.receive_data(to_client, now=0.0)
    server.receive_data(to_server, now=0.0)
    assert drain_keeping_output(server) == [*ours, WireClosed("remote", 4001, "done")]
    client.receive_data(taken(server), now=0.0)
    # What crosses a Close is not for an application that has closed.
    assert drain_keeping_output(client) == [WireClosed("local", 4001, "done")]


def their_output(protocol: ClientProtocol | ServerProtocol) -> bytes:
    return b"".join(protocol.data_to_send())


def frames_read(events: list[object]) -> list[tuple[Opcode, bytes]]:
    assert all(isinstance(event, Frame) for event in events)
    return [(event.opcode, bytes(event.data)) for event in events if isinstance(event, Frame)]


def their_client_and_our_server() -> tuple[ClientProtocol, WebSocketServer]:
    theirs = ClientProtocol(parse_uri("ws://server.example.com/chat?call=1"))
    theirs.send_request(theirs.connect())
    ours = a_server()
    (event,), answer = fed(ours, their_output(theirs))
    assert event.upgrade
    assert event.request.target == "/chat?call=1"
    theirs.receive_data(answer)
    (response,) = theirs.events_received()
    assert isinstance(response, TheirResponse)
    assert response.status_code == 101
    assert theirs.handshake_exc is None
    return theirs, ours


def our_client_and_their_server() -> tuple[WebSocketClient, ServerProtocol]:
    ours, theirs = a_client(), ServerProtocol()
    theirs.receive_data(taken(ours))
    (request,) = theirs.events_received()
    assert isinstance(request, TheirRequest)
    assert request.path == "/chat"
    theirs.send_response(theirs.accept(request))
    (event,), _ = fed(ours, their_output(theirs))
    assert isinstance(event, Upgraded)
    return ours, theirs


THEIR_MESSAGES = [
    ("", "text"),
    ("hé" * 100, "text"),
    ("x" * 70_000, "text"),
    (b"\xff" * 200, "binary"),
]


def test_a_client_of_websockets_calls_our_server() -> None:
    theirs, ours = their_client_and_our_server()
    for message, kind in THEIR_MESSAGES:
        data = message.encode() if isinstance(message, str) else message
        getattr(theirs, f"send_{kind}")(data)
        assert fed(ours, their_output(theirs)) == ([message], b"")
        ours.send_message(message, now=0.0)
        theirs.receive_data(taken(ours))
        (read,) = frames_read(theirs.events_received())
        assert read == (Opcode.TEXT if kind == "text" else Opcode.BINARY, data)
    theirs.send_text(b"frag", fin=False)
    theirs.send_ping(b"between")
    theirs.send_continuation(b"ments", fin=True)
    events, data = fed(ours, their_output(theirs))
    assert events == ["fragments"]
    theirs.receive_data(data)
    assert frames_read(theirs.events_received()) == [(Opcode.PONG, b"between")]
    theirs.send_close(1001, "going")
    events, data = fed(ours, their_output(theirs))
    assert events == [WireClosed("remote", 1001, "going")]
    theirs.receive_data(data)
    theirs.receive_eof()
    assert theirs.close_code == CloseCode.GOING_AWAY


def test_our_client_calls_a_server_of_websockets() -> None:
    ours, theirs = our_client_and_their_server()
    for message, kind in THEIR_MESSAGES:
        data = message.encode() if isinstance(message, str) else message
        ours.send_message(message, now=0.0)
        theirs.receive_data(taken(ours))
        (read,) = frames_read(theirs.events_received())
        assert read == (Opcode.TEXT if kind == "text" else Opcode.BINARY, data)
        getattr(theirs, f"send_{kind}")(data)
        assert fed(ours, their_output(theirs)) == ([message], b"")
    ours.handle_timeout(now=20.0)
    theirs.receive_data(taken(ours))
    assert frames_read(theirs.events_received()) == [(Opcode.PING, b"")]
    assert fed(ours, their_output(theirs), now=20.0) == ([], b"")
    assert ours.deadline() == 40.0
    ours.close(4000, "é" * 100, now=20.0)
    theirs.receive_data(taken(ours))
    events, _ = fed(ours, their_output(theirs), now=20.0)
    assert events == [WireClosed("local", 4000, "é" * 100)]
    theirs.receive_eof()
    assert (theirs.close_code, theirs.close_reason) == (4000, "é" * 61)


@pytest.mark.parametrize(
    ("broken", "code"),
    [(frame(0x3), 1002), (frame(CLOSE, b"\x03\xe8\xff"), 1007), (frame(PING, b"x" * 126), 1002)],
)
def test_both_servers_close_a_broken_client_with_the_same_code(broken: bytes, code: int) -> None:
    _, theirs = our_client_and_their_server()
    theirs.receive_data(broken)
    ((_, their_payload),) = frames_in(their_output(theirs))
    ((_, our_payload),) = frames_in(fed(an_upgraded_server(), broken)[1])
    assert (
        int.from_bytes(their_payload[:2], "big") == int.from_bytes(our_payload[:2], "big") == code
    )


@settings(max_examples=50)
@given(st.data(), client_frames())
def test_another_implementation_reads_the_same_frames(data: st.DataObject, stream: bytes) -> None:
    _, theirs = our_client_and_their_server()
    theirs.receive_data(stream)
    texts: list[bytes] = []
    for opcode, payload in frames_read(theirs.events_received()):
        if opcode in (Opcode.TEXT, Opcode.BINARY):
            texts.append(payload)
        elif opcode is Opcode.CONT:
            texts[-1] += payload
    events, _ = fed(an_upgraded_server(), *data.draw(chunkings(stream)))
    messages = [e.encode() if isinstance(e, str) else e for e in events if not closings([e])]
    assert messages == texts
