"""Calls behind an ASGI server: what servers do at their worst. Both backends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import anyio
import pytest
from starlette.websockets import WebSocket
from websockets.frames import CloseCode

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Limits, RemoteProtocolError, Request, Timings
from tests.adapter._asgi import CONNECT, Connection, Recorder, connected
from tests.adapter._caller import PATIENCE
from tests.scenarios._peer import dtmf, session_ended, stop

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Panic(BaseException):
    """As an extension module raises it: no Exception."""


def spoken(text: str) -> dict[str, str]:
    return {
        "type": "websocket.send",
        "text": f'{{"type":"agent_session.speak","text":"{text}"}}',
    }


# --- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "code"),
    [(1000, 1000), (1005, 1005), (CloseCode.GOING_AWAY, 1001), (1006, 1006), (None, 1005)],
)
async def test_a_call_that_the_server_ends_ends_once(said: int | None, code: int) -> None:
    seen = Recorder()
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.says(dtmf("5"))
        assert await server.gets() == spoken("5")
        server.leaves(said, reason=None)
    assert seen.told() == ("close", "remote", code)
    assert seen.ends[0] is not None
    assert type(seen.ends[0].code) is int


@pytest.mark.parametrize(
    "failure",
    [OSError("gone"), RuntimeError("closed"), anyio.ClosedResourceError(), Panic()],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_server_that_breaks_off_in_a_send_ends_the_call_once(
    failure: BaseException,
) -> None:
    seen = Recorder(timings=Timings(error_linger=0.01))
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.failure = failure
        server.says(dtmf("5"))
    assert seen.told() == ("close", "remote", 1006)


@on_asyncio
async def test_a_cancellation_that_the_servers_send_lets_out_ends_only_its_call() -> None:
    seen = Recorder(timings=Timings(error_linger=0.01))
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.failure = asyncio.CancelledError()
        server.says(dtmf("5"))
    assert seen.told() == ("close", "remote", 1006)


async def test_how_the_call_ended_is_told_by_the_server_though_a_send_failed_before() -> None:
    seen = Recorder(timings=Timings(error_linger=PATIENCE))
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.failure, server.code_after = OSError("gone"), 4002
        server.says(dtmf("5"))
    assert seen.told() == ("close", "remote", 4002)


async def test_a_receive_that_raises_is_the_end() -> None:
    seen = Recorder()
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.to_app.put(RuntimeError("the server is broken"))
    assert seen.told() == ("close", "remote", 1006)


async def test_a_client_that_leaves_before_it_is_accepted_is_one_end() -> None:
    seen = Recorder(timings=Timings(error_linger=0.01))
    async with connected(seen.app.asgi) as server:
        server.failure = OSError("gone")
        server.to_app.put(CONNECT)
        server.leaves(1006)
    assert seen.told() == ("close", "remote", 1006)


async def test_a_disconnect_in_place_of_the_connect_is_no_call() -> None:
    seen = Recorder()
    async with connected(seen.app.asgi) as server:
        server.leaves(1006)
    assert seen.ends == []
    assert seen.app.stats.connections == 0


async def test_a_server_that_never_says_connect_is_left() -> None:
    seen = Recorder(timings=Timings(handshake=0.05))
    async with connected(seen.app.asgi):
        pass
    assert seen.ends == []
    assert seen.app.stats.connections == 0


async def test_a_peer_that_stops_reading_is_left_after_the_write_timeout() -> None:
    seen = Recorder(timings=Timings(write=0.1))
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.deaf = True
        server.says(dtmf("5"), dtmf("6"))
    assert seen.told() == ("error", "local", 1006)


async def test_the_last_words_leave_before_our_close() -> None:
    seen = Recorder()

    @seen.app.on("session.ended")
    async def over(session: CallSession, event: object) -> None:
        session.speak("Bye.")

    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.says(session_ended())
        assert await server.gets() == spoken("Bye.")
        assert await server.gets() == {"type": "websocket.close", "code": 1000, "reason": ""}
    assert seen.told() == ("session.ended", "remote", 1000)


async def test_a_server_that_loses_our_close_hears_it_was_ours() -> None:
    seen = Recorder(timings=Timings(error_linger=0.01))
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.failure = RuntimeError("after websocket.close")
        server.says(stop())
    assert seen.told() == ("stop", "remote", 1000)


@pytest.mark.parametrize("text", ["x" * 101, "ö" * 51, "☎" * 34, b"x" * 101])
async def test_a_message_over_the_limit_ends_the_call(text: str | bytes) -> None:
    seen = Recorder(limits=Limits(max_message=100))
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.says("x" * 100, "ö" * 50, "☎" * 33, b"x" * 100, text)
        close = {"type": "websocket.close", "code": 1009, "reason": "message too big"}
        assert await server.gets() == close
    assert seen.told() == ("error", "local", 1009)
    assert seen.ends[0] is not None
    assert isinstance(seen.ends[0].error, RemoteProtocolError)


async def test_what_no_websocket_says_is_ignored() -> None:
    seen = Recorder()
    async with connected(seen.app.asgi) as server:
        server.says(dtmf("1"))  # before the connect
        await server.accepted()
        server.to_app.put(CONNECT)
        server.to_app.put({"type": "websocket.receive", "text": None, "bytes": None})
        server.to_app.put({"type": "surprise"})
        server.says(dtmf("5").encode())
        assert await server.gets() == spoken("5")
        server.leaves()
    assert seen.keys == "5"
    assert seen.told() == ("close", "remote", 1000)


async def test_what_the_server_has_read_already_is_no_flood() -> None:
    seen = Recorder()
    async with connected(seen.app.asgi) as server:
        await server.accepted()
        server.says(*[dtmf("5")] * 3000)  # thrice what the control lane holds
        for _ in range(3000):
            assert await server.gets() == spoken("5")
        server.leaves()
    assert seen.told() == ("close", "remote", 1000)


# --- cancellation by the server -------------------------------------------------------------------


async def test_a_server_that_cancels_gets_close_1001_and_its_cancellation() -> None:
    seen = Recorder()
    server = Connection()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def serve() -> None:
                await seen.app.asgi(server.scope, server.receive, server.send)
                raise AssertionError("the cancellation was swallowed")

            tasks.start_soon(serve)
            await server.accepted()
            scope.cancel()
    assert scope.cancelled_caught
    assert (await server.gets())["code"] == 1001
    assert seen.told() == ("close", "local", 1001)


@on_asyncio
@pytest.mark.parametrize("when", ["in authorize", "in the call"])
async def test_a_task_that_is_cancelled_outside_anyio_is_cancelled(when: str) -> None:
    in_authorize = asyncio.Event()

    async def authorize(request: Request) -> bool:
        in_authorize.set()
        if when == "in authorize":
            await asyncio.sleep(PATIENCE)
        return True

    seen = Recorder(authorize=authorize)
    server = Connection()
    task = asyncio.ensure_future(seen.app.asgi(server.scope, server.receive, server.send))
    server.to_app.put(CONNECT)
    await in_authorize.wait()
    if when == "in the call":
        await server.gets()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, PATIENCE)
    assert seen.app.stats.connections == 0
    if when == "in the call":
        assert seen.told() == ("close", "local", 1001)
    else:
        assert seen.ends == []


# --- refusals -------------------------------------------------------------------------------------


async def refuse(request: Request) -> bool:
    return False


async def test_a_refused_upgrade_gets_its_status_where_the_server_can_say_it() -> None:
    app = VoiceApp(path="/call", authorize=refuse)
    for path, status in (("/call", 403), ("/other", 404)):
        async with connected(app.asgi, path=path) as server:
            server.to_app.put(CONNECT)
            head = await server.gets()
            assert (head["type"], head["status"]) == ("websocket.http.response.start", status)
            body = await server.gets()
            assert body["type"] == "websocket.http.response.body"
            assert b"content-length" not in dict(head["headers"])  # the server's own, if at all


async def test_a_refused_upgrade_is_closed_where_the_server_knows_nothing_else() -> None:
    app = VoiceApp(authorize=refuse)
    for extensions in ({}, None):
        async with connected(app.asgi, extensions=extensions) as server:
            server.to_app.put(CONNECT)
            assert (await server.gets())["type"] == "websocket.close"
    assert app.stats.refused == 2


async def test_one_call_too_many_is_refused() -> None:
    seen = Recorder(limits=Limits(max_connections=1))
    async with connected(seen.app.asgi) as first:
        await first.accepted()
        async with connected(seen.app.asgi) as second:
            second.to_app.put(CONNECT)
            assert (await second.gets())["status"] == 503
        first.leaves()
    assert seen.told() == ("close", "remote", 1000)
    assert seen.app.stats.refused == 1


# --- what is compared, what is told ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "raw", "path"),
    [
        ("", b"/call", "/call"),
        ("/voice", b"/voice/call", "/voice/call"),
        ("/voice/", b"/voice/call", "/voice/call"),
        ("/a/b", b"/a/b/call", "/a/b/call"),
        ("/caf\xe9 1", b"/caf%C3%A9%201/call", "/caf%C3%A9%201/call"),
        ("/a/b", b"/a%2Fb/call", "/a%2Fb/call"),
        ("/voice", b"/call", "/call"),  # servers that leave the root out
        ("/voice", None, "/voice/call"),  # servers without raw_path
        ("/voice", b"/voice/call?a=1", "/voice/call"),  # servers that leave the query in it
    ],
)
async def test_paths_are_compared_below_the_mount_and_told_whole(
    root: str, raw: bytes | None, path: str
) -> None:
    requests: list[Request] = []

    async def authorize(request: Request) -> bool:
        requests.append(request)
        return True

    app = VoiceApp(path="/call", authorize=authorize)
    async with connected(
        app.asgi, path="/voice/call", raw_path=raw, root_path=root, query_string=b"t=1%2B1"
    ) as server:
        await server.accepted()
        server.leaves()
    assert [(r.path, r.query, r.method) for r in requests] == [(path, "t=1%2B1", "GET")]
    assert requests[0].headers == (("host", "x"), ("x-two", "caf\xe9"), ("x-two", "2"))


async def test_the_mount_itself_is_the_root_of_what_is_below() -> None:
    app = VoiceApp(path="/")
    async with connected(app.asgi, path="/voice", root_path="/voice") as server:
        await server.accepted()
        server.leaves()


async def test_handlers_may_come_after_the_app_was_passed_on() -> None:
    app = VoiceApp(path="/sales")
    asgi = app.asgi
    assert app.asgi is asgi
    app.mount(VoiceApp(path="/support"))
    async with connected(asgi, path="/support") as server:
        await server.accepted()
        server.leaves()


async def test_an_unknown_scope_is_refused_as_the_specification_says() -> None:
    connection = Connection(type="smtp")
    with pytest.raises(ValueError, match="smtp"):
        await VoiceApp().asgi(connection.scope, connection.receive, connection.send)


# --- a WebSocket of Starlette ---------------------------------------------------------------------


async def test_a_websocket_is_accepted_if_it_is_not() -> None:
    seen = Recorder(path="/elsewhere")

    async def route(*asgi: Any) -> None:
        await seen.app.handle_starlette(WebSocket(*asgi))

    async with connected(route) as server:
        await server.accepted()
        server.says(dtmf("5"))
        assert await server.gets() == spoken("5")
        server.leaves()
    assert seen.told() == ("close", "remote", 1000)


@pytest.mark.parametrize("before", ["accepted", "connected"])
async def test_a_websocket_that_was_begun_goes_on(before: str) -> None:
    seen = Recorder()

    async def route(*asgi: Any) -> None:
        websocket = WebSocket(*asgi)
        if before == "accepted":
            await websocket.accept()
        else:
            await websocket.receive()
        await seen.app.handle_fastapi(websocket)

    async with connected(route) as server:
        server.to_app.put(CONNECT)
        assert (await server.gets())["type"] == "websocket.accept"
        server.says(dtmf("5"))
        assert await server.gets() == spoken("5")
        server.leaves()
    assert seen.told() == ("close", "remote", 1000)


@pytest.mark.parametrize("leaves_first", [True, False])
async def test_a_websocket_that_is_over_is_left_alone(leaves_first: bool) -> None:
    seen = Recorder()

    async def route(*asgi: Any) -> None:
        websocket = WebSocket(*asgi)
        await websocket.accept()
        if leaves_first:
            await websocket.receive()
        else:
            await websocket.close()
        await seen.app.handle_starlette(websocket)

    async with connected(route) as server:
        server.to_app.put(CONNECT)
        server.leaves()
    assert seen.sessions == []


@pytest.mark.parametrize("draining", [False, True])
async def test_a_websocket_that_was_accepted_is_refused_by_a_close(draining: bool) -> None:
    app = VoiceApp(authorize=refuse)
    if draining:
        app.drain()

    async def route(*asgi: Any) -> None:
        websocket = WebSocket(*asgi)
        await websocket.accept()
        await app.handle_starlette(websocket)

    async with connected(route) as server:
        await server.accepted()
        assert (await server.gets())["code"] == (1013 if draining else 1008)


async def test_a_server_that_breaks_off_under_starlette_ends_the_call_once() -> None:
    seen = Recorder(timings=Timings(error_linger=0.01))

    async def route(*asgi: Any) -> None:
        await seen.app.handle_starlette(WebSocket(*asgi))

    async with connected(route) as server:
        await server.accepted()
        server.failure = OSError("gone")  # which Starlette turns into WebSocketDisconnect
        server.says(dtmf("5"))
    assert seen.told() == ("close", "remote", 1006)


def test_no_framework_is_imported() -> None:
    code = "import plivo_anyio, sys; print({'starlette', 'fastapi', 'uvicorn'} & {*sys.modules})"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"
