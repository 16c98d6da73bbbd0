"""What bad audio gets: each row of the table in docs/audio.md is a case here, on both backends.

A case plays the platform to a call and, message by message, to a core of its own, and looks at
what became of it in three places: the core, the handlers, the iteration over ``session.audio()``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from plivo_anyio import CallerAudioStats, CallSession, VoiceApp
from plivo_core import (
    AudioError,
    AudioQueueFull,
    Ended,
    Fate,
    Limits,
    LocalProtocolError,
    Session,
    serialize_event,
)
from plivo_core.audio import AudioFrame
from plivo_core.commands import Checkpoint, PlayAudio, Speak
from plivo_core.events import (
    AgentSessionStarted,
    ClearedAudio,
    Dtmf,
    PlayedStream,
    StreamMedia,
    StreamStart,
    StreamStop,
)
from tests.adapter._caller import PATIENCE, Caller, calling, serving

PAGE = Path(__file__).parents[2] / "docs" / "audio.md"
START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)
WIDE = StreamStart(stream_id="s", content_type="audio/x-l16", sample_rate=16000)
AGENT = AgentSessionStarted(agent_session_id="a", audio_format="mulaw_8k", sample_rate=8000)
PACKET = base64.b64encode(bytes(160)).decode()
MESSAGE = Limits().max_message


def packet(chunk: int, payload: str = PACKET, **more: Any) -> StreamMedia:
    return StreamMedia(payload=payload, chunk=chunk, **more)


class Call:
    """A call whose handlers and whose loop note all they see, and a core that hears the same."""

    caller: Caller

    def __init__(self) -> None:
        self.app = VoiceApp()
        self.core = Session(now=0.0)
        self.core_events: list[Any] = []
        self.handled: list[Any] = []
        self.frames: list[AudioFrame] = []
        self.loop_ended: Exception | str = ""
        self.ended: Ended | None = None
        self._changed = anyio.Event()

        @self.app.on_connect
        async def connected(session: CallSession) -> None:
            self.session = session
            session.start_soon(self._listen)

        @self.app.on_event
        async def seen(session: CallSession, event: object) -> None:
            self.handled.append(event)
            self._tell()

        @self.app.on_disconnect
        async def gone(session: CallSession) -> None:
            self.ended = session.ended
            self._tell()

    async def _listen(self) -> None:
        frames = self.session.audio()
        self.session.speak("ready")
        try:
            async for frame in frames:
                self.frames.append(frame)
                self._tell()
            self.loop_ended = "quietly"
        except AudioError as error:
            self.loop_ended = error
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def hears(self, *events: Any) -> None:
        for event in events:
            self.core.receive_text(json.dumps(serialize_event(event)), now=0.0)
            while (given := self.core.next_event()) is not None:
                self.core_events.append(given)
        await self.caller.says(*events)

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():
                await self._changed.wait()

    async def sees(self, *, media: int, frames: int) -> None:
        """So many packets come to the core, to the handlers, and out of the loop; no more."""
        await self.hears(Dtmf(digit="0"))  # the control lane has caught up
        await self.until(
            lambda: (
                len(self.media) >= media
                and len(self.frames) >= frames
                and Dtmf(digit="0") in self.handled
            )
        )
        await anyio.wait_all_tasks_blocked()
        assert len([each for each in self.core_events if isinstance(each, StreamMedia)]) == media
        assert (len(self.media), len(self.frames)) == (media, frames)

    @property
    def media(self) -> list[StreamMedia]:
        return [each for each in self.handled if isinstance(each, StreamMedia)]

    @property
    def counted(self) -> CallerAudioStats:
        return self.session.stats.caller_audio


@asynccontextmanager
async def a_noted_call() -> AsyncIterator[Call]:
    call = Call()
    async with serving(call.app) as port, calling(port) as call.caller:
        assert await call.caller.receives() == Speak("ready")
        yield call


Case = Callable[[Call], Awaitable[None]]
ROWS: dict[str, Case] = {}


def row(name: str) -> Callable[[Case], Case]:
    def add(case: Case) -> Case:
        ROWS[name] = case
        return case

    return add


@row("`media` before `start`")
async def _(call: Call) -> None:
    await call.hears(packet(1))  # nobody knows its format
    await call.sees(media=1, frames=0)
    assert call.counted == CallerAudioStats(invalid=1)
    await call.hears(AGENT, packet(2), START, packet(3))
    await call.sees(media=3, frames=2)


@row("A packet of another format in mid-stream")
async def _(call: Call) -> None:
    await call.hears(START, packet(1))
    await call.hears(packet(2, content_type="audio/x-l16", sample_rate=16000), packet(3))
    await call.sees(media=3, frames=1)
    assert str(call.loop_ended).startswith("a packet of 16 bit PCM at 16000 Hz came in a stream of")


@row("Half a 16 bit sample")
async def _(call: Call) -> None:
    await call.hears(WIDE, packet(1), packet(2, "AAAA"), packet(3))
    await call.sees(media=3, frames=2)
    assert call.media[1].decode() == bytes(3)
    assert call.counted == CallerAudioStats(invalid=1)


@row("Base64 that cannot be read, or none")
async def _(call: Call) -> None:
    await call.hears(START, packet(1), packet(2, "%%%%"), packet(3, ""), packet(4))
    await call.sees(media=4, frames=2)
    with pytest.raises(ValueError, match="base64"):
        call.media[1].decode()
    assert call.media[2].decode() == b""
    assert call.counted == CallerAudioStats(invalid=2)


@row("A gap in the numbers")
async def _(call: Call) -> None:
    await call.hears(START, packet(1), packet(5), packet(10**12), packet(10**12 + 1))
    await call.sees(media=4, frames=4)
    assert [frame.missing for frame in call.frames] == [0, 3, 0, 0]
    assert call.counted == CallerAudioStats(missing=3)


@row("A packet again, or late")
async def _(call: Call) -> None:
    await call.hears(START, packet(1), packet(3), packet(3), packet(2))
    await call.sees(media=4, frames=2)
    assert call.counted == CallerAudioStats(missing=1, repeated=2)


@row("`media` after `stop`")
async def _(call: Call) -> None:
    await call.hears(AGENT, START, packet(1), StreamStop(), packet(2))
    await call.sees(media=1, frames=1)
    assert call.loop_ended == "quietly"


@row("A message just under `max_message`")
async def _(call: Call) -> None:
    payload = "/" * (MESSAGE - 200)
    await call.hears(START, packet(1))
    await call.hears(packet(2, payload))
    await call.until(lambda: len(call.media) == 2)
    await call.hears(packet(3))
    await call.sees(media=3, frames=3)
    assert len(call.frames[1].data) == len(payload) * 3 // 4
    assert call.session.stats.dropped_media == call.counted.dropped == 0


@row("A message over `max_message`")
async def _(call: Call) -> None:
    await call.hears(START, packet(1))
    await call.sees(media=1, frames=1)
    await call.caller.says(json.dumps(serialize_event(packet(2, "/" * MESSAGE))))
    _, ended = await call.caller.ends()
    assert ended.code == 1009
    await call.until(lambda: call.ended)
    assert call.ended is not None
    assert (call.ended.code, call.ended.cause, call.ended.initiator) == (1009, "error", "local")
    assert (len(call.media), len(call.frames), call.loop_ended) == (1, 1, "quietly")


@row("1 MB of audio to send at once")
async def _(call: Call) -> None:
    await call.hears(START)
    for session in (call.core, call.session):
        with pytest.raises(AudioQueueFull, match="one audio message has"):
            session.send_media("/" * MESSAGE)
        assert session.playback.sent_ms == session.playback.queued_ms == 0
    call.session.speak("still here")
    assert await call.caller.receives() == Speak("still here")


@row("A checkpoint name that is pending already")
async def _(call: Call) -> None:
    await call.hears(START)
    await call.until(lambda: call.session.stream_id)
    for session in (call.core, call.session):
        session.send_checkpoint("a")
        with pytest.raises(LocalProtocolError, match="'a' is still pending"):
            session.send_checkpoint("a")
    call.session.speak("next")
    received = [await call.caller.receives() for _ in range(2)]
    assert sorted(type(each).__name__ for each in received) == [Checkpoint.__name__, "Speak"]
    while call.core.next_text() is not None:
        pass
    await call.hears(PlayedStream(name="a"))
    await call.sees(media=0, frames=0)
    for session in (call.core, call.session):
        assert session.playback.fate("a") is Fate.PLAYED
        session.send_checkpoint("a")  # its fate is known: the name is free


@row("`playedStream` of a name never sent")
async def _(call: Call) -> None:
    await call.hears(START, PlayedStream(name="never"))
    await call.sees(media=0, frames=0)
    assert PlayedStream(name="never") in call.handled
    for session in (call.core, call.session):
        assert session.playback.fate("never") is None
        assert session.playback.proven_ms == 0


@row("`clearedAudio` that nobody asked for")
async def _(call: Call) -> None:
    await call.hears(START)
    await call.until(lambda: call.session.stream_id)
    for session in (call.core, call.session):
        for _ in range(50):
            session.send_media(PACKET)
        session.send_checkpoint("a")
    while call.core.next_text() is not None:
        pass
    received = [await call.caller.receives() for _ in range(51)]
    assert [type(each) for each in received] == [PlayAudio] * 50 + [Checkpoint]
    await call.hears(ClearedAudio())
    await call.sees(media=0, frames=0)
    assert ClearedAudio() in call.handled
    for session in (call.core, call.session):
        assert session.playback.fate("a") is Fate.CLEARED
        assert session.playback.cleared_ms > 0
    assert call.core.playback.cleared_ms == 1000  # no time passed


@pytest.mark.anyio
@pytest.mark.parametrize("name", ROWS)
async def test_what_bad_audio_gets(name: str) -> None:
    async with a_noted_call() as call:
        await ROWS[name](call)
        if call.ended is None:
            assert call.session.ended is None, "the call goes on"


def test_the_table_of_the_page_has_a_row_for_every_case() -> None:
    section = (
        PAGE.read_text(encoding="utf-8").split("## What bad input gets\n")[1].split("\n## ")[0]
    )
    rows = re.findall(r"^\| (?!---)([^|]+?) +\|.*$", section, re.MULTILINE)
    assert rows[1:] == list(ROWS)
