"""Live audio under the real clock, over TCP: what the simulated platform measured.

Run with -s to see the figures.
"""

from __future__ import annotations

import base64
import socket
from contextlib import nullcontext
from statistics import median
from typing import Any

import anyio
import pytest
import uvicorn

from plivo_anyio import CallSession, Spoken, VoiceApp, place_call
from plivo_core import Fate, Interrupted
from plivo_core.commands import ClearAudio
from plivo_core.events import AgentSessionEnded, StreamDtmf, StreamMedia, StreamStart
from plivo_core.platform import Emit, Expect, HangUp, Pause, PlatformCall
from tests.adapter._caller import PATIENCE, serving
from tests.adapter._virtual import said
from tests.quiet import in_rounds

pytestmark = pytest.mark.anyio

ROUNDS = 10


class Talker(VoiceApp):
    """Talks from `start` on for `seconds`; a key press interrupts. What it heard of itself."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.spoken: Spoken | None = None
        self.spoken_at = 0.0
        self.cut: Interrupted | None = None
        self.done = anyio.Event()

        @self.on("start")
        async def start(session: CallSession, event: StreamStart) -> None:
            session.start_soon(talk, session)

        async def talk(session: CallSession) -> None:
            self.spoken = await session.say_audio(said(20) for _ in range(int(seconds * 50)))
            self.spoken_at = anyio.current_time()
            self.done.set()

        @self.on(StreamDtmf)
        async def pressed(session: CallSession, event: StreamDtmf) -> None:
            self.cut = session.interrupt()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


@in_rounds
async def test_while_it_speaks_the_platform_never_runs_dry(
    anyio_backend_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = Talker(4.0)
    call = PlatformCall([Pause(4.6), HangUp()], mode="stream")
    async with serving(app) as port:
        with anyio.fail_after(PATIENCE):
            await place_call(call, "127.0.0.1", port)
            await app.done.wait()
    playback = call.playback
    first = playback.leads[0][0]
    # Of what the queue holds once a frame is in it. The first 300 ms fill it.
    steady = [lead + 20 for at, lead in playback.leads if at >= first + 0.3]
    low, high = percentile(steady, 0.01), percentile(steady, 0.99)
    assert app.spoken is not None
    off = abs(app.spoken.heard_ms - playback.heard_ms(app.spoken_at))
    with capsys.disabled():
        print(
            f"\n[{anyio_backend_name}] 4 s of speech: {len(playback.gaps)} gaps, lead p1 {low:.1f}"
            f" p50 {median(steady):.1f} p99 {high:.1f} ms; heard at the end off by {off:.2f} ms"
        )
    assert playback.gaps == []
    assert playback.frames_put == 200
    assert 100 <= low <= high <= 300
    assert app.spoken.fate is Fate.PLAYED
    assert app.spoken.sent_ms == 4000
    assert off <= 40


@in_rounds
async def test_a_key_press_silences_it_within_sixty_milliseconds(
    anyio_backend_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    silent_after: list[float] = []
    off: list[float] = []
    for number in range(ROUNDS):
        app = Talker(10)
        # At another phase of the 20 ms in each round.
        script = [
            Pause(0.5 + number * 0.0023),
            Emit(StreamDtmf(digit="1")),
            Expect(ClearAudio, "silence", within=2),
            Pause(0.2),
            HangUp(),
        ]
        call = PlatformCall(script, mode="stream")
        times: dict[type[Any], float] = {}

        def note(event: Any, times: Any = times) -> None:
            times.setdefault(type(event), anyio.current_time())

        async with serving(app) as port:
            with anyio.fail_after(PATIENCE):
                await place_call(call, "127.0.0.1", port, on_sent=note, on_received=note)
                await app.done.wait()
        assert call.missed == []
        assert app.cut is not None
        assert app.spoken is not None
        assert app.spoken.fate is Fate.CLEARED
        silent_after.append((call.observations[0].at - times[StreamDtmf]) * 1000)
        heard = call.playback.heard_ms(anyio.current_time())
        off.append(abs(app.cut.heard_ms - heard))
        off.append(abs(app.spoken.heard_ms - heard))
        assert call.playback.lead_ms(call.observations[0].at) == 0
    with capsys.disabled():
        print(
            f"\n[{anyio_backend_name}] barge-in: silent after median {median(silent_after):.2f}"
            f" max {max(silent_after):.2f} ms; heard at the interruption off by median"
            f" {median(off):.2f} max {max(off):.2f} ms"
        )
    assert median(silent_after) <= 60
    assert max(off) <= 40


async def test_a_handler_that_waits_does_not_hold_up_the_end_of_the_call() -> None:
    app = VoiceApp()
    fates: list[Fate] = []

    @app.on("start")
    async def start(session: CallSession, event: StreamStart) -> None:
        session.send_media(base64.b64encode(said(20_000)).decode())
        session.send_checkpoint("c")
        fates.append(await session.wait_played("c"))

    call = PlatformCall([Pause(0.3), Emit(AgentSessionEnded(reason="x"))], mode="raw")
    async with serving(app) as port:
        with anyio.fail_after(3):  # not Timings.end_grace
            ended = await place_call(call, "127.0.0.1", port)
    assert ended.initiator == "remote"  # our Close came at once
    assert fates == [Fate.LOST]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # uvicorn knows no other
@in_rounds
async def test_behind_an_asgi_server_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    app, over = VoiceApp(), anyio.Event()
    said_to: list[Spoken] = []
    cuts: list[Interrupted] = []
    frames: list[bytes] = []
    fates: list[Fate | None] = []

    @app.on("start")
    async def start(session: CallSession, event: StreamStart) -> None:
        session.start_soon(listen, session)
        session.start_soon(talk, session)

    async def listen(session: CallSession) -> None:
        frames.extend([frame.data async for frame in session.audio()])

    async def talk(session: CallSession) -> None:
        said_to.append(await session.say_audio(said(200)))
        said_to.append(await session.say_audio(said(5000)))
        assert await session.send_audio(said(200))
        fates.append(await session.hangup_after_playback())

    @app.on(StreamDtmf)
    async def pressed(session: CallSession, event: StreamDtmf) -> None:
        cuts.append(session.interrupt())

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        over.set()

    config = uvicorn.Config(app.asgi, lifespan="on", log_config=None, ws="auto")
    behind = uvicorn.Server(config)
    monkeypatch.setattr(behind, "capture_signals", nullcontext)
    media = StreamMedia(payload=base64.b64encode(said(20)).decode(), chunk=1)
    call = PlatformCall(
        [Pause(0.1), Emit(media), Pause(0.5), Emit(StreamDtmf(digit="1")), Pause(10), HangUp()],
        mode="stream",
    )
    with socket.create_server(("127.0.0.1", 0)) as listener, anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(behind.serve, [listener])
            await place_call(call, "127.0.0.1", listener.getsockname()[1])
            await over.wait()
            behind.should_exit = True
    assert frames == [said(20)]
    assert said_to[0] == Spoken(200, 200, Fate.PLAYED)
    assert said_to[1].fate is Fate.CLEARED
    assert said_to[1].heard_ms == pytest.approx(cuts[0].heard_ms - 200, abs=40)
    assert call.playback.heard_ms(anyio.current_time()) == pytest.approx(
        cuts[0].heard_ms + 200, abs=40
    )
    assert fates == [Fate.PLAYED]
