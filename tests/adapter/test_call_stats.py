"""``session.stats``: a snapshot of one call, from any thread, during it and after."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.to_thread
import pytest

from plivo_anyio import (
    CallerAudioStats,
    CallSession,
    CallStats,
    LaneStats,
    VoiceApp,
)
from plivo_anyio._stats import call_stats
from plivo_anyio._waits import Waiters
from plivo_core import Limits, Pending, Session, serialize_event
from plivo_core.commands import Speak
from plivo_core.events import (
    ClearedAudio,
    Dtmf,
    PlayedStream,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
    UserIdle,
)
from tests.adapter._caller import PATIENCE, a_call

START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)
TWENTY_MS = base64.b64encode(bytes(160)).decode()
WIDE = StreamStart(stream_id="s", content_type="audio/x-l16", sample_rate=16000)
IDLE = '{"type": "user.idle"}'
TWENTY_MS_WIDE = base64.b64encode(bytes(640)).decode()


class Driver:
    """What a snapshot is made of, under a clock that a test sets."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.now = 100.0
        self.session = Session(now=self.now, limits=Limits(audio_buffer_ms=200))
        self.conn = SimpleNamespace(session=self.session)
        self.waiters = Waiters()
        self.lane_stats = LaneStats(control_events=3)
        self.dropped_media, self.abandoned_handlers = 5, 7
        self.hears(START)

    def clock(self) -> float:
        return self.now

    def hears(self, *events: Any) -> None:
        for event in events:
            self.session.receive_text(json.dumps(serialize_event(event)), now=self.now)

    def sends(self) -> None:
        while self.session.next_text() is not None:
            pass

    @property
    def stats(self) -> CallStats:
        return call_stats(cast("Any", self))


def playback(stats: CallStats) -> dict[str, float]:
    """What is not zero of the ledger."""
    fields = dataclasses.asdict(stats.playback).items()
    return {name: round(value, 6) for name, value in fields if round(value, 6)}


def test_a_snapshot_says_what_waits_was_dropped_and_was_heard_by_now() -> None:
    driver = Driver()
    for _ in range(11):
        driver.session.send_media(TWENTY_MS)
    driver.session.send_checkpoint("a")
    stats = driver.stats
    assert stats.lanes == LaneStats(control_events=3)
    assert (stats.dropped_media, stats.abandoned_handlers, stats.dropped_audio) == (5, 7, 1)
    assert stats.caller_audio == CallerAudioStats()
    assert stats.pending == driver.session.pending
    assert isinstance(stats.pending, Pending)
    assert (stats.pending.audio_messages, stats.pending.control_messages) == (10, 1)
    assert playback(stats) == {"queued_ms": 200, "dropped_ms": 20, "checkpoints": 1}
    driver.sends()
    assert playback(driver.stats) == {
        "sent_ms": 200,
        "buffered_ms": 200,
        "dropped_ms": 20,
        "checkpoints": 1,
    }
    driver.now += 0.05  # nobody told the session of the time
    moved = driver.stats.playback
    assert (moved.heard_ms, moved.buffered_ms) == (pytest.approx(50), pytest.approx(150))
    driver.session.interrupt(now=driver.now)
    driver.sends()
    cut = driver.stats.playback
    assert cut.clearing_ms == pytest.approx(150)
    driver.hears(ClearedAudio())
    cleared = driver.stats.playback
    assert (cleared.cleared_ms, cleared.checkpoints) == (pytest.approx(150), 0)
    driver.session.send_media(TWENTY_MS)
    driver.session.send_checkpoint("b")
    driver.sends()
    driver.hears(PlayedStream(name="b"))
    assert driver.stats.playback.proven_ms == pytest.approx(20)  # cleared audio proves nothing
    driver.session.send_media(TWENTY_MS)
    driver.sends()
    driver.hears(StreamStop())
    over = driver.stats.playback
    assert over.lost_ms == pytest.approx(20)
    assert over.sent_ms == pytest.approx(
        over.heard_ms + over.buffered_ms + over.clearing_ms + over.cleared_ms + over.lost_ms
    )


@pytest.mark.anyio
@pytest.mark.parametrize("sync_media", [False, True], ids=["async-media", "sync-media"])
async def test_the_lanes_of_a_call_are_in_it_from_any_thread_and_empty_in_the_end(
    sync_media: bool,
) -> None:
    app, release, stop, gone = VoiceApp(), anyio.Event(), threading.Event(), anyio.Event()
    sessions, arrived, packets = list[CallSession](), anyio.Event(), 0

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        sessions.append(session)
        await release.wait()

    @app.tool("look")
    async def look(session: CallSession, call: ToolCall) -> None:
        await release.wait()

    if sync_media:

        @app.on(StreamMedia)
        def media(session: CallSession, event: StreamMedia) -> None:
            if event.chunk == 1:
                session.speak("busy")
            stop.wait(PATIENCE)

    else:

        @app.on(StreamMedia)
        async def heard(session: CallSession, event: StreamMedia) -> None:
            if event.chunk == 1:
                session.speak("busy")
            await release.wait()

    async def listen(session: CallSession) -> None:
        nonlocal packets
        session.speak("ready")
        async for _ in session.audio():
            packets += 1
            if packets == 200:
                arrived.set()

    @app.on_connect
    async def connected(session: CallSession) -> None:
        session.start_soon(listen, session)

    @app.on(UserIdle)
    async def idle(session: CallSession, event: UserIdle) -> None: ...

    @app.on_disconnect
    async def disconnected(session: CallSession) -> None:
        gone.set()

    async with a_call(app) as caller:
        assert await caller.receives() == Speak("ready")
        await caller.says(WIDE, Dtmf(digit="1"), ToolCall(id="t", name="look"), IDLE)
        await caller.says(StreamMedia(payload=TWENTY_MS_WIDE, chunk=1))
        assert await caller.receives() == Speak("busy")  # with the first packet, none is waiting
        numbers = [n for n in range(2, 202) if n != 150]
        await caller.says(*(StreamMedia(payload=TWENTY_MS_WIDE, chunk=n) for n in numbers))
        with anyio.fail_after(PATIENCE):
            await arrived.wait()
        (session,) = sessions
        stats = await anyio.to_thread.run_sync(lambda: session.stats)
        # Two seconds of the stream's own rate: packets do not say theirs.
        assert stats.lanes == LaneStats(
            control_events=1, control_bytes=len(IDLE), media_ms=2000, tools_running=1
        )
        assert stats.dropped_media == 99  # of 200, less the one that is handled
        assert stats.caller_audio == CallerAudioStats(missing=1)
        stop.set()
        release.set()
        await caller.closes()
        with anyio.fail_after(PATIENCE):
            await gone.wait()
    after = session.stats
    assert after.lanes == LaneStats()
    assert after.caller_audio == CallerAudioStats(missing=1)
    assert after.dropped_media == stats.dropped_media == session.dropped_media
