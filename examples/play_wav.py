"""Play a WAV file to the caller, to its end, then hang up.

    python examples/play_wav.py greeting.wav --port 9000 --backend asyncio

For a plain <Stream> or an agent with raw audio. 16-bit PCM at 8, 16 or 24 kHz or G.711 at 8 kHz,
mono or stereo, whatever the stream's own format is. Without a file it plays a chime of its own.
"""

from __future__ import annotations

import argparse
import math
import struct
import tempfile
from pathlib import Path

from plivo_anyio import CallSession, VoiceApp
from plivo_core.audio import PCM_16K, wav_bytes
from plivo_core.events import StreamStart


def chime() -> bytes:
    """Two seconds of a bell that fades, as a WAV file."""
    rate = PCM_16K.sample_rate
    bell = [
        int(12000 * math.exp(-3 * n / rate) * math.sin(2 * math.pi * 880 * n / rate))
        for n in range(2 * rate)
    ]
    return wav_bytes(struct.pack(f"<{len(bell)}h", *bell), PCM_16K)


def make_app(path: Path) -> VoiceApp:
    app = VoiceApp()

    async def play(session: CallSession) -> None:
        await session.play_file(path)  # ends early when the caller hangs up
        await session.hangup_after_playback()

    @app.on(StreamStart)
    async def started(session: CallSession, event: StreamStart) -> None:
        session.start_soon(play, session)  # a handler has 30 s, a file may have more

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = options.file
        if path is None:
            path = Path(directory, "chime.wav")
            path.write_bytes(chime())
        make_app(path).run(options.host, options.port, backend=options.backend)
