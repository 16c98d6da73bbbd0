"""The whole circle on loopback: REST, the WebSocket of the agent, signed callbacks, the session."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from plivo_anyio import (
    CallSession,
    VoiceApp,
    _platform,
    place_call,
    random_ids,
    run_scenario,
    serve_platform,
)
from plivo_anyio._fetch import NoAnswer, fetch
from plivo_anyio._platform_server import scripted_call
from plivo_core import Request, Response
from plivo_core.commands import Speak
from plivo_core.events import AgentSessionStarted, StreamStart, TurnCompleted
from plivo_core.platform import (
    CallPlaced,
    Effect,
    Emit,
    Expect,
    HangUp,
    Pause,
    PlatformApi,
    PlatformCall,
    PlatformTimings,
    Scenario,
    TargetsDialed,
    caller_says,
)
from plivo_core.webhooks import (
    AnswerCallback,
    AnswerXml,
    HangupCallback,
    MessageStatus,
    RingCallback,
    Stream,
    StreamStatus,
    WebhookVerifier,
)
from plivo_httpx_adapter import AsyncClient
from tests.platform._account import AUTH_ID, TOKENS

pytestmark = pytest.mark.anyio
PATIENCE = 10.0


def a_conversation(placed: CallPlaced) -> PlatformCall:
    """The caller asks, the agent must speak, the caller hangs up."""
    return PlatformCall(
        [
            *caller_says("Where is my order?"),
            Expect(Speak, "an answer"),
            Pause(0.1),  # until it was heard
            Emit(TurnCompleted(user_text="Where is my order?", agent_text="On its way.")),
            HangUp(),
        ],
        mode=placed.mode,
        call_uuid=placed.call_uuid,
        agent_session_id=placed.session_id or "",
        stream_id=placed.stream_id,
        seconds_per_character=0.001,
    )


@dataclass
class Application:
    """A voice app with webhooks, and what they were told."""

    url: str
    app: VoiceApp
    told: list[Any] = field(default_factory=list[Any])
    sessions: list[str] = field(default_factory=list[str])
    formats: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    def hook(self, path: str) -> dict[str, str]:
        return {"url": self.url + path, "method": "POST"}


@asynccontextmanager
async def an_application() -> AsyncIterator[Application]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        app = VoiceApp(path="/call", webhooks=WebhookVerifier(TOKENS[AUTH_ID], public_url=url))
        app.require_upgrade_signature()
        application = Application(url, app)

        @app.on(AgentSessionStarted)
        async def started(session: CallSession, event: AgentSessionStarted) -> None:
            application.sessions.append(event.agent_session_id)

        @app.on(StreamStart)
        async def streaming(session: CallSession, event: StreamStart) -> None:
            application.sessions.append(event.stream_id)
            application.formats.append((event.content_type, event.sample_rate))

        @app.on("user.transcription")
        async def asked(session: CallSession, event: Any) -> None:
            session.speak("On its way.")

        for path, kind in [("/ring", RingCallback), ("/hangup", HangupCallback)]:

            @app.webhook(path, kind, json=True)
            async def told(callback: Any) -> None:
                application.told.append(callback)

        for path, kind in [("/stream-status", StreamStatus), ("/message", MessageStatus)]:

            @app.webhook(path, kind)
            async def noted(callback: Any) -> None:
                application.told.append(callback)

        @app.webhook("/answer", AnswerCallback)
        async def answered(call: AnswerCallback) -> AnswerXml:
            return AnswerXml(Stream(url.replace("http", "ws") + "/call", bidirectional=True))

        async with anyio.create_task_group() as tasks:

            async def serve(*, task_status: Any) -> None:
                await app.serve(sock=sock.dup(), task_status=task_status)

            await tasks.start(serve)
            yield application
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def a_platform(
    make_call: Callable[[CallPlaced], PlatformCall] = scripted_call, **options: Any
) -> AsyncIterator[tuple[AsyncClient, PlatformApi]]:
    api = PlatformApi(AUTH_ID, TOKENS[AUTH_ID], ids=random_ids, timings=PlatformTimings())
    async with anyio.create_task_group() as tasks:

        async def serve(*, task_status: Any) -> None:
            await serve_platform(api, make_call=make_call, task_status=task_status, **options)

        host, port = await tasks.start(serve)
        async with AsyncClient(AUTH_ID, TOKENS[AUTH_ID], base_url=f"http://{host}:{port}") as it:
            yield it, api
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await anyio.sleep(0.005)


async def test_a_call_is_held_and_told_of() -> None:
    async with an_application() as application, a_platform(a_conversation) as (client, _):
        agent = await client.agent.agents.create(
            agent_name="Shop",
            websocket_url=application.url.replace("http", "ws") + "/call?tenant=7",
            stt={}, llm={}, tts={},
            callbacks={"ring": application.hook("/ring"), "hangup": application.hook("/hangup")},
        )  # fmt: skip
        call = await client.agent.calls.initiate(agent.agent_uuid, from_="+1", to="+14155550101")
        await until(lambda: len(application.told) == 2)
        (session,) = (await client.agent.sessions.list(call_uuid=call.call_uuid)).objects
    ring, hangup = sorted(application.told, key=lambda told: isinstance(told, HangupCallback))
    assert (ring.call_uuid, ring.to) == (call.call_uuid, "+14155550101")
    assert (hangup.call_uuid, hangup.hangup_cause) == (call.call_uuid, "Normal Hangup")
    assert application.sessions == [session.agent_session_id]
    assert (session.state, session.turn_count) == ("ended", 1)
    assert session["transcript"] == [
        {"role": "user", "content": "Where is my order?"},
        {"role": "assistant", "content": "On its way."},
    ]


async def test_a_silent_call_is_in_the_format_that_was_asked_for() -> None:
    async with an_application() as application, a_platform() as (client, _):
        address = application.url.replace("http", "ws") + "/call"
        agent = await client.agent.agents.create(
            agent_name="A", websocket_url=address, audio_format="pcm_16k"
        )
        await client.agent.calls.initiate(agent.agent_uuid, from_="+1", to="+2")
        await until(lambda: application.formats)
    assert application.formats == [("audio/x-l16", 16000)]


async def test_a_classic_call_streams_and_is_hung_up_by_rest() -> None:
    async with an_application() as application, a_platform() as (client, api):
        body = {"from": "+1", "to": "+2", "answer_url": f"{application.url}/answer"}
        op = client.account.calls._api.operation("POST", "/Call/", dict, body=body)
        fired = await client.send(op)
        assert fired["message"] == "call fired"
        await until(lambda: application.sessions)
        (call,) = api._state.calls
        streams = (await client.calls.list_streams(call.uuid)).objects
        assert [stream.stream_id for stream in streams] == application.sessions
        await client.calls.hangup(call.uuid)
        await until(lambda: call.over)
        (stream,) = (await client.calls.list_streams(call.uuid)).objects
        assert stream.status == "stopped"


async def test_a_live_agent_call_gets_a_stream_and_ends_by_rest() -> None:
    effects: list[Effect] = []
    async with (
        an_application() as application,
        a_platform(on_effect=effects.append) as (client, _),
    ):
        address = application.url.replace("http", "ws") + "/call"
        agent = await client.agent.agents.create(agent_name="A", websocket_url=address, s2s={})
        call = await client.agent.calls.initiate(agent.agent_uuid, from_="+1", to="+2")
        await until(lambda: len(application.sessions) == 1)
        started = await client.calls.start_stream(
            call.call_uuid,
            service_url=address,
            status_callback_url=f"{application.url}/stream-status",
        )
        await until(lambda: len(application.told) == 1)
        await client.agent.calls.dial(call.call_uuid, targets=[{"number": "+3"}])
        await client.calls.stop_stream(call.call_uuid, started.stream_id)
        await until(lambda: len(application.told) == 2)
        await client.calls.hangup(call.call_uuid)

        async def is_over() -> bool:
            (session,) = (await client.agent.sessions.list(call_uuid=call.call_uuid)).objects
            return session.state == "ended"

        with anyio.fail_after(PATIENCE):
            while not await is_over():  # noqa: ASYNC110 - asked over REST
                await anyio.sleep(0.01)
    assert [told.event for told in application.told] == ["StartStream", "StopStream"]
    assert any(isinstance(effect, TargetsDialed) for effect in effects)


async def test_a_messages_fate_is_told_in_time() -> None:
    async with an_application() as application, a_platform() as (client, _):
        sent = await client.messages.create(
            dst="+14155550101", src="+14155550100", text="hi", url=f"{application.url}/message"
        )
        await until(lambda: len(application.told) == 3)
        message = await client.messages.get(sent.message_uuid[0])
    # Each on a connection of its own: a busy machine may hand them over in another order.
    assert {told.status for told in application.told} == {"queued", "sent", "delivered"}
    assert message.message_state == "delivered"


@pytest.mark.parametrize(
    "address",
    ["ws://127.0.0.1:1/", "ws://agent.example.com/", "{app}/nothing", "wss://127.0.0.1:1"],
)
async def test_an_application_that_is_not_there_fails_the_call(address: str) -> None:
    async with an_application() as application, a_platform() as (client, api):
        url = address.replace("{app}", application.url.replace("http", "ws"))
        agent = await client.agent.agents.create(
            agent_name="A", websocket_url=url, callbacks={"hangup": application.hook("/hangup")}
        )
        await client.agent.calls.initiate(agent.agent_uuid, from_="+1", to="+2")
        await until(lambda: application.told)
        (call,) = api._state.calls
        assert call.over
    (hangup,) = application.told
    assert hangup.hangup_cause != "Normal Hangup"


async def test_a_callback_that_nobody_takes_is_tried_twice_and_forgotten() -> None:
    seen: list[Any] = []
    async with a_platform(on_effect=seen.append) as (client, api):
        for url in ("http://127.0.0.1:1/", "http://app.example.com/", 'https://127.0.0.1:1/"<x>'):
            await client.messages.create(dst="+1", src="+2", text="x", url=url)
        await until(lambda: len(seen) == 3 * 3 * 2)
        await until(lambda: not api._state._waiting)


# --- the client of callbacks ----------------------------------------------------------------------


@asynccontextmanager
async def a_server(*answer: bytes, wait: float = 0.0) -> AsyncIterator[str]:
    """Says these bytes to whoever connects, then closes."""

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            for piece in answer:
                await stream.send(piece)
            await anyio.sleep(wait)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def fetched(url: str) -> tuple[int, bytes]:
    found = await fetch("GET", url, connect_timeout=2, read_timeout=0.3)
    return found.status, found.body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"], (200, b"hi")),
        ([b"HTTP/1.0 404 No\r\n\r\n", b"gone"], (404, b"gone")),
        ([b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\n\r\n"], (204, b"")),
        ([b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 300_000], (200, b"x" * 102_401)),
    ],
)
async def test_an_answer_is_read(answer: list[bytes], expected: tuple[int, bytes]) -> None:
    async with a_server(*answer) as url:
        assert await fetched(url) == expected


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ([b"gibberish\r\n\r\n"], 0.0),
        ([b"HTTP/1.1 101 S\r\n\r\n"], 0.0),
        ([], 0.0),
        ([], 5.0),
        ([b"HTTP/1.1 200 OK\r\n"], 0.0),
    ],
)
async def test_what_is_no_answer_is_told_apart_from_no_connection(
    answer: list[bytes], wait: float
) -> None:
    async with a_server(*answer, wait=wait) as url:
        with pytest.raises(NoAnswer) as caught:
            await fetched(url + "?q=1")
        assert caught.value.connected
    with pytest.raises(NoAnswer) as caught:
        await fetched("http://127.0.0.1:1/")
    assert not caught.value.connected


async def test_who_hangs_up_in_the_tls_handshake_is_not_connected() -> None:
    async with a_server() as url:
        with pytest.raises(NoAnswer) as caught:
            await fetched(url.replace("http:", "https:"))
    assert not caught.value.connected


async def test_placing_a_call_at_who_hangs_up_in_the_tls_handshake_raises_oserror() -> None:
    async with a_server() as url:
        with pytest.raises(OSError, match="TLS handshake"):
            await place_call(PlatformCall(), "127.0.0.1", urlsplit(url).port or 0, tls=True)


async def test_a_scenario_does_not_wait_for_ever_for_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(*arguments: Any, **options: Any) -> Any:
        await anyio.sleep_forever()

    monkeypatch.setattr("anyio.connect_tcp", connect)
    monkeypatch.setattr(_platform, "_CONNECT", 0.05)
    scenario = Scenario.parse('[[steps]]\nhang_up = "caller_hangup"\n')
    with anyio.fail_after(5), pytest.raises(TimeoutError):
        await run_scenario(scenario, "127.0.0.1", 1)


async def test_the_request_says_what_it_should() -> None:
    app = VoiceApp(path="/call")
    seen: list[Request] = []

    @app.http("/cb", methods=("POST",))
    async def route(request: Request) -> Response:
        seen.append(request)
        return Response(status=201, body=b"ok")

    async with anyio.create_task_group() as tasks:

        async def serve(*, task_status: Any) -> None:
            await app.serve("127.0.0.1", 0, task_status=task_status)

        host, port = await tasks.start(serve)
        answer = await fetch(
            "POST",
            f"http://{host}:{port}/cb?a=1#rc=2",
            headers=(("x-note", "1"),),
            body=b"x=1",
            connect_timeout=2,
            read_timeout=2,
        )
        tasks.cancel_scope.cancel()
    assert (answer.status, answer.body) == (201, b"ok")
    (request,) = seen
    assert (request.target, request.body) == ("/cb?a=1", b"x=1")
    assert request.header("host") == f"{host}:{port}"
    assert request.header("x-note") == "1"
