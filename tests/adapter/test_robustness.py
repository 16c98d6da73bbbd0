"""What a review found that peers and applications could do: each scenario once, as it was shown."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._backend import current_backend
from plivo_anyio._listening import Where
from plivo_anyio._native import NativeTransport
from plivo_core import Limits, Timings
from plivo_core.commands import Speak, ToolError, ToolResult
from plivo_core.events import (
    AgentSessionStarted,
    Dtmf,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
)
from tests.adapter._caller import PATIENCE, a_call, calling, serving

pytestmark = pytest.mark.anyio

START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)


async def until(condition: Any) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - threads set no event of the loop
            await anyio.sleep(0.005)


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_a_rate_next_to_nothing_does_not_switch_the_bound_of_audio_off(sync: bool) -> None:
    app, release = VoiceApp(limits=Limits(media_lane_ms=100)), threading.Event()
    go, sessions = anyio.Event(), list[CallSession]()

    if sync:

        @app.on(StreamMedia)
        def blocked(session: CallSession, event: StreamMedia) -> None:
            sessions.append(session)
            release.wait(PATIENCE)

    else:

        @app.on(StreamMedia)
        async def waiting(session: CallSession, event: StreamMedia) -> None:
            sessions.append(session)
            await go.wait()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak("seen")

    packet = (
        '{"event":"media","media":'
        '{"payload":"AAAA","contentType":"audio/x-mulaw","sampleRate":1e-320}}'
    )
    try:
        async with a_call(app) as caller:
            await caller.says(START, packet)
            await until(lambda: sessions)
            await caller.says(*[packet] * 500, Dtmf(digit="1"))
            assert await caller.receives() == Speak("seen")
            assert sessions[0].dropped_media >= 490
            release.set()
            go.set()
    finally:
        release.set()


async def test_while_a_clock_made_end_waits_for_handlers_nothing_is_read() -> None:
    app = VoiceApp(timings=Timings(stop_grace=0.05, end_grace=PATIENCE))
    go, sent = anyio.Event(), list[bool]()

    @app.on(StreamStop)
    async def stopped(session: CallSession, event: StreamStop) -> None:
        await go.wait()

    async with serving(app) as port, calling(port) as caller:
        await caller.says(AgentSessionStarted(agent_session_id="a"), START, StreamStop())
        await anyio.sleep(0.1)  # the end of the grace
        message = '{"type":"x.y","pad":"' + "a" * 900_000 + '"}'
        with anyio.move_on_after(2) as flood:
            while len(sent) < 64:  # until the kernel takes no more: nobody reads at the other end
                await caller.says(message)
                sent.append(True)
        assert flood.cancelled_caught
        go.set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_comes_before_there_is_a_driver_is_not_lost() -> None:
    class Driver:
        def __init__(self) -> None:
            self.seen: list[bytes | None] = []

        def received(self, data: bytes) -> None:
            self.seen.append(data)

        def received_eof(self) -> None:
            self.seen.append(None)

    class Transport(asyncio.Transport):
        def resume_reading(self) -> None:
            """Fine."""

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
            """Fine."""

    buffer = memoryview(bytearray(16))
    native, driver = NativeTransport(buffer, current_backend()), Driver()
    native.connection_made(Transport())
    buffer[:3] = b"abc"
    native.buffer_updated(3)
    native.eof_received()
    as_any: Any = driver
    native.start(as_any, as_any)
    assert driver.seen == [b"abc", None]


async def test_a_listener_that_closes_between_wait_and_accept_says_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (listener,) = await Where(host="127.0.0.1", port=0).open(5)

    async def closed_meanwhile(sock: object) -> None:
        await listener.aclose()

    monkeypatch.setattr(anyio, "wait_readable", closed_meanwhile)
    with pytest.raises(anyio.ClosedResourceError):
        await listener.accept()


async def test_a_tool_that_closes_the_call_and_answers_breaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, others = VoiceApp(), list[str]()

    @app.tool("bye")
    async def bye(session: CallSession, call: ToolCall) -> str:
        session.close()
        return "too late"

    @app.tool("other")
    async def other(session: CallSession, call: ToolCall) -> None:
        await anyio.sleep(0.05)
        others.append("done")

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="o", name="other"), ToolCall(id="x" * 300, name="bye"))
        assert (await caller.ends())[1].code == 1000
        await until(lambda: app.stats.calls == 0)
    assert others == ["done"]
    assert "a connection failed" not in caplog.text


async def test_reports_of_sync_audio_handlers_wait_for_each_other_and_are_bounded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, going, go = VoiceApp(limits=Limits(media_lane_ms=10_000)), list[int](), anyio.Event()

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        raise ValueError("undecodable")

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        going.append(1)
        await go.wait()

    @app.tool("look")
    async def look(session: CallSession, call: ToolCall) -> str:
        return str(len(going))

    async with a_call(app) as caller:
        await caller.says(START, *(StreamMedia(payload="AAAA") for _ in range(300)))
        await until(lambda: caplog.text.count("undecodable") >= 200)
        await caller.says(ToolCall(id="t", name="look"))
        assert await caller.receives() == ToolResult("t", "1")
        go.set()
        await until(lambda: len(going) == 100)


async def test_a_lack_of_threads_is_told_and_the_call_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app, real_start = VoiceApp(), threading.Thread.start

    def start(self: threading.Thread) -> None:
        if self.name == "plivo-handlers":
            raise RuntimeError("can't start new thread")
        real_start(self)

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        session.speak(event.payload)

    @app.tool("look")
    def look(session: CallSession, call: ToolCall) -> str:
        return "seen"

    async with a_call(app) as caller:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            await caller.says(START, StreamMedia(payload="AAAA"), StreamMedia(payload="BBBB"))
            await caller.says(ToolCall(id="t", name="look"))
            assert await caller.receives() == ToolError("t", "the tool failed")
        await caller.says(StreamMedia(payload="CCCC"))
        said = [await caller.receives() for _ in range(3)]
        assert said == [Speak("AAAA"), Speak("BBBB"), Speak("CCCC")]
        assert (await caller.closes()).code == 1000
    assert caplog.text.count("sync handlers wait") == 1


async def test_a_crowd_at_the_door_is_told_once_and_holds_few_descriptors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = VoiceApp(limits=Limits(max_connections=1), timings=Timings(linger=PATIENCE))
    async with serving(app) as port, calling(port), anyio.create_task_group() as tasks:
        told = list[bytes]()

        async def knock() -> None:
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                try:
                    told.append(await stream.receive())
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    told.append(b"")
                await anyio.sleep_forever()  # and does not go away

        for _ in range(100):
            tasks.start_soon(knock)
        await until(lambda: app.stats.refused == 100 and len(told) == 100)
        assert sum(b"503" in answer for answer in told) == 64
        assert caplog.text.count("refused a connection") < 5
        tasks.cancel_scope.cancel()
