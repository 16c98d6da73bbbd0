"""What h11 and wsproto leave to us: each input ends its own connection and no other.

Every input meets a server that is in the middle of a call; the call must go on. In a naive server
on an anyio task group, the first of these ended the process.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from plivo_core import Ended, SessionClosedError
from tests.scenarios._drivers import Server, agent
from tests.scenarios._peer import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Peer,
    a_call,
    close_frame,
    dtmf,
    frame,
    heard,
    upgrade_head,
)
from tests.scenarios.conftest import Serve

pytestmark = pytest.mark.bytes


@contextmanager
def a_call_that_goes_on(server: Server) -> Iterator[None]:
    with a_call(server.port) as client:
        for digit in "12":
            client.send(dtmf(digit))
            assert json.loads(heard(client))["text"] == f"You pressed {digit}."
            if digit == "1":
                yield
    assert server.ended().code == 1000


NO_SUCH_CHARACTERS = {
    "Host": upgrade_head(host=b"\xff"),
    "Connection": upgrade_head(connection=[b"Upgrade", b"\xc3\xa9"]),
    "Upgrade": upgrade_head(upgrade=[b"websocket", b"\x80"]),
    "Sec-WebSocket-Extensions": upgrade_head(sec_websocket_extensions=b"\xff"),
    "Sec-WebSocket-Protocol": upgrade_head(sec_websocket_protocol=b"chat, \xe9"),
    "Sec-WebSocket-Key": upgrade_head(sec_websocket_key=b"\xff" * 24),
    "Sec-WebSocket-Version": upgrade_head(sec_websocket_version=b"\xb2"),
    "the target": upgrade_head(b"GET /\xff HTTP/1.1"),
    "the method": upgrade_head(b"G\xcbT / HTTP/1.1"),
    "a header's name": upgrade_head(request_line=b"GET / HTTP/1.1\r\n\xff: 1"),
}


@pytest.mark.parametrize("where", NO_SUCH_CHARACTERS)
def test_bytes_beyond_ascii_get_400(serve: Serve, where: str) -> None:
    server = serve()
    with a_call_that_goes_on(server), Peer(server.port) as peer:
        peer.send(NO_SUCH_CHARACTERS[where])
        assert peer.read_answer().status == 400
        peer.expect_end()


ODD_HEADS = {
    "HTTP/1.0": (upgrade_head(b"GET / HTTP/1.0"), 400),
    "HTTP/1.9": (upgrade_head(b"GET / HTTP/1.9"), 505),
    "HTTP/2.0": (upgrade_head(b"GET / HTTP/2.0"), 505),
    "two keys": (upgrade_head(sec_websocket_key=[b"dGhlIHNhbXBsZSBub25jZQ=="] * 2), 400),
    "absolute target": (upgrade_head(b"GET http://x/ HTTP/1.1"), 400),
    "a body": (upgrade_head(content_length=b"5") + b"12345", 400),
    "a chunked body": (upgrade_head(transfer_encoding=b"chunked") + b"0\r\n\r\n", 400),
    "a control character": (upgrade_head(x_y=b"a\x01b"), 400),
    "NUL": (upgrade_head(x_y=b"a\x00b"), 400),
    "CL and TE": (
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        ),
        400,
    ),
    "a length of minus one": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "a length beyond int()": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        400,
    ),
    "a length of 1 TiB": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n",
        413,
    ),
}


@pytest.mark.parametrize("what", ODD_HEADS)
def test_an_odd_head_gets_its_status_once(serve: Serve, what: str) -> None:
    head, status = ODD_HEADS[what]
    server = serve()
    with a_call_that_goes_on(server), Peer(server.port) as peer:
        peer.send(head)
        assert peer.read_answer().status == status
        peer.expect_end()


@pytest.mark.parametrize(
    "offer",
    [
        b"permessage-deflate",
        b"permessage-deflate; client_max_window_bits=abc",
        b"permessage-deflate; server_max_window_bits=99; client_max_window_bits",
        b"permessage-deflate;;;=,",
    ],
)
def test_deflate_is_never_negotiated(serve: Serve, offer: bytes) -> None:
    server = serve()
    with a_call_that_goes_on(server), Peer(server.port) as peer:
        answer = peer.upgrade(upgrade_head(sec_websocket_extensions=offer))
        assert "sec-websocket-extensions" not in answer.headers
        peer.send(frame(TEXT, dtmf("5")))
        assert peer.read_frame().json["text"] == "You pressed 5."
        peer.send(frame(TEXT, b"deflated?", rsv=4))
        peer.expect_close(1002)


def test_an_offered_subprotocol_is_not_taken(serve: Serve) -> None:
    server = serve()
    with a_call_that_goes_on(server), Peer(server.port) as peer:
        answer = peer.upgrade(upgrade_head(sec_websocket_protocol=b"chat, audio"))
        assert "sec-websocket-protocol" not in answer.headers


AFTER_THE_END = {
    "a message": frame(TEXT, dtmf("9")),
    "a ping": frame(PING, b"?"),
    "a second close": close_frame(1001),
    "half a frame": frame(TEXT, dtmf("9"))[:5],
    "an unmasked frame": frame(TEXT, dtmf("9"), masked=False),
    "no frames at all": b"\xff" * 5000,
    "another request": upgrade_head(),
}


@pytest.mark.parametrize("what", AFTER_THE_END)
@pytest.mark.parametrize("when", ["in the same segment", "after the answer"])
def test_bytes_after_the_closing_handshake_are_ignored(serve: Serve, what: str, when: str) -> None:
    server = serve()
    with a_call_that_goes_on(server), Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")))
        peer.read_frame()
        if when == "in the same segment":
            peer.send(close_frame(1000), AFTER_THE_END[what])
        else:
            peer.send(close_frame(1000))
        got = peer.read_frame()
        assert (got.opcode, got.close_code) == (CLOSE, 1000)
        if when == "after the answer":  # the server may have closed: a RST is what that deserves
            peer.send(AFTER_THE_END[what])
            peer.swallow()
        else:
            peer.expect_end()
        end = server.ended(1)
    assert (end.cause, end.initiator, end.code) == ("close", "remote", 1000)


def test_both_sides_close_at_once(serve: Serve) -> None:
    def leave(session: Any, event: Any) -> None:
        agent(session, event)
        if getattr(event, "digit", "") == "5":
            session.close(4001)
            session.close(4002)

    server = serve(leave)
    with a_call_that_goes_on(server), Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")), close_frame(4000), close_frame(4000))
        got = peer.read_frame()
        if got.opcode == TEXT:  # who is first is a matter of the driver
            got = peer.read_frame()
        assert got.close_code in (4000, 4001)
        peer.expect_end()
        assert server.ended(1).code in (4000, 4001)


def test_a_handler_that_sends_after_the_end_disturbs_nobody(serve: Serve) -> None:
    sent_late: list[Exception] = []

    def late(session: Any, event: Any) -> None:
        if not isinstance(event, Ended):
            agent(session, event)
            return
        for say in (lambda: session.speak("Are you there?"), lambda: session.send_media("AAAA")):
            try:
                say()
            except SessionClosedError as error:
                sent_late.append(error)
        session.close(4000)  # harmless
        raise sent_late[-1]

    server = serve(late)
    with a_call_that_goes_on(server), Peer(server.port) as peer:
        peer.upgrade()
        peer.send(frame(TEXT, dtmf("5")))
        peer.read_frame()
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        server.ended(1)
        server.wait(lambda: len(sent_late) == 2)


def _garbage(seed: int) -> bytes:
    dice = random.Random(seed)
    kind, size = dice.randrange(4), dice.choice([1, 20, 500, 20_000])
    if kind == 0:
        return dice.randbytes(size)
    if kind == 1:
        return bytes(dice.choice(b"\r\n: GET/HTTP1.") for _ in range(size))
    head = bytearray(upgrade_head())
    for _ in range(dice.randrange(1, 6)):
        head[dice.randrange(len(head))] = dice.randrange(256)
    return bytes(head)


@pytest.mark.bytes(half_close=True)
def test_random_bytes_instead_of_a_head(serve: Serve) -> None:
    server = serve()
    with a_call_that_goes_on(server):
        for seed in range(40):
            with Peer(server.port) as peer:
                peer.send(_garbage(seed))
                peer.half_close()
                answer = peer.swallow()
            assert answer == b"" or answer.startswith(
                (b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.1 101")
            )


@pytest.mark.bytes(half_close=True)
def test_random_bytes_instead_of_frames(serve: Serve) -> None:
    server = serve()
    with a_call_that_goes_on(server):
        for seed in range(40):
            dice = random.Random(seed)
            with Peer(server.port) as peer:
                peer.upgrade()
                opcode = dice.choice([TEXT, BINARY, PING, CLOSE, 3, 0])
                peer.send(
                    frame(opcode, dice.randbytes(dice.randrange(130)), rsv=dice.choice([0, 2]))
                )
                peer.send(dice.randbytes(dice.choice([0, 3, 300, 20_000])))
                peer.half_close()
                peer.swallow()
        server.wait(lambda: len(server.calls) == 41 and all(c.endings for c in server.calls[1:]))
