"""The audio examples, judged by what the caller heard and by what was recorded.

In virtual time, so exactly. As programs, over TCP, they run at the end of this file.
"""

from __future__ import annotations

import base64
import itertools
import random
import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Command, Ended, InvalidMessage
from plivo_core.audio import (
    MULAW_8K,
    PCM_8K,
    PCM_16K,
    decode_mulaw,
    encode_mulaw,
    read_wav,
    wav_bytes,
)
from plivo_core.commands import Checkpoint, ClearAudio, Hangup, PlayAudio
from plivo_core.events import StreamDtmf, StreamMedia, StreamStart, StreamStop
from plivo_core.platform import (
    CallerPlays,
    Emit,
    Expect,
    HangUp,
    Pause,
    PlatformCall,
    PlatformEvent,
    Step,
)
from tests.adapter import _virtual as virtual
from tests.adapter._virtual import threads_take_no_time, virtual_backend
from tests.examples.test_voice_examples import (
    BACKENDS,
    a_call,
    answer,
    answers_to_the_end,
    load,
    program,
    tell,
)

anyio_backend = virtual_backend
pytestmark = pytest.mark.usefixtures(threads_take_no_time.__name__)

L16 = {"content_type": "audio/x-l16", "sample_rate": 8000}
MS = 0.001


class Line(PlatformCall):
    """A platform that loses packets of the caller: those with a ``chunk`` of ``lost``."""

    def __init__(self, script: list[Step], *, lost: Collection[int] = (), **options: Any) -> None:
        super().__init__(script, **{"mode": "stream", **options})
        self.lost = lost

    def next_event(self) -> PlatformEvent | None:
        event = super().next_event()
        while isinstance(event, StreamMedia) and event.chunk in self.lost:
            event = super().next_event()
        return event


@dataclass
class Log:
    """What passed, and when, on the caller's side."""

    sent: list[tuple[float, PlatformEvent]] = field(default_factory=list)
    received: list[tuple[float, Command | InvalidMessage]] = field(default_factory=list)
    ended: Ended | None = None

    def all(self, kind: type[Any]) -> list[Any]:
        return [command for _, command in self.received if isinstance(command, kind)]

    def when(self, kind: type[Any]) -> float:
        """The first one of its kind."""
        return next(at for at, what in [*self.sent, *self.received] if isinstance(what, kind))

    def audio(self) -> bytes:
        """All that we were sent, in the encoding of the stream."""
        return b"".join(base64.b64decode(command.payload) for command in self.all(PlayAudio))


async def hold(call: PlatformCall, app: VoiceApp) -> Log:
    """The call, in virtual time, to its end; its script must be fulfilled."""
    log = Log()
    line = virtual.Line(
        app,
        call,
        on_sent=lambda event: log.sent.append((anyio.current_time(), event)),
        on_received=lambda command: log.received.append((anyio.current_time(), command)),
    )
    log.ended = await line.hold()
    assert call.missed == []
    assert call.invalid == []
    return log


def noise(ms: int, level: int = 8000) -> bytes:
    """Mu-law in which every moment differs, and none is silent."""
    dice = random.Random(ms)
    return encode_mulaw(pcm(*(dice.choice([-1, 1]) * dice.randint(level // 2, level)
                              for _ in range(8 * ms))))  # fmt: skip


def pcm(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def samples(audio: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(audio) // 2}h", audio))


def heard_ms(call: PlatformCall) -> float:
    """Of the whole call, once it is over."""
    return call.playback.heard_ms(float("inf"))


def watch(app: VoiceApp) -> list[CallSession]:
    """The calls of an app that are over."""
    over = list[CallSession]()

    @app.on_disconnect
    async def note(session: CallSession) -> None:
        over.append(session)

    return over


SPEAKS = Expect(PlayAudio, "the agent speaks")  # so it listens, too


# --- audio_echo_paced -----------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_paced_echo_is_the_callers_audio_a_second_later() -> None:
    said = noise(800)
    call = Line([SPEAKS, CallerPlays(said), Pause(1.1), HangUp()], lost={7, 8, 40})
    log = await hold(call, load("audio_echo_paced").app)

    came = bytearray(decode_mulaw(said))
    for chunk in (7, 8):
        came[(chunk - 1) * 320 : chunk * 320] = bytes(320)
    came = came[: 39 * 320]  # that the last one is missing, nobody can know
    assert decode_mulaw(log.audio()) == bytes(16000) + bytes(came)
    assert heard_ms(call) == pytest.approx(1000 + 39 * 20)
    assert call.playback.gaps == []
    assert max(lead for _, lead in call.playback.leads) <= 200
    assert log.all(ClearAudio) == []


@pytest.mark.anyio
async def test_the_paced_echo_says_nothing_after_the_end() -> None:
    call = Line([SPEAKS, CallerPlays(noise(600)), HangUp()])
    app = load("audio_echo_paced").app
    log = await hold(call, app)
    stopped = log.when(StreamStop)
    assert [at for at, command in log.received if at > stopped + 0.1] == []
    assert log.ended == Ended("remote", 1000, "", "close")


# --- barge_in -------------------------------------------------------------------------------------


async def synthesized(agent: Any, text: str) -> bytes:
    return b"".join([chunk async for chunk in agent.synthesize(text)])


async def assert_it_stopped_and_answered(agent: Any, session: Any, call: Line, log: Log) -> None:
    kinds = [type(command) for _, command in log.received]
    before = kinds[: kinds.index(ClearAudio)].count(PlayAudio)
    heard_of_prompt = before * 20 - call.playback.cleared_ms
    prompt, answered = session.data["transcript"]
    assert answered == agent.ANSWER
    assert agent.PROMPT.startswith(prompt)
    assert len(prompt) * 60 == pytest.approx(heard_of_prompt, abs=80)  # a character, and the way
    answer_of_agent = decode_mulaw(encode_mulaw(await synthesized(agent, agent.ANSWER)))
    assert decode_mulaw(log.audio())[before * 320 :] == answer_of_agent
    assert heard_ms(call) == pytest.approx(heard_of_prompt + len(agent.ANSWER) * 60)
    assert len(log.all(ClearAudio)) == 1
    assert call.playback.gaps == []


@pytest.mark.anyio
async def test_a_caller_who_speaks_interrupts_and_only_what_was_heard_is_remembered() -> None:
    agent = load("barge_in")
    over = watch(agent.app)
    call = Line(
        [
            SPEAKS,
            CallerPlays(noise(400, level=1000)),  # the line
            CallerPlays(noise(40) + noise(20, level=1000) + noise(40)),  # a click is no speech
            CallerPlays(noise(60, level=1000) + noise(500), wait=False),
            Expect(ClearAudio, "silence", within=0.5),
            Expect(Checkpoint, "the end of the answer", within=3),
            Pause(0.4),
            HangUp(),
        ]
    )
    log = await hold(call, agent.app)
    await assert_it_stopped_and_answered(agent, over[0], call, log)
    # After the third loud packet and not before, which came 500 + 60 + 40 ms after the first one.
    first = log.when(StreamMedia)
    assert log.when(ClearAudio) - first == pytest.approx(0.6, abs=0.001)


@pytest.mark.anyio
async def test_a_key_interrupts_as_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="barge_in")
    agent = load("barge_in")
    over = watch(agent.app)
    call = Line(
        [
            SPEAKS,
            Pause(0.5),
            Emit(StreamDtmf(digit="5")),
            Expect(Checkpoint, "the end of the answer", within=3),
            Pause(0.4),
            HangUp(),
        ]
    )
    log = await hold(call, agent.app)
    await assert_it_stopped_and_answered(agent, over[0], call, log)
    prompt = over[0].data["transcript"][0]
    assert f"call-1: the caller heard {prompt!r}" in caplog.messages
    assert any("barge-in, 1" in message or "barge-in, 2" in message for message in caplog.messages)


# --- play_wav -------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["stream", "raw"])
async def test_play_wav_plays_every_sample_and_then_hangs_up(mode: str, tmp_path: Path) -> None:
    sound = decode_mulaw(noise(615))
    tmp_path.joinpath("sound.wav").write_bytes(wav_bytes(sound, PCM_8K))
    call = Line([], mode=mode)
    log = await hold(call, load("play_wav").make_app(tmp_path / "sound.wav"))
    assert decode_mulaw(log.audio()) == sound + bytes(80)  # to whole packets
    assert heard_ms(call) == pytest.approx(620)
    assert call.playback.gaps == []
    assert call.playback.lead_ms(float("inf")) == 0
    assert len(log.all(Hangup)) == (mode == "raw")
    last = max(at for at, _ in log.received)
    assert last - log.when(PlayAudio) >= 0.6  # nobody hangs up before it was heard
    assert log.ended is not None
    assert log.ended.code == 1000


@pytest.mark.anyio
async def test_play_wav_stops_when_the_caller_hangs_up(tmp_path: Path) -> None:
    play_wav = load("play_wav")
    assert read_wav(play_wav.chime()).format == PCM_16K
    tmp_path.joinpath("chime.wav").write_bytes(play_wav.chime())
    call = Line([SPEAKS, Pause(0.3), HangUp()])
    app = play_wav.make_app(tmp_path / "chime.wav")
    over = watch(app)
    log = await hold(call, app)
    assert 280 <= heard_ms(call) <= 400
    assert len(log.audio()) <= 8 * (heard_ms(call) + 240)
    assert len(over) == 1


# --- record_call ----------------------------------------------------------------------------------


def recording(directory: Path) -> tuple[list[int], list[int]]:
    """Both channels of the one file there is; its head must be true."""
    [path] = directory.iterdir()
    data = path.read_bytes()
    assert struct.unpack("<I", data[40:44])[0] == len(data) - 44
    wav = read_wav(data)
    assert (wav.format, wav.channels, wav.truncated) == (PCM_8K, 2, False)
    both = samples(wav.audio)
    return both[0::2], both[1::2]


def first_loud(track: list[int], level: int = 3000) -> float:
    """In seconds."""
    return next(n for n, sample in enumerate(track) if abs(sample) > level) / 8000


def hertz(track: list[int], at: float) -> float:
    """Of the 50 ms from there on."""
    part = track[int(at * 8000) : int(at * 8000) + 400]
    return sum((a < 0) != (b < 0) for a, b in itertools.pairwise(part)) * 10


@pytest.mark.anyio
async def test_a_recording_has_both_sides_where_they_were_heard(tmp_path: Path) -> None:
    quiet = MULAW_8K.silence(500)
    call = Line(
        [
            SPEAKS,
            Pause(0.3),
            CallerPlays(quiet + noise(200) + quiet),
            Emit(StreamDtmf(digit="5")),
            Expect(ClearAudio, "the interruption"),
            Expect(Checkpoint, "the end of the second tone"),
            Pause(0.5),
            HangUp(),
        ],
        lost={*range(5, 11), 24, 25, 26, 27, 30, 50},
    )
    log = await hold(call, load("record_call").make_app(tmp_path))
    caller, agent = recording(tmp_path)

    start, stop = log.when(StreamStart), log.when(StreamStop)
    assert len(caller) / 8000 == len(agent) / 8000 == pytest.approx(stop - start, abs=1 * MS)
    # Of the noise the packets 26 and 27, with which it begins, were lost, and 30.
    spoke = log.when(StreamMedia) - start + 0.5 + 0.04
    assert first_loud(caller) == pytest.approx(spoke, abs=1 * MS)
    sound = samples(decode_mulaw(noise(200)))[320:]
    sound[320:480] = [0] * 160
    begins = round(first_loud(caller) * 8000)
    assert caller[begins : begins + len(sound)] == sound
    # The agent: one tone until it was cleared, at once the other one, and no more than was heard.
    assert first_loud(agent) == pytest.approx(log.when(PlayAudio) - start, abs=1 * MS)
    cleared = log.when(ClearAudio) - start
    assert hertz(agent, cleared - 0.08) == pytest.approx(440, abs=30)
    assert hertz(agent, cleared + 0.03) == pytest.approx(660, abs=30)
    silent_from = len(agent) / 8000 - first_loud(agent[::-1])
    recorded_ms = (silent_from - first_loud(agent)) * 1000
    assert recorded_ms == pytest.approx(heard_ms(call), abs=2)


@pytest.mark.anyio
@pytest.mark.parametrize("breaks", ["line", "server"])
async def test_a_recording_is_complete_when_the_call_breaks_off(
    breaks: str, tmp_path: Path
) -> None:
    app = load("record_call").make_app(tmp_path)
    over = watch(app)
    call = Line([SPEAKS, CallerPlays(noise(3000)), HangUp()])
    sent = list[float]()
    a_second_passed = anyio.Event()

    def passed(event: PlatformEvent) -> None:
        sent.append(anyio.current_time())
        if len(sent) == 51:
            a_second_passed.set()

    line = virtual.Line(app, call, on_sent=passed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.hold)
        await a_second_passed.wait()
        if breaks == "line":
            line.breaks()
        else:
            line.server.cancel()
    caller_track, agent_track = recording(tmp_path)
    assert len(over) == 1
    assert len(caller_track) / 8000 == pytest.approx(sent[50] - sent[0], abs=0.001)
    assert first_loud(caller_track) < 0.2
    assert first_loud(caller_track[::-1]) < 0.1
    assert first_loud(agent_track) < 0.2
    assert first_loud(agent_track[::-1]) < 0.05


# --- background_audio -----------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_background_goes_on_under_speech_and_when_that_is_silenced() -> None:
    agent = load("background_audio")
    app = agent.make_app(pcm(1000) * 8000)
    call = Line(
        [
            SPEAKS,
            Pause(0.3),
            Emit(StreamDtmf(digit="1")),
            Pause(0.6),
            Emit(StreamDtmf(digit="0")),
            Pause(0.4),
            HangUp(),
        ],
        **L16,
    )
    log = await hold(call, app)
    speech = [sample - 100 for sample in samples(log.audio())]
    tone = samples(agent.tone(440, seconds=2))
    begins = speech.index(tone[1]) - 1  # a sine begins with zero
    ends = len(speech) - next(n for n, sample in enumerate(speech[::-1]) if sample)
    assert speech[begins:ends] == tone[: ends - begins]
    assert not any(speech[:begins])
    assert (ends - begins) / 8000 == pytest.approx(0.6, abs=0.1)
    assert 300 <= begins / 8 <= 500
    assert call.playback.gaps == []
    assert max(lead for _, lead in call.playback.leads) <= 100
    assert log.all(ClearAudio) == []
    start, stop = log.when(PlayAudio), log.when(StreamStop)
    assert heard_ms(call) == pytest.approx((stop - start) * 1000, abs=1)


def test_a_background_shorter_than_a_frame_is_silence() -> None:
    mixer = load("background_audio").Mixer(b"\1\1")

    async def first() -> bytes:
        frame: bytes = await anext(mixer.frames())
        return frame

    assert anyio.run(first) == PCM_8K.silence(20)


# --- as programs, with the websockets library as Plivo --------------------------------------------


@BACKENDS
@pytest.mark.parametrize(
    "name", ["audio_echo_paced", "barge_in", "play_wav", "record_call", "background_audio"]
)
def test_an_audio_example_runs_as_a_program(name: str, backend: str, tmp_path: Path) -> None:
    more = ("--directory", str(tmp_path)) if name == "record_call" else ()
    with program(name, backend, *more) as (url, _), a_call(url) as peer:
        tell(
            peer,
            {
                "event": "start",
                "start": {
                    "streamId": "s-1",
                    "callId": "c-1",
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
                },
            },
        )
        assert answer(peer)["event"] == "playAudio"
        tell(peer, {"event": "stop"})
        assert {message["event"] for message in answers_to_the_end(peer)} <= {"playAudio"}
    if name == "record_call":
        recording(tmp_path)
