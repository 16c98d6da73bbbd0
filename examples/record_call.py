"""Record a call as a stereo WAV file: left the caller, right the agent, both on one clock.

    python examples/record_call.py --directory recordings --port 9000 --backend asyncio

For a plain <Stream> or an agent with raw audio. A lost packet of the caller is as long a silence,
and of the agent's audio there is what was heard, when it was: press a key to interrupt it. The file
grows with the call, off the event loop, and can be read however the call or this program ends.
"""

from __future__ import annotations

import argparse
import logging
import math
import struct
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

import anyio
from anyio import AsyncFile

from plivo_anyio import CallSession, VoiceApp
from plivo_core.audio import PCM_8K, Recorder, wav_header
from plivo_core.events import StreamDtmf, StreamStart

logger = logging.getLogger("record_call")

Speech: TypeAlias = AsyncGenerator[bytes, None]


async def tone(hertz: float, seconds: float) -> Speech:
    """In place of a speech synthesizer: 20 ms a time."""
    angle = 2 * math.pi * hertz / PCM_8K.sample_rate
    for start in range(0, int(seconds * PCM_8K.sample_rate), 160):
        samples = [int(6000 * math.sin(angle * n)) for n in range(start, start + 160)]
        yield struct.pack("<160h", *samples)


def listen_to_us(session: CallSession) -> None:
    now, ledger = anyio.current_time(), session.playback
    heard_ms, unheard_ms = ledger.heard_ms(now), ledger.unheard_ms(now)
    session.data["recorder"].hear(now=now, heard_ms=heard_ms, unheard_ms=unheard_ms)


async def recorded(session: CallSession, audio: Speech) -> Speech:
    """What is about to be said, told to the recorder with its place in the stream."""
    listen_to_us(session)
    at_ms = session.playback.expected_ms
    async with aclosing(audio):
        async for chunk in audio:
            session.data["recorder"].feed_agent(chunk, at_ms=at_ms)
            at_ms += PCM_8K.duration_ms(len(chunk))
            yield chunk


async def say(session: CallSession, audio: Speech) -> None:
    await session.say_audio(recorded(session, audio), PCM_8K)


async def write_along(session: CallSession, recorder: Recorder, file: AsyncFile[bytes]) -> None:
    while True:
        await anyio.sleep(0.1)
        listen_to_us(session)
        audio = recorder.take(now=anyio.current_time())
        with anyio.CancelScope(shield=True):  # what was taken must be written
            await file.write(audio)


async def record(session: CallSession, recorder: Recorder, path: Path) -> None:
    caller = session.audio(PCM_8K)  # listens from here on, while the file is being opened
    head = wav_header(PCM_8K, 2, None)  # of a length that is not known yet
    file = await anyio.open_file(path, "wb")
    try:
        await file.write(head)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write_along, session, recorder, file)
            async for frame in caller:
                now = anyio.current_time()
                recorder.feed_caller(frame.data, missing=frame.missing, now=now)
            tasks.cancel_scope.cancel()  # the stream is over
    finally:
        with anyio.CancelScope(shield=True):  # also when the server stops
            async with file:
                listen_to_us(session)
                await file.write(recorder.finish(now=anyio.current_time()))
                size = await file.tell() - len(head)
                await file.seek(0)
                await file.write(wav_header(PCM_8K, 2, size))


def make_app(directory: Path) -> VoiceApp:
    app = VoiceApp()

    @app.on(StreamStart)
    async def started(session: CallSession, event: StreamStart) -> None:
        session.data["recorder"] = Recorder(PCM_8K, now=anyio.current_time())
        # A name of ours: what the other side calls the call is no file name.
        path = directory / f"{uuid.uuid4().hex}.wav"
        logger.info("%s: recorded in %s", session.call_uuid, path)
        session.start_soon(record, session, session.data["recorder"], path)
        session.start_soon(say, session, tone(440, seconds=5))

    @app.on(StreamDtmf)
    async def key_pressed(session: CallSession, event: StreamDtmf) -> None:
        session.interrupt()
        session.start_soon(say, session, tone(660, seconds=0.5))

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path())
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    make_app(options.directory).run(options.host, options.port, backend=options.backend)
