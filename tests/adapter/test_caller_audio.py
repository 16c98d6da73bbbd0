"""``session.audio()``: what an ``async for`` gets, when it ends, and what it leaves behind."""

from __future__ import annotations

import asyncio
import base64
import gc
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from plivo_anyio import CallerAudioStats, CallSession, VoiceApp
from plivo_anyio._backend import current_backend
from plivo_anyio._caller_audio import CallerFrames
from plivo_anyio._waits import Waiters
from plivo_core import AudioError, Limits, Session, SessionClosedError, UnknownEvent
from plivo_core.audio import MULAW_8K, PCM_8K, PCM_16K, AudioFrame, decode_mulaw
from plivo_core.commands import Speak
from plivo_core.events import (
    AgentSessionEnded,
    AgentSessionStarted,
    ClearedAudio,
    Dtmf,
    PlayedStream,
    StreamDtmf,
    StreamMedia,
    StreamStart,
    StreamStop,
)
from plivo_core.session import MediaFormat
from tests.adapter._caller import PATIENCE, a_call

pytestmark = pytest.mark.anyio

START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)
AGENT = AgentSessionStarted(agent_session_id="a", audio_format="pcm_16k", sample_rate=16000)


def sound(number: int) -> bytes:
    """20 ms of mu-law that can be told apart."""
    return bytes([number % 256]) * 160


def packet(number: int, **more: Any) -> StreamMedia:
    payload = base64.b64encode(sound(number)).decode()
    return StreamMedia(payload=payload, chunk=number, timestamp=str(20 * number), **more)


def frame(number: int, missing: int = 0) -> AudioFrame:
    return AudioFrame(sound(number), MULAW_8K, missing, str(20 * number))


class Call:
    """As much of a driver as an iteration needs; a test plays the wire."""

    def __init__(self, *heard: Any, **limits: int) -> None:
        self.waiters = Waiters()
        self.session = Session(now=0.0)
        self.conn = SimpleNamespace(session=self.session, limits=Limits(**limits))
        self.backend = current_backend()
        self.hears(*heard)

    def audio(self, format: Any = None) -> CallerFrames:
        return CallerFrames(cast("Any", self), format)

    def hears(self, *events: Any) -> None:
        for event in events:
            if isinstance(event, StreamStart):
                self.session.stream_id = event.stream_id
            if isinstance(event, (StreamStart, AgentSessionStarted)):
                named = getattr(event, "content_type", "audio/x-l16")
                if named:
                    self.session.media_format = MediaFormat(named, event.sample_rate)
            self.waiters.observe(event)

    @property
    def counted(self) -> tuple[int, int, int, int]:
        seen = self.waiters.caller_audio
        return seen.missing, seen.repeated, seen.invalid, seen.dropped


async def all_of(frames: CallerFrames) -> list[AudioFrame]:
    with anyio.fail_after(PATIENCE):
        return [each async for each in frames]


# --- through a call -------------------------------------------------------------------------------


async def test_a_loop_sees_every_packet_beside_the_handlers_and_ends_with_the_stream() -> None:
    app, handled, heard = VoiceApp(), list[object](), list[AudioFrame]()
    over = anyio.Event()

    @app.on_connect
    async def connected(session: CallSession) -> None:
        session.start_soon(listen, session)

    @app.on(StreamMedia)
    async def media(session: CallSession, event: StreamMedia) -> None:
        handled.append(event.chunk)

    async def listen(session: CallSession) -> None:
        frames = session.audio(PCM_8K)
        session.speak("ready")
        async for each in frames:
            heard.append(each)
        over.set()

    async with a_call(app) as caller:
        assert await caller.receives() == Speak("ready")
        await caller.says(START, *(packet(number) for number in range(1, 4)), StreamStop())
        await caller.ends()
        with anyio.fail_after(PATIENCE):
            await over.wait()
    assert [each.data for each in heard] == [decode_mulaw(sound(number)) for number in (1, 2, 3)]
    assert {each.format for each in heard} == {PCM_8K}
    assert handled == [1, 2, 3]


async def test_packets_are_seen_whatever_waits_in_the_lanes() -> None:
    app, release = VoiceApp(), anyio.Event()

    @app.on(StreamStart)
    async def started(session: CallSession, event: StreamStart) -> None:
        session.start_soon(listen, session)
        await release.wait()  # and media handlers wait for this one

    @app.on(StreamMedia)
    async def media(session: CallSession, event: StreamMedia) -> None:
        session.speak("handled")

    async def listen(session: CallSession) -> None:
        frames = session.audio()
        session.speak("ready")
        async for each in frames:
            session.speak(each.timestamp)
            release.set()

    async with a_call(app) as caller:
        await caller.says(START)
        assert await caller.receives() == Speak("ready")
        await caller.says(packet(1))
        assert await caller.receives() == Speak("20")
        assert await caller.receives() == Speak("handled")
        await caller.closes()


@pytest.mark.parametrize("end", ["close", "stop", "session.ended", "start"])
async def test_every_end_ends_the_loop_and_then_nobody_may_begin(end: str) -> None:
    app, after, over = VoiceApp(), list[object](), anyio.Event()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak("ready")
        after.append(len([each async for each in session.audio()]))

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        try:
            session.audio()
        except SessionClosedError:
            after.append("closed")
        after.append(session.stats.caller_audio)
        over.set()

    async with a_call(app) as caller:
        await caller.says(START, Dtmf(digit="1"))
        assert await caller.receives() == Speak("ready")
        await caller.says(packet(1), packet(3))
        if end == "stop":
            await caller.says(StreamStop())
        elif end == "session.ended":
            await caller.says(AgentSessionEnded())
        elif end == "start":
            await caller.says(START, packet(4))
        await caller.closes()
        with anyio.fail_after(PATIENCE):
            await over.wait()
    assert after == [2, "closed", CallerAudioStats(missing=1)]


# --- the format -----------------------------------------------------------------------------------


async def test_it_waits_for_start_where_the_format_is_not_known() -> None:
    call = Call()
    frames = call.audio()
    call.hears(packet(1), START, packet(2), StreamStop())
    assert await all_of(frames) == [frame(2)]
    assert call.counted == (0, 0, 1, 0)  # nobody knows what was in the first one


async def test_session_started_tells_the_format_and_start_knows_better() -> None:
    call = Call()
    frames = call.audio(PCM_16K)
    call.hears(AGENT, StreamMedia(payload="AAAA" * 2), START, packet(1))
    call.hears(AgentSessionStarted(audio_format="pcm_16k", sample_rate=16000), packet(2))
    call.waiters.end()
    first, *others = await all_of(frames)
    assert first.data == bytes(6)
    # Four bytes for one, less what the filter waits for: 16 samples of mu-law.
    assert [len(each.data) for each in others] == [4 * (160 - 16), 640]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (StreamStart(stream_id="s"), "'' at 8000 Hz"),
        (StreamStart(stream_id="s", content_type="audio/opus"), "'audio/opus' at 8000 Hz"),
        (
            StreamStart(stream_id="s", content_type="audio/x-l16", sample_rate=24000),
            "'audio/x-l16' at 24000 Hz",
        ),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_a_stream_of_no_format_that_exists_raises(
    start: StreamStart, message: str, known: bool
) -> None:
    call = Call(start) if known else Call()
    if known and not start.content_type:
        call.session.media_format = MediaFormat("", 8000)
    frames = call.audio()
    if not known:
        call.hears(start)
    with pytest.raises(AudioError, match=message):
        await all_of(frames)
    assert await all_of(frames) == []
    assert not call.waiters


async def test_a_start_that_names_no_format_leaves_the_one_that_is_known() -> None:
    call = Call(AGENT)
    frames = call.audio()
    call.hears(StreamStart(stream_id="s"), StreamMedia(payload="AAAAAAAA"))
    await frames.__anext__()


@pytest.mark.parametrize(
    ("content_type", "rate"),
    [
        ("audio/x-l16", 8000),
        ("audio/x-l16", 16000),
        ("audio/opus", 8000),
        ("audio/x-mulaw", 16000),
        pytest.param("audio/x-mulaw", 10**400, id="a rate that JSON knows and no float"),
    ],
)
async def test_a_packet_of_another_format_raises_after_what_came_before(
    content_type: str, rate: int
) -> None:
    call = Call(START)
    frames = call.audio()
    call.hears(packet(1), packet(2, content_type="audio/x-mulaw"))
    call.hears(packet(3, content_type=content_type, sample_rate=rate), packet(4))
    assert await frames.__anext__() == frame(1)
    assert await frames.__anext__() == frame(2)
    with pytest.raises(AudioError, match=r"packet of .* stream of mu-law at 8000 Hz"):
        await frames.__anext__()
    assert await all_of(frames) == []
    assert not call.waiters


async def test_a_packet_without_a_rate_has_that_of_the_stream() -> None:
    call = Call(StreamStart(stream_id="s", content_type="audio/x-l16", sample_rate=16000))
    frames = call.audio()
    call.hears(StreamMedia(payload="AAAA" * 2, content_type="audio/x-l16"))
    assert (await frames.__anext__()).format == PCM_16K


# --- what is counted ------------------------------------------------------------------------------


async def test_errors_in_one_packet_are_counted_and_the_loop_goes_on() -> None:
    call = Call(START)
    frames = call.audio()
    call.hears(packet(1), StreamMedia(payload="?", chunk=2), StreamMedia(chunk=3), packet(4))
    call.hears(packet(4), packet(2), packet(9), StreamStop())
    assert await all_of(frames) == [frame(1), frame(4), frame(9, missing=4)]
    assert call.counted == (4, 2, 2, 0)


async def test_the_streams_other_events_take_sequence_numbers() -> None:
    call = Call()
    frames = call.audio()

    def bare(number: int, sequence: int) -> StreamMedia:
        payload = base64.b64encode(sound(number)).decode()
        return StreamMedia(payload=payload, sequence_number=sequence)

    call.hears(StreamDtmf(sequence_number=0))  # before the format is known
    start = StreamStart(stream_id="s", content_type="audio/x-mulaw", sequence_number=1)
    call.hears(start, bare(1, 3))
    call.hears(StreamDtmf(sequence_number=4), PlayedStream(sequence_number=5))
    call.hears(ClearedAudio(sequence_number=6), ClearedAudio())
    unknown = UnknownEvent({"event": "muteStream", "sequenceNumber": 7})
    call.hears(unknown, UnknownEvent({"event": "x", "sequenceNumber": ["8"]}), bare(2, 8))
    call.hears(Dtmf(digit="1"), bare(4, 10), StreamStop())
    assert [each.missing for each in await all_of(frames)] == [1, 0, 1]


async def test_more_than_two_seconds_drops_the_oldest_and_the_next_frame_tells() -> None:
    call = Call(START)
    frames = call.audio(PCM_16K)
    call.hears(*(packet(number) for number in range(1, 104) if number != 2))
    first = await frames.__anext__()
    assert (first.timestamp, first.missing) == ("80", 3)  # 1 and 3 were dropped, 2 was lost
    assert call.counted == (1, 0, 0, 2)
    call.hears(packet(104), StreamStop())
    rest = await all_of(frames)
    assert [each.missing for each in rest] == [0] * 100
    assert call.counted == (1, 0, 0, 2)


async def test_packets_of_any_size_are_bounded_by_time_and_by_number() -> None:
    call = Call(START, media_lane_ms=100)
    tiny = call.audio()
    call.hears(*(StreamMedia(payload="/w==") for _ in range(150)))
    await tiny.aclose()
    huge = call.audio()
    call.hears(packet(1), StreamMedia(payload="////" * 10_000, chunk=2), packet(3))
    call.hears(StreamStop())
    assert call.counted == (0, 0, 0, 52)
    assert await all_of(huge) == [frame(3, missing=2)]


# --- what is left behind --------------------------------------------------------------------------


async def test_a_loop_that_breaks_leaves_nothing() -> None:
    call = Call(START)
    call.hears(packet(1))
    for number in range(3):

        async def listen(number: int = number) -> None:
            task.start_soon(say, number)
            async for _ in call.audio():
                break

        async def say(number: int) -> None:
            await anyio.wait_all_tasks_blocked()
            call.hears(packet(number))

        async with anyio.create_task_group() as task:
            with anyio.fail_after(PATIENCE):
                await listen()
        assert not call.waiters


async def test_a_loop_that_is_cancelled_leaves_nothing_and_loses_nothing() -> None:
    call = Call(START)
    frames = call.audio()

    async def one() -> None:
        got.append(await frames.__anext__())

    got: list[AudioFrame] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        # Both at once: the wake-up is on its way when the cancellation comes.
        call.hears(packet(1))
        tasks.cancel_scope.cancel()
    call.hears(packet(2), StreamStop())
    assert got + await all_of(frames) == [frame(1), frame(2)]
    with anyio.move_on_after(0):
        async for _ in Call(START).audio():
            pytest.fail("there is nothing to hear")
    abandoned = call.audio()
    with anyio.move_on_after(0):
        await abandoned.__anext__()
    assert len(call.waiters) == 1
    del abandoned
    await anyio.lowlevel.checkpoint()  # trio's run loop forgets the cancellation
    assert not call.waiters


async def test_an_iterator_may_vanish_while_another_is_told() -> None:
    call = Call(START)
    kept: list[Any] = [call.audio()]

    class Vandal:
        def receive(self, event: object) -> None:
            kept.clear()
            gc.collect()

        def end(self) -> None: ...

    call.waiters.append(Vandal())
    last = call.audio()
    call.hears(packet(1))
    assert await last.__anext__() == frame(1)
    assert len(call.waiters) == 2


async def test_several_listen_at_once_and_each_may_be_closed_from_outside() -> None:
    call = Call(START)
    one, two = call.audio(), call.audio(PCM_8K)
    call.hears(packet(1))
    assert (await one.__anext__()).format == MULAW_8K
    assert (await two.__anext__()).format == PCM_8K
    call.hears(packet(2))
    ends: list[object] = []

    async def wait() -> None:
        with pytest.raises(StopAsyncIteration):
            await two.__anext__()
        ends.append(two)

    await two.__anext__()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await two.__anext__()
        await two.aclose()
        await two.aclose()
    assert ends == [two]
    call.hears(packet(3, content_type="audio/opus"))
    await one.aclose()
    assert await all_of(one) == []  # all forgotten, although it had arrived
    assert not call.waiters


async def test_the_reader_is_woken_once_per_packet_at_most() -> None:
    call = Call(START)
    wakes = 0
    made = call.backend.parker

    class Counted:
        def __init__(self) -> None:
            self.parker = made()

        async def park(self) -> None:
            nonlocal wakes
            await self.parker.park()
            wakes += 1

        def unpark(self) -> None:
            self.parker.unpark()

    call.backend = cast("Any", SimpleNamespace(parker=Counted))
    frames = call.audio()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(all_of, frames)
        await anyio.wait_all_tasks_blocked()
        call.hears(*(packet(number) for number in range(1, 51)))  # in one read: one wake-up
        await anyio.wait_all_tasks_blocked()
        assert wakes == 1
        for number in range(51, 61):
            call.hears(packet(number), packet(number))
            await anyio.wait_all_tasks_blocked()
        assert wakes == 11
        call.hears(StreamStop())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio keeps its tasks
async def test_a_task_that_only_listens_is_not_garbage() -> None:
    call, heard = Call(START), list[AudioFrame]()

    async def listen() -> None:
        async for each in call.audio():
            heard.append(each)

    asyncio.get_running_loop().create_task(listen())
    await anyio.wait_all_tasks_blocked()
    gc.collect()
    call.hears(packet(1), StreamStop())
    await anyio.wait_all_tasks_blocked()
    assert heard == [frame(1)]
