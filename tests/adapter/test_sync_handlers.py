"""Sync handlers: one thread per call, commands from any thread, and what never returns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_core import LocalProtocolError, SessionClosedError, Timings
from plivo_core.commands import ClearAudio, PlayAudio, Speak, ToolError, ToolResult
from plivo_core.events import Dtmf, StreamMedia, StreamStart, ToolCall
from plivo_core.limits import Limits
from tests.adapter._caller import PATIENCE, a_call, calling, serving

pytestmark = pytest.mark.anyio

START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)


def media(number: int) -> StreamMedia:
    return StreamMedia(payload=f"{number:04d}", timestamp=str(number))


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a stuck handler waits for; set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


async def until(condition: Any) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - threads set no event of the loop
            await anyio.sleep(0.005)


def handler_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "plivo-handlers"]


async def test_all_sync_handlers_of_a_call_share_one_thread_that_ends_with_it() -> None:
    app, seen = VoiceApp(), list[tuple[str, threading.Thread]]()

    def note(what: str) -> None:
        seen.append((what, threading.current_thread()))

    @app.on_connect
    def connected(session: CallSession) -> None:
        note("connect")

    @app.on_event
    def every(session: CallSession, event: object) -> None:
        note("every")

    @app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> None:
        note("dtmf")
        session.speak(event.digit)

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        note("media")
        session.send_media(event.payload)

    @app.tool("look")
    def look(session: CallSession, call: ToolCall) -> str:
        note("tool")
        return "seen"

    @app.on_disconnect
    def gone(session: CallSession) -> None:
        note("disconnect")

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
        await caller.says(START, media(1))
        assert isinstance(await caller.receives(), PlayAudio)
        await caller.says(ToolCall(id="t", name="look"))
        assert await caller.receives() == ToolResult("t", "seen")
        assert (await caller.closes()).code == 1000
        await until(lambda: seen[-1][0] == "disconnect")
        await until(lambda: not handler_threads())
    assert [what for what, _ in seen] == (
        ["connect", "every", "dtmf", "every", "every", "media", "every", "tool", "disconnect"]
    )
    assert len({thread for _, thread in seen}) == 1
    assert seen[0][1] is not threading.current_thread()


async def test_a_call_without_sync_handlers_has_no_thread() -> None:
    app = VoiceApp()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak(str(len(handler_threads())))

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"))
        assert await caller.receives() == Speak("0")


async def test_audio_comes_in_order_and_after_the_start_handler() -> None:
    app, order = VoiceApp(), list[str]()
    go = threading.Event()

    @app.on(StreamStart)
    def started(session: CallSession, event: StreamStart) -> None:
        go.wait(PATIENCE)
        order.append("start")

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        order.append(event.payload)
        if len(order) == 6:
            session.speak("done")

    async with a_call(app) as caller:
        await caller.says(START, *(media(n) for n in range(5)))
        await anyio.sleep(0.02)
        assert order == []
        go.set()
        assert await caller.receives() == Speak("done")
    assert order == ["start", *(f"{n:04d}" for n in range(5))]


async def test_a_control_handler_goes_before_waiting_audio() -> None:
    app, order, first = VoiceApp(), list[str](), threading.Event()

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        order.append("media")
        first.wait(PATIENCE)

    @app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> None:
        order.append("dtmf")
        session.speak("now")

    async with a_call(app) as caller:
        await caller.says(START, media(1))
        await until(lambda: order)
        await caller.says(media(2), media(3), Dtmf(digit="1"))
        await anyio.sleep(0.02)
        first.set()
        assert await caller.receives() == Speak("now")
    assert order[:2] == ["media", "dtmf"]


async def test_what_a_sync_handler_raises_is_reported_and_ends_nothing() -> None:
    app, reported = VoiceApp(), list[tuple[object, Exception]]()

    class Panic(BaseException):
        """No Exception."""

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        raise Panic("media") if event.payload == "0001" else ValueError("media")

    @app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> None:
        raise ValueError("dtmf")

    @app.tool("look")
    def look(session: CallSession, call: ToolCall) -> str:
        raise Panic("tool")

    @app.on_handler_error
    def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append((type(event), error))
        session.speak(str(error))

    async with a_call(app) as caller:
        for event, text in (
            (START, None),
            (media(1), "Panic escaped: media"),
            (media(2), "media"),
            (Dtmf(digit="1"), "dtmf"),
            (ToolCall(id="t", name="look"), "Panic escaped: tool"),
        ):
            await caller.says(event)
            if text is not None:
                assert await caller.receives() == Speak(text)
        assert await caller.receives() == ToolError("t", "the tool failed")
        assert (await caller.closes()).code == 1000
    assert [kind for kind, _ in reported] == [StreamMedia, StreamMedia, Dtmf, ToolCall]


async def test_a_sync_function_that_gives_an_awaitable_is_told_so() -> None:
    app, reported = VoiceApp(), list[Exception]()

    async def later() -> None:
        """Never awaited."""

    @app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> Any:
        return later()

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> Any:
        return later()

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(error)
        session.speak("told")

    async with a_call(app) as caller:
        for event in (Dtmf(digit="1"), media(1)):
            await caller.says(event)
            assert await caller.receives() == Speak("told")
    assert all(isinstance(error, LocalProtocolError) for error in reported)
    assert "async def" in str(reported[0])


@pytest.mark.parametrize("event", [Dtmf(digit="1"), media(1)], ids=["control", "media"])
async def test_a_handler_that_never_returns_is_reported_once_and_its_call_goes_on(
    event: Any, release: threading.Event
) -> None:
    app, reported = VoiceApp(timings=Timings(handler=0.3)), list[str]()
    sessions = list[CallSession]()

    def stuck(session: CallSession, event: object) -> None:
        sessions.append(session)
        if len(sessions) == 1:
            release.wait(60)
        session.speak("again")

    app.on(type(event))(stuck)

    @app.on_handler_error
    def failed(session: CallSession, event: object, error: Exception) -> None:
        reported.append(f"{type(error).__name__} {type(event).__name__}")
        session.speak("reported")

    async with serving(app) as port, calling(port) as caller, calling(port) as other:
        await caller.says(event)
        await other.says(event)  # whichever comes second is not stuck
        answers = [await caller.receives(), await other.receives()]
        assert sorted(str(answer) for answer in answers) == sorted(
            [str(Speak("reported")), str(Speak("again"))]
        )
        await caller.says(event)
        assert await caller.receives() == Speak("again")
        assert reported == [f"TimeoutError {type(event).__name__}"]
        assert sorted(session.abandoned_handlers for session in set(sessions)) == [0, 1]
        assert (await caller.closes()).code == 1000


async def test_a_sync_tool_past_its_deadline_is_answered_for_and_left(
    release: threading.Event,
) -> None:
    app = VoiceApp(timings=Timings(tool_call=0.3))

    @app.tool("stuck")
    def stuck(session: CallSession, call: ToolCall) -> str:
        release.wait(60)
        return "too late"

    @app.tool("quick")
    def quick(session: CallSession, call: ToolCall) -> str:
        return str(session.abandoned_handlers)

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="1", name="stuck"))
        assert await caller.receives() == ToolError("1", "the tool took too long")
        await caller.says(ToolCall(id="2", name="quick"))
        assert await caller.receives() == ToolResult("2", "1")
        release.set()
        assert (await caller.closes()).code == 1000


async def test_a_hundred_stuck_calls_do_not_starve_another(release: threading.Event) -> None:
    app, waiting = VoiceApp(), threading.Semaphore(0)

    @app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> None:
        if event.digit == "0":
            waiting.release()
            release.wait(60)
        session.speak(event.digit)

    async with serving(app) as port, anyio.create_task_group() as tasks:

        async def a_stuck_call() -> None:
            async with calling(port) as caller:
                await caller.says(Dtmf(digit="0"))
                assert await caller.receives() == Speak("0")

        for _ in range(100):
            tasks.start_soon(a_stuck_call)
        for _ in range(100):
            await until(lambda: waiting.acquire(blocking=False))
        async with calling(port) as caller:
            await caller.says(Dtmf(digit="1"))
            assert await caller.receives() == Speak("1")
        release.set()


async def test_a_call_whose_handlers_are_stuck_too_often_ends(release: threading.Event) -> None:
    app = VoiceApp(
        timings=Timings(handler=0.1, end_grace=0.2), limits=Limits(max_abandoned_handlers=2)
    )
    ended = list[Any]()

    @app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> None:
        release.wait(60)

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        """Known."""

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        ended.append(session.ended)

    async with a_call(app) as caller:
        await caller.says(*(Dtmf(digit="0") for _ in range(8)))
        _, end = await caller.ends()
        assert (end.code, end.reason) == (1011, "handlers stuck")
        await until(lambda: ended)
    assert "3 sync handlers" in str(ended[0].error)


async def test_commands_from_a_foreign_thread_keep_their_order_and_raise_there() -> None:
    app = VoiceApp()
    sessions = list[CallSession]()

    @app.on_connect
    async def connected(session: CallSession) -> None:
        sessions.append(session)

    def talk() -> None:
        for number in range(50):
            sessions[0].speak(str(number))
        with pytest.raises(LocalProtocolError):
            sessions[0].send_dtmf("!")
        sessions[0].clear_audio()

    async with a_call(app) as caller:
        await until(lambda: sessions)
        await anyio.to_thread.run_sync(talk)
        assert [await caller.receives() for _ in range(50)] == [Speak(str(n)) for n in range(50)]
        assert isinstance(await caller.receives(), ClearAudio)
        await caller.closes()
        await until(lambda: sessions[0].ended is not None)

        def too_late() -> None:
            with pytest.raises(SessionClosedError):
                sessions[0].speak("anybody?")

        await anyio.to_thread.run_sync(too_late)


async def test_a_foreign_thread_can_end_the_call() -> None:
    app = VoiceApp()

    @app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak("bye")
        session.close(1000, "enough")

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"))
        commands, end = await caller.ends()
        assert commands == [Speak("bye")]
        assert (end.code, end.reason) == (1000, "enough")


async def test_waiting_audio_of_a_slow_sync_handler_drops_the_oldest() -> None:
    app, first, seen = VoiceApp(limits=Limits(media_lane_ms=40)), threading.Event(), list[str]()

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        seen.append(event.payload)
        first.wait(PATIENCE)
        if event.payload == "done":
            session.speak(str(session.dropped_media))

    packet = "A" * 212 + "===="  # about 20 ms of mu-law
    async with a_call(app) as caller:
        await caller.says(START, media(1))
        await until(lambda: seen)
        await caller.says(*(StreamMedia(payload=packet) for _ in range(5)))
        await caller.says(StreamMedia(payload="done"), Dtmf(digit="1"))
        await anyio.sleep(0.05)
        first.set()
        dropped: Any = await caller.receives()
    assert int(dropped.text) == len(range(5)) - (len(seen) - 2)
    assert int(dropped.text) > 0
