"""One list of scenarios, over every driver: what goes through the socket, what the app sees.

`message` scenarios are about messages and would hold over any WebSocket server; `bytes` scenarios
are about frames, heads and the TCP connection itself.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
import time
import tracemalloc
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from plivo_core import (
    Ended,
    InvalidMessage,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    SendQueueFull,
    Timings,
    ToolCallExpired,
    UnknownEvent,
)
from plivo_core.events import (
    AgentSessionEnded,
    Dtmf,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
)
from tests.scenarios._drivers import Call, Server, agent
from tests.scenarios._peer import (
    BINARY,
    CLOSE,
    CONT,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    Peer,
    a_call,
    close_frame,
    dtmf,
    frame,
    heard,
    media,
    payload_of,
    session_ended,
    session_started,
    start,
    stop,
    tool_called,
    upgrade_head,
)
from tests.scenarios.conftest import Serve

LOUD = "A" * 16_384  # 1.5 s of mu-law, in base64; 32 of them are 512 KiB
PACKET = base64.b64encode(bytes(range(160))).decode()


def close_of(client: ClientConnection) -> tuple[int, str]:
    """How the server closed, once it did."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            heard(client)
    assert client.protocol.close_rcvd is not None, "no Close frame"
    return client.protocol.close_rcvd.code, client.protocol.close_rcvd.reason


def told(end: Ended) -> tuple[str, str, int]:
    return end.cause, end.initiator, end.code


HUNG_UP = ("close", "remote", 1000)
BROKE_OFF = ("close", "remote", 1006)


# --- what an agent does ---------------------------------------------------------------------------


@pytest.mark.message
def test_media_comes_back(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as client:
        client.send(start())
        client.send(media(PACKET))
        assert payload_of(heard(client)) == PACKET
    assert server.seen(StreamStart).stream_id == "stream-1"
    assert server.seen(StreamMedia).payload == PACKET
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_packets_keep_their_order(serve: Serve) -> None:
    server = serve()
    sent = [base64.b64encode(bytes([n]) * 160).decode() for n in range(50)]
    with a_call(server.port) as client:
        for payload in sent:
            client.send(media(payload))
        assert [payload_of(heard(client)) for _ in sent] == sent
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_a_tool_call_is_answered(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as client:
        client.send(session_started())
        client.send(tool_called("call-7", order="A-1"))
        answer = json.loads(heard(client))
    assert answer == {"type": "tool.result", "id": "call-7", "result": {"echo": {"order": "A-1"}}}
    assert server.seen(ToolCall).name == "look_up"
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_an_unanswered_tool_call_expires(serve: Serve) -> None:
    def silent(session: Any, event: Any) -> None: ...

    server = serve(silent, timings=Timings(tool_call=0.2))
    with a_call(server.port) as client:
        client.send(tool_called("call-7"))
        assert server.seen(ToolCallExpired).id == "call-7"
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_a_key_is_answered_in_words(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as client:
        client.send(dtmf("5"))
        assert json.loads(heard(client)) == {
            "type": "agent_session.speak",
            "text": "You pressed 5.",
        }
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_the_request_is_known_to_the_call(serve: Serve) -> None:
    server = serve()
    with a_call(server.port, "/call/%C3%B6?token=1%2B1") as client:
        client.send(session_started("agent-9"))
        client.send(dtmf("1"))
        heard(client)
        session = server.call().session
        assert session.agent_session_id == "agent-9"
        assert session.call_uuid == "call-1"
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_an_application_closes_the_call(serve: Serve) -> None:
    def leave(session: Any, event: Any) -> None:
        if isinstance(event, Dtmf):
            session.speak("Bye.")
            session.close(4001, "enough")

    server = serve(leave)
    with a_call(server.port) as client:
        client.send(dtmf("5"))
        assert json.loads(heard(client))["text"] == "Bye."
        assert close_of(client) == (4001, "enough")
    assert told(server.ended()) == ("close", "local", 4001)


@pytest.mark.message
def test_a_bug_in_the_application_does_not_end_the_call(serve: Serve) -> None:
    def buggy(session: Any, event: Any) -> None:
        if isinstance(event, StreamMedia) and event.payload == "AAAA":
            raise ZeroDivisionError
        agent(session, event)

    server = serve(buggy, expected=ZeroDivisionError)
    with a_call(server.port) as client:
        client.send(media("AAAA"))
        client.send(media(PACKET))
        assert payload_of(heard(client)) == PACKET
    assert told(server.ended()) == HUNG_UP
    assert [type(error) for error in server.errors] == [ZeroDivisionError]


# --- what a platform may send ---------------------------------------------------------------------


@pytest.mark.message
def test_an_unknown_event_arrives_intact(serve: Serve) -> None:
    server = serve()
    unheard_of = {"type": "caller.smiled", "teeth": [1, 2.5, None], "who": {"Ünï": "☎"}}
    with a_call(server.port) as client:
        client.send(json.dumps(unheard_of))
        assert server.seen(UnknownEvent) == unheard_of
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
@pytest.mark.parametrize(
    ("text", "reason"), [("{no json", "invalid_json"), ("[1, 2]", "not_an_object")]
)
def test_a_call_outlives_a_bad_message(serve: Serve, text: str, reason: str) -> None:
    server = serve()
    with a_call(server.port) as client:
        client.send(text)
        client.send(media(PACKET))
        assert payload_of(heard(client)) == PACKET
    bad = server.seen(InvalidMessage)
    assert (bad.raw, bad.reason) == (text, reason)
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_members_that_cannot_be_read_are_kept(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as client:
        client.send(json.dumps({"type": "user.dtmf", "digit": ["5"], "new": True}))
        assert json.loads(heard(client))["text"] == "You pressed ."
        client.send(media(PACKET))
        assert payload_of(heard(client)) == PACKET
    event = server.seen(Dtmf)
    assert (event.digit, event.extra) == ("", {"digit": ["5"], "new": True})
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_json_in_a_binary_message_counts_as_text(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as client:
        client.send(dtmf("7").encode())
        assert json.loads(heard(client))["text"] == "You pressed 7."
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
@pytest.mark.parametrize("size", [60, 64, 700])
def test_a_large_message_comes_back_whole(serve: Serve, size: int) -> None:
    server = serve(limits=Limits(audio_buffer=1 << 20, audio_buffer_ms=1 << 20))
    payload = base64.b64encode(bytes(size * 1024 * 3 // 4)).decode()
    with a_call(server.port) as client:
        client.send(media(payload))
        assert payload_of(heard(client)) == payload
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_a_message_in_fragments_is_one_message(serve: Serve) -> None:
    server = serve()
    text = media(PACKET)
    with a_call(server.port) as client:
        client.send(text[i : i + 7] for i in range(0, len(text), 7))
        assert payload_of(heard(client)) == PACKET
    assert len(server.call().seen(StreamMedia)) == 1
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_a_message_over_the_limit_ends_the_call_with_1009(serve: Serve) -> None:
    server = serve(limits=Limits(max_message=32 * 1024))
    with a_call(server.port) as client:
        client.send(media(PACKET))
        heard(client)
        client.send("x" * (32 * 1024 + 1))
        assert close_of(client)[0] == 1009
    end = server.ended()
    assert told(end) == ("error", "local", 1009)
    assert isinstance(end.error, RemoteProtocolError)


@pytest.mark.message
def test_the_twenty_first_bad_message_ends_the_call_with_1008(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as client:
        for _ in range(20):
            client.send("nonsense")
        client.send(media(PACKET))
        assert payload_of(heard(client)) == PACKET
        client.send("nonsense")
        assert close_of(client) == (1008, "too many invalid messages")
    end = server.ended()
    assert told(end) == ("error", "local", 1008)
    assert isinstance(end.error, RemoteProtocolError)
    assert len(server.call().seen(InvalidMessage)) == 21


# --- how a call ends ------------------------------------------------------------------------------


def _says_goodbye(session: Any, event: Any) -> None:
    if isinstance(event, (AgentSessionEnded, StreamStop)):
        session.send_raw({"type": "goodbye", "after": event.type})
        session.send_media(PACKET)


@pytest.mark.message
def test_session_ended_flushes_what_is_queued_and_closes(serve: Serve) -> None:
    server = serve(_says_goodbye)
    with a_call(server.port) as client:
        client.send(session_started())
        client.send(session_ended())
        assert json.loads(heard(client)) == {"type": "goodbye", "after": "session.ended"}
        assert payload_of(heard(client)) == PACKET
        assert close_of(client) == (1000, "")
    assert server.seen(AgentSessionEnded).duration_seconds == 7
    assert told(server.ended()) == ("session.ended", "remote", 1000)


@pytest.mark.message
def test_stop_ends_a_plain_stream(serve: Serve) -> None:
    server = serve(_says_goodbye)
    with a_call(server.port) as client:
        client.send(start())
        client.send(stop())
        assert json.loads(heard(client)) == {"type": "goodbye", "after": "stop"}
        assert payload_of(heard(client)) == PACKET
        assert close_of(client) == (1000, "")
    assert told(server.ended()) == ("stop", "remote", 1000)


@pytest.mark.message
def test_after_stop_an_agent_still_gets_its_session_ended(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as client:
        client.send(session_started())
        client.send(start())
        client.send(stop())
        server.seen(StreamStop)
        client.send(session_ended())
        assert close_of(client) == (1000, "")
    assert told(server.ended()) == ("session.ended", "remote", 1000)


@pytest.mark.message
def test_after_stop_an_agent_waits_for_session_ended_only_so_long(serve: Serve) -> None:
    server = serve(timings=Timings(stop_grace=0.2))
    with a_call(server.port) as client:
        client.send(session_started())
        client.send(stop())
        assert close_of(client) == (1000, "")
    assert told(server.ended()) == ("stop", "remote", 1000)


@pytest.mark.message
@pytest.mark.parametrize("code", [1000, 1001, 4000])
def test_the_peers_close_code_is_told(serve: Serve, code: int) -> None:
    server = serve()
    with a_call(server.port) as client:
        client.send(dtmf("5"))
        heard(client)
        client.close(code, "bye")
    assert told(server.ended()) == ("close", "remote", code)
    assert server.ended().reason == "bye"
    assert server.ended().error is None


@pytest.mark.bytes
def test_a_close_without_code_is_answered_in_kind(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(CLOSE))
        assert peer.read_frame() == (CLOSE, b"")
        peer.expect_end()
    assert told(server.ended()) == ("close", "remote", 1005)


@pytest.mark.bytes
def test_the_peer_leaves_without_a_close_frame(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")))
        peer.read_frame()
    assert told(server.ended()) == BROKE_OFF


@pytest.mark.bytes
def test_the_peer_resets(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")))
        peer.read_frame()
        peer.reset()
    assert told(server.ended()) == BROKE_OFF


@pytest.mark.bytes
def test_the_peer_resets_while_the_application_talks(serve: Serve) -> None:
    gone = threading.Event()

    def talkative(session: Any, event: Any) -> None:
        if isinstance(event, Dtmf):
            gone.wait(PATIENCE)
            for _ in range(100):
                session.send_media(PACKET)

    server = serve(talkative)
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")))
        server.call()
        peer.reset()
        gone.set()
    end = server.ended()
    assert (end.cause, end.code) == ("close", 1006)


@pytest.mark.bytes(half_close=True)
def test_the_peer_half_closes(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")))
        peer.read_frame()
        peer.half_close()
        peer.expect_end()
        assert told(server.ended()) == BROKE_OFF


@pytest.mark.bytes(half_close=True)
def test_the_peer_half_closes_in_the_middle_of_a_head(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.send(upgrade_head()[:40])
        peer.half_close()
        peer.expect_end()
    assert_no_call(server)


@pytest.mark.bytes
def test_a_peer_that_never_answers_our_close_is_left(serve: Serve) -> None:
    server = serve(timings=Timings(close=0.2, linger=0.1))
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, start()), frame(TEXT, stop()))
        peer.expect_close(1000)
        assert told(server.ended()) == ("stop", "remote", 1000)


@pytest.mark.bytes
def test_a_silent_peer_is_pinged_and_then_left_with_1011(serve: Serve) -> None:
    server = serve(timings=Timings(ping_interval=0.1, ping_timeout=0.2))
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")))
        assert peer.read_frame().opcode == TEXT
        assert peer.read_frame() == (PING, b"")
        peer.send(frame(PONG))
        assert peer.read_frame() == (PING, b"")
        peer.expect_close(1011)
    assert told(server.ended()) == ("error", "local", 1011)


# --- frames ---------------------------------------------------------------------------------------


@pytest.mark.bytes
def test_a_ping_is_answered(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as client:
        assert client.ping("are you there").wait(PATIENCE)
        client.send(dtmf("5"))
        heard(client)
    assert told(server.ended()) == HUNG_UP


@pytest.mark.bytes
def test_a_ping_between_fragments_is_answered_at_once(serve: Serve) -> None:
    server = serve()
    text = media(PACKET)
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, text[:9], fin=False), frame(PING, b"1"))
        assert peer.read_frame() == (PONG, b"1")
        peer.send(frame(CONT, text[9:]))
        assert payload_of(peer.read_frame().payload) == PACKET
        peer.send(close_frame(1000))
        peer.expect_close(1000)
    assert told(server.ended()) == HUNG_UP


BROKEN_FRAMES = {
    "unmasked": (frame(TEXT, b"{}", masked=False), 1002),
    "reserved opcode": (frame(0x3, b"{}"), 1002),
    "reserved control opcode": (frame(0xB, b""), 1002),
    "reserved bit": (frame(TEXT, b"{}", rsv=4), 1002),
    "continuation of nothing": (frame(CONT, b"{}"), 1002),
    "text within a fragmented text": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
    "fragmented ping": (frame(PING, b"", fin=False), 1002),
    "ping over 125 bytes": (frame(PING, bytes(126)), 1002),
    "length not in its shortest form": (b"\x81\xfe\x00\x02" + bytes(4) + b"{}", 1002),
    "length of 2**63": (b"\x81\xff\x80" + bytes(7) + bytes(4), 1002),
    "close with one byte": (frame(CLOSE, b"\x03"), 1002),
    "close code 1005": (close_frame(1005), 1002),
    "bad UTF-8": (frame(TEXT, b'{"type": "\xff"}'), 1007),
    "UTF-8 cut short": (frame(TEXT, b"\xe2\x98"), 1007),
    "bad UTF-8 in a close reason": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "4 GiB announced": (b"\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00" + bytes(4), 1009),
    "too many fragments": (frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 9, 1009),
}


@pytest.mark.bytes
@pytest.mark.parametrize("what", BROKEN_FRAMES)
def test_a_broken_frame_ends_its_call_with_the_right_code(serve: Serve, what: str) -> None:
    bad, code = BROKEN_FRAMES[what]
    server = serve(limits=Limits(max_fragments=8))
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")))
        peer.read_frame()
        peer.send(bad, frame(TEXT, dtmf("6")))  # what follows is not even looked at
        peer.expect_close(code)
    end = server.ended()
    assert told(end) == ("error", "local", code)
    assert isinstance(end.error, RemoteProtocolError)
    assert len(server.call().seen(Dtmf)) == 1


@pytest.mark.bytes
def test_a_peer_that_talks_on_after_its_mistake_still_gets_our_close(serve: Serve) -> None:
    server = serve(timings=Timings(error_linger=1.0))
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, b"{}", masked=False), frame(TEXT, media(LOUD)) * 20)
        assert peer.read_frame().close_code == 1002
        for _ in range(5):
            peer.send(frame(TEXT, media(PACKET)))  # fails if the server did not wait for us
        peer.expect_end()
    assert told(server.ended()) == ("error", "local", 1002)


@pytest.mark.bytes
def test_frames_may_come_byte_by_byte(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.drip(frame(TEXT, dtmf("5")) + frame(PING, b"x") + frame(BINARY, dtmf("6").encode()))
        got = [peer.read_frame() for _ in range(3)]
        peer.drip(close_frame(4123, "done"))
        peer.expect_close(4123)
    assert [g.json["text"] for g in got if g.opcode == TEXT] == ["You pressed 5.", "You pressed 6."]
    assert (PONG, b"x") in got
    assert told(server.ended()) == ("close", "remote", 4123)


@pytest.mark.bytes
def test_many_frames_in_one_segment_are_all_read(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.upgrade()
        peer.send(*[frame(TEXT, media(PACKET))] * 50, close_frame(1000))
        # Whether the echoes get out before the answer to the Close is the loop's business.
        while (got := peer.read_frame()).opcode == TEXT:
            assert payload_of(got.payload) == PACKET
        assert got.close_code == 1000
        peer.expect_end()
    assert told(server.ended()) == HUNG_UP


# --- the head -------------------------------------------------------------------------------------


def assert_no_call(server: Server) -> None:
    """No application saw a call; a bare loop may tell the end of the connection, once."""
    for call in server.calls:
        assert [type(event) for event in call.events] == [Ended]


@pytest.mark.bytes
def test_the_first_frame_may_come_with_the_head(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.send(upgrade_head(), frame(TEXT, dtmf("5")))
        peer.expect_101()
        assert peer.read_frame().json["text"] == "You pressed 5."
    assert told(server.ended()) == BROKE_OFF


@pytest.mark.bytes
def test_the_head_may_come_byte_by_byte(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.drip(upgrade_head() + frame(TEXT, dtmf("5")))
        peer.expect_101()
        assert peer.read_frame().json["text"] == "You pressed 5."
    assert told(server.ended()) == BROKE_OFF


@pytest.mark.bytes
def test_a_plain_request_is_told_to_upgrade(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /again HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = peer.read_answer()
        assert answer.status == 426
        assert answer.headers["upgrade"] == "websocket"
        assert answer.headers["connection"] == "close"
        peer.expect_end()
    assert_no_call(server)


BAD_HEADS = {
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no target": (b"GET HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "version 8": (upgrade_head(sec_websocket_version=b"8"), 426),
    "no version": (upgrade_head(sec_websocket_version=None), 426),
    "no key": (upgrade_head(sec_websocket_key=None), 400),
    "a key of 15 bytes": (upgrade_head(sec_websocket_key=b"AAAAAAAAAAAAAAAAAAAA"), 400),
    "POST": (upgrade_head(b"POST /call HTTP/1.1"), 405),
    "no Connection": (upgrade_head(connection=None), 400),
    "no Host": (upgrade_head(host=None), 400),
    "head over 16 KiB": (upgrade_head(x_padding=b"x" * 20_000), 431),
    "101 headers": (upgrade_head(x=[b"1"] * 101), 431),
}


@pytest.mark.bytes
@pytest.mark.parametrize("what", BAD_HEADS)
def test_a_bad_head_gets_its_status_and_a_close(serve: Serve, what: str) -> None:
    head, status = BAD_HEADS[what]
    server = serve()
    with Peer(server.port) as peer:
        peer.send(head)
        answer = peer.read_answer()
        assert answer.status == status, answer
        assert answer.headers["connection"] == "close"
        peer.expect_end()
    assert_no_call(server)


@pytest.mark.bytes
def test_a_peer_that_talks_on_after_its_bad_head_still_gets_our_answer(serve: Serve) -> None:
    server = serve(timings=Timings(error_linger=1.0))
    with Peer(server.port) as peer:
        peer.send(upgrade_head(x_padding=b"x" * 400_000))
        assert peer.read_answer().status == 431
        for _ in range(5):
            peer.send(b"x" * 100)  # fails if the server did not wait for us
        peer.expect_end()
    assert_no_call(server)


@pytest.mark.bytes
def test_a_bad_version_is_told_the_good_one(serve: Serve) -> None:
    server = serve()
    with Peer(server.port) as peer:
        peer.send(upgrade_head(sec_websocket_version=b"8"))
        assert peer.read_answer().headers["sec-websocket-version"] == "13"
    assert_no_call(server)


@pytest.mark.bytes
def test_a_head_that_takes_too_long_gets_408(serve: Serve) -> None:
    server = serve(timings=Timings(handshake=0.3))
    with Peer(server.port) as peer:
        peer.send(upgrade_head()[:-2])
        assert peer.read_answer().status == 408
        peer.expect_end()
    assert_no_call(server)


# --- many calls -----------------------------------------------------------------------------------


@pytest.mark.message
def test_two_calls_at_once_do_not_mix(serve: Serve) -> None:
    server = serve()
    with a_call(server.port) as one, a_call(server.port) as two:
        for n in range(20):
            one.send(media(base64.b64encode(b"1%d" % n).decode()))
            two.send(media(base64.b64encode(b"2%d" % n).decode()))
        for name, client in ((b"1", one), (b"2", two)):
            expected = [base64.b64encode(name + b"%d" % n).decode() for n in range(20)]
            assert [payload_of(heard(client)) for _ in expected] == expected
    assert told(server.ended(0)) == told(server.ended(1)) == HUNG_UP


@pytest.mark.message
def test_fifty_calls_at_once_are_all_served(serve: Serve) -> None:
    server = serve()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(a_call(server.port)) for _ in range(50)]
        for n, client in enumerate(clients):
            client.send(tool_called(f"call-{n}", n=n))
        for n, client in enumerate(clients):
            assert json.loads(heard(client))["result"] == {"echo": {"n": n}}
    assert {told(server.ended(n)) for n in range(50)} == {HUNG_UP}


# --- a peer that does not read --------------------------------------------------------------------

DEAF = Timings(write=0.5, close=0.5, linger=0.2)


def _stalls(server: Server) -> None:
    """A peer asks for 20 MB and more, and reads none of it; another call goes on meanwhile."""

    def ended() -> list[Call]:
        return [call for call in server.calls if call.endings]

    with Peer(server.port, receive_buffer=4096) as deaf, a_call(server.port) as other:
        deaf.upgrade()
        tracemalloc.start()
        try:
            asked, deadline = 0, time.monotonic() + PATIENCE
            while not ended() or asked < 40:
                assert time.monotonic() < deadline, f"no end after {asked} times 512 KiB"
                with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                    deaf.send(frame(TEXT, dtmf("5")))
                asked += 1
                other.send(media(PACKET))
                assert payload_of(heard(other)) == PACKET
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(ended()) == 1, "the other call goes on"
        assert peak < 4_000_000, f"{peak} bytes held for a peer that does not read"
        deaf.swallow()
    server.wait(lambda: all(call.endings for call in server.calls))


@pytest.mark.message
def test_a_peer_that_stops_reading_is_left_and_its_audio_dropped(serve: Serve) -> None:
    def loud(session: Any, event: Any) -> None:
        if isinstance(event, Dtmf):
            for _ in range(32):
                session.send_media(LOUD)
        elif isinstance(event, StreamMedia):
            session.send_media(event.payload)

    server = serve(loud, limits=Limits(audio_buffer_ms=1 << 30), timings=DEAF)
    _stalls(server)
    call = next(call for call in server.calls if call.seen(Dtmf))
    assert told(call.endings[0]) == ("error", "local", 1006)


@pytest.mark.message
def test_a_peer_that_stops_reading_cannot_make_us_queue_commands(serve: Serve) -> None:
    def loud(session: Any, event: Any) -> None:
        if isinstance(event, Dtmf):
            for _ in range(32):
                session.inject(LOUD)
        elif isinstance(event, StreamMedia):
            session.send_media(event.payload)

    server = serve(loud, timings=DEAF, expected=SendQueueFull)
    _stalls(server)
    call = next(call for call in server.calls if call.seen(Dtmf))
    end = call.endings[0]
    assert (end.cause, end.initiator) == ("error", "local")
    assert isinstance(end.error, SendQueueFull)
    assert SendQueueFull in {type(error) for error in server.errors}


@pytest.mark.bytes
@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the kernel hoards here")
def test_a_clear_overtakes_what_the_kernel_has_no_room_for(serve: Serve) -> None:
    def barge_in(session: Any, event: Any) -> None:
        if isinstance(event, StreamStart):
            for _ in range(1000):
                session.send_media(PACKET)  # 20 s, 290 KiB
        elif isinstance(event, Dtmf):
            session.clear_audio()

    roomy = Limits(audio_buffer=1 << 20, audio_buffer_ms=1 << 20)
    server = serve(barge_in, limits=roomy)
    with Peer(server.port, receive_buffer=4096) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, start()))
        server.seen(StreamStart)
        peer.wait_until_full()  # what the sockets do not hold waits in the core
        peer.send(frame(TEXT, dtmf("5")))
        server.seen(Dtmf)
        before = 0
        while (got := peer.read_frame()).json["event"] == "playAudio":
            before += len(got.payload)
        assert got.json["event"] == "clearAudio"
        # What one data_to_send() gives, what TCP_NOTSENT_LOWAT lets in, and what is on its way.
        assert before < 5 * roomy.transport_buffer, f"{before} bytes of audio before the clear"
        peer.send(close_frame(1000))
        peer.expect_close(1000)
    assert told(server.ended()) == HUNG_UP


@pytest.mark.message
def test_a_second_answer_to_a_tool_call_is_refused_and_the_call_goes_on(serve: Serve) -> None:
    def twice(session: Any, event: Any) -> None:
        agent(session, event)
        if isinstance(event, ToolCall):
            session.send_tool_error(event.id, "changed my mind")

    server = serve(twice, expected=LocalProtocolError)
    with a_call(server.port) as client:
        client.send(tool_called("call-7"))
        assert json.loads(heard(client))["type"] == "tool.result"
        client.send(dtmf("5"))
        assert json.loads(heard(client))["type"] == "agent_session.speak"
    assert told(server.ended()) == HUNG_UP
    assert [type(error) for error in server.errors] == [LocalProtocolError]
