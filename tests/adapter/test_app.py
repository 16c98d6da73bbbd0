"""Registration, authorize, the accept loop and the process around it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import Any

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._logging import configure_from_environment
from plivo_core import ConfigError, Ended, InvalidMessage, Limits, Rejected, Request, Timings
from plivo_core.commands import Speak
from plivo_core.events import Dtmf, ToolCall, UnknownEvent
from tests.adapter._caller import PATIENCE, a_call, all_texts, calling, fail_to_accept, serving


async def handler(*arguments: object) -> None:
    """Any handler."""


def test_a_second_handler_of_an_event_is_an_error_unless_it_replaces() -> None:
    app = VoiceApp()
    app.on("user.dtmf")(handler)
    with pytest.raises(ConfigError, match=r"user\.dtmf.*replace=True"):
        app.on(Dtmf)(handler)
    app.on(Dtmf, replace=True)(handler)
    app.tool("look")(handler)
    with pytest.raises(ConfigError, match="look"):
        app.tool("look")(handler)
    app.tool("look", replace=True)(handler)
    for register in (app.on_event, app.on_connect, app.on_disconnect, app.on_handler_error):
        register(handler)
        with pytest.raises(ConfigError, match="already"):
            register(handler)


def test_what_is_no_function_is_refused_where_it_is_registered() -> None:
    app = VoiceApp()
    no_function: Any = "handler"
    for register in (
        app.on("user.dtmf"),
        app.tool("look"),
        app.on_event,
        app.on_connect,
        app.on_disconnect,
        app.on_handler_error,
    ):
        with pytest.raises(ConfigError, match="'handler' is not a function"):
            register(no_function)


def test_a_sync_authorize_is_refused() -> None:
    def sync(request: Request) -> Any:
        """Not a coroutine function."""

    with pytest.raises(ConfigError, match="async"):
        VoiceApp(authorize=sync)


def test_an_object_with_an_async_call_is_a_handler() -> None:
    class Answering:
        async def __call__(self, session: CallSession, event: Dtmf) -> None:
            """Fine."""

    VoiceApp().on(Dtmf)(Answering())


def test_only_events_can_be_handled_by_class() -> None:
    with pytest.raises(ConfigError, match="on_disconnect"):
        VoiceApp().on(Ended)
    with pytest.raises(ConfigError, match="int is not an event"):
        VoiceApp().on(int)


def test_run_refuses_an_unknown_backend() -> None:
    with pytest.raises(ConfigError, match="curio"):
        VoiceApp().run("127.0.0.1", 0, backend="curio")


@pytest.mark.anyio
async def test_handlers_are_found_by_class_by_name_and_for_events_nobody_knows() -> None:
    app = VoiceApp()

    @app.on(InvalidMessage)
    async def invalid(session: CallSession, event: InvalidMessage) -> None:
        session.speak(event.reason)

    @app.on("user.mood_changed")
    async def mood(session: CallSession, event: UnknownEvent) -> None:
        session.speak(str(event["mood"]))

    @app.on(UnknownEvent)
    async def unknown(session: CallSession, event: UnknownEvent) -> None:
        session.speak(f"what is {event.type}?")

    async with a_call(app) as caller:
        await caller.says("[1]", UnknownEvent(type="user.mood_changed", mood="happy"))
        await caller.says(UnknownEvent(type="user.left"))
        assert await caller.receives() == Speak("not_an_object")
        assert await caller.receives() == Speak("happy")
        assert await caller.receives() == Speak("what is user.left?")


@pytest.mark.anyio
async def test_the_session_shows_who_is_calling_and_keeps_the_apps_data() -> None:
    app = VoiceApp()

    @app.on_connect
    async def connected(session: CallSession) -> None:
        session.data["tenant"] = session.request.query

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        known = (session.call_uuid, session.agent_session_id, session.stream_id, session.account_id)
        assert session.media_format is not None
        facts = [
            *known,
            session.media_format.sample_rate,
            session.extra_headers,
            session.state.value,
        ]
        session.speak(f"{session.request.path} {session.data['tenant']} {facts}")
        assert "call_uuid='c'" in repr(session)
        assert session.playback.pending == ()

    async with serving(app) as port, calling(port, target="/calls?tenant=42") as caller:
        await caller.says('{"type":"session.started","agent_session_id":"a","call_id":"c"}')
        await caller.says(
            '{"event":"start","start":{"streamId":"s","accountId":"MA","mediaFormat":'
            '{"encoding":"audio/x-mulaw","sampleRate":8000}},"extra_headers":"k=v"}'
        )
        await caller.says(Dtmf(digit="1"))
        facts = "['c', 'a', 's', 'MA', 8000, {'k': 'v'}, 'active']"
        assert await caller.receives() == Speak(f"/calls tenant=42 {facts}")


@pytest.mark.anyio
async def test_a_session_closed_by_the_app_flushes_and_tells_1000() -> None:
    app, ended, gone = VoiceApp(), list[Ended | None](), anyio.Event()

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak("bye")
        session.close(4000, "enough")

    @app.on_disconnect
    async def disconnected(session: CallSession) -> None:
        ended.append(session.ended)
        gone.set()

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"))
        commands, end = await caller.ends()
        with anyio.fail_after(PATIENCE):
            await gone.wait()
    assert commands == [Speak("bye")]
    assert (end.code, end.reason) == (4000, "enough")
    assert [(end.initiator, end.cause, end.code) for end in ended if end] == [
        ("local", "close", 4000)
    ]


@pytest.mark.anyio
async def test_authorize_sees_the_request_and_may_refuse_before_the_101() -> None:
    async def authorize(request: Request) -> bool:
        if request.path == "/broken":
            raise RuntimeError("no database")
        if request.path == "/slow":
            await anyio.sleep_forever()
        return request.query == "key=1"

    app = VoiceApp(authorize=authorize, timings=Timings(handshake=0.2))
    async with serving(app) as port:
        for target in ("/?key=2", "/broken?key=1", "/slow?key=1"):
            async with calling(port, target=target, upgraded=False) as caller:
                refused = await caller.receives()
                assert isinstance(refused, Rejected)
                assert refused.response.status == 403
        async with calling(port, target="/?key=1") as caller:
            assert (await caller.closes()).code == 1000


@pytest.mark.anyio
@pytest.mark.parametrize("limits", [Limits(max_connections=1), Limits(max_half_open=1)])
async def test_a_connection_too_many_gets_503_and_the_others_go_on(limits: Limits) -> None:
    app = VoiceApp(limits=limits)

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak(event.digit)

    async with serving(app) as port, await anyio.connect_tcp("127.0.0.1", port) as first:
        if limits.max_connections == 1:
            await first.send(b"GET / HTTP/1.1\r\nHost: x\r\n")  # it counts, finished or not
        async with await anyio.connect_tcp("127.0.0.1", port) as second:
            answer = b""
            with anyio.fail_after(PATIENCE):
                try:
                    while True:
                        answer += await second.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"connection: close" in answer
        await first.aclose()
        with anyio.fail_after(PATIENCE):  # the place is free again
            while True:
                async with calling(port, upgraded=False) as caller:
                    if not isinstance(await caller.receives(), Rejected):
                        await caller.says(Dtmf(digit="1"))
                        assert await caller.receives() == Speak("1")
                        break


@pytest.mark.anyio
async def test_running_out_of_file_descriptors_is_a_pause_and_other_errors_are_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [OSError(errno.EMFILE, "too many open files")]
    fail_to_accept(monkeypatch, failures)
    async with a_call(VoiceApp()) as caller:
        assert (await caller.closes()).code == 1000
    assert failures == []
    failures.append(OSError(errno.EINVAL, "not a pause"))
    with pytest.raises(BaseException) as caught, anyio.fail_after(PATIENCE):  # noqa: PT011
        async with serving(VoiceApp()) as port, await anyio.connect_tcp("127.0.0.1", port):
            await anyio.sleep_forever()
    assert "not a pause" in all_texts(caught.value)


@pytest.mark.anyio
async def test_a_bug_of_ours_ends_one_connection_and_not_the_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app, ended = VoiceApp(), list[Ended | None]()

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        ended.append(session.ended)

    async with serving(app) as port, calling(port) as other, calling(port) as caller:
        from plivo_anyio._lanes import Lanes

        with monkeypatch.context() as patched:
            patched.setattr(Lanes, "put", lambda *arguments: 1 / 0)
            await caller.says(Dtmf(digit="1"))
            _, end = await caller.ends()
        assert end.code == 1011
        await other.says(ToolCall(id="t", name="x"))
        await other.receives()
        assert (await other.closes()).code == 1000
    assert "a connection failed" in caplog.text
    assert len(ended) == 2


def test_plivo_log_shows_the_log_and_refuses_words_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLIVO_LOG", "")
    configure_from_environment()
    monkeypatch.setenv("PLIVO_LOG", "loud")
    with pytest.raises(ConfigError, match="loud"):
        configure_from_environment()
    run = subprocess.run(
        [sys.executable, "-m", "plivo_anyio", "demo", "--json"],
        env={**os.environ, "PLIVO_LOG": "info"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0
    assert "INFO plivo_anyio: listening on 127.0.0.1 port" in run.stderr


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_cleanly_on_a_signal(backend: str, number: signal.Signals) -> None:
    program = (
        "from plivo_anyio import VoiceApp\n"
        f"VoiceApp().run('127.0.0.1', 0, backend={backend!r})\n"
        "print('clean')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PLIVO_LOG": "info"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "listening" in process.stderr.readline()
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "clean\n"), errors
