"""A handler that blocks the event loop is named, while it still does."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._stall import StallWatch, blame
from plivo_anyio._stats import Counters
from plivo_core import Request
from plivo_core.commands import Speak
from plivo_core.events import Dtmf
from tests.adapter._caller import PATIENCE, calling
from tests.adapter._http import ask, serving_with, until

pytestmark = pytest.mark.anyio


class Log(logging.Handler):
    """Warnings as they come, from whatever thread; :attr:`told` is set by the first."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self.told = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.told.set()


@pytest.fixture
def log() -> Any:
    handler, logger = Log(), logging.getLogger("plivo_anyio")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def is_watched() -> bool:
    return "plivo_anyio stall watch" in [thread.name for thread in threading.enumerate()]


def dreadful_library_call(until: threading.Event) -> None:
    until.wait(PATIENCE)


def blocking_app(log: Log) -> VoiceApp:
    app = VoiceApp()

    @app.on(Dtmf)
    async def look_up_the_order(session: CallSession, event: Dtmf) -> None:
        await anyio.lowlevel.checkpoint()  # a handler that was resumed is named as well
        if event.digit == "1":
            dreadful_library_call(log.told)
        session.speak(event.digit)

    @app.http("/page")
    async def render_the_page(request: Request) -> str:
        dreadful_library_call(log.told)
        return "late"

    return app


async def test_a_blocking_handler_is_named_while_it_blocks(log: Log) -> None:
    """It blocks until the warning has come, so there is no time to get wrong."""
    app = blocking_app(log)
    async with (
        serving_with(app, "127.0.0.1", 0, stall_warning=0.05) as (_, port),
        calling(port) as caller,
    ):
        await caller.says(Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
        assert log.told.is_set()
        assert app.stats.stalls >= 1
    first = log.messages[0]
    assert re.search(
        r"blocked for over 0\.\d\d s by \S*look_up_the_order \(.*test_stall\.py", first
    )
    assert re.search(r"now at .*(threading|test_stall)\.py:\d+ in ", first)


async def test_a_blocking_route_is_named(log: Log) -> None:
    app = blocking_app(log)
    async with serving_with(app, "127.0.0.1", 0, stall_warning=0.05) as (_, port):
        assert (await ask(port, "/page")).body == b"late"
    assert "render_the_page" in log.messages[0]


async def test_waiting_handlers_are_no_stall_and_no_thread_is_left(log: Log) -> None:
    app = VoiceApp()
    counters = app._counters

    @app.http("/page")
    async def page(request: Request) -> str:
        await anyio.sleep(1.2)
        return "slow, but harmless"

    async with serving_with(app, "127.0.0.1", 0, stall_warning=1.0) as (_, port):
        await until(is_watched)
        assert (await ask(port, "/page")).body == b"slow, but harmless"
    assert not is_watched()
    assert (counters.stalls, log.messages) == (0, [])


async def test_without_the_option_nothing_watches() -> None:
    async with serving_with(VoiceApp(), "127.0.0.1", 0):
        assert not is_watched()


async def test_a_loop_that_stalls_often_does_not_drown_the_log(log: Log) -> None:
    counters = Counters()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(StallWatch(0.02, counters).run)
        for number in range(1, 4):
            await until(lambda: True)
            await anyio.sleep(0.05)
            began = time.monotonic()
            while counters.stalls < number and time.monotonic() < began + PATIENCE:
                time.sleep(0.01)  # noqa: ASYNC251 - this is the fault that is looked for
        tasks.cancel_scope.cancel()
    assert counters.stalls >= 3
    assert len(log.messages) == 1


async def test_one_blockage_is_counted_once(log: Log) -> None:
    counters = Counters()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(StallWatch(0.1, counters).run)
        await anyio.sleep(0.05)
        before = counters.stalls
        time.sleep(0.8)  # noqa: ASYNC251 - sixteen looks of the watching thread
        assert counters.stalls == before + 1
        tasks.cancel_scope.cancel()


def test_blame_on_a_stack_without_a_handler() -> None:
    import sys

    culprit, where = blame(sys._getframe())
    assert culprit == "code outside any handler"
    assert "test_blame_on_a_stack_without_a_handler" in where
