"""Say what the caller says, a second later.

    python examples/audio_echo_paced.py --port 9000 --backend asyncio

For a plain <Stream> or an agent with raw audio. An async generator turns the caller's audio into
ours, and ``say_audio`` takes from it at the pace it is heard: never more than 200 ms are on their
way. The generator ends with the stream, and whatever is unheard by then is never sent.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator

from plivo_anyio import CallSession, VoiceApp
from plivo_core.audio import PCM_8K
from plivo_core.events import StreamStart

DELAY_MS = 1000  # what waits for it is kept by session.audio(), which keeps two seconds

app = VoiceApp()


async def a_second_later(session: CallSession) -> AsyncIterator[bytes]:
    caller = session.audio(PCM_8K)  # listens from here on, before the first frame is wanted
    yield PCM_8K.silence(DELAY_MS)
    async for frame in caller:
        yield PCM_8K.silence(20 * frame.missing) + frame.data  # lost packets must not shorten it


async def echo(session: CallSession) -> None:
    await session.say_audio(a_second_later(session), PCM_8K)


@app.on(StreamStart)
async def started(session: CallSession, event: StreamStart) -> None:
    session.start_soon(echo, session)  # no handler may run that long


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    app.run(options.host, options.port, backend=options.backend)
