"""Stop speaking when the caller does, remember what was heard of the sentence, then answer.

    python examples/barge_in.py --port 9000 --backend asyncio

For a plain <Stream> or an agent with raw audio. The caller interrupts by speaking, which is noticed
by its loudness, or by pressing a key. A language model must not believe that all of its sentence
was heard: the transcript has only as much of it as the caller's ear got.
"""

from __future__ import annotations

import argparse
import logging
import math
import struct
from collections.abc import AsyncIterator

from plivo_anyio import CallSession, VoiceApp
from plivo_core.audio import PCM_8K
from plivo_core.events import StreamDtmf, StreamStart

logger = logging.getLogger("barge_in")

PROMPT = "Welcome to the bank. We are open from nine to five. Please tell me why you are calling."
ANSWER = "Of course, one moment."
MS_PER_CHARACTER = 60
LOUD = 1500.0  # root mean square; line noise stays below, and so does our own voice as an echo
FRAMES = 3  # 60 ms: a click on the line is no speech

app = VoiceApp()


async def synthesize(text: str) -> AsyncIterator[bytes]:
    """In place of a speech synthesizer: every character is a tone."""
    for character in text:
        angle = 2 * math.pi * (200 + 5 * ord(character)) / PCM_8K.sample_rate
        count = PCM_8K.frame_bytes(MS_PER_CHARACTER) // 2
        tone = [int(5000 * math.sin(angle * n)) for n in range(count)]
        yield struct.pack(f"<{count}h", *tone)


async def say(session: CallSession, text: str) -> None:
    spoken = await session.say_audio(synthesize(text), PCM_8K)
    heard = text[: int(spoken.heard_ms / MS_PER_CHARACTER)]
    session.data["transcript"].append(heard)
    logger.info("%s: the caller heard %r", session.call_uuid, heard)


def barge_in(session: CallSession) -> None:
    cut = session.interrupt()  # the say() that was going on returns, and says what was heard
    logger.info("%s: barge-in, %d ms were not heard", session.call_uuid, cut.unheard_ms)
    session.start_soon(say, session, ANSWER)


def loudness(pcm: bytes) -> float:
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    return math.sqrt(sum(sample * sample for sample in samples) / max(1, len(samples)))


async def listen(session: CallSession) -> None:
    loud = 0
    async for frame in session.audio(PCM_8K):
        loud = loud + 1 if loudness(frame.data) > LOUD else 0
        if loud == FRAMES:  # once, however long the caller goes on
            barge_in(session)


@app.on(StreamStart)
async def started(session: CallSession, event: StreamStart) -> None:
    session.data["transcript"] = []
    session.start_soon(say, session, PROMPT)
    session.start_soon(listen, session)


@app.on(StreamDtmf)
async def key_pressed(session: CallSession, event: StreamDtmf) -> None:
    barge_in(session)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    app.run(options.host, options.port, backend=options.backend)
