"""The opening handshake of RFC 6455 section 4: both ends, and everyone who breaks it."""

from __future__ import annotations

import pytest

from plivo_core.errors import LocalProtocolError, RemoteProtocolError
from plivo_core.wire import RequestReceived, Upgraded, WireClosed
from plivo_core.wire._upgrade import accept_token, client_key
from tests.core._wire import (
    ACCEPT,
    KEY,
    SWITCHING,
    TEXT,
    a_client,
    a_server,
    an_upgraded_server,
    drain,
    fed,
    frame,
    request_head,
    taken,
    upgrade_head,
)


def test_the_accept_token_is_that_of_rfc_6455_section_1_3() -> None:
    assert accept_token(KEY) == ACCEPT
    assert client_key(b"the sample nonce") == KEY


def test_an_upgrade_is_told_accepted_and_answered_101() -> None:
    server = a_server()
    (event,), data = fed(server, upgrade_head(), accept=False)
    assert isinstance(event, RequestReceived)
    assert event.upgrade
    assert (event.request.path, event.request.query) == ("/chat", "call=1")
    assert event.request.header("Host") == "server.example.com"
    assert data == b""
    server.accept((("x-call", "1"),), now=0.0)
    answer = taken(server)
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert answer.lower().endswith(
        b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: "
        + ACCEPT.lower().encode()
        + b"\r\nx-call: 1\r\n\r\n"
    )
    assert ACCEPT.encode() in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (upgrade_head(method=b"POST"), 405),
        (upgrade_head(version=b"1.0"), 400),
        (upgrade_head(version=b"1.9"), 505),
        (upgrade_head(version=b"2.0"), 505),
        (upgrade_head(without=b"Connection"), 400),
        (upgrade_head(b"Connection: keep-alive", without=b"Connection"), 400),
        (upgrade_head(without=b"Sec-WebSocket-Version"), 426),
        (upgrade_head(b"Sec-WebSocket-Version: 8", without=b"Sec-WebSocket-Version"), 426),
        (upgrade_head(b"Sec-WebSocket-Version: 13"), 426),
        (upgrade_head(without=b"Sec-WebSocket-Key"), 400),
        (upgrade_head(b"Sec-WebSocket-Key: x", without=b"Sec-WebSocket-Key"), 400),
        (upgrade_head(b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA", without=b"Sec-WebSocket-K"), 400),
        (
            upgrade_head(
                b"Sec-WebSocket-Key: ????????????????????????", without=b"Sec-WebSocket-K"
            ),
            400,
        ),
        (
            upgrade_head(
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA", without=b"Sec-WebSocket-K"
            ),
            400,
        ),
        (upgrade_head(b"Sec-WebSocket-Key: " + KEY.encode()), 400),
        (upgrade_head(b"Content-Length: 5") + b"hello", 400),
        (upgrade_head(b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
        (upgrade_head(target=b"http://server.example.com/chat"), 400),
        (upgrade_head(target=b"/chat#part"), 400),
        (upgrade_head(b"Connection: keep-alive, \xe9"), 400),
        (upgrade_head(b"Sec-WebSocket-Extensions: \x80"), 400),
        (upgrade_head(b"Sec-WebSocket-Protocol: caf\xc3\xa9"), 400),
        (upgrade_head(b"Sec-WebSocket-Key: \xff", without=b"Sec-WebSocket-Key"), 400),
        (upgrade_head(b"X-Bell: \x07"), 400),
    ],
)
def test_a_broken_upgrade_is_answered_by_the_core_and_never_shown(head: bytes, status: int) -> None:
    (event,), data = fed(a_server(), head)
    assert isinstance(event, WireClosed)
    assert (event.initiator, event.code, event.reason) == ("local", 1002, f"HTTP {status}")
    assert isinstance(event.error, RemoteProtocolError)
    assert data.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in data.lower()
    if status == 426:
        assert b"sec-websocket-version: 13\r\n" in data.lower()
    if status == 405:
        assert b"allow: get\r\n" in data.lower()


@pytest.mark.parametrize(
    "head",
    [
        upgrade_head(b"Connection: keep-alive, UPGRADE", without=b"Connection"),
        upgrade_head(b"Upgrade: h2c, WebSocket", without=b"Upgrade"),
        upgrade_head(b"Content-Length: 0"),
        upgrade_head(b"Sec-WebSocket-Protocol: chat, superchat"),
        upgrade_head(b"X-Name: caf\xe9"),
    ],
)
def test_odd_but_correct_upgrades_are_welcome(head: bytes) -> None:
    events, data = fed(a_server(), head)
    assert events[0].upgrade
    assert data.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    "offer",
    [
        b"permessage-deflate",
        b"permessage-deflate; client_max_window_bits=abc",
        b"permessage-deflate; server_no_context_takeover, x-webkit-deflate-frame",
    ],
)
def test_offers_of_compression_are_ignored(offer: bytes) -> None:
    _, data = fed(a_server(), upgrade_head(b"Sec-WebSocket-Extensions: " + offer))
    assert data.startswith(b"HTTP/1.1 101 ")
    assert b"extensions" not in data.lower()


def test_another_upgrade_is_a_plain_request() -> None:
    head = request_head(b"Upgrade: h2c", b"Connection: Upgrade")
    (event, closed), data = fed(a_server(), head)
    assert isinstance(event, RequestReceived)
    assert not event.upgrade
    assert data.startswith(b"HTTP/1.1 200 ")
    assert closed.code == 1000


def test_bytes_behind_the_upgrade_head_are_the_first_frame() -> None:
    hello = frame(TEXT, b"hello")
    events, _ = fed(a_server(), upgrade_head() + hello + hello[:3], hello[3:])
    assert events[1:] == ["hello", "hello"]


def test_early_bytes_wait_for_the_answer_of_a_slow_application() -> None:
    server = a_server()
    fed(server, upgrade_head(), frame(TEXT, b"early"), accept=False)
    server.accept(now=1.0)
    assert server.next_event() == "early"


def test_an_upgrade_accepted_after_its_client_left_ends_at_once() -> None:
    server = a_server()
    fed(server, upgrade_head(), frame(TEXT, b"early"), accept=False)
    server.receive_eof(now=0.0)
    server.accept(now=1.0)
    events, _ = drain(server)
    assert events == ["early", WireClosed("remote", 1006)]


def test_a_client_that_talks_on_before_the_answer_is_dropped() -> None:
    server = a_server()
    events, data = fed(server, upgrade_head(), *[b"x" * 8192] * 3, accept=False)
    assert data == b""
    assert events[1].code == 1006
    assert "before the upgrade was answered" in str(events[1].error)


def test_what_a_peer_does_wrong_early_does_not_eat_the_101() -> None:
    events, data = fed(a_server(), upgrade_head() + frame(0x3))
    assert events[1].code == 1002
    head, _, rest = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert rest == b"\x88\x10\x03\xeaprotocol error"


def test_an_early_ping_is_answered_behind_the_101() -> None:
    _, data = fed(a_server(), upgrade_head() + frame(0x9, b"?"))
    assert data.startswith(b"HTTP/1.1 101 ")
    assert data.endswith(b"\r\n\r\n\x8a\x01?")


@pytest.mark.parametrize(
    "name",
    ["Upgrade", "connection", "Sec-WebSocket-Accept", "sec-websocket-extensions", "Host",
     "sec-websocket-key", "sec-websocket-version", "Content-Length"],
)  # fmt: skip
def test_headers_that_the_core_writes_are_refused_in_both_halves_of_the_handshake(
    name: str,
) -> None:
    server = a_server()
    fed(server, upgrade_head(), accept=False)
    with pytest.raises(LocalProtocolError, match="leave it out"):
        server.accept(((name, "x"),), now=0.0)
    server.accept(now=0.0)
    with pytest.raises(LocalProtocolError, match="leave it out"):
        type(a_client())(host="h", headers=((name, "x"),), random_bytes=bytes, now=0.0)


def test_a_header_that_http_cannot_carry_leaves_the_upgrade_waiting() -> None:
    server = a_server()
    fed(server, upgrade_head(), accept=False)
    for headers in [(("x", "a\r\nb: c"),), (("ü", "x"),), (("x", "€"),)]:
        with pytest.raises(LocalProtocolError, match="cannot carry"):
            server.accept(headers, now=0.0)
    assert taken(server) == b""
    server.accept(now=0.0)
    assert taken(server).startswith(b"HTTP/1.1 101 ")


def test_accepting_twice_is_a_local_error() -> None:
    server = an_upgraded_server()
    with pytest.raises(LocalProtocolError, match="accept"):
        server.accept(now=0.0)


def test_the_clients_request_is_that_of_rfc_6455_section_1_2() -> None:
    head = taken(a_client())
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /chat HTTP/1.1"
    assert {line.lower() for line in lines[1:-2]} == {
        "host: server.example.com",
        "upgrade: websocket",
        "connection: upgrade",
        f"sec-websocket-key: {KEY}".lower(),
        "sec-websocket-version: 13",
    }


@pytest.mark.parametrize(
    ("host", "target"), [("h\n", "/"), ("h", "/ x"), ("h", ""), ("h", "/é"), ("€", "/")]
)
def test_a_client_refuses_what_http_cannot_carry(host: str, target: str) -> None:
    with pytest.raises(LocalProtocolError, match="cannot carry"):
        type(a_client())(host=host, target=target, random_bytes=bytes, now=0.0)


def test_a_client_is_upgraded_and_reads_the_frames_behind_the_101() -> None:
    events, _ = fed(a_client(), b"HTTP/1.1 100 Continue\r\n\r\n" + SWITCHING + b"\x81\x02hi")
    assert isinstance(events[0], Upgraded)
    assert events[1] == "hi"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (SWITCHING.replace(ACCEPT.encode(), ACCEPT.lower().encode()), "wrong Sec-WebSocket-Accept"),
        (SWITCHING.replace(b"Sec-WebSocket-Accept", b"X"), "wrong Sec-WebSocket-Accept"),
        (SWITCHING.replace(b"Upgrade: websocket", b"Upgrade: h2c"), "no 'Upgrade: websocket'"),
        (SWITCHING.replace(b"Connection: Upgrade", b"Connection: x"), "no 'Upgrade: websocket'"),
        (SWITCHING[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "not offered"),
        (SWITCHING[:-2] + b"Sec-WebSocket-Protocol: chat\r\n\r\n", "not offered"),
    ],
)
def test_a_101_that_breaks_rfc_6455_section_4_1_fails_the_client(
    answer: bytes, complaint: str
) -> None:
    client = a_client()
    (event,), _ = fed(client, answer)
    assert event.code == 1006
    assert isinstance(event.error, RemoteProtocolError)
    assert complaint in str(event.error)
