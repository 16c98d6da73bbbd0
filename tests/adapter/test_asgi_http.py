"""Plain requests and the lifespan behind an ASGI server. Both backends."""

from __future__ import annotations

import json
import logging
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Limits, Request, Response, Timings
from tests.adapter._asgi import Connection, Message, Recorder, connected
from tests.adapter._caller import PATIENCE
from tests.scenarios._peer import dtmf

pytestmark = pytest.mark.anyio


def web(**options: Any) -> VoiceApp:
    app = VoiceApp(path="/call", **options)

    @app.http("/page", methods=("GET", "POST"))
    async def page(request: Request) -> Response:
        headers = (("X-Target", request.target), ("x-size", str(len(request.body))))
        return Response(headers=headers, body=request.body or b"hello")

    @app.http("/nothing")
    async def nothing(request: Request) -> None: ...

    return app


def a_request(*body: bytes, disconnects: bool = False) -> list[Message]:
    parts: list[Message] = [
        {"type": "http.request", "body": part, "more_body": True} for part in body
    ]
    if disconnects:
        return [*parts, {"type": "http.disconnect"}]
    return [*parts, {"type": "http.request"}]


async def ask(
    application: Any, path: str, *messages: Message, **scope: Any
) -> tuple[int, dict[bytes, bytes], bytes]:
    """The answer: status, headers, body."""
    scope = {"type": "http", "method": "GET", "path": path, **scope}
    async with connected(application, **scope) as server:
        for message in messages or a_request():
            server.to_app.put(message)
        head, body = await server.gets(), await server.gets()
    assert (head["type"], body["type"]) == ("http.response.start", "http.response.body")
    return head["status"], dict(head["headers"]), body["body"]


async def test_a_route_answers_with_the_target_as_it_was_sent() -> None:
    status, headers, body = await ask(
        web().asgi, "/voice/page", root_path="/voice", query_string=b"a=%2B&b"
    )
    assert (status, body) == (200, b"hello")
    assert headers == {
        b"x-target": b"/voice/page?a=%2B&b",
        b"x-size": b"0",
        b"content-length": b"5",
    }


async def test_a_body_arrives_whole() -> None:
    status, headers, body = await ask(web().asgi, "/page", *a_request(b"a=", b"1"), method="POST")
    assert (status, headers[b"x-size"], body) == (200, b"3", b"a=1")


async def test_head_is_answered_like_get_without_the_body() -> None:
    status, headers, body = await ask(web().asgi, "/page", method="HEAD")
    assert (status, headers[b"content-length"], body) == (200, b"5", b"")


async def test_no_content_has_no_length() -> None:
    status, headers, body = await ask(web().asgi, "/nothing")
    assert (status, headers, body) == (204, {}, b"")


async def test_where_calls_arrive_a_plain_request_is_told_to_upgrade() -> None:
    status, headers, _ = await ask(web().asgi, "/call")
    assert (status, headers[b"upgrade"]) == (426, b"websocket")
    status, headers, _ = await ask(web().asgi, "/call", http_version="2")
    assert (status, b"upgrade" in headers) == (426, False)  # which HTTP/2 forbids
    assert (await ask(web().asgi, "/other"))[0] == 404


@pytest.mark.parametrize("announced", [False, True])
async def test_a_body_over_the_limit_gets_413(announced: bool) -> None:
    app = web(limits=Limits(max_body=1000))
    if announced:  # nothing of it is read
        headers, messages = [(b"Content-Length", b"1001")], a_request(b"")[:1]
    else:
        headers, messages = [], a_request(b"x" * 1000, b"x")[:2]
    status, _, _ = await ask(app.asgi, "/page", *messages, method="POST", headers=headers)
    assert status == 413
    assert (await ask(app.asgi, "/page", *a_request(b"x" * 1000), method="POST"))[0] == 200


async def test_a_body_that_takes_too_long_gets_408() -> None:
    app = web(timings=Timings(body=0.05))
    status, _, _ = await ask(app.asgi, "/page", a_request(b"x")[0], method="POST")
    assert status == 408


async def test_a_client_that_leaves_in_its_body_is_not_answered() -> None:
    app = web()
    scope = {"type": "http", "method": "POST", "path": "/page"}
    for last in (a_request(disconnects=True)[0], RuntimeError("broken")):
        async with connected(app.asgi, **scope) as server:
            server.to_app.put(a_request(b"x")[0])
            server.to_app.put(last)
            await server.ends()
            assert server.silent
    assert app.stats.requests == app.stats.connections == 0


@pytest.mark.parametrize("how", ["raises", "takes nothing"])
async def test_an_answer_that_is_not_taken_ends_the_request(how: str) -> None:
    app = web(timings=Timings(write=0.05))
    async with connected(app.asgi, type="http", method="GET", path="/page") as server:
        server.failure = RuntimeError("gone") if how == "raises" else None
        server.deaf = how == "takes nothing"
        server.to_app.put(a_request()[0])
    assert app.stats.connections == 0


async def test_health_and_stats_have_paths_of_their_own() -> None:
    app = web()
    asgi = app.asgi_app(health="/healthz", stats="/stats")
    for path in ("/healthz", "/voice/healthz"):
        root = path.removesuffix("/healthz")
        status, _, body = await ask(asgi, path, root_path=root)
        assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert json.loads((await ask(asgi, "/stats"))[2])["requests"] == 3
    assert (await ask(app.asgi, "/healthz"))[0] == 404
    app.drain()
    status, _, body = await ask(asgi, "/healthz")
    assert (status, json.loads(body)) == (503, {"status": "draining"})
    assert (await ask(asgi, "/page"))[0] == (await ask(app.asgi, "/page"))[0] == 503


async def test_one_request_too_many_gets_503() -> None:
    seen = Recorder(limits=Limits(max_connections=1))
    async with connected(seen.app.asgi) as call:
        await call.accepted()
        assert (await ask(seen.app.asgi, "/"))[0] == 503
        call.leaves()
    assert (await ask(seen.app.asgi, "/"))[0] == 426


# --- lifespan -------------------------------------------------------------------------------------


async def test_a_shutdown_waits_for_the_calls() -> None:
    seen = Recorder()
    async with connected(seen.app.asgi, type="lifespan") as server:
        server.to_app.put({"type": "lifespan.startup"})
        assert await server.gets() == {"type": "lifespan.startup.complete"}
        async with connected(seen.app.asgi) as call:
            await call.accepted()
            server.to_app.put({"type": "lifespan.shutdown"})
            await draining(seen.app)
            async with connected(seen.app.asgi) as late:
                late.to_app.put({"type": "websocket.connect"})
                assert (await late.gets())["status"] == 503
            call.says(dtmf("5"))
            assert "5" in (await call.gets())["text"]
            assert server.silent
            call.leaves()
        assert await server.gets() == {"type": "lifespan.shutdown.complete"}
    assert seen.told() == ("close", "remote", 1000)


async def draining(app: VoiceApp) -> None:
    with anyio.fail_after(PATIENCE):
        while not app.stats.draining:
            await anyio.lowlevel.checkpoint()


async def test_a_shutdown_cuts_what_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    seen = Recorder()
    asgi = seen.app.asgi_app(drain_timeout=0.05)
    async with connected(asgi, type="lifespan") as server, connected(asgi) as call:
        server.to_app.put({"type": "lifespan.startup"})
        await server.gets()
        await call.accepted()
        server.to_app.put({"type": "lifespan.shutdown"})
        assert await call.gets() == {
            "type": "websocket.close",
            "code": 1001,
            "reason": "server shutting down",
        }
        assert await server.gets() == {"type": "lifespan.shutdown.complete"}
        assert len(seen.ends) == 1, "the end was not waited for"
    assert seen.told() == ("close", "local", 1001)
    assert "1 calls are cut" in caplog.text


async def test_apps_that_contradict_each_other_fail_the_startup() -> None:
    app = web()

    @app.http("/healthz")
    async def health(request: Request) -> None: ...

    async with connected(app.asgi_app(health="/healthz"), type="lifespan") as server:
        server.to_app.put({"type": "lifespan.startup"})
        failed = await server.gets()
        assert failed["type"] == "lifespan.startup.failed"
        assert "/healthz" in failed["message"]


async def test_an_app_may_be_started_again() -> None:
    seen = Recorder()
    for _ in range(2):
        async with seen.app.asgi.lifespan():
            assert not seen.app.stats.draining
            async with connected(seen.app.asgi) as call:
                await call.accepted()
                call.leaves()
        async with connected(seen.app.asgi) as late:
            late.to_app.put({"type": "websocket.connect"})
            assert (await late.gets())["status"] == 503
    assert len(seen.ends) == 2


async def test_a_bug_of_ours_is_logged_and_not_raised_into_the_server(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("plivo_anyio._asgi.AsgiConnection.receive_data", broken)
    async with connected(VoiceApp().asgi) as server:
        server.to_app.put({"type": "websocket.connect"})
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.ERROR, "a connection failed")
    ]


async def test_the_scope_is_all_that_is_asked_of_a_server() -> None:
    """What the specification makes optional is optional."""
    connection = Connection()
    for optional in ("raw_path", "root_path", "extensions", "query_string", "http_version"):
        del connection.scope[optional]
    sessions: list[CallSession] = []
    app = VoiceApp(path="/caf%C3%A9")

    @app.on_connect
    async def came(session: CallSession) -> None:
        sessions.append(session)

    connection.scope["path"] = "/caf\xe9"
    connection.to_app.put({"type": "websocket.connect"})
    connection.to_app.put({"type": "websocket.disconnect"})
    with anyio.fail_after(PATIENCE):
        await app.asgi(connection.scope, connection.receive, connection.send)
    assert [session.request.target for session in sessions] == ["/caf%C3%A9"]
