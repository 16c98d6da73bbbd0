"""What happens between two threads, or between a call and its end, made to happen every time."""

from __future__ import annotations

import functools
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._driver import Driver
from plivo_anyio._thread import CallThread
from plivo_core import ServerConnection, SessionClosedError, Timings
from plivo_core.commands import Speak
from plivo_core.events import Dtmf, StreamMedia, StreamStart
from tests.adapter._caller import PATIENCE, a_call, calling, serving
from tests.scenarios._drivers import any_stream

pytestmark = pytest.mark.anyio

START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)
MEDIA = StreamMedia(payload="AAAA")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a stuck handler waits for; set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - threads set no event of the loop
            await anyio.sleep(0.005)


def answering(app: VoiceApp) -> None:
    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak(event.digit)
        if event.digit == "#":
            session.close()


async def takes_a_call(port: int) -> None:
    async with calling(port) as caller:
        await caller.says(Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
        assert (await caller.closes()).code == 1000


@pytest.mark.parametrize("error", [ValueError, SessionClosedError])
async def test_a_sync_handler_that_fails_when_the_tasks_of_its_call_are_over_is_logged(
    release: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
) -> None:
    app, running = VoiceApp(timings=Timings(end_grace=0.02)), threading.Event()
    answering(app)

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        running.set()
        release.wait(PATIENCE)
        raise error("too late")

    posted = threading.Event()
    post, goodbye = Driver.post, Driver._say_goodbye

    def noted_post(self: Driver, function: Callable[[], object]) -> None:
        post(self, function)
        posted.set()

    async def late_goodbye(self: Driver) -> None:
        if running.is_set() and not release.is_set():  # the tasks are over, the handler is not
            release.set()
            await until(posted.is_set)
            await anyio.wait_all_tasks_blocked()  # the loop has run what was posted
        await goodbye(self)

    monkeypatch.setattr(Driver, "post", noted_post)
    monkeypatch.setattr(Driver, "_say_goodbye", late_goodbye)
    with caplog.at_level(logging.DEBUG, "plivo_anyio"):
        async with serving(app) as port:
            async with calling(port) as caller:
                await caller.says(START, MEDIA)
                await until(running.is_set)
                assert (await caller.closes()).code == 1000
                await until(posted.is_set)
            await takes_a_call(port)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    if error is SessionClosedError:
        assert ("DEBUG", "a handler lost the race with the end: too late") in told
    else:
        assert ("ERROR", "handler of StreamMedia failed") in told


async def test_what_an_abandoned_handler_raises_after_its_call_is_told_to_nobody(
    release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    app, threads = VoiceApp(timings=Timings(end_grace=0.02)), list[threading.Thread]()
    gone = anyio.Event()
    answering(app)

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        threads.append(threading.current_thread())
        release.wait(PATIENCE)
        raise ValueError("too late")

    @app.on_disconnect
    async def disconnected(session: CallSession) -> None:
        assert session.abandoned_handlers == 1
        gone.set()

    async with serving(app) as port:
        async with calling(port) as caller:
            await caller.says(START, MEDIA)
            await until(lambda: threads)
            assert (await caller.closes()).code == 1000
            await gone.wait()
        release.set()
        await anyio.to_thread.run_sync(threads[0].join, PATIENCE)
        await takes_a_call(port)
    assert "too late" not in caplog.text


async def test_a_function_of_one_call_that_fails_in_the_loop_ends_no_other_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, sessions = VoiceApp(), list[CallSession]()
    answering(app)

    @app.on_connect
    async def connected(session: CallSession) -> None:
        sessions.append(session)

    def broken() -> None:
        raise ValueError("a bug of ours")

    async with serving(app) as port, calling(port) as one, calling(port) as other:
        await until(lambda: len(sessions) == 2)
        both = list(sessions)

        def from_a_thread() -> None:  # both in one wake-up of the loop
            both[0]._driver.post(broken)
            both[1].speak("after it")

        await anyio.to_thread.run_sync(from_a_thread)
        assert await other.receives() == Speak("after it")
        _, end = await one.ends()
        assert (end.code, end.reason) == (1011, "internal error")
        await takes_a_call(port)
    assert "a connection failed" in caplog.text


async def test_a_media_handler_that_returns_while_the_end_looks_for_it_holds_nothing_up(
    release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, running = VoiceApp(timings=Timings(end_grace=60)), threading.Event()
    gone = anyio.Event()
    look = CallThread.media_is_running.fget
    assert look is not None

    def look_and_let_it_return(self: CallThread) -> bool:
        found: bool = look(self)
        if found:
            release.set()
            worker = self._worker
            while worker is not None and not worker.idle:
                pass  # the thread: it ends its item, then tells the loop, if that waits
        return found

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        running.set()
        release.wait(PATIENCE)

    @app.on_disconnect
    async def disconnected(session: CallSession) -> None:
        gone.set()

    monkeypatch.setattr(CallThread, "media_is_running", property(look_and_let_it_return))
    async with a_call(app) as caller:
        await caller.says(START, MEDIA)
        await until(running.is_set)
        assert (await caller.closes()).code == 1000
        with anyio.fail_after(PATIENCE):
            await gone.wait()


async def test_a_handler_that_got_no_thread_does_not_run_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, seen, failures = VoiceApp(), list[str](), ["can't start new thread"]
    start = threading.Thread.start

    def scarce(self: threading.Thread) -> None:
        if self.name == "plivo-handlers" and failures:
            raise RuntimeError(failures.pop())
        start(self)

    @app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> None:
        seen.append(event.digit)
        session.speak(event.digit)

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        session.speak(str(error))

    monkeypatch.setattr(threading.Thread, "start", scarce)
    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"))
        assert await caller.receives() == Speak("there is no thread for a sync handler")
        await caller.says(Dtmf(digit="2"))
        assert await caller.receives() == Speak("2")
    assert seen == ["2"]


@pytest.mark.parametrize("transport", ["short way", "any stream"])
async def test_whoever_touches_the_core_holds_the_lock(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event, transport: str
) -> None:
    """All that changes the core or looks through its collections, to the last Close."""
    unlocked = list[str]()

    def checked(name: str, lock: Any, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not lock._is_owned():
                unlocked.append(name)
            return method(*args, **kwargs)

        return call

    class Checked(ServerConnection):
        """Without slots, so that its methods can be replaced."""

    names = ("receive_data", "receive_eof", "send_failed", "handle_timeout", "accept", "respond")
    names += ("reject", "send", "close", "next_event", "data_to_send", "deadline")
    init = Driver.__init__

    def checking_init(self: Driver, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        for name in names:
            setattr(self.conn, name, checked(name, self.lock, getattr(self.conn, name)))

    if transport == "any stream":
        monkeypatch.setattr("plivo_anyio._server.Server._transport", any_stream)
    monkeypatch.setattr("plivo_anyio._server.ServerConnection", Checked)
    monkeypatch.setattr(Driver, "__init__", checking_init)
    app, sessions = VoiceApp(timings=Timings(handler=0.05)), list[CallSession]()
    answering(app)

    @app.on(StreamMedia)
    def heard(session: CallSession, event: StreamMedia) -> None:
        sessions.append(session)
        session.send_media(event.payload)
        if event.timestamp == "stuck":
            release.wait(PATIENCE)

    @app.http("/plain")
    async def plain(request: object) -> str:
        return "fine"

    async with anyio.create_task_group() as tasks:
        _, port = await tasks.start(app.serve, "127.0.0.1", 0)
        async with calling(port) as caller:  # a call to its peaceful end, with a late handler
            await caller.says(START, StreamMedia(payload="AAAA", timestamp="stuck"))
            await caller.receives()
            await until(lambda: sessions[0].abandoned_handlers)
            await caller.says(Dtmf(digit="1"))
            assert await caller.receives() == Speak("1")
            assert (await caller.closes()).code == 1000
        async with calling(port) as caller:  # one that the server closes
            await caller.says(Dtmf(digit="#"))
            assert (await caller.ends())[1].code == 1000
        async with calling(port, target="/plain", upgraded=False) as caller:
            await caller.receives()
        async with calling(port, upgraded=False), calling(port) as cut_off:
            await cut_off.says(Dtmf(digit="2"))
            assert await cut_off.receives() == Speak("2")
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                _, end = await cut_off.ends()
            assert end.code == 1001
    assert unlocked == []


@pytest.mark.parametrize("how", ["async", "sync"])
async def test_nothing_of_a_call_is_left_to_the_garbage_collector(how: str) -> None:
    """It comes late: a server would keep hundreds of ended calls, and grow."""
    app, gone = VoiceApp(), anyio.Event()
    left = list[weakref.ref[Any]]()

    if how == "async":

        @app.on(StreamMedia)
        async def heard_async(session: CallSession, event: StreamMedia) -> None:
            session.send_media(event.payload)

    else:

        @app.on(StreamMedia)
        def heard(session: CallSession, event: StreamMedia) -> None:
            session.send_media(event.payload)

    @app.on_disconnect
    async def disconnected(session: CallSession) -> None:
        left.extend((weakref.ref(session._driver.conn), weakref.ref(session._driver.lanes)))
        gone.set()

    async with serving(app) as port:
        gc.collect()
        gc.disable()
        try:
            async with calling(port) as caller:
                await caller.says(START, MEDIA)
                await caller.receives()
                assert (await caller.closes()).code == 1000
            await gone.wait()
            await until(lambda: not any(ref() for ref in left))
        finally:
            gc.enable()


async def test_a_session_can_be_asked_and_refuses_after_its_end() -> None:
    app, sessions = VoiceApp(), list[CallSession]()

    @app.on_disconnect
    async def disconnected(session: CallSession) -> None:
        sessions.append(session)

    async with a_call(app) as caller:
        await caller.says(START)
        assert (await caller.closes()).code == 1000
        await until(lambda: sessions and app.stats.connections == 0)
    (session,) = sessions
    assert (session.dropped_media, session.abandoned_handlers) == (0, 0)
    assert session.stream_id == "s"
    assert session.ended is not None
    with pytest.raises(SessionClosedError):
        session.speak("anybody?")
    with pytest.raises(SessionClosedError):
        session.start_soon(anyio.sleep, 1)
