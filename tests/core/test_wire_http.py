"""HTTP/1.1 heads and bodies of hostile peers, and the answers that either end gives and takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core.errors import LocalProtocolError, RemoteProtocolError
from plivo_core.limits import Limits
from plivo_core.testing import chunkings, hostile_heads
from plivo_core.wire import Rejected, RequestReceived, Response, WireClosed
from tests.core._wire import (
    a_client,
    a_server,
    drain,
    fed,
    request_head,
    taken,
    told,
    upgrade_head,
)

POST = request_head(b"Content-Length: 5", method=b"POST", target=b"/answer?a=1")


def refusal_of(*pieces: bytes, limits: Limits | None = None) -> int:
    """The status with which the core itself refuses a request, its end told once."""
    events, data = fed(a_server(limits=limits), *pieces)
    (event,) = events
    assert isinstance(event, WireClosed)
    assert (event.initiator, event.code) == ("local", 1002)
    assert isinstance(event.error, RemoteProtocolError)
    assert b"\r\nconnection: close\r\n" in data.lower()
    return int(data.split()[1])


def test_a_request_arrives_whole_and_is_answered_once_with_connection_close() -> None:
    server = a_server()
    assert fed(server, POST + b"Di", accept=False) == ([], b"")
    (event,), _ = fed(server, b"git", accept=False)
    assert isinstance(event, RequestReceived)
    assert not event.upgrade
    request = event.request
    assert (request.method, request.path, request.query) == ("POST", "/answer", "a=1")
    assert request.body == b"Digit"
    assert request.header("HOST") == "server.example.com"
    assert request.header("x") is None
    assert repr(request) == "Request(POST /answer?***, 2 headers)"
    server.respond(Response(status=404, headers=(("x-a", "é"),), body=b"no"), now=0.0)
    events, data = drain(server)
    assert data == (
        b"HTTP/1.1 404 Not Found\r\nx-a: \xe9\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"
    )
    assert events == [WireClosed("local", 1000, "HTTP 404")]
    assert server.should_close_transport
    assert server.linger == server.timings.linger


def test_a_request_without_a_query_shows_none() -> None:
    (event, _), _ = fed(a_server(), request_head(target=b"/healthz"))
    assert repr(event.request) == "Request(GET /healthz, 1 headers)"
    assert Response(headers=(("Allow", "GET"),)).header("allow") == "GET"


@pytest.mark.parametrize(
    "head",
    [
        upgrade_head().replace(b"server.example.com", b"\xff"),
        request_head(b"Connection: \x80"),
        request_head(b"Upgrade: \x80"),
        request_head(b"Content-Type: caf\xe9", method=b"POST"),
        request_head(b"X: a\x01b"),
        request_head(b"X: a\x00b"),
        request_head(b"X: a\x7fb"),
        request_head(b"X: \x1b[31m"),
        request_head(b"Content-Length: 5", b"Transfer-Encoding: chunked", method=b"POST"),
        request_head(b"Content-Length: 5", b"Content-Length: 6", method=b"POST"),
        request_head(b"Content-Length: -1", method=b"POST"),
        request_head(b"Content-Length: " + b"9" * 5000, method=b"POST"),
        request_head(host=None),
        request_head(b"Host: another"),
        request_head(target=b"http://server.example.com/"),
        request_head(target=b"*", method=b"OPTIONS"),
        request_head(target=b"a:443", method=b"CONNECT"),
        request_head(target=b"/a:443", method=b"CONNECT"),
        request_head(target=b"/a\\b"),
        request_head(target=b"/a#b"),
        request_head(target=b"/a b"),
        request_head(target=b"/\xff"),
        request_head(target=b"/\x00"),
        request_head(method=b"G\xffT"),
        request_head(b"no colon"),
        request_head(version=b"11"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"\x00",
    ],
)
def test_a_malformed_head_is_answered_400_however_it_is_cut(head: bytes) -> None:
    assert refusal_of(head) == 400
    assert refusal_of(*(bytes([byte]) for byte in head)) == 400


def test_what_is_neither_plain_nor_chunked_is_501_and_other_versions_505() -> None:
    assert refusal_of(request_head(b"Transfer-Encoding: gzip, chunked", method=b"POST")) == 501
    assert refusal_of(request_head(version=b"2.0")) == 505
    assert refusal_of(request_head(version=b"0.9")) == 505


def test_an_http_1_0_request_is_answered() -> None:
    (event, _), data = fed(a_server(), b"GET / HTTP/1.0\r\n\r\n")
    assert event.request.headers == ()
    assert data.startswith(b"HTTP/1.1 200 ")


def test_a_head_of_60_kib_is_431_whole_and_dripped() -> None:
    head = request_head(*[b"X-%d: %s" % (n, b"y" * 1000) for n in range(60)])
    assert refusal_of(head) == 431
    assert refusal_of(*(head[at : at + 1000] for at in range(0, 17_000, 1000))) == 431


def test_a_head_may_have_exactly_the_allowed_bytes() -> None:
    limits = Limits(max_head=200)
    filler = 200 - len(request_head(b"X: "))
    fits = request_head(b"X: " + b"y" * filler)
    assert len(fits) == 200
    (event, _), _ = fed(a_server(limits=limits), fits)
    assert isinstance(event, RequestReceived)
    assert refusal_of(request_head(b"X: " + b"y" * (filler + 1)), limits=limits) == 431


def test_a_hundred_headers_are_taken_and_101_are_431() -> None:
    (event, _), _ = fed(a_server(), request_head(*[b"X: y"] * 99))
    assert len(event.request.headers) == 100
    assert refusal_of(request_head(*[b"X: y"] * 100)) == 431


def test_a_body_over_the_limit_is_413_by_its_announcement_and_by_its_chunks() -> None:
    limits = Limits(max_body=10)
    announced = request_head(b"Content-Length: 11", method=b"POST")
    chunked = request_head(b"Transfer-Encoding: chunked", method=b"POST")
    assert refusal_of(announced, limits=limits) == 413
    assert refusal_of(chunked + b"6\r\n123456\r\n", b"5\r\n12345\r\n", limits=limits) == 413
    assert refusal_of(chunked + b"b\r\n12345678901\r\n0\r\n\r\n", limits=limits) == 413
    (event, _), _ = fed(
        a_server(limits=limits), chunked + b"6\r\n123456\r\n4\r\n1234\r\n0\r\n", b"\r\n"
    )
    assert event.request.body == b"1234561234"


def test_a_broken_chunk_is_400() -> None:
    chunked = request_head(b"Transfer-Encoding: chunked", method=b"POST")
    assert refusal_of(chunked, b"zz\r\n") == 400
    assert refusal_of(chunked, b"5;" + b"x" * 20_000) == 400


def test_a_pipelined_request_is_never_looked_at() -> None:
    server = a_server()
    events, data = fed(server, request_head() + request_head(target=b"/second"))
    assert [type(event) for event in events] == [RequestReceived, WireClosed]
    assert data.count(b"HTTP/1.1") == 1
    assert fed(server, request_head(target=b"/third")) == ([], b"")


def test_bytes_behind_a_request_that_waits_for_its_answer_are_dropped() -> None:
    server = a_server()
    fed(server, request_head(), accept=False)
    assert fed(server, b"x" * 100_000, accept=False) == ([], b"")
    server.respond(Response(), now=0.0)
    assert taken(server).startswith(b"HTTP/1.1 200 OK")


def test_head_204_and_304_are_answered_without_a_body() -> None:
    for method, status in [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)]:
        server = a_server()
        fed(server, request_head(method=method), accept=False)
        server.respond(Response(status=status, body=b"body"), now=0.0)
        data = taken(server)
        assert data.endswith(b"\r\n\r\n")
        assert (b"content-length: 4" in data) is (status == 200)


def test_a_refused_head_request_gets_no_body_either() -> None:
    _, data = fed(a_server(), request_head(b"X: \x01", method=b"HEAD"))
    assert data.startswith(b"HTTP/1.1 400 ")
    assert data.endswith(b"\r\n\r\n")


def test_a_client_that_asks_to_continue_is_told_so_once() -> None:
    server = a_server()
    head = request_head(b"Content-Length: 5", b"Expect: 100-continue", method=b"POST")
    events, data = fed(server, head)
    assert (events, data) == ([], b"HTTP/1.1 100 \r\n\r\n")
    assert fed(server, b"he") == ([], b"")
    (event, _), data = fed(server, b"llo")
    assert event.request.body == b"hello"
    assert data.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "response",
    [
        Response(status=101),
        Response(status=99),
        Response(headers=(("connection", "keep-alive"),)),
        Response(headers=(("Content-Length", "0"),)),
        Response(headers=(("transfer-encoding", "chunked"),)),
        Response(headers=(("x", "a\r\nset-cookie: b"),)),
        Response(headers=(("x y", "a"),)),
        Response(headers=(("x", "€"),)),
    ],
)
def test_an_answer_that_http_cannot_carry_leaves_the_request_waiting(response: Response) -> None:
    server = a_server()
    fed(server, request_head(), accept=False)
    with pytest.raises(LocalProtocolError):
        server.respond(response, now=0.0)
    assert drain(server) == ([], b"")
    server.respond(Response(headers=(("upgrade", "websocket"),), status=426), now=0.0)
    assert taken(server).startswith(b"HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\n")


def test_a_connection_is_rejected_before_its_request_is_there() -> None:
    for arrived in ([], [b"GET / HT"], [POST]):
        server = a_server()
        fed(server, *arrived)
        server.reject(503, body=b"full\n", now=1.0)
        events, data = drain(server)
        assert events == [WireClosed("local", 1000, "HTTP 503")]
        assert data.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert data.endswith(b"\r\n\r\nfull\n")


def test_a_slow_head_is_408_after_ten_seconds_in_total() -> None:
    server = a_server()
    for second in range(10):
        assert fed(server, upgrade_head()[second : second + 1], now=float(second)) == ([], b"")
        assert server.deadline() == 10.0
    server.handle_timeout(now=9.9)
    assert drain(server) == ([], b"")
    server.handle_timeout(now=10.0)
    (event,), data = drain(server)
    assert data.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert event.reason == "HTTP 408"
    assert server.deadline() is None
    assert server.linger == server.timings.error_linger


def test_a_slow_body_is_408_ten_seconds_after_its_head() -> None:
    server = a_server()
    fed(server, POST[:-2], now=0.0)
    fed(server, POST[-2:], now=8.0)
    fed(server, b"1", now=17.0)
    assert server.deadline() == 18.0
    server.handle_timeout(now=18.0)
    _, data = drain(server)
    assert data.startswith(b"HTTP/1.1 408 ")


def test_a_peer_that_does_not_take_its_100_is_given_up() -> None:
    server = a_server()
    head = request_head(b"Content-Length: 5", b"Expect: 100-continue", method=b"POST")
    server.receive_data(head, now=1.0)
    assert server.next_event() is None
    assert not server.idle
    assert server.deadline() == 11.0
    server.handle_timeout(now=11.0)
    (event,), data = drain(server)
    assert (event.code, data) == (1006, b"")
    assert "read nothing for 10" in str(event.error)


def test_an_answer_behind_a_stuck_100_leaves_with_it() -> None:
    server = a_server()
    server.receive_data(request_head(b"Expect: 100-continue", b"Content-Length: 1"), now=0.0)
    assert server.next_event() is None
    server.reject(417, now=1.0)
    assert server.data_to_send().startswith(b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 417 ")


def test_the_application_may_take_its_time_but_not_leave_a_100_stuck() -> None:
    server = a_server()
    head = request_head(b"Content-Length: 5", b"Expect: 100-continue", method=b"POST")
    server.receive_data(head, now=1.0)
    assert server.next_event() is None
    server.receive_data(b"hello", now=2.0)
    assert isinstance(server.next_event(), RequestReceived)
    assert server.deadline() == 11.0
    taken(server)
    assert server.deadline() is None


def test_a_half_closed_client_still_gets_its_answer() -> None:
    server = a_server()
    server.receive_data(request_head(), now=0.0)
    server.receive_eof(now=0.0)
    events, data = drain(server)
    assert [type(event) for event in events] == [RequestReceived, WireClosed]
    assert data.startswith(b"HTTP/1.1 200 ")
    assert server.linger == 0.0


def test_a_client_that_leaves_before_its_request_is_whole_is_gone() -> None:
    for arrived in (b"", b"GET", POST):
        server = a_server()
        fed(server, arrived)
        server.receive_eof(now=0.0)
        assert drain(server) == ([WireClosed("remote", 1006)], b"")


def test_an_answer_whose_transport_died_leaves_nothing_to_send() -> None:
    server = a_server()
    server.reject(503, now=0.0)
    server.send_failed(now=0.0)
    events, data = drain(server)
    assert [event.reason for event in events] == ["HTTP 503"]
    assert data == b""
    assert server.should_close_transport


@given(st.data(), hostile_heads() | st.binary(max_size=100).map(POST.__add__))
def test_no_chunking_changes_what_becomes_of_a_head(data: st.DataObject, stream: bytes) -> None:
    # Whether a 100 is sent depends, as RFC 9110 10.1.1 wants, on whether the body is there already.
    whole, cut = a_server(), a_server()
    events, sent = fed(whole, stream)
    cut_events, cut_sent = fed(cut, *data.draw(chunkings(stream)))
    assert [told(event) for event in cut_events] == [told(event) for event in events]
    interim = b"HTTP/1.1 100 \r\n\r\n"
    assert cut_sent.replace(interim, b"") == sent.replace(interim, b"")


# -- the client's end --------------------------------------------------------------------------


def rejection_of(*pieces: bytes, eof: bool = False) -> Response:
    client = a_client()
    taken(client)
    events, _ = fed(client, *pieces)
    if eof:
        client.receive_eof(now=0.0)
        events += drain(client)[0]
    rejected, closed = events
    assert isinstance(rejected, Rejected)
    assert closed.reason == f"HTTP {rejected.response.status}"
    assert (closed.initiator, closed.code) == ("remote", 1006)
    assert isinstance(closed.error, RemoteProtocolError)
    return rejected.response


def test_a_client_is_shown_why_it_was_rejected() -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nX-Why: \xe9\r\n"
    response = rejection_of(head + b"Content-Length: 2\r\n", b"\r\nn", b"o")
    assert (response.status, response.body, response.header("x-why")) == (403, b"no", "é")
    chunked = b"Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
    assert rejection_of(head + chunked).body == b"no"
    assert rejection_of(head + b"\r\nno", eof=True).body == b"no"


def test_a_long_explanation_is_cut_to_64_kib() -> None:
    head = b"HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\n"
    assert rejection_of(head, *[b"x" * 10_000] * 7).body == b"x" * 65536


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 17_000, "over 16384 bytes"),
        (b"HTTP/1.1 103 Early\r\nX: y\r\n\r\n" * 1000, "over 16384 bytes"),
    ],
)
def test_an_answer_that_is_none_ends_the_client(answer: bytes, complaint: str) -> None:
    for pieces in ([answer], [answer[at : at + 100] for at in range(0, len(answer), 100)]):
        (event,), _ = fed(a_client(), *pieces)
        assert event.code == 1006
        assert complaint in str(event.error)


def test_a_server_that_hangs_up_or_says_nothing_ends_the_client() -> None:
    client = a_client()
    fed(client, b"HTTP/1.1 1")
    client.receive_eof(now=1.0)
    assert drain(client)[0] == [WireClosed("remote", 1006)]

    client = a_client()
    taken(client)
    assert client.next_event() is None
    assert client.deadline() == 10.0
    client.handle_timeout(now=10.0)
    (event,), _ = drain(client)
    assert event.initiator == "local"
    assert "did not answer the upgrade in time" in str(event.error)
