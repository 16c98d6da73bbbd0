"""After the handshake: keepalive, the closing handshake, floods, and every wait by number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core.errors import (
    LocalProtocolError,
    RemoteProtocolError,
    SendQueueFull,
    SessionClosedError,
    WebSocketError,
)
from plivo_core.limits import Limits, Timings
from plivo_core.wire import WebSocketServer, WireClosed
from tests.core._wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    an_upgraded_client,
    an_upgraded_server,
    close_frame,
    drain,
    fed,
    frame,
    frames_in,
    taken,
    told,
    upgrade_head,
)


def timed_out(
    server: WebSocketServer, *, now: float
) -> tuple[list[object], list[tuple[int, bytes]]]:
    """What the timer does at ``now``, its deadline: not a moment earlier."""
    assert server.deadline() == now
    server.handle_timeout(now=now - 0.001)
    assert drain(server) == ([], b"")
    server.handle_timeout(now=now)
    events, data = drain(server)
    return [told(event) for event in events], frames_in(data)


# -- keepalive ---------------------------------------------------------------------------------


def test_silence_of_20_seconds_brings_a_ping_and_of_40_the_end() -> None:
    server = an_upgraded_server()
    assert timed_out(server, now=20.0) == ([], [(PING, b"")])
    (end,), frames = timed_out(server, now=40.0)
    assert frames == [(CLOSE, b"\x03\xf3keepalive ping timeout")]
    assert end == (
        "local", 1011, "keepalive ping timeout", WebSocketError, "no frame within 20.0 s of a ping",
    )  # fmt: skip
    assert server.deadline() is None
    assert server.linger == server.timings.error_linger


@pytest.mark.parametrize(
    "life",
    [
        frame(TEXT, b"x"),
        frame(BINARY),
        frame(PING),
        frame(PONG, b"unasked"),
        frame(TEXT, b"x", final=False),
        frame(BINARY, b"x", final=False),
    ],
)
def test_any_frame_is_life(life: bytes) -> None:
    server = an_upgraded_server(timings=Timings(message=1000))
    fed(server, life, now=5.0)
    assert timed_out(server, now=25.0) == ([], [(PING, b"")])
    fed(server, frame(PING), now=44.0)
    assert timed_out(server, now=64.0) == ([], [(PING, b"")])


def test_fragments_that_keep_coming_are_life_in_the_middle_of_a_message() -> None:
    server = an_upgraded_server(timings=Timings(message=1000))
    fed(server, frame(TEXT, b"x", final=False), now=0.0)
    for second in range(15, 150, 15):
        assert server.deadline() is not None
        assert server.deadline() > second  # type: ignore[operator]
        assert fed(server, frame(CONTINUATION, b"x", final=False), now=float(second)) == ([], b"")
    assert fed(server, frame(CONTINUATION), now=150.0)[0] == ["x" * 10]


def test_half_a_frame_is_no_life() -> None:
    server = an_upgraded_server()
    fed(server, frame(PING, b"x")[:-1], now=19.0)
    assert timed_out(server, now=20.0) == ([], [(PING, b"")])


# -- pings from the peer -----------------------------------------------------------------------


def test_a_ping_is_answered_with_its_payload() -> None:
    assert frames_in(fed(an_upgraded_server(), frame(PING, b"payload"))[1]) == [(PONG, b"payload")]
    client = an_upgraded_client()
    assert frames_in(fed(client, frame(PING, b"?", mask=None))[1]) == [(PONG, b"?")]


def test_a_hundred_thousand_pings_leave_one_pending_pong_the_newest() -> None:
    server = an_upgraded_server()
    flood = frame(PING, b"old") * 99_999 + frame(PING, b"new")
    assert server.idle
    events, data = fed(server, flood)
    assert events == []
    assert frames_in(data) == [(PONG, b"new")]
    assert server.idle


def test_a_pong_goes_before_what_waits() -> None:
    server = an_upgraded_server()
    server.send_message("waits", now=0.0)
    assert frames_in(fed(server, frame(PING, b"!"))[1]) == [(PONG, b"!"), (TEXT, b"waits")]


# -- messages ----------------------------------------------------------------------------------


def test_messages_leave_as_text_and_binary_frames() -> None:
    server, client = an_upgraded_server(), an_upgraded_client()
    for end in (server, client):
        end.send_message("é", now=0.0)
        end.send_message(b"\xff", now=0.0)
    assert taken(server) == b"\x81\x02\xc3\xa9\x82\x01\xff"
    assert taken(client) == frame(TEXT, "é".encode()) + frame(BINARY, b"\xff")


def test_a_caller_with_a_queue_of_its_own_gets_frames() -> None:
    ws = an_upgraded_server().websocket
    assert ws is not None
    assert ws.text_frame("hi") == b"\x81\x02hi"


def test_a_lone_surrogate_is_a_local_error_and_changes_nothing() -> None:
    server = an_upgraded_server()
    with pytest.raises(LocalProtocolError, match="surrogates not allowed"):
        server.send_message("\ud800", now=0.0)
    assert server.idle


def test_unsent_messages_are_bounded_but_one_of_any_size_is_taken() -> None:
    server = an_upgraded_server(limits=Limits(control_buffer=1000))
    server.send_message("x" * 5000, now=0.0)
    with pytest.raises(SendQueueFull, match="does not read"):
        server.send_message("y", now=0.0)
    assert taken(server) == frame(TEXT, b"x" * 5000, mask=None)
    server.send_message("y", now=0.0)


def test_a_message_may_take_30_seconds_and_no_longer() -> None:
    server = an_upgraded_server()
    fed(server, frame(TEXT, b"x", final=False), now=1.0)
    for second in (10, 20, 30):  # the heartbeat is fine all the while
        fed(server, frame(PING), now=float(second))
    (end,), frames = timed_out(server, now=31.0)
    assert frames == [(CLOSE, b"\x03\xf0message timeout")]
    assert end[:4] == ("local", 1008, "message timeout", RemoteProtocolError)  # type: ignore[index]


@pytest.mark.parametrize(
    "begun", [b"\x81", frame(TEXT, b"12345")[:-1], frame(BINARY, b"x" * 70_000)[:60_000]]
)
def test_a_frame_that_does_not_end_is_a_slow_message_too(begun: bytes) -> None:
    server = an_upgraded_server(timings=Timings(ping_interval=100))
    fed(server, begun, now=2.0)
    assert timed_out(server, now=32.0)[1] == [(CLOSE, b"\x03\xf0message timeout")]


def test_each_message_has_its_own_30_seconds() -> None:
    server = an_upgraded_server(timings=Timings(ping_interval=1000))
    text = frame(TEXT, b"hello")
    fed(server, text[:3], now=0.0)
    for second in range(20, 200, 20):
        assert fed(server, text[3:] + text[:3], now=float(second))[0] == ["hello"]
    assert server.deadline() == 180.0 + 30.0


def test_control_frames_that_straddle_reads_are_not_one_slow_message() -> None:
    server = an_upgraded_server(timings=Timings(ping_interval=1000))
    ping = frame(PING, b"hello")
    fed(server, ping[:3], now=0.0)
    for second in range(20, 200, 20):
        fed(server, ping[3:] + ping[:3], now=float(second))
    assert server.deadline() == 180.0 + 30.0
    fed(server, ping[3:], now=181.0)
    assert server.deadline() == 1181.0


# -- the closing handshake ---------------------------------------------------------------------


def test_the_peers_close_is_echoed_and_told() -> None:
    server = an_upgraded_server()
    server.send_message("dropped: the peer has said its last word", now=0.0)
    events, data = fed(server, close_frame(4000, "bye") + frame(TEXT, b"late"), frame(PING))
    assert events == [WireClosed("remote", 4000, "bye")]
    assert frames_in(data) == [(CLOSE, b"\x0f\xa0")]
    assert server.should_close_transport
    assert server.linger == 0.0  # RFC 6455 7.1.1: the server closes first


def test_a_close_without_a_code_is_1005_and_answered_without_one() -> None:
    events, data = fed(an_upgraded_server(), frame(CLOSE))
    assert events == [WireClosed("remote", 1005)]
    assert frames_in(data) == [(CLOSE, b"")]


def test_a_client_lingers_until_the_server_has_closed() -> None:
    client = an_upgraded_client()
    events, data = fed(client, close_frame(1000, mask=None))
    assert events == [WireClosed("remote", 1000)]
    assert data == close_frame(1000)
    assert client.linger == client.timings.linger
    client.receive_eof(now=1.0)
    assert client.linger == 0.0


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1014), 3000, 3999, 4999])
def test_every_close_code_that_wsproto_knows_crosses_both_ways(code: int) -> None:
    server, client = an_upgraded_server(), an_upgraded_client()
    client.close(code, "why", now=0.0)
    events, answer = fed(server, taken(client))
    assert events == [WireClosed("remote", code, "why")]
    assert fed(client, answer)[0] == [WireClosed("local", code, "why")]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_close_code_that_must_not_travel_is_refused_both_ways(code: int) -> None:
    server = an_upgraded_server()
    with pytest.raises(LocalProtocolError, match="cannot be sent"):
        server.close(code, now=0.0)
    assert taken(server) == b""
    events, data = fed(server, close_frame(code))
    assert events[0].code == 1002
    assert frames_in(data) == [(CLOSE, b"\x03\xeaprotocol error")]


def test_our_close_goes_behind_what_waits_and_their_echo_ends_it() -> None:
    server = an_upgraded_server()
    server.send_message("last words", now=0.0)
    server.close(1001, "é" * 100, now=0.0)
    server.close(1000, "ignored", now=0.0)
    ((kind, words), (closing, payload)) = frames_in(taken(server))
    assert (kind, words, closing) == (TEXT, b"last words", CLOSE)
    assert payload == b"\x03\xe9" + "é".encode() * 61
    with pytest.raises(SessionClosedError):
        server.send_message("too late", now=0.0)
    late = frame(TEXT, b"crossing") + frame(PING)
    assert fed(server, late) == ([], b"")
    events, data = fed(server, close_frame(1001))
    assert events == [WireClosed("local", 1001, "é" * 100)]
    assert data == b""
    assert server.linger == 0.0


def test_a_close_drops_the_pong_that_waits() -> None:
    server = an_upgraded_server()
    server.receive_data(frame(PING), now=0.0)
    assert server.next_event() is None
    server.close(now=0.0)
    assert frames_in(taken(server)) == [(CLOSE, b"\x03\xe8")]


def test_the_peer_has_five_seconds_for_its_close() -> None:
    server = an_upgraded_server()
    server.close(1000, "done", now=1.0)
    taken(server)
    fed(server, frame(TEXT, b"x", final=False), now=5.0)
    assert timed_out(server, now=6.0) == ([told(WireClosed("local", 1000, "done"))], [])
    assert server.linger == server.timings.linger
    assert server.should_close_transport


def test_a_close_that_nobody_takes_is_forgotten_with_the_close_timeout() -> None:
    server = an_upgraded_server()
    server.close(now=0.0)
    server.handle_timeout(now=5.0)
    assert drain(server) == ([WireClosed("local", 1000)], b"")
    assert server.should_close_transport


@pytest.mark.parametrize("broken", [frame(0x3), frame(TEXT, b"\xff")])
def test_a_broken_frame_after_our_close_ends_it_as_we_said(broken: bytes) -> None:
    server = an_upgraded_server()
    server.close(1000, now=0.0)
    taken(server)
    assert fed(server, broken) == ([WireClosed("local", 1000)], b"")
    assert server.linger == server.timings.error_linger


def test_a_protocol_error_is_told_behind_what_preceded_it_and_drops_what_waits() -> None:
    server = an_upgraded_server()
    server.send_message("dropped", now=0.0)
    events, data = fed(server, frame(TEXT, b"good") + frame(TEXT, b"\xff") + frame(TEXT, b"never"))
    assert events[0] == "good"
    assert [told(event) for event in events[1:]] == [
        ("local", 1007, "invalid UTF-8", RemoteProtocolError, "invalid UTF-8 (Close 1007)")
    ]
    assert frames_in(data) == [(CLOSE, b"\x03\xefinvalid UTF-8")]
    assert server.linger == server.timings.error_linger
    assert fed(server, *[b"x" * 65536] * 4) == ([], b"")


def test_a_message_over_the_limit_is_closed_with_1009() -> None:
    head = b"\x82\xff" + (1 << 62).to_bytes(8, "big") + MASK
    events, data = fed(an_upgraded_server(), head)
    assert events[0].code == 1009
    assert frames_in(data) == [(CLOSE, b"\x03\xf1message too big")]


# -- lost transports ---------------------------------------------------------------------------


def test_an_end_without_a_close_is_1006_behind_what_came_before() -> None:
    server = an_upgraded_server()
    server.receive_data(frame(TEXT, b"last") + frame(TEXT, b"half")[:-1], now=0.0)
    server.receive_eof(now=0.0)
    server.receive_eof(now=0.0)
    assert drain(server) == (["last", WireClosed("remote", 1006)], b"")


def test_a_peer_that_hangs_up_instead_of_echoing_does_not_change_our_end() -> None:
    for hang_up in ("receive_eof", "send_failed"):
        server = an_upgraded_server()
        server.close(1001, "moved", now=0.0)
        taken(server)
        getattr(server, hang_up)(now=1.0)
        assert drain(server) == ([WireClosed("local", 1001, "moved")], b"")


def test_a_failed_send_ends_it_and_nothing_more_is_sent() -> None:
    server = an_upgraded_server()
    server.send_message("x", now=0.0)
    server.send_failed(now=0.0)
    assert drain(server) == ([WireClosed("remote", 1006)], b"")
    server = an_upgraded_server()
    server.receive_data(close_frame(1000), now=0.0)
    assert server.next_event() == WireClosed("remote", 1000)
    server.send_failed(now=0.0)
    assert server.should_close_transport
    assert drain(server) == ([], b"")


@pytest.mark.parametrize("waiting", ["message", "pong", "101"])
def test_output_that_nobody_takes_for_ten_seconds_ends_it(waiting: str) -> None:
    server = an_upgraded_server()
    if waiting == "message":
        server.send_message("x", now=3.0)
        server.send_message("y", now=9.0)
    elif waiting == "pong":
        server.receive_data(frame(PING), now=3.0)
        assert server.next_event() is None
    else:
        server = WebSocketServer(now=0.0)
        fed(server, upgrade_head(), accept=False)
        server.accept(now=3.0)
    assert server.deadline() == 13.0
    server.handle_timeout(now=13.0)
    events, data = drain(server)
    assert told(events[0])[:4] == (  # type: ignore[index]
        "local", 1006, "the peer read nothing for 10.0 s", WebSocketError,
    )  # fmt: skip
    assert data == b""
    assert server.should_close_transport


def test_output_that_shrinks_is_no_stall() -> None:
    server = an_upgraded_server()
    for second in (0, 9):
        server.send_message("x", now=float(second))
        server.handle_timeout(now=second + 8.9)
        taken(server)
    assert drain(server) == ([], b"")
    assert server.deadline() == 20.0


def test_a_layer_above_can_fail_and_stall_it_once() -> None:
    server = an_upgraded_server()
    ws = server.websocket
    assert ws is not None
    assert not ws.closed
    ws.fail(1008, "too slow", WebSocketError("too slow"))
    ws.fail(1011, "again", WebSocketError("again"))
    assert ws.close_sent
    events, data = drain(server)
    assert [event.code for event in events] == [1008]
    assert frames_in(data) == [(CLOSE, b"\x03\xf0too slow")]
    ws.stall()
    assert ws.closed
    assert drain(server) == ([], b"")


@given(
    st.lists(
        st.tuples(
            st.floats(0, 30),
            st.sampled_from(["message", "half", "ping", "send", "take", "close", "nothing"]),
        ),
        max_size=12,
    )
)
def test_at_its_deadline_every_wait_moves_on(steps: list[tuple[float, str]]) -> None:
    server = an_upgraded_server()
    now = 0.0
    for pause, what in steps:
        now += pause
        if what == "message":
            server.receive_data(frame(TEXT, b"x"), now=now)
        elif what == "half":
            server.receive_data(frame(TEXT, b"x", final=False), now=now)
        elif what == "ping":
            server.receive_data(frame(PING), now=now)
        elif what == "send" and server.websocket and not server.websocket.close_sent:
            try:
                server.send_message("x", now=now)
            except SessionClosedError:
                assert server.closed
        elif what == "close":
            server.close(now=now)
        elif what == "take":
            taken(server)
        while server.next_event() is not None:
            pass
        due = server.deadline()
        if due is not None and due <= now:
            server.handle_timeout(now=now)
            while server.next_event() is not None:
                pass
            due = server.deadline()
        assert due is None or due > now
    assert (server.deadline() is None) is server.closed
