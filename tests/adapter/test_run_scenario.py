"""Scenarios over TCP against servers that do not keep to the script."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from plivo_anyio import VoiceApp, place_call, run_scenario
from plivo_anyio._platform import drive_scenario
from plivo_core.commands import Command
from plivo_core.events import InvalidMessage
from plivo_core.platform import (
    CallMode,
    Pause,
    PlatformCall,
    PlatformEvent,
    Scenario,
    ScenarioRun,
)

pytestmark = pytest.mark.anyio

ONE_KEY = Scenario.parse(
    """
    [[steps]]
    press = "5"
    [[steps]]
    expect = "agent_session.speak"
    within = 0.2
    label = "the key is read back"
    """
)


@asynccontextmanager
async def a_server(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    """A port where every connection is handled so, and then closed."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await handle(stream)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(OSError, match=r".+"):
            await run_scenario(ONE_KEY, "127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", ""),
        (b"garbage\r\n\r\n", None),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
    ],
)
async def test_a_server_that_is_no_agent_is_told_as_it_is(
    answer: bytes, reason: str | None
) -> None:
    async def handle(stream: SocketStream) -> None:
        await stream.receive()
        if answer:
            await stream.send(answer)

    async with a_server(handle) as port:
        result = await run_scenario(ONE_KEY, "127.0.0.1", port)
    assert result.missed == ("the key is read back",)
    assert result.ended is not None
    assert result.ended.code == 1006
    assert reason in (None, result.ended.reason)


async def test_every_message_can_be_watched() -> None:
    sent: list[PlatformEvent] = []
    received: list[Command | InvalidMessage] = []
    app = VoiceApp()

    @app.on("user.dtmf")
    async def pressed(session: object, event: object) -> None:
        session.speak("five")  # type: ignore[attr-defined]

    async with anyio.create_task_group() as tasks:
        host, port = await tasks.start(app.serve, "127.0.0.1", 0)
        result = await run_scenario(
            ONE_KEY,
            host,
            port,
            target="/call?x=1",
            on_sent=sent.append,
            on_received=received.append,
        )
        tasks.cancel_scope.cancel()
    assert result.ok
    assert [event.type for event in sent][:2] == ["session.started", "user.dtmf"]
    assert [type(command).__name__ for command in received] == ["Speak"]


class Broken:
    """A byte stream whose other end is gone, which only a write finds out."""

    async def send(self, item: bytes) -> None:
        raise anyio.BrokenResourceError

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_write_that_fails_ends_the_run() -> None:
    run = ScenarioRun(ONE_KEY, random_bytes=bytes, now=anyio.current_time())
    result = await drive_scenario(run, Broken())  # type: ignore[arg-type]
    assert result.missed == ("the key is read back",)


@pytest.mark.parametrize(("mode", "end"), [("agent", "session.ended"), ("stream", "stop")])
async def test_a_call_that_somebody_else_ends_is_ended_by_its_own_message(
    mode: CallMode, end: str
) -> None:
    app, hang_up, sent = VoiceApp(), anyio.Event(), list[PlatformEvent]()

    def note(event: PlatformEvent) -> None:
        sent.append(event)
        hang_up.set()

    async with anyio.create_task_group() as tasks:
        host, port = await tasks.start(app.serve, "127.0.0.1", 0)
        with anyio.fail_after(5):
            ended = await place_call(
                PlatformCall([Pause(60)], mode=mode),
                host,
                port,
                hang_up=hang_up,
                on_sent=note,
            )
        tasks.cancel_scope.cancel()
    assert sent[-1].type == end
    assert (ended.code, ended.initiator) == (1000, "remote")


@pytest.mark.parametrize("tls", [False, True])
async def test_a_call_that_is_not_answered_yet_ends_at_once(tls: bool) -> None:
    """Also while TCP and TLS are still being made, which may take ten seconds."""
    hang_up, sent = anyio.Event(), list[PlatformEvent]()
    call = PlatformCall([Pause(60)])

    async def silent(stream: SocketStream) -> None:
        await stream.receive()
        hang_up.set()
        await anyio.sleep_forever()

    async with a_server(silent) as port:
        with anyio.fail_after(5):
            ended = await place_call(
                call, "127.0.0.1", port, tls=tls, hang_up=hang_up, on_sent=sent.append
            )
    assert (ended.code, ended.initiator, ended.cause) == (1006, "local", "close")
    assert (sent, call.finished) == ([], True)


async def test_a_hang_up_that_comes_first_ends_it_too() -> None:
    hang_up = anyio.Event()
    hang_up.set()

    async def silent(stream: SocketStream) -> None:
        await anyio.sleep_forever()

    async with a_server(silent) as port:
        with anyio.fail_after(5):
            ended = await place_call(
                PlatformCall([Pause(60)]), "127.0.0.1", port, tls=True, hang_up=hang_up
            )
    assert ended.code == 1006


@pytest.mark.parametrize("hang_up", [False, True])
async def test_what_a_callback_raises_comes_as_it_is(hang_up: bool) -> None:
    app = VoiceApp()

    def fail(event: PlatformEvent) -> None:
        raise LookupError("a bug of the test's")

    async with anyio.create_task_group() as tasks:
        host, port = await tasks.start(app.serve, "127.0.0.1", 0)
        with pytest.raises(LookupError):
            await place_call(
                PlatformCall([Pause(60)]),
                host,
                port,
                hang_up=anyio.Event() if hang_up else None,
                on_sent=fail,
            )
        tasks.cancel_scope.cancel()
