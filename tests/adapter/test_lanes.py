"""Who runs when: order, lanes, deadlines, and what handlers do wrong. Both backends."""

from __future__ import annotations

import asyncio
import logging

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Ended, Limits, Timings
from plivo_core.commands import PlayAudio, Speak, ToolError, ToolResult
from plivo_core.events import (
    AgentSessionEnded,
    AgentSessionStarted,
    Dtmf,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
    UnknownEvent,
)
from tests.adapter._caller import PATIENCE, a_call, calling, serving

pytestmark = pytest.mark.anyio

PACKET = "f39/" * 40 + "//8="  # 122 bytes of mu-law
TWENTY_MS = "/" * 212 + "//8="  # 161 bytes


def media(number: int, payload: str = PACKET) -> StreamMedia:
    return StreamMedia(payload=payload, chunk=number)


async def test_handlers_run_in_the_order_of_the_wire_between_connect_and_disconnect() -> None:
    app, seen, gone = VoiceApp(), list[str](), anyio.Event()

    @app.on_connect
    async def connected(session: CallSession) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append("connect")

    @app.on_event
    async def anything(session: CallSession, event: object) -> None:
        seen.append(f"any {getattr(event, 'type', '?')}")

    @app.on("user.dtmf")
    async def pressed(session: CallSession, event: Dtmf) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(f"dtmf {event.digit}")

    @app.on(AgentSessionEnded)
    async def ended(session: CallSession, event: AgentSessionEnded) -> None:
        seen.append("ended")

    @app.on_disconnect
    async def disconnected(session: CallSession) -> None:
        assert session.ended is not None
        seen.append(f"disconnect {session.ended.cause}")
        gone.set()

    async with a_call(app) as caller:
        await caller.says(
            Dtmf(digit="1"), UnknownEvent(type="x.y"), Dtmf(digit="2"), AgentSessionEnded()
        )
        await caller.ends()
        with anyio.fail_after(PATIENCE):
            await gone.wait()
    assert seen == [
        "connect",
        "any user.dtmf",
        "dtmf 1",
        "any x.y",
        "any user.dtmf",
        "dtmf 2",
        "any session.ended",
        "ended",
        "disconnect session.ended",
    ]


async def test_a_slow_control_handler_delays_the_next_but_not_audio_or_tools() -> None:
    app, release = VoiceApp(), anyio.Event()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "1":
            await release.wait()
        session.speak(event.digit)

    @app.on(StreamMedia)
    async def heard(session: CallSession, event: StreamMedia) -> None:
        session.send_media(event.payload)

    @app.tool("look")
    async def look(session: CallSession, call: ToolCall) -> str:
        return "seen"

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"), Dtmf(digit="2"), media(1), ToolCall(id="t", name="look"))
        first = {type(await caller.receives()) for _ in range(2)}
        assert first == {PlayAudio, ToolResult}
        release.set()
        assert await caller.receives() == Speak("1")
        assert await caller.receives() == Speak("2")


async def test_media_waits_for_the_start_handler() -> None:
    app, seen, done = VoiceApp(), list[str](), anyio.Event()

    @app.on(StreamStart)
    async def started(session: CallSession, event: StreamStart) -> None:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        seen.append("start")

    @app.on(StreamMedia)
    async def heard(session: CallSession, event: StreamMedia) -> None:
        seen.append(f"media {event.chunk}")
        if event.chunk == 3:
            done.set()

    async with a_call(app) as caller:
        await caller.says(StreamStart(stream_id="s"), media(1), media(2))
        await caller.says(StreamStart(stream_id="s2"), media(3))
        with anyio.fail_after(PATIENCE):
            await done.wait()
    assert seen.index("start") < seen.index("media 1") < seen.index("media 2")
    assert seen[-1] == "media 3"
    assert seen.count("start") == 2


async def test_audio_beyond_two_seconds_drops_the_oldest_and_counts_it() -> None:
    app, release, heard, done = VoiceApp(), anyio.Event(), list[int | float | None](), anyio.Event()
    sessions: list[CallSession] = []
    entered = anyio.Event()

    @app.on(StreamMedia)
    async def slow(session: CallSession, event: StreamMedia) -> None:
        sessions.append(session)
        entered.set()
        await release.wait()
        heard.append(event.chunk)
        if event.chunk == 300:
            done.set()

    async with a_call(app) as caller:
        await caller.says(media(0))
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        await caller.says(*(media(number, TWENTY_MS) for number in range(1, 301)))
        await caller.says(ToolCall(id="t", name="none"))  # answered only after what came before it
        assert isinstance(await caller.receives(), ToolError)
        release.set()
        with anyio.fail_after(PATIENCE):
            await done.wait()
    # 161 bytes are 20.125 ms: 99 of them are within 2000 ms, 100 are not.
    assert heard == [0, *range(202, 301)]
    assert sessions[0].dropped_media == 201


async def test_tools_run_side_by_side_and_answer_with_what_they_return() -> None:
    app, both = VoiceApp(), anyio.Event()
    running: list[str] = []

    @app.tool("look")
    async def look(session: CallSession, call: ToolCall) -> dict[str, object]:
        running.append(call.id)
        if len(running) == 2:
            both.set()
        await both.wait()
        return {"id": call.id}

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="1", name="look"), ToolCall(id="2", name="look"))
        answers = [await caller.receives() for _ in range(2)]
    assert {repr(answer) for answer in answers} == {
        repr(ToolResult("1", {"id": "1"})),
        repr(ToolResult("2", {"id": "2"})),
    }


async def test_a_tool_runs_once_however_often_its_call_is_told() -> None:
    app = VoiceApp()
    runs: list[str] = []

    @app.tool("pay")
    async def pay(session: CallSession, call: ToolCall) -> str:
        runs.append(call.id)
        await anyio.lowlevel.checkpoint()
        return "paid"

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="1", name="pay"), ToolCall(id="1", name="pay"))
        assert await caller.receives() == ToolResult("1", "paid")
        await caller.says(ToolCall(id="1", name="pay"), ToolCall(id="2", name="pay"))
        assert await caller.receives() == ToolResult("2", "paid")
    assert runs == ["1", "2"]


async def test_an_ordered_tool_keeps_its_place_among_control_events() -> None:
    app = VoiceApp()

    @app.tool("look", ordered=True)
    async def look(session: CallSession, call: ToolCall) -> str:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        return "seen"

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak(event.digit)

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="t", name="look"), Dtmf(digit="1"))
        assert await caller.receives() == ToolResult("t", "seen")
        assert await caller.receives() == Speak("1")


async def test_a_tool_that_answered_by_itself_or_returns_none_adds_nothing() -> None:
    app = VoiceApp()

    @app.tool("own")
    async def own(session: CallSession, call: ToolCall) -> str:
        session.send_tool_error(call.id, "closed today")
        return "ignored"

    @app.tool("silent")
    async def silent(session: CallSession, call: ToolCall) -> None:
        session.speak("hm")

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="1", name="own"))
        assert await caller.receives() == ToolError("1", "closed today")
        await caller.says(ToolCall(id="2", name="silent"))
        assert await caller.receives() == Speak("hm")
        assert (await caller.closes()).code == 1000


async def test_a_failing_tool_sends_an_error_without_the_exceptions_text() -> None:
    app, reported = VoiceApp(), list[tuple[object, Exception]]()

    @app.tool("boom")
    async def boom(session: CallSession, call: ToolCall) -> None:
        raise ValueError("password=hunter2")

    @app.tool("unfit")
    async def unfit(session: CallSession, call: ToolCall) -> object:
        return object()

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append((event, error))

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="1", name="boom"))
        assert await caller.receives() == ToolError("1", "the tool failed")
        await caller.says(ToolCall(id="2", name="unfit"))
        assert await caller.receives() == ToolError("2", "the tool failed")
    assert type(reported[0][1]) is ValueError
    assert len(reported) == 2
    assert isinstance(reported[0][0], ToolCall)


async def test_a_tool_past_its_deadline_is_cancelled_and_answered_for() -> None:
    app = VoiceApp(timings=Timings(tool_call=0.05))
    reported: list[Exception] = []

    @app.tool("hangs")
    async def hangs(session: CallSession, call: ToolCall) -> None:
        await anyio.sleep_forever()

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(error)

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="1", name="hangs"))
        assert await caller.receives() == ToolError("1", "the tool took too long")
    assert [type(error) for error in reported] == [TimeoutError]


async def test_a_tool_nobody_handles_gets_an_error_unless_a_catch_all_might(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_call(VoiceApp()) as caller:
        await caller.says(ToolCall(id="1", name="nix"))
        assert await caller.receives() == ToolError("1", "there is no such tool")
    assert "no handler for tool 'nix'" in caplog.text

    app = VoiceApp()

    @app.on_event
    async def anything(session: CallSession, event: object) -> None:
        if isinstance(event, ToolCall):
            session.send_tool_result(event.id, "by the catch-all")

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="1", name="nix"))
        assert await caller.receives() == ToolResult("1", "by the catch-all")


async def test_a_tool_call_without_an_id_runs_and_is_not_answered() -> None:
    app = VoiceApp()

    @app.on("tool.called")
    async def called(session: CallSession, event: ToolCall) -> str:
        session.speak("ran")
        return "nobody asked"

    async with a_call(app) as caller:
        await caller.says(ToolCall(name="look"))
        assert await caller.receives() == Speak("ran")
        commands, _ = [], await caller.closes()
        assert commands == []


async def test_nothing_runs_before_on_connect_has_returned() -> None:
    app, seen = VoiceApp(), list[str]()

    @app.on_connect
    async def connected(session: CallSession) -> None:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        seen.append("connect")

    @app.on(StreamMedia)
    async def heard(session: CallSession, event: StreamMedia) -> None:
        seen.append("media")
        session.send_media(event.payload)

    @app.tool("look")
    async def look(session: CallSession, call: ToolCall) -> str:
        seen.append("tool")
        return "seen"

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="t", name="look"), media(1))
        assert {type(await caller.receives()) for _ in range(2)} == {ToolResult, PlayAudio}
    assert seen[0] == "connect"


async def test_a_catch_all_that_raises_does_not_keep_the_tool_from_answering() -> None:
    app, reported = VoiceApp(), list[Exception]()

    @app.on_event
    async def anything(session: CallSession, event: object) -> None:
        raise RuntimeError("mine")

    @app.tool("look")
    async def look(session: CallSession, call: ToolCall) -> str:
        return "seen"

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(error)

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="t", name="look"))
        assert await caller.receives() == ToolResult("t", "seen")
    assert [str(error) for error in reported] == ["mine"]


async def test_a_handler_that_raises_is_reported_and_the_call_lives_on() -> None:
    app, reported = VoiceApp(), list[tuple[object, Exception]]()

    @app.on_connect
    async def connected(session: CallSession) -> None:
        raise RuntimeError("at connect")

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "0":
            raise RuntimeError("zero")
        session.speak(event.digit)

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append((event, error))
        raise RuntimeError("the reporter itself")

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="0"), Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
    assert [(type(event).__name__, str(error)) for event, error in reported] == [
        ("NoneType", "at connect"),
        ("Dtmf", "zero"),
    ]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_escapes_a_handler_is_reported_and_the_lane_lives_on() -> None:
    app, reported = VoiceApp(), list[Exception]()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "0":
            task = asyncio.create_task(asyncio.sleep(60))
            task.cancel()
            await task
        session.speak(event.digit)

    @app.tool("look")
    async def look(session: CallSession, call: ToolCall) -> None:
        raise asyncio.CancelledError

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(error)

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="0"), Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
        await caller.says(ToolCall(id="t", name="look"))
        assert await caller.receives() == ToolError("t", "the tool failed")
    assert ["cancellation" in str(error) for error in reported] == [True, True]


async def test_a_reporter_that_hangs_does_not_hang_the_lane(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = VoiceApp(timings=Timings(handler=0.05))

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "0":
            await anyio.sleep_forever()
        session.speak(event.digit)

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        await anyio.sleep_forever()

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="0"), Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
    assert "on_handler_error itself failed" in caplog.text


async def test_without_a_reporter_errors_go_to_the_log_with_call_id_and_session_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = VoiceApp()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        raise RuntimeError("zero")

    async with a_call(app) as caller:
        started = AgentSessionStarted(agent_session_id="as-1", call_id="c-1")
        await caller.says(started, Dtmf(digit="5"), ToolCall(id="t", name="nix"))
        await caller.receives()
        await caller.closes()
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.name == "plivo_anyio"
    assert (record.__dict__["call_uuid"], record.__dict__["agent_session_id"]) == ("c-1", "as-1")


@pytest.mark.parametrize("lane", ["control", "media"])
async def test_a_handler_that_hangs_is_cancelled_reported_and_the_call_lives_on(lane: str) -> None:
    app = VoiceApp(timings=Timings(handler=0.05))
    reported: list[tuple[object, Exception]] = []

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "0":
            await anyio.sleep_forever()
        session.speak(event.digit)

    @app.on(StreamMedia)
    async def heard(session: CallSession, event: StreamMedia) -> None:
        if event.chunk == 0:
            await anyio.sleep_forever()
        session.speak(f"heard {event.chunk}")

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append((event, error))

    async with a_call(app) as caller:
        if lane == "control":
            await caller.says(Dtmf(digit="0"), Dtmf(digit="1"))
            assert await caller.receives() == Speak("1")
        else:
            await caller.says(media(0), media(1))
            assert await caller.receives() == Speak("heard 1")
    assert [type(error) for _, error in reported] == [TimeoutError]
    assert isinstance(reported[0][0], (Dtmf, StreamMedia))


async def test_a_command_after_the_end_raises_in_the_handler_and_is_not_reported() -> None:
    app, raised, reported = VoiceApp(), anyio.Event(), list[Exception]()
    release = anyio.Event()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        await release.wait()
        try:
            session.speak("too late")
        finally:
            raised.set()

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(error)

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"))
        await caller.closes()
        release.set()
        with anyio.fail_after(PATIENCE):
            await raised.wait()
    assert reported == []


@pytest.mark.parametrize("bound", ["events", "bytes"])
async def test_events_that_pile_up_before_a_hanging_handler_end_the_call(bound: str) -> None:
    limits = Limits(control_events=10) if bound == "events" else Limits(control_events_bytes=2000)
    app, reported, ended = VoiceApp(limits=limits), list[Exception](), list[Ended | None]()
    timings_app = app

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        await anyio.sleep_forever()

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(error)

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        ended.append(session.ended)

    async with a_call(timings_app) as caller:
        await caller.says(*(Dtmf(digit="1") for _ in range(100)))
        _, end = await caller.ends()
    assert (end.initiator, end.code) == ("remote", 1008)
    assert "wait for handlers" in str(reported[0])
    assert [end.cause for end in ended if end] == ["error"]


async def test_commands_of_the_last_handler_leave_before_the_close() -> None:
    app = VoiceApp()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        session.speak("one more thing")

    @app.on(AgentSessionEnded)
    async def over(session: CallSession, event: AgentSessionEnded) -> None:
        await anyio.lowlevel.checkpoint()
        session.speak("goodbye")

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"), AgentSessionEnded())
        commands, end = await caller.ends()
    assert commands == [Speak("one more thing"), Speak("goodbye")]
    assert end.code == 1000


async def test_at_the_end_waiting_media_is_dropped_and_tools_get_their_grace() -> None:
    app = VoiceApp(timings=Timings(end_grace=0.1))
    seen: list[str] = []
    entered, finished, gone = anyio.Event(), anyio.Event(), anyio.Event()

    @app.on(StreamMedia)
    async def heard(session: CallSession, event: StreamMedia) -> None:
        seen.append(f"media {event.chunk}")
        await finished.wait()

    @app.tool("short")
    async def short(session: CallSession, call: ToolCall) -> str:
        entered.set()
        await finished.wait()
        seen.append("tool done")
        return "unheard"

    @app.tool("endless")
    async def endless(session: CallSession, call: ToolCall) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("tool cancelled")

    @app.on(StreamStop)
    async def stopped(session: CallSession, event: StreamStop) -> None:
        finished.set()

    @app.on_disconnect
    async def disconnected(session: CallSession) -> None:
        seen.append("disconnect")
        gone.set()

    async with a_call(app) as caller:
        await caller.says(
            media(1), ToolCall(id="s", name="short"), ToolCall(id="e", name="endless")
        )
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        await caller.says(StreamStop())
        await caller.ends()
        with anyio.fail_after(PATIENCE):
            await gone.wait()
    assert seen == ["media 1", "tool done", "tool cancelled", "disconnect"]


async def test_a_shutdown_in_mid_call_sends_1001_and_runs_on_disconnect_once() -> None:
    app, ended = VoiceApp(), list[Ended | None]()

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        await anyio.lowlevel.checkpoint()
        ended.append(session.ended)

    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def server(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            with scope:
                async with serving(app) as port:
                    task_status.started(port)
                    await anyio.sleep_forever()

        port = await tasks.start(server)
        async with calling(port) as caller:
            await caller.says(Dtmf(digit="1"))
            scope.cancel()
            _, end = await caller.ends()
    assert (end.initiator, end.code, end.reason) == ("remote", 1001, "server shutting down")
    assert len(ended) == 1
    assert ended[0] is not None


async def test_on_disconnect_that_hangs_is_cut_off_and_reported() -> None:
    app, reported, done = VoiceApp(timings=Timings(handler=0.05)), list[Exception](), anyio.Event()

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        await anyio.sleep_forever()

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(error)
        done.set()

    async with a_call(app) as caller:
        await caller.closes()
        with anyio.fail_after(PATIENCE):
            await done.wait()
    assert [type(error) for error in reported] == [TimeoutError]
