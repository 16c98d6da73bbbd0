"""Bytes to typed events and back, for either end: order, end, time, every input in every state."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_core import (
    ClientConnection,
    Codec,
    Ended,
    Fate,
    InvalidCommandError,
    InvalidMessage,
    Limits,
    LocalProtocolError,
    Rejected,
    RemoteProtocolError,
    Request,
    RequestReceived,
    Response,
    SendQueueFull,
    ServerConnection,
    SessionClosedError,
    State,
    Timings,
    ToolCallExpired,
    WebSocketError,
)
from plivo_core.commands import Checkpoint, PlayAudio, RawCommand, Speak, ToolResult
from plivo_core.events import (
    AgentSessionEnded,
    AgentSessionStarted,
    Dtmf,
    Interruption,
    Prompt,
    StreamMedia,
    StreamStop,
    ToolCall,
    UserIdle,
)
from plivo_core.testing import conversations
from plivo_core.wire._frames import BINARY, PING, encode_frame
from tests.core.calls import (
    MASK,
    START,
    STARTED,
    UPGRADE,
    a_call,
    a_connection,
    a_pair,
    bytes_of,
    close_codes,
    close_frame,
    events_of,
    everything,
    frame,
    frames,
    is_over,
    message,
    messages,
    names,
    random_bytes,
    receives,
    the_end,
)

KEY = Dtmf(digit="5")
PING_FRAME = encode_frame(PING, b"", MASK)


# --- one call from upgrade to close ---------------------------------------------------------------


def test_a_call_runs_from_the_upgrade_to_the_close() -> None:
    conn = ServerConnection(now=0)
    assert conn.request is None
    conn.receive_data(UPGRADE + frame(message(STARTED)), now=0)
    [asked] = events_of(conn)
    assert isinstance(asked, RequestReceived)
    assert asked.upgrade
    assert conn.request is asked.request
    assert isinstance(conn.request, Request)
    conn.accept((("x-app", "1"),), now=0)

    assert events_of(conn) == [STARTED]
    assert conn.message_size == len(message(STARTED))
    conn.session.speak("hello")
    sent = conn.data_to_send()
    assert b"x-app: 1" in sent
    assert messages(sent.partition(b"\r\n\r\n")[2]) == [
        {"type": "agent_session.speak", "text": "hello"}
    ]

    assert not conn.should_close_transport
    assert receives(conn, AgentSessionEnded(), now=5) == [AgentSessionEnded()]
    assert close_codes(bytes_of(conn)) == [1000]
    assert not conn.should_close_transport
    conn.receive_data(close_frame(1000), now=5)
    assert events_of(conn) == [Ended("remote", 1000, "", "session.ended")]
    assert conn.should_close_transport
    conn.receive_eof(now=5)
    assert conn.linger == 0
    assert is_over(conn)


def test_commands_sent_when_the_last_message_was_handed_out_leave_before_the_close() -> None:
    conn = a_call(STARTED)
    conn.receive_data(frame('{"type":"session.ended"}'), now=1)
    assert isinstance(conn.next_event(), AgentSessionEnded)
    conn.send(Speak("bye"), now=1)
    assert frames(conn.data_to_send())  # flushed, and the call still takes commands
    conn.send(Speak("really"), now=1)
    assert conn.next_event() is None
    with pytest.raises(SessionClosedError):
        conn.send(Speak("too late"), now=1)
    sent = bytes_of(conn)
    assert [each["text"] for each in messages(sent)] == ["really"]
    assert close_codes(sent) == [1000]
    assert frames(sent)[-1][0] == 8


def test_a_peer_that_leaves_is_told_after_what_it_said() -> None:
    conn = a_call(STARTED)
    conn.receive_data(frame(message(KEY)) + close_frame(1001, "bye"), now=1)
    assert conn.next_event() == KEY
    conn.session.send_checkpoint("c")
    assert events_of(conn) == [Ended("remote", 1001, "bye", "close")]
    assert conn.session.playback.fate("c") is Fate.LOST
    assert [opcode for opcode, _ in frames(bytes_of(conn))] == [8]
    assert is_over(conn)


def test_a_connection_that_breaks_off_ends_with_1006() -> None:
    conn = a_call(STARTED)
    conn.receive_eof(now=1)
    conn.receive_eof(now=1)
    assert events_of(conn) == [Ended("remote", 1006, "", "close")]
    assert conn.should_close_transport


def test_a_failed_write_ends_the_call() -> None:
    conn = a_call(STARTED)
    conn.session.speak("lost")
    conn.send_failed(now=1)
    assert the_end(events_of(conn)).code == 1006
    assert is_over(conn)


def test_a_frame_that_breaks_the_protocol_is_told_behind_what_preceded_it() -> None:
    conn = a_call(STARTED)
    conn.receive_data(frame(message(KEY)) + b"\x81\x01x", now=1)  # unmasked
    key, ended = events_of(conn)
    assert key == KEY
    assert isinstance(ended, Ended)
    assert (ended.cause, ended.code) == ("error", 1002)
    assert isinstance(ended.error, RemoteProtocolError)
    assert close_codes(bytes_of(conn)) == [1002]


def test_binary_frames_with_json_count_as_text() -> None:
    conn = a_call(STARTED)
    conn.receive_data(encode_frame(BINARY, message(KEY).encode(), MASK), now=0)
    conn.receive_data(encode_frame(BINARY, b"\xff", MASK), now=0)
    assert events_of(conn) == [KEY, InvalidMessage(b"\xff", "invalid_json")]


def test_the_twenty_first_invalid_message_closes_with_1008() -> None:
    conn = a_call(STARTED)
    assert len(receives(conn, *["{"] * 20)) == 20
    assert bytes_of(conn) == b""
    assert len(receives(conn, "{", KEY)) == 1
    assert close_codes(bytes_of(conn)) == [1008]
    conn.receive_data(close_frame(1008), now=1)
    ended = the_end(events_of(conn))
    assert (ended.initiator, ended.code, ended.cause) == ("local", 1008, "error")


def test_stop_of_an_agent_is_waited_on_by_the_connections_deadline() -> None:
    conn = a_call(STARTED, START, now=0)
    receives(conn, StreamStop(), now=3)
    assert conn.deadline() == 5
    conn.handle_timeout(now=5)
    assert events_of(conn) == []
    assert close_codes(bytes_of(conn)) == [1000]
    assert conn.deadline() == 10  # the peer's Close
    conn.handle_timeout(now=10)
    assert events_of(conn) == [Ended("remote", 1000, "", "stop")]


def test_expired_tool_calls_come_out_by_the_connections_deadline() -> None:
    conn = a_call(STARTED, timings=Timings(ping_interval=1000))
    receives(conn, ToolCall(id="t", name="lookup"), now=7)
    assert conn.deadline() == 37
    conn.handle_timeout(now=37)
    assert events_of(conn) == [ToolCallExpired("t", "lookup")]


def test_closing_flushes_and_waits_for_the_peer() -> None:
    conn = a_call(STARTED)
    conn.session.speak("bye")
    conn.close(4000, "done", now=1)
    conn.close(4001, now=1)
    assert conn.wants_to_send
    sent = frames(bytes_of(conn))
    assert [opcode for opcode, _ in sent] == [1, 8]
    assert not conn.wants_to_send
    conn.receive_data(close_frame(4000), now=1)
    assert events_of(conn) == [Ended("local", 4000, "done", "close")]


# --- before the call ------------------------------------------------------------------------------


def test_a_command_before_the_call_is_refused_and_leaves_no_trace() -> None:
    conn = a_connection()
    before = everything(conn)
    with pytest.raises(LocalProtocolError, match="no call yet"):
        conn.send(Speak("early"), now=0)
    assert everything(conn) == before


def test_what_the_session_queued_before_the_accept_leaves_after_it() -> None:
    conn = ServerConnection(now=0, timings=Timings(body=30))
    conn.session.speak("early")
    assert not conn.wants_to_send
    conn.receive_data(UPGRADE, now=5)
    events_of(conn)
    assert conn.data_to_send() == b""
    conn.accept(now=60)
    assert conn.deadline() == 70  # the write stall counts from the accept
    conn.handle_timeout(now=60)
    assert conn.next_event() is None
    _, _, data = bytes_of(conn).partition(b"\r\n\r\n")
    assert names(messages(data)) == ["agent_session.speak"]


def test_output_before_the_accept_does_not_make_a_deadline_that_nothing_meets() -> None:
    conn = ServerConnection(now=0, timings=Timings(handshake=60))
    conn.session.speak("early")
    assert conn.deadline() == 60


@pytest.mark.parametrize("reject", [True, False])
def test_a_request_can_be_refused_or_answered(reject: bool) -> None:
    conn = a_connection()
    if reject:
        conn.reject(403, body=b"no", now=0)
    else:
        conn.respond(Response(status=404), now=0)
    assert the_end(events_of(conn)).cause == "close"
    assert (b"403" if reject else b"404") in bytes_of(conn)
    assert conn.should_close_transport
    with pytest.raises(SessionClosedError):
        conn.send(Speak("x"), now=0)
    with pytest.raises(SessionClosedError):
        conn.accept(now=0)


def test_closing_before_the_call_just_ends_it() -> None:
    conn = ServerConnection(now=0)
    conn.close(1001, "shutting down", now=1)
    assert events_of(conn) == [Ended("local", 1006, "shutting down", "close")]
    assert is_over(conn)
    conn.close(now=2)


def test_accepting_a_peer_that_left_loses_the_race() -> None:
    conn = a_connection()
    conn.send_failed(now=0)
    with pytest.raises(SessionClosedError):
        conn.accept(now=0)
    assert isinstance(the_end(events_of(conn)), Ended)


# --- time -----------------------------------------------------------------------------------------


def ends_by_itself(conn: ServerConnection, *, chatter: bool = False) -> tuple[float, Ended]:
    """When and how, if nobody reads: deadlines are met, no byte is taken."""
    now = conn.session.now
    for _ in range(100):
        due = conn.deadline()
        assert due is not None
        if chatter:  # the peer sends all the time: the keepalive sees life
            now = min(due, now + 5)
            conn.receive_data(frame(message(KEY)), now=now)
        else:
            assert due > now
            now = due
        conn.handle_timeout(now=now)
        events = events_of(conn)
        if any(isinstance(event, Ended) for event in events):
            return now, the_end(events)
    raise AssertionError("never ended")


@pytest.mark.parametrize("chatter", [False, True])
@pytest.mark.parametrize("queued", ["control", "audio", "close", "failure"])
def test_a_peer_that_reads_nothing_is_given_up_after_ten_seconds(
    queued: str, chatter: bool
) -> None:
    conn = a_call(STARTED, now=100)
    if queued == "control":
        conn.send(Speak("x"), now=100)
    elif queued == "audio":
        conn.send(PlayAudio("AAAA"), now=100)
    elif queued == "close":
        conn.close(now=100)
    else:
        conn.session.fail(1008, "slow", WebSocketError("handlers too slow"), now=100)
    ended_at, ended = ends_by_itself(conn, chatter=chatter)
    assert ended_at == 110
    assert ended.code == 1006
    if queued not in ("close", "failure"):
        assert ended.cause == "error"
        assert isinstance(ended.error, WebSocketError)
    assert is_over(conn)


def a_call_with_a_backlog(now: float = 0) -> ServerConnection:
    conn = a_call(STARTED, now=now, timings=Timings(ping_interval=1000))
    for number in range(10):
        conn.send(Speak(str(number) * 17_000), now=now)
    return conn


def test_a_peer_that_reads_slowly_is_not_given_up() -> None:
    conn = a_call_with_a_backlog()
    for _ in range(9):  # a slice now and then, when the transport has room: no input tells when
        assert conn.data_to_send()
        due = conn.deadline()
        assert due is not None
        conn.handle_timeout(now=due)
        assert conn.next_event() is None
    assert conn.data_to_send()
    assert conn.data_to_send() == b""
    assert conn.session.stalled_since is None


def test_a_close_that_cannot_leave_is_given_up_whatever_left_before() -> None:
    conn = a_call_with_a_backlog()
    bytes_of(conn)
    conn.close(now=5)
    conn.handle_timeout(now=6)
    ended_at, _ = ends_by_itself(conn)
    assert ended_at == 15
    conn = a_call_with_a_backlog()
    conn.data_to_send()
    conn.session.fail(1008, "slow", WebSocketError("slow"), now=5)
    conn.handle_timeout(now=6)
    ended_at, _ = ends_by_itself(conn)
    assert ended_at <= 16


def test_a_peer_that_stops_reading_is_given_up_within_twice_the_time() -> None:
    conn = a_call_with_a_backlog(now=50)
    assert conn.data_to_send()
    ended_at, ended = ends_by_itself(conn)
    assert 60 <= ended_at <= 70
    assert ended.cause == "error"


def test_the_vocabulary_goes_by_the_time_of_the_last_input() -> None:
    conn = a_call(STARTED, now=0)
    conn.receive_data(PING_FRAME, now=15)
    events_of(conn)
    bytes_of(conn)
    conn.session.speak("hello")
    assert conn.session.stalled_since == 15
    assert conn.deadline() == 25
    conn.session.close()
    bytes_of(conn)
    assert conn.deadline() == 20


def test_time_given_to_the_session_alone_counts_for_its_connection() -> None:
    conn = a_call(STARTED, now=0)
    conn.session.close(now=100)
    bytes_of(conn)
    assert conn.deadline() == 105


def test_nothing_follows_a_close_frame_even_if_bytes_are_taken_before_events() -> None:
    conn = a_call(STARTED, now=0)
    conn.handle_timeout(now=20)
    assert bytes_of(conn)  # a ping, which nobody answers
    conn.send(Speak("unsent"), now=39)
    conn.handle_timeout(now=40)
    sent = bytes_of(conn)
    assert [opcode for opcode, _ in frames(sent)] == [8]
    assert close_codes(sent) == [1011]
    assert the_end(events_of(conn)).code == 1011


def test_it_wants_to_send_exactly_when_it_would() -> None:
    conn = ServerConnection(now=0)
    seen: list[bool] = []

    def look() -> None:
        wants = conn.wants_to_send
        seen.append(wants)
        assert wants == bool(conn.data_to_send())
        bytes_of(conn)

    look()
    conn.receive_data(UPGRADE, now=0)
    events_of(conn)
    look()
    conn.accept(now=0)
    look()
    conn.receive_data(PING_FRAME, now=0)
    events_of(conn)
    look()
    conn.session.send_media("AAAA")
    look()
    look()
    conn.close(now=0)
    look()
    look()
    conn.receive_data(close_frame(), now=0)
    events_of(conn)
    look()
    assert seen == [False, False, True, True, True, False, True, False, False]


# --- Plivo's end ----------------------------------------------------------------------------------


def test_both_ends_hold_a_call() -> None:
    server, client = a_pair()
    client.send(STARTED, now=0)
    client.send_text('{"type": "new"}', now=0)
    client.send_text(b"[]", now=0)
    server.receive_data(bytes_of(client), now=0)
    assert events_of(server) == [STARTED, {"type": "new"}, InvalidMessage(b"[]", "not_an_object")]
    server.session.speak("hi")
    server.session.send_raw({"x": 1})
    client.receive_data(bytes_of(server), now=0)
    assert events_of(client) == [Speak("hi"), RawCommand({"x": 1})]

    client.close(4000, "enough", now=0)
    server.receive_data(bytes_of(client), now=0)
    assert events_of(server) == [Ended("remote", 4000, "enough", "close")]
    client.receive_data(bytes_of(server), now=0)
    assert events_of(client) == [Ended("local", 4000, "enough", "close")]
    for conn in (server, client):
        assert conn.should_close_transport
        assert is_over(conn)
    assert client.linger > 0
    client.receive_eof(now=0)
    assert client.linger == 0


def test_a_client_that_is_refused_is_shown_the_answer() -> None:
    client = ClientConnection(host="h", target="/x?y", random_bytes=random_bytes, now=0)
    assert b"GET /x?y HTTP/1.1" in bytes_of(client)
    client.receive_data(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", now=0)
    rejected, ended = events_of(client)
    assert isinstance(rejected, Rejected)
    assert (rejected.response.status, rejected.response.body) == (403, b"no")
    assert isinstance(ended, Ended)
    assert (ended.cause, ended.code) == ("error", 1006)


def test_a_client_reads_commands_with_its_own_codec() -> None:
    codec = Codec(max_depth=2)
    server, client = a_pair(codec=codec)
    server.session.send_raw({"x": {"y": {}}})
    server.session.send_raw({"x": {}})
    client.receive_data(bytes_of(server), now=0)
    invalid, raw = events_of(client)
    assert isinstance(invalid, InvalidMessage)
    assert raw == RawCommand({"x": {}})


def test_a_client_ends_with_an_error_when_the_server_falls_silent() -> None:
    _, client = a_pair(now=0)
    due = client.deadline()
    assert due == 20
    client.handle_timeout(now=20)
    bytes_of(client)
    client.handle_timeout(now=40)
    ended = the_end(events_of(client))
    assert (ended.cause, ended.code) == ("error", 1011)


def test_a_client_whose_queue_is_full_says_so() -> None:
    _, client = a_pair(limits=Limits(control_buffer=100))
    client.send_text("x" * 90, now=0)
    before = everything(client)
    with pytest.raises(SendQueueFull):
        client.send_text("x" * 90, now=0)
    assert everything(client) == before


# --- every input in every state -------------------------------------------------------------------


def in_state(prepare: Callable[[ServerConnection], object]) -> Callable[[], ServerConnection]:
    def make() -> ServerConnection:
        conn = a_call(STARTED, START)
        receives(conn, ToolCall(id="answered"), ToolCall(id="open"))
        conn.session.send_tool_result("answered", 1)
        conn.session.send_checkpoint("c")
        prepare(conn)
        return conn

    return make


def ask(request: bytes, conn: ServerConnection | None = None) -> ServerConnection:
    conn = conn or ServerConnection(now=0)
    conn.receive_data(request, now=0)
    assert isinstance(conn.next_event(), RequestReceived)
    return conn


def hand_out_the_end(conn: ServerConnection) -> None:
    conn.receive_data(frame('{"type":"session.ended"}'), now=0)
    assert conn.next_event() is not None


def hang_up(conn: ServerConnection) -> None:
    conn.receive_data(close_frame(), now=0)
    the_end(events_of(conn))
    bytes_of(conn)


SERVER_STATES: dict[str, Callable[[], ServerConnection]] = {
    "fresh": lambda: ServerConnection(now=0),
    "asked": lambda: ask(UPGRADE),
    "asked for a page": lambda: ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "in a call": in_state(lambda conn: None),
    "drained": in_state(bytes_of),
    "ending": in_state(lambda conn: receives(conn, StreamStop())),
    "finishing": in_state(hand_out_the_end),
    "closing": in_state(lambda conn: conn.close(now=0)),
    "closed by us": in_state(lambda conn: (conn.close(now=0), bytes_of(conn))),
    "lost": in_state(lambda conn: conn.send_failed(now=0)),
    "over": in_state(hang_up),
}
SERVER_INPUTS: dict[str, Callable[[ServerConnection], object]] = {
    "text": lambda c: c.receive_data(frame(message(KEY)), now=1),
    "garbage": lambda c: c.receive_data(b"\xff" * 40, now=1),
    "upgrade": lambda c: c.receive_data(bytearray(UPGRADE), now=1),
    "close frame": lambda c: c.receive_data(memoryview(close_frame()), now=1),
    "no bytes": lambda c: c.receive_data(b"", now=1),
    "eof": lambda c: c.receive_eof(now=1),
    "failed write": lambda c: c.send_failed(now=1),
    "early timeout": lambda c: c.handle_timeout(now=0),
    "timeout": lambda c: c.handle_timeout(now=1000),
    "accept": lambda c: c.accept(now=1),
    "accept with our header": lambda c: c.accept((("upgrade", "x"),), now=1),
    "reject": lambda c: c.reject(now=1),
    "respond": lambda c: c.respond(Response(), now=1),
    "respond with our header": lambda c: c.respond(Response(headers=(("connection", "x"),)), now=1),
    "send": lambda c: c.send(Speak("x"), now=1),
    "send an answer": lambda c: c.send(ToolResult("open", 1), now=1),
    "send a second answer": lambda c: c.send(ToolResult("answered", 1), now=1),
    "send a pending name": lambda c: c.send(Checkpoint("c"), now=1),
    "send what JSON cannot carry": lambda c: c.send(RawCommand({"x": object()}), now=1),
    "close": lambda c: c.close(now=1),
    "close with a bad code": lambda c: c.close(1006, now=1),
    "next_event": ServerConnection.next_event,
    "data_to_send": ServerConnection.data_to_send,
    "deadline": ServerConnection.deadline,
    "looks": lambda c: (c.should_close_transport, c.linger, c.wants_to_send, c.message_size),
}
BEFORE, AFTER = {"fresh", "asked", "asked for a page"}, {"lost", "over"}
MAY_BE_REFUSED: dict[str, set[str]] = {
    "accept": set(SERVER_STATES) - {"asked"},
    "accept with our header": set(SERVER_STATES),
    "reject": set(SERVER_STATES) - BEFORE,
    "respond": set(SERVER_STATES) - BEFORE | {"fresh"},
    "respond with our header": set(SERVER_STATES),
    "send": BEFORE | {"closing", "closed by us", "over"},
    "send an answer": BEFORE | {"closing", "closed by us", "over"},
    "send a second answer": set(SERVER_STATES),
    "send a pending name": set(SERVER_STATES) - {"ending"},  # there it is lost, hence free
    "send what JSON cannot carry": set(SERVER_STATES),
    "close with a bad code": set(SERVER_STATES),
}


@pytest.mark.parametrize("state", SERVER_STATES)
@pytest.mark.parametrize("given", SERVER_INPUTS)
def test_a_server_takes_every_input_in_every_state_or_refuses_it(state: str, given: str) -> None:
    conn = SERVER_STATES[state]()
    before = everything(conn)
    refused_in = MAY_BE_REFUSED.get(given, set())
    returned: object = None
    try:
        returned = SERVER_INPUTS[given](conn)
    except (LocalProtocolError, SessionClosedError):
        assert state in refused_in
        assert everything(conn) == before
    else:
        assert state not in refused_in
    events = [returned] if isinstance(returned, Ended) else []
    events += events_of(conn)
    bytes_of(conn)
    conn.receive_eof(now=2)
    conn.send_failed(now=2)
    events += events_of(conn)
    bytes_of(conn)
    assert sum(isinstance(event, Ended) for event in events) == (state != "over")
    assert state == "over" or isinstance(events[-1], Ended)
    assert conn.should_close_transport
    assert is_over(conn)


@pytest.mark.parametrize("given", SERVER_INPUTS)
def test_nothing_wakes_a_server_connection_that_is_over(given: str) -> None:
    conn = SERVER_STATES["over"]()
    try:
        SERVER_INPUTS[given](conn)
    except (LocalProtocolError, SessionClosedError):
        pass
    assert is_over(conn)
    assert conn.should_close_transport
    assert not conn.wants_to_send


def a_client() -> ClientConnection:
    return ClientConnection(host="h", random_bytes=random_bytes, now=0)


def a_refused_client() -> ClientConnection:
    client = a_client()
    client.receive_data(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", now=0)
    return client


def a_client_that_is_over() -> ClientConnection:
    _, client = a_pair()
    client.receive_eof(now=0)
    the_end(events_of(client))
    return client


def a_client_that_closes() -> ClientConnection:
    _, client = a_pair()
    client.close(now=0)
    return client


CLIENT_STATES: dict[str, Callable[[], ClientConnection]] = {
    "fresh": a_client,
    "refused": a_refused_client,
    "in a call": lambda: a_pair()[1],
    "closing": a_client_that_closes,
    "over": a_client_that_is_over,
}
CLIENT_INPUTS: dict[str, Callable[[ClientConnection], object]] = {
    "text": lambda c: c.receive_data(b"\x81\x02{}", now=1),
    "garbage": lambda c: c.receive_data(b"\xff" * 40, now=1),
    "eof": lambda c: c.receive_eof(now=1),
    "failed write": lambda c: c.send_failed(now=1),
    "timeout": lambda c: c.handle_timeout(now=1000),
    "early timeout": lambda c: c.handle_timeout(now=0),
    "send": lambda c: c.send(KEY, now=1),
    "send what JSON cannot carry": lambda c: c.send(UserIdle(extra={"x": object()}), now=1),
    "send_text": lambda c: c.send_text("junk", now=1),
    "send bytes": lambda c: c.send_text(b"\xff", now=1),
    "close": lambda c: c.close(now=1),
    "close with a bad code": lambda c: c.close(1005, now=1),
    "next_event": ClientConnection.next_event,
    "data_to_send": ClientConnection.data_to_send,
    "deadline": ClientConnection.deadline,
    "looks": lambda c: (c.should_close_transport, c.linger),
}
CLIENT_REFUSES = {
    "send": set(CLIENT_STATES) - {"in a call"},
    "send_text": set(CLIENT_STATES) - {"in a call"},
    "send bytes": set(CLIENT_STATES) - {"in a call"},
    "send what JSON cannot carry": set(CLIENT_STATES),
    "close with a bad code": set(CLIENT_STATES),
}


@pytest.mark.parametrize("state", CLIENT_STATES)
@pytest.mark.parametrize("given", CLIENT_INPUTS)
def test_a_client_takes_every_input_in_every_state_or_refuses_it(state: str, given: str) -> None:
    conn = CLIENT_STATES[state]()
    before = everything(conn)
    refused_in = CLIENT_REFUSES.get(given, set())
    returned: object = None
    try:
        returned = CLIENT_INPUTS[given](conn)
    except (LocalProtocolError, SessionClosedError):
        assert state in refused_in
        assert everything(conn) == before
    else:
        assert state not in refused_in
    events = [returned] if isinstance(returned, Ended) else []
    events += events_of(conn)
    conn.receive_eof(now=2)
    conn.send_failed(now=2)
    events += events_of(conn)
    bytes_of(conn)
    assert sum(isinstance(event, Ended) for event in events) == (state != "over")
    assert state == "over" or isinstance(events[-1], Ended)
    assert conn.should_close_transport
    assert is_over(conn)


# --- split invariance -----------------------------------------------------------------------------


def react(conn: ServerConnection, event: object, *, audio: bool) -> None:
    """What the application says to an event: always the same."""
    session = conn.session
    if session.state is State.ENDED:
        return
    if isinstance(event, ToolCall):
        session.send_tool_result(event.id, dict(event.arguments))
    elif isinstance(event, Prompt):
        session.send_text(event.text, last=event.is_final)
    elif isinstance(event, AgentSessionStarted | AgentSessionEnded):
        session.speak(event.type)
    elif audio and isinstance(event, StreamMedia):
        session.send_media(event.payload)
        session.send_checkpoint(str(event.chunk))
    elif audio and isinstance(event, Interruption):
        session.clear_audio()


def run(chunks: list[bytes], *, audio: bool) -> tuple[list[Any], bytes, Any]:
    """Events, bytes and state. With audio, bytes are taken after each event: its lane waits for
    control, so that what a chunk holds together would otherwise be sent in another order."""
    conn, events, sent = a_call(), [], b""
    for chunk in chunks:
        conn.receive_data(chunk, now=1)
        while (event := conn.next_event()) is not None:
            events.append(event)
            react(conn, event, audio=audio)
            if audio:
                sent += bytes_of(conn)
        sent += bytes_of(conn)
    return events, sent, everything(conn.session)


@st.composite
def client_bytes(draw: st.DrawFn, *, troubles: bool) -> tuple[bytes, list[int]]:
    """The frames of a conversation, and where to cut them."""
    data = b""
    for event in draw(conversations(max_parts=5)):
        payload = message(event).encode()
        shape = draw(st.sampled_from(["text", "text", "binary", "fragments"]))
        if troubles and not isinstance(event, AgentSessionEnded | StreamStop):
            data += draw(st.sampled_from([b"", PING_FRAME]))
        if shape == "binary":
            data += encode_frame(BINARY, payload, MASK)
        elif shape == "fragments":
            half = len(payload) // 2
            first = encode_frame(1, payload[:half], MASK)
            data += bytes([first[0] & 0x7F]) + first[1:] + encode_frame(0, payload[half:], MASK)
        else:
            data += encode_frame(1, payload, MASK)
    if troubles:
        data += draw(st.sampled_from([b"", close_frame(1000)]))
    return data, sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *places, len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@settings(max_examples=50)
@given(case=client_bytes(troubles=False))
def test_however_the_bytes_are_cut_events_bytes_and_state_are_the_same(
    case: tuple[bytes, list[int]],
) -> None:
    data, places = case
    assert run(cut(data, places), audio=False) == run([data], audio=False)


@settings(max_examples=50)
@given(case=client_bytes(troubles=True))
def test_cuts_change_nothing_with_pings_audio_and_a_close_either(
    case: tuple[bytes, list[int]],
) -> None:
    data, places = case
    assert run(cut(data, places), audio=True) == run([data], audio=True)


def test_byte_by_byte_is_the_same_as_at_once() -> None:
    said = [STARTED, START, StreamMedia(payload="AAAA", chunk=1), ToolCall(id="t"), StreamStop()]
    data = b"".join(frame(message(event)) for event in [*said, AgentSessionEnded()])
    assert run([data[i : i + 1] for i in range(len(data))], audio=False) == run([data], audio=False)


def test_the_upgrade_may_bring_the_first_messages_along() -> None:
    conn = ServerConnection(now=0)
    data = UPGRADE + frame(message(STARTED)) + frame(message(KEY))
    events: list[Any] = []
    for at in range(len(data)):
        conn.receive_data(data[at : at + 1], now=0)
        for event in iter(conn.next_event, None):
            events.append(event)
            if isinstance(event, RequestReceived):
                conn.accept(now=0)
    assert events[1:] == [STARTED, KEY]


def test_errors_name_what_to_do() -> None:
    with pytest.raises(InvalidCommandError, match="use only dict"):
        a_call(STARTED).send(RawCommand({"x": object()}), now=0)
