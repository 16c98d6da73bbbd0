"""The turnstile: one thread after another, and nobody waits for one that takes its time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._backend import current_backend
from plivo_anyio._turnstile import Turnstile
from plivo_core.commands import Speak
from plivo_core.events import StreamMedia, StreamStart
from tests.adapter._caller import PATIENCE, calling, serving

pytestmark = pytest.mark.anyio


def waker(woken: list[int], number: int) -> Callable[[], None]:
    return lambda: woken.append(number)


async def test_each_that_leaves_wakes_the_next_in_order() -> None:
    turnstile, woken = Turnstile(current_backend()), list[int]()
    for number in range(4):
        turnstile.enter(waker(woken, number))
    seen = [list(woken)]
    for _ in range(5):
        turnstile.leave()
        seen.append(list(woken))
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]
    turnstile.enter(waker(woken, 4))
    assert woken[-1] == 4


async def test_one_that_stays_lets_the_others_pass_all_at_once() -> None:
    turnstile, woken = Turnstile(current_backend()), list[int]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turnstile.watch)
        for number in range(4):
            turnstile.enter(waker(woken, number))
        assert woken == [0]
        with anyio.fail_after(PATIENCE):
            while len(woken) < 4:  # noqa: ASYNC110 - a callback sets no event
                await anyio.sleep(0.001)
        turnstile.enter(waker(woken, 4))  # and the next one need not wait again
        assert woken == [0, 1, 2, 3, 4]
        tasks.cancel_scope.cancel()


async def test_a_thread_that_blocks_does_not_silence_the_other_calls() -> None:
    app, blocked, release = VoiceApp(), threading.Event(), threading.Event()

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        if event.payload == "stay":
            blocked.set()
            release.wait(60)
        session.speak(event.payload)

    start = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)
    try:
        async with serving(app) as port, calling(port) as slow, calling(port) as quick:
            for caller in (slow, quick):
                await caller.says(start, StreamMedia(payload="AAAA"))
                assert await caller.receives() == Speak("AAAA")
            await slow.says(StreamMedia(payload="stay"))
            with anyio.fail_after(PATIENCE):
                while not blocked.is_set():  # noqa: ASYNC110 - set by a thread
                    await anyio.sleep(0.001)
            for number in range(3):
                await quick.says(StreamMedia(payload=f"{number:04d}"))
                assert await quick.receives() == Speak(f"{number:04d}")
            release.set()
            assert await slow.receives() == Speak("stay")
    finally:
        release.set()
