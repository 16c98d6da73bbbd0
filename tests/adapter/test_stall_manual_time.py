"""A peer that reads nothing for ten minutes and then reads again, under manual time.

Audio is sent at its own pace meanwhile, and a word now and then. What is held stays within the
bound of test_stalled_peer all the time. Then the words come first, and of the audio the newest.
"""

from __future__ import annotations

import base64
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import pytest

from plivo_anyio import CallSession, CallStats, VoiceApp
from plivo_anyio._backend import current_backend
from plivo_anyio._driver import Driver
from plivo_anyio._transport import StreamTransport
from plivo_core import Limits, ServerConnection, Timings, Upgraded
from plivo_core.commands import PlayAudio, Speak
from plivo_core.events import StreamMedia, StreamStart
from tests.adapter._caller import Caller
from tests.adapter._virtual import virtual_backend
from tests.adapter.test_stalled_peer import BOUND, LIMITS

pytestmark = pytest.mark.anyio

STEPS = 10 * 60 * 50  # 20 ms each
START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)
KERNEL = 16 * 1024  # what the transport's own write may hold, as small water marks leave it
TIMINGS = Timings(write=3600)
KEPT = LIMITS.audio_buffer_ms // 20


anyio_backend = virtual_backend  # time passes when all wait


class Wire:
    """The server's bytes: a ByteIO for its transport. The peer reads when a test lets it.

    ``room`` is what the kernel would take of a peer that does not read.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._up, self._down = bytearray(), bytearray()
        self._changed = anyio.Event()
        self._closed = False

    # -- the server's end ------------------------------------------------------------------------

    async def receive(self, max_bytes: int) -> bytes:
        return await self._read(self._up, max_bytes)

    async def send(self, data: bytes) -> None:
        self._down += data
        self._tell()
        while len(self._down) > self._room and not self._closed:
            await self._changed.wait()

    async def send_eof(self) -> None: ...

    async def aclose(self) -> None:
        self._closed = True
        self._tell()

    # -- the peer's ------------------------------------------------------------------------------

    @property
    def peer(self) -> Any:
        return _Peer(self)

    async def read_down(self) -> bytes:
        if not (data := await self._read(self._down, 65536)):
            raise anyio.EndOfStream
        return data

    def write_up(self, data: bytes) -> None:
        self._up += data
        self._tell()

    # -- inside ----------------------------------------------------------------------------------

    async def _read(self, buffer: bytearray, max_bytes: int) -> bytes:
        while not buffer and not self._closed:
            await self._changed.wait()
        data = bytes(buffer[:max_bytes])
        del buffer[:max_bytes]
        self._tell()
        return data

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class _Peer:
    """As much of a stream as a Caller needs."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def send(self, data: bytes) -> None:
        self._wire.write_up(data)

    async def receive(self) -> bytes:
        return await self._wire.read_down()


@asynccontextmanager
async def a_call_over(
    wire: Wire, app: VoiceApp, *, limits: Limits, timings: Timings
) -> AsyncIterator[Caller]:
    """A call of the app, driven over the wire while the block runs."""
    backend = current_backend()
    driver = Driver(
        StreamTransport(wire, backend, read_size=limits.read_size),
        ServerConnection(now=backend.clock(), limits=limits, timings=timings),
        site=cast("Any", app)._site(),
        on_request=lambda: None,
        backend=backend,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(driver.run)
        caller = Caller(wire.peer, "/")
        assert isinstance(await caller.receives(), Upgraded)
        yield caller
        tasks.cancel_scope.cancel()


def packet(number: int) -> str:
    return base64.b64encode(number.to_bytes(4, "big") * 40).decode()


def number_of(command: PlayAudio) -> int:
    return int.from_bytes(base64.b64decode(command.payload)[:4], "big")


@pytest.mark.timeout(300)  # 13 s on asyncio, 33 on trio, on two busy cores
async def test_ten_minutes_of_stall_are_bounded_and_what_is_left_is_the_newest() -> None:
    app = VoiceApp(limits=LIMITS, timings=TIMINGS)
    over, minutes, held = anyio.Event(), list[CallStats](), 0

    @app.on(StreamStart)
    async def started(session: CallSession, event: StreamStart) -> None:
        session.start_soon(talk, session)

    async def talk(session: CallSession) -> None:
        nonlocal held
        tracemalloc.start()
        try:
            for step in range(STEPS):
                session.send_media(packet(step))
                if step % (60 * 50) == 0:
                    session.speak(f"minute {len(minutes)}")
                    minutes.append(session.stats)
                await anyio.sleep(0.02)
            held = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        minutes.append(session.stats)
        over.set()

    began = anyio.current_time()
    async with a_call_over(Wire(KERNEL), app, limits=LIMITS, timings=TIMINGS) as caller:
        await caller.says(START)
        while not over.is_set():
            await caller.says(StreamMedia(payload=packet(0)))  # it is alive: no ping is due
            await anyio.sleep(1)
        assert anyio.current_time() - began > 599.9  # sums of 20 ms drift
        assert 0 < held < BOUND, f"{held} bytes held"
        for stats in minutes:
            assert stats.pending.audio_ms <= LIMITS.audio_buffer_ms
            assert stats.pending.audio_bytes <= LIMITS.audio_buffer
        last = minutes[-1]
        assert last.pending.audio_messages == KEPT
        assert last.pending.control_messages == 9  # the first left before the stall
        assert last.playback.dropped_ms == 20 * last.dropped_audio > 500_000
        received = list[Any]()
        while not received or not _is_last(received[-1]):
            received.append(await caller.receives())
    words = [each for each in received if isinstance(each, Speak)]
    assert [word.text for word in words] == [f"minute {n}" for n in range(10)]
    after = received.index(words[-1]) + 1
    assert [number_of(each) for each in received[after:]] == list(range(STEPS - KEPT, STEPS))
    assert received.index(words[1]) == after - 9, "nothing but words between the words"
    before = [number_of(each) for each in received[: after - 9] if not isinstance(each, Speak)]
    assert before == list(range(len(before))), "what had left already, in order"
    assert len(before) + KEPT + last.dropped_audio == STEPS
    assert sum(len(packet(0)) for _ in before) < KERNEL + 2 * LIMITS.transport_buffer


def _is_last(command: object) -> bool:
    return isinstance(command, PlayAudio) and number_of(command) == STEPS - 1
