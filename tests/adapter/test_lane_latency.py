"""A slow ``media`` handler and the keys the caller presses meanwhile, over real TCP, both backends.

What holds: a control handler never waits for an async media handler, and an async control handler
never waits for a sync media handler either, which has the call's thread to itself. Two sync
handlers share that thread: the control handler then waits for the one packet that is being
handled, and for no other (jobs go before audio; tests/adapter/test_sync_handlers.py).
"""

from __future__ import annotations

import base64
import time
from statistics import median

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_core.commands import Speak
from plivo_core.events import Dtmf, StreamMedia, StreamStart
from tests.adapter._caller import PATIENCE, a_call

pytestmark = pytest.mark.anyio

START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)
PACKET = StreamMedia(payload=base64.b64encode(bytes(160)).decode())
SLOW = 0.5  # seconds per packet
ROUNDS = 10
BOUND = 0.02  # seconds, of the median


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_slow_media_handler_does_not_delay_the_keys(kind: str) -> None:
    app, running = VoiceApp(), 0

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak(f"{event.digit} {running}")

    if kind == "sync":

        @app.on(StreamMedia)
        def handle(session: CallSession, event: StreamMedia) -> None:
            nonlocal running
            running += 1
            session.speak("busy")
            time.sleep(SLOW)
            running -= 1

    else:

        @app.on(StreamMedia)
        async def handle_async(session: CallSession, event: StreamMedia) -> None:
            nonlocal running
            running += 1
            session.speak("busy")
            await anyio.sleep(SLOW)
            running -= 1

    delays = list[float]()
    async with a_call(app) as caller:
        await caller.says(START)
        for number in range(ROUNDS):
            await caller.says(*[PACKET] * (10 if number == 0 else 1))
            if number == 0:
                assert await caller.receives() == Speak("busy")
            began = time.perf_counter()
            await caller.says(Dtmf(digit=str(number)))
            with anyio.fail_after(PATIENCE):
                while (said := await caller.receives()) == Speak("busy"):
                    pass
            delays.append(time.perf_counter() - began)
            assert said == Speak(f"{number} 1"), "a packet was being handled"
        await caller.closes()
    assert median(delays) < BOUND, delays
