"""SECURITY.md 3 over a socket: what the adapter adds to tests/webhooks/test_threats.py.

1, 5, 14 and 21 are the acceptance tests in test_webhooks.py and test_upgrades.py.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest

from plivo_core.webhooks import AnswerXml, Speak, StreamTokens, Verified, sign_v3
from tests.adapter._caller import PATIENCE, calling, serving
from tests.adapter._http import ask
from tests.adapter._signed import a_new_hook, an_app, posts, status_of_upgrade
from tests.webhooks._hooks import FORM, MAIN_TOKEN, OLD_TOKEN, PUBLIC, TOKEN, a_verifier

pytestmark = pytest.mark.anyio

SIG = "X-Plivo-Signature-V3"


@asynccontextmanager
async def counting(
    methods: tuple[str, ...] = ("POST",), **options: Any
) -> AsyncIterator[tuple[int, list[Verified]]]:
    """An app with one webhook, /voice; gives its port and what its handler saw."""
    app, seen = an_app(**options), list[Verified]()

    @app.webhook("/voice", methods=methods)
    async def answer(hook: Verified) -> None:
        seen.append(hook)

    async with serving(app) as port:
        yield port, seen


async def raw(port: int, data: bytes) -> bytes:
    """All that comes back for these bytes; the server must close."""
    answer = b""
    with anyio.fail_after(PATIENCE):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(data)
            try:
                while True:
                    answer += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return answer


async def test_threat_03_several_signatures_and_a_token_in_rotation() -> None:
    verifier = a_verifier(tokens=[TOKEN, OLD_TOKEN], main_tokens=MAIN_TOKEN)
    async with counting(webhooks=verifier) as (port, seen):
        for hook in (
            a_new_hook(),
            a_new_hook(token=OLD_TOKEN),
            a_new_hook(token=MAIN_TOKEN, header="X-Plivo-Signature-Ma-V3"),
        ):
            assert (await posts(port, hook)).status == 200
        several = a_new_hook()
        several = several.with_header(SIG, f"AAAA , {several.header(SIG)}")
        assert (await posts(port, several)).status == 200
        for hook in (
            a_new_hook(token=MAIN_TOKEN),
            a_new_hook(header="X-Plivo-Signature-Ma-V3"),
            a_new_hook().with_header(SIG, ",".join(["AAAA"] * 17)),
        ):
            assert (await posts(port, hook)).status == 403
        assert len(seen) == 4


async def test_threat_08_the_host_of_the_request_is_never_believed() -> None:
    async with counting() as (port, seen):
        for header in ("X-Forwarded-Host", "Forwarded"):
            hook = a_new_hook(signed_url="https://x/voice").with_header(header, "x")
            assert (await posts(port, hook)).status == 403
        assert seen == []


async def test_threat_09_an_odd_target_never_reaches_a_handler() -> None:
    async with counting() as (port, seen):
        for target in (
            f"{PUBLIC}/voice", "/voice#f", "/voi ce", "/voice\\", "/voice\0", "*",
            "/voice/", "//voice", "/%76oice", "/./voice", "/voice;a",
        ):  # fmt: skip
            hook = a_new_hook(target=target)  # signed as it is sent
            headers = "".join(f"{name}: {value}\r\n" for name, value in hook.headers)
            head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(hook.body)}\r\n"
            answer = await raw(port, f"{head}{headers}\r\n".encode() + hook.body)
            assert int(answer.split()[1]) in (400, 404), target
        assert seen == []


async def test_threat_10_the_query_reaches_the_verifier_as_it_was_sent() -> None:
    async with counting() as (port, seen):
        for target in ("/voice?b=1&a=&c=x+y", "/voice?c=x%20y&%C3%B6=%2B", "/voice?a=1&a=2"):
            assert (await posts(port, a_new_hook(target=target))).status == 200
        assert [hook.target for hook in seen][1] == "/voice?c=x%20y&%C3%B6=%2B"


async def test_threat_12_and_13_other_content_is_415() -> None:
    async with counting() as (port, seen):
        for content_type in (
            "application/json", "text/plain", "multipart/form-data; boundary=x",
            f"{FORM}; charset=utf-7", "",
        ):  # fmt: skip
            hook = a_new_hook().with_header("Content-Type", content_type)
            answer = await posts(port, hook)
            assert (answer.status, answer.body) == (415, b""), content_type
        gzip = a_new_hook().with_header("Content-Encoding", "gzip")
        assert (await posts(port, gzip)).status == 415
        assert (await posts(port, replace(a_new_hook(), body=b"a=\xe9"))).status == 400
        assert seen == []


async def test_threat_15_what_could_be_two_requests_is_none() -> None:
    async with counting() as (port, seen):
        hook = a_new_hook()
        headers = "".join(f"{name}: {value}\r\n" for name, value in hook.headers).encode()
        head = b"POST /voice HTTP/1.1\r\nHost: x\r\n" + headers
        length = b"Content-Length: %d\r\n" % len(hook.body)
        both = head + length + b"Transfer-Encoding: chunked\r\n\r\n" + hook.body
        assert (await raw(port, both)).startswith(b"HTTP/1.1 400 ")
        one = head + length + b"\r\n" + hook.body
        answer = await raw(port, one + one)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1") == 1
        assert b"connection: close" in answer.lower()
        assert len(seen) == 1


async def test_threat_16_other_methods_are_405_and_an_override_is_not_read() -> None:
    async with counting(("GET",)) as (port, seen):
        for method in ("HEAD", "OPTIONS", "TRACE", "POST", "PUT", "get"):
            hook = replace(a_new_hook(method="GET"), method=method)
            hook = hook.with_header("X-HTTP-Method-Override", "GET")
            answer = await posts(port, hook)
            assert (answer.status, answer.headers["allow"]) == (405, "GET"), method
        assert seen == []
        assert (await posts(port, a_new_hook(method="GET"))).status == 200


async def test_threat_18_no_secret_gets_into_log_or_repr(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    keys = b"k3y-of-the-stream-tokens"
    tokens = StreamTokens([keys], bytes)
    app = an_app()
    app.require_stream_token(tokens)

    @app.webhook("/voice/14155550101", explain=True)
    async def answer(hook: Verified) -> None:
        raise RuntimeError("failed")

    target = "/voice/14155550101?pin=s3cret-pin"
    hooks = [a_new_hook(target=target), a_new_hook(target=target, token="guess")]
    hooks += [
        hooks[0].with_header(SIG, "s1gnature\r"[:-1]),
        a_new_hook([("a", "s3cret-body")], target=target).with_header(SIG + "-Nonce", "n.once"),
    ]
    stream = app.stream_url("wss://agent.example.com/call")
    stream_token = stream.partition("token=")[2]
    async with serving(app) as port:
        for hook in hooks:
            assert (await posts(port, hook)).status in (403, 500)
        for query in (f"token={stream_token}", f"token={stream_token}", "token=s3cret"):
            target = f"/call?{query}"
            async with calling(port, target=target, upgraded=False) as caller:
                await status_of_upgrade(caller)
    shown = caplog.text + repr([app.__dict__, app._webhooks.__dict__, app._upgrades.__dict__])
    expected = sign_v3(
        "POST", PUBLIC + hooks[1].target, hooks[1].header(SIG + "-Nonce"), TOKEN,
        [("CallUUID", "c-1"), ("From", "+14155550101"), ("Text", "a b&c=d"), ("Digits", "")],
    )  # fmt: skip
    assert expected != hooks[1].header(SIG)
    for secret in (
        TOKEN, keys.decode(), stream_token, expected, "s3cret", "s1gnature", "n.once",
        hooks[0].header(SIG), hooks[0].header(SIG + "-Nonce"), "14155550101", "CallUUID=",
    ):  # fmt: skip
        assert secret not in shown
    [route] = [route for methods in app._routes.by_path.values() for route in methods.values()]
    assert TOKEN not in repr(vars(route.gate))
    assert "refused POST /voice/***0101 with 403" in caplog.text
    assert "perhaps: token" in caplog.text


async def test_threat_18_what_a_peer_wrote_cannot_forge_a_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with counting() as (port, _):
        hook = a_new_hook().with_header("Content-Type", "x/\t\\" + "y" * 300)
        assert (await posts(port, hook)).status == 415
    [refused] = [record.getMessage() for record in caplog.records]
    assert refused.isprintable()
    assert len(refused) < 250


async def test_threat_19_odd_bytes_get_an_answer_and_the_next_request_too() -> None:
    async with counting() as (port, seen):
        for header in (b"X-Plivo-Signature-V3: \xff\xfe", b"Content-Type: \xff", b"Origin: \xff"):
            head = b"POST /voice HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n" + header
            status = int((await raw(port, head + b"\r\n\r\na=b")).split()[1])
            assert status in (400, 403, 415)
        assert (await posts(port, a_new_hook())).status == 200
        assert len(seen) == 1


async def test_threat_20_answer_xml_is_escaped_and_named_as_xml() -> None:
    app = an_app()

    @app.webhook("/voice")
    async def answer(hook: Verified) -> AnswerXml:
        return AnswerXml(Speak(hook.params["CallerName"]))

    async with serving(app) as port:
        hook = a_new_hook([("CallerName", "</Speak><Hangup/>")])
        answer_given = await posts(port, hook)
        assert answer_given.headers["content-type"] == "application/xml"
        assert b"&lt;Hangup/&gt;" in answer_given.body
        control = a_new_hook([("CallerName", "bell\a")])
        assert (await posts(port, control)).status == 500


async def test_threat_22_a_browsers_upgrade_gets_an_empty_403() -> None:
    async with serving(an_app()) as port:
        headers = (("origin", "https://evil.example"),)
        async with calling(port, target="/call", upgraded=False, headers=headers) as caller:
            assert await status_of_upgrade(caller) == 403


async def test_threat_23_a_url_in_a_callback_is_never_fetched() -> None:
    fetched = list[object]()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:

        async def count(stream: Any) -> None:
            fetched.append(stream)
            await stream.aclose()

        tasks.start_soon(listener.serve, count)
        address = listener.extra(anyio.abc.SocketAttribute.local_address)
        url = f"http://127.0.0.1:{address[1]}/x"
        async with counting() as (port, seen):
            for name in ("RecordUrl", "Media0", "recording_url"):
                assert (await posts(port, a_new_hook([(name, url)]))).status == 200
            assert len(seen) == 3
        assert fetched == []
        # The listener does hear what comes: else the line above would say nothing.
        async with await anyio.connect_tcp("127.0.0.1", address[1]) as stream:
            with anyio.fail_after(PATIENCE), pytest.raises(anyio.EndOfStream):
                await stream.receive()
        assert len(fetched) == 1
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", [SIG, SIG + "-Nonce"])
async def test_threat_24_a_header_given_twice_in_any_case_is_403(name: str) -> None:
    async with counting() as (port, seen):
        hook = a_new_hook()
        twice = replace(hook, headers=[*hook.headers, (name.upper(), hook.header(name))])
        assert (await posts(port, twice)).status == 403
        assert (await posts(port, hook)).status == 200
        assert len(seen) == 1


async def test_threat_02_the_socket_path_compares_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = list[int]()
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(1)
        return real(one, other)

    async with counting(webhooks=a_verifier(tokens=[TOKEN, OLD_TOKEN])) as (port, _):
        monkeypatch.setattr(hmac, "compare_digest", counted)
        hook = a_new_hook()
        first = hook.with_header(SIG, f"{hook.header(SIG)},AAAA,BBBB")
        assert (await posts(port, first)).status == 200
        assert len(compared) == 3 * 2


async def test_a_plain_route_beside_a_webhook_is_untouched() -> None:
    app = an_app()

    @app.http("/voice")
    async def page(request: Any) -> str:
        return "a page"

    @app.webhook("/voice")
    async def answer(hook: Verified) -> None: ...

    async with serving(app) as port:
        assert (await ask(port, "/voice")).body == b"a page"
        assert (await ask(port, "/voice", "PUT")).headers["allow"] == "GET, HEAD, POST"
        assert (await posts(port, a_new_hook())).status == 200
