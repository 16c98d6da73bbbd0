"""What handlers and peers do at their worst: it stays in their own call. Both backends."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Ended, Request, Timings
from plivo_core.commands import RawCommand, Speak, ToolError, ToolResult
from plivo_core.events import (
    AgentSessionStarted,
    Dtmf,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
)
from tests.adapter._caller import PATIENCE, a_call, calling, fail_to_accept, serving

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Panic(BaseException):
    """As a Rust extension raises it: no Exception."""


def listening_app(reported: list[Exception]) -> VoiceApp:
    app = VoiceApp(timings=Timings(handler=0.05))

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(error)

    return app


async def test_a_peer_that_left_before_it_was_accepted_is_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [OSError(errno.ECONNABORTED, "for a moment")]
    fail_to_accept(monkeypatch, failures)
    async with a_call(VoiceApp()) as caller:
        assert (await caller.closes()).code == 1000
    assert failures == []


@on_asyncio
async def test_a_cancellation_that_escapes_authorize_refuses_one_upgrade_and_no_other() -> None:
    async def authorize(request: Request) -> bool:
        if request.path == "/broken":
            raise asyncio.CancelledError
        return True

    async with serving(VoiceApp(authorize=authorize)) as port, calling(port) as other:
        async with calling(port, target="/broken", upgraded=False) as caller:
            refused: Any = await caller.receives()
            assert refused.response.status == 403
        assert (await other.closes()).code == 1000


@on_asyncio
async def test_a_cancellation_that_escapes_the_reporter_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = VoiceApp()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "0":
            raise ValueError("zero")
        session.speak(event.digit)

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        raise asyncio.CancelledError

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="0"), Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
    assert "on_handler_error itself failed" in caplog.text


async def test_a_panic_in_a_handler_is_reported_and_ends_nothing() -> None:
    reported: list[Exception] = []
    app = listening_app(reported)

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "0":
            raise Panic("hostile text")
        session.speak(event.digit)

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="0"), Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
    assert [str(error) for error in reported] == ["Panic escaped: hostile text"]


async def test_while_a_late_handler_cleans_up_reading_goes_on() -> None:
    reported: list[Exception] = []
    app, release, unwinding = listening_app(reported), anyio.Event(), anyio.Event()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            unwinding.set()
            with anyio.CancelScope(shield=True):
                await release.wait()

    @app.tool("look")
    async def look(session: CallSession, call: ToolCall) -> str:
        return "seen"

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="0"), Dtmf(digit="0"))
        with anyio.fail_after(PATIENCE):
            await unwinding.wait()
        await caller.says(ToolCall(id="t", name="look"))
        assert await caller.receives() == ToolResult("t", "seen")
        release.set()


async def test_a_late_handler_that_survives_its_cancellation_is_the_one_that_is_reported() -> None:
    reported: list[Exception] = []
    app = listening_app(reported)

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "0":
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.2)
        else:
            await anyio.lowlevel.checkpoint()
        session.speak(event.digit)

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="0"), Dtmf(digit="1"))
        assert await caller.receives() == Speak("0")
        assert await caller.receives() == Speak("1")
    assert [type(error) for error in reported] == [TimeoutError]


async def test_what_a_late_handlers_task_group_leaves_is_reported_and_the_call_lives_on() -> None:
    reported: list[Exception] = []
    app = listening_app(reported)

    async def stubborn() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("in the cleanup")

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "1":
            session.speak("1")
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stubborn)

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="0"), Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
    assert "in the cleanup" in repr(reported)


async def test_an_ordered_tool_that_hangs_is_answered_for() -> None:
    reported: list[Exception] = []
    app = listening_app(reported)

    @app.tool("hangs", ordered=True)
    async def hangs(session: CallSession, call: ToolCall) -> None:
        await anyio.sleep_forever()

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="t", name="hangs"))
        assert await caller.receives() == ToolError("t", "the tool took too long")
    assert [type(error) for error in reported] == [TimeoutError]


@pytest.mark.parametrize("by", ["number", "size"])
async def test_tools_called_faster_than_they_return_end_the_call(by: str) -> None:
    app, ended = VoiceApp(), list[Ended | None]()

    @app.tool("slow")
    async def slow(session: CallSession, call: ToolCall) -> None:
        await anyio.sleep_forever()

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        ended.append(session.ended)

    calls = (
        [ToolCall(id=str(number), name="slow") for number in range(1001)]
        if by == "number"
        else [ToolCall(id=str(n), name="slow", arguments={"x": "y" * 400_000}) for n in range(3)]
    )
    app._timings = Timings(end_grace=0.01)
    async with a_call(app) as caller:
        for call in calls:
            await caller.says(call)
        _, end = await caller.ends()
    assert end.code == 1008


async def test_no_packet_is_too_small_or_too_fast_to_count() -> None:
    app, entered, release = VoiceApp(), anyio.Event(), anyio.Event()
    sessions: list[CallSession] = []

    @app.on(StreamMedia)
    async def heard(session: CallSession, event: StreamMedia) -> None:
        sessions.append(session)
        entered.set()
        await release.wait()

    async with a_call(app) as caller:
        await caller.says(StreamMedia(chunk=0))
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        await caller.says(*(StreamMedia(chunk=n, sample_rate=10**15) for n in range(3000)))
        await caller.says(ToolCall(id="t", name="none"))
        await caller.receives()
        assert sessions[0].dropped_media == 1000
        release.set()


@pytest.mark.parametrize("attempt", range(3))
async def test_the_last_bytes_leave_although_nothing_was_written_for_long(attempt: int) -> None:
    app = VoiceApp(timings=Timings(handshake=0.1, write=0.1, linger=0.1, error_linger=0.1))
    async with serving(app) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        with anyio.fail_after(PATIENCE):
            assert (await stream.receive()).startswith(b"HTTP/1.1 408 ")


async def test_a_stop_handler_slower_than_the_grace_still_gets_its_last_words_out() -> None:
    app = VoiceApp(timings=Timings(stop_grace=0.05))

    @app.on(StreamStop)
    async def stopped(session: CallSession, event: StreamStop) -> None:
        await anyio.sleep(0.2)
        session.send_raw({"type": "last.words"})

    async with a_call(app) as caller:
        await caller.says(AgentSessionStarted(), StreamStart(stream_id="s"), StreamStop())
        commands, end = await caller.ends()
    assert commands == [RawCommand({"type": "last.words"})]
    assert end.code == 1000


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_port_in_use_is_a_plain_oserror(backend: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        VoiceApp().run("127.0.0.1", taken.getsockname()[1], backend=backend)
