"""Keep a quiet background under everything that is said, and while nothing is said.

    python examples/background_audio.py --port 9000 --backend asyncio

For a plain <Stream> or an agent with raw audio. One ``say_audio`` of an endless generator lasts as
long as the call: what it yields is the background, with speech mixed in when there is some. A key
makes the agent speak; 0 silences it within 100 ms, and only it: ``interrupt()`` would stop both.
"""

from __future__ import annotations

import argparse
import math
import struct
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path

from plivo_anyio import CallSession, VoiceApp
from plivo_core.audio import PCM_8K, Converter, Framer, mix, read_wav
from plivo_core.events import StreamDtmf, StreamStart


def tone(hertz: float, seconds: float) -> bytes:
    """In place of a speech synthesizer, and of music."""
    angle = 2 * math.pi * hertz / PCM_8K.sample_rate
    samples = [int(8000 * math.sin(angle * n)) for n in range(int(seconds * PCM_8K.sample_rate))]
    return struct.pack(f"<{len(samples)}h", *samples)


class Mixer:
    """Frames of 20 ms without end: the background in a loop, and on it what is to be said."""

    def __init__(self, background: bytes, gain: float = 0.1) -> None:
        self._background = cycle(Framer(PCM_8K).feed(background) or [PCM_8K.silence(20)])
        self._gain = gain
        self._speech = bytearray()

    def say(self, speech: bytes) -> None:
        self._speech += speech

    def hush(self) -> None:
        self._speech.clear()

    async def frames(self) -> AsyncIterator[bytes]:
        size = PCM_8K.frame_bytes(20)
        for background in self._background:
            speech = bytes(self._speech[:size]).ljust(size, b"\0")
            del self._speech[:size]
            yield mix(speech, background, gain=self._gain)


def make_app(background: bytes) -> VoiceApp:
    app = VoiceApp()

    async def play(session: CallSession, mixer: Mixer) -> None:
        # The lead is what hush() cannot take back. It ends with the call.
        await session.say_audio(mixer.frames(), PCM_8K, lead_ms=100)

    @app.on(StreamStart)
    async def started(session: CallSession, event: StreamStart) -> None:
        session.data["mixer"] = mixer = Mixer(background)
        session.start_soon(play, session, mixer)

    @app.on(StreamDtmf)
    async def key_pressed(session: CallSession, event: StreamDtmf) -> None:
        mixer: Mixer = session.data["mixer"]
        if event.digit == "0":
            mixer.hush()
        else:
            mixer.say(tone(440, seconds=2))

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--background", type=Path, help="a WAV file; default: a hold tone")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    background = tone(200, seconds=1)
    if options.background is not None:
        wav = read_wav(options.background.read_bytes())
        converter = Converter(wav.format, PCM_8K)
        background = converter.feed(wav.mono()) + converter.flush()
    make_app(background).run(options.host, options.port, backend=options.backend)
