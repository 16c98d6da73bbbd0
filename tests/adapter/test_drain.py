"""SIGTERM, a second SIGTERM, app.drain(): calls end in peace, or when their time is up."""

from __future__ import annotations

import json
import re
import signal
import socket
from contextlib import ExitStack
from typing import Any

import anyio
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Ended, Rejected, Request, Timings
from plivo_core.events import Dtmf
from tests.adapter._caller import PATIENCE, Caller, calling
from tests.adapter._http import Child, a_program, ask, until

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])

PROGRAM = """
import sys
from plivo_anyio import VoiceApp
from plivo_core.events import Dtmf
app = VoiceApp(path="/call")

@app.on(Dtmf)
async def pressed(session, event):
    session.speak(event.digit)

@app.on_disconnect
async def gone(session):
    sys.stderr.write(f"gone {session.ended.code}\\n")

app.run("127.0.0.1", 0, backend=sys.argv[1], drain_timeout=float(sys.argv[2]), health="/healthz")
sys.stderr.write("clean\\n")
"""


def port_of(child: Child) -> int:
    found = re.search(r"port (\d+)", child.reads("listening on"))
    assert found is not None
    return int(found[1])


def status_of(port: int, target: str, *, upgrade: bool = False) -> tuple[int, str, bytes]:
    """Status, Connection header and body of the answer to one request."""
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\n"
    if upgrade:
        head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(head.encode() + b"\r\n")
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    head_bytes, _, body = answer.partition(b"\r\n\r\n")
    close = re.search(r"(?im)^connection: *(\S+)", head_bytes.decode())
    return int(answer.split()[1]), close[1] if close else "", body


def presses(call: ClientConnection, digit: str) -> str:
    call.send(json.dumps({"type": "user.dtmf", "digit": digit}))
    text: str = json.loads(call.recv(timeout=PATIENCE))["text"]
    return text


@BACKENDS
def test_sigterm_during_ten_calls_refuses_new_ones_and_lets_the_ten_finish(backend: str) -> None:
    with a_program(PROGRAM, backend, "60") as child, ExitStack() as stack:
        port = port_of(child)
        url = f"ws://127.0.0.1:{port}/call"
        calls = [stack.enter_context(connect(url, compression=None)) for _ in range(10)]
        assert [presses(call, "1") for call in calls] == ["1"] * 10
        child.process.send_signal(signal.SIGTERM)
        child.reads("SIGTERM: draining")
        for target, upgrade in (("/call", True), ("/call", False), ("/x", False)):
            assert status_of(port, target, upgrade=upgrade)[:2] == (503, "close")
        assert status_of(port, "/healthz") == (503, "close", b'{"status":"draining"}')
        for number, call in enumerate(calls):
            assert presses(call, "2") == "2"  # the others go on while each ends
            call.send('{"type": "session.ended"}')
            assert list(call) == []
            assert call.protocol.close_code == 1000
            if number < 9:
                assert status_of(port, "/call", upgrade=True)[0] == 503
        assert child.ends() == 0
        assert child.log.count("gone 1000\n") == 10
        assert child.log[-1] == "clean\n"
        assert not re.search("Traceback|WARNING|ERROR", "".join(child.log))


@BACKENDS
def test_a_call_that_does_not_end_is_closed_with_1001_after_the_timeout(backend: str) -> None:
    with a_program(PROGRAM, backend, "0.2") as child:
        port = port_of(child)
        with connect(f"ws://127.0.0.1:{port}/call", compression=None) as call:
            assert presses(call, "1") == "1"
            child.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                call.recv(timeout=PATIENCE)
            assert call.protocol.close_code == 1001
        assert child.ends() == 0
        assert "gone 1001\n" in child.log
        assert any("0.2 s are over: 1 calls are cut" in line for line in child.log)


@BACKENDS
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(backend: str, second: signal.Signals) -> None:
    with a_program(PROGRAM, backend, "3600") as child:
        port = port_of(child)
        with connect(f"ws://127.0.0.1:{port}/call", compression=None) as call:
            assert presses(call, "1") == "1"
            child.process.send_signal(signal.SIGTERM)
            child.reads("draining")
            child.process.send_signal(second)
            with pytest.raises(ConnectionClosed):
                call.recv(timeout=PATIENCE)
            assert call.protocol.close_code == 1001
        assert child.ends() == 0
        assert child.log[-1] == "clean\n"


# --- from code ------------------------------------------------------------------------------------


class Serving:
    """``app.serve`` in a task, and whether it has returned."""

    def __init__(self, app: VoiceApp, **options: Any) -> None:
        self.app = app
        self.returned = False
        self._options = options

    async def serve(self, *, task_status: Any) -> None:
        await self.app.serve("127.0.0.1", 0, **self._options, task_status=task_status)
        self.returned = True


@pytest.mark.anyio
async def test_serve_returns_when_a_drain_is_over() -> None:
    app = VoiceApp()
    serving = Serving(app)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            _, port = await tasks.start(serving.serve)
            async with calling(port) as caller:
                app.drain()
                app.drain()  # idempotent
                assert app.stats.draining
                async with calling(port, upgraded=False) as late:
                    refused = await late.receives()
                    assert isinstance(refused, Rejected)
                    assert refused.response.status == 503
                assert not serving.returned
                assert (await caller.closes()).code == 1000
        assert serving.returned
        assert not app.stats.draining
        async with anyio.create_task_group() as tasks:  # and the app can be served again
            _, port = await tasks.start(Serving(app).serve)
            async with calling(port) as caller:
                await caller.closes()
            app.drain()


@pytest.mark.anyio
async def test_a_drain_waits_for_on_disconnect_and_refuses_meanwhile() -> None:
    app, release, entered = VoiceApp(), anyio.Event(), anyio.Event()

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        entered.set()
        await release.wait()

    serving = Serving(app)
    async with anyio.create_task_group() as tasks:
        _, port = await tasks.start(serving.serve)
        async with calling(port) as caller:
            await caller.closes()
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        app.drain()
        for _ in range(5):
            assert (await ask(port)).status == 503
        assert not serving.returned
        release.set()
    assert serving.returned


@pytest.mark.anyio
async def test_a_drain_waits_for_requests_that_came_before_it() -> None:
    app, release, entered, done = VoiceApp(), anyio.Event(), anyio.Event(), list[bytes]()

    @app.http("/slow")
    async def slow(request: Request) -> str:
        entered.set()
        await release.wait()
        return "done"

    async def asks(port: int) -> None:
        done.append((await ask(port, "/slow")).body)

    serving = Serving(app)
    async with anyio.create_task_group() as tasks:
        _, port = await tasks.start(serving.serve)
        tasks.start_soon(asks, port)
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        app.drain()
        for _ in range(5):
            assert (await ask(port, "/slow")).status == 503
        assert not serving.returned
        release.set()
    assert done == [b"done"]
    assert serving.returned


@pytest.mark.anyio
async def test_an_upgrade_that_authorize_still_judges_when_the_drain_begins_is_refused() -> None:
    judging, release = anyio.Event(), anyio.Event()

    async def authorize(request: Request) -> bool:
        judging.set()
        await release.wait()
        return True

    app = VoiceApp(authorize=authorize)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            _, port = await tasks.start(Serving(app).serve)
            stream: Any = await anyio.connect_tcp("127.0.0.1", port)
            async with stream:
                caller = Caller(stream, "/")
                await caller.flush()
                await judging.wait()
                app.drain()
                release.set()
                refused = await caller.receives()
                assert isinstance(refused, Rejected)
                assert refused.response.status == 503


@pytest.mark.anyio
async def test_connections_that_say_nothing_do_not_hold_a_drain_up() -> None:
    app = VoiceApp(timings=Timings(handshake=3600, linger=3600))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            _, port = await tasks.start(Serving(app).serve)
            async with await anyio.connect_tcp("127.0.0.1", port) as silent:
                await silent.send(b"GET / HTTP/1.1\r\n")
                await until(lambda: app.stats.half_open == 1)
                app.drain()
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await silent.receive()


@pytest.mark.anyio
async def test_the_answers_under_way_leave_before_the_server_does() -> None:
    """A drain without calls ends at once; a 503 that was just written must not be cut."""
    app = VoiceApp()

    @app.http("/page")
    async def page(request: Request) -> str:
        app.drain()
        return "x" * 3_000_000  # more than the kernel takes

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            _, port = await tasks.start(Serving(app).serve)
            answer = await ask(port, "/page")
            assert len(answer.body) == 3_000_000


@pytest.mark.anyio
async def test_a_timeout_of_zero_cuts_at_once_and_a_cancelled_serve_does_too() -> None:
    for options, cut in (({"drain_timeout": 0.0}, "drain"), ({}, "cancel")):
        app, ended = VoiceApp(), list[Ended | None]()

        @app.on_disconnect
        async def gone(session: CallSession, ended: list[Ended | None] = ended) -> None:
            ended.append(session.ended)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                _, port = await tasks.start(Serving(app, **options).serve)
                async with calling(port) as caller:
                    await caller.says(Dtmf(digit="1"))
                    if cut == "drain":
                        app.drain()
                    else:
                        tasks.cancel_scope.cancel()
                    with anyio.CancelScope(shield=True):
                        assert (await caller.ends())[1].code == 1001
        assert [end.code for end in ended if end] == [1001]
