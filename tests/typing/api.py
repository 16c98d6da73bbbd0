"""The public surface as users type it. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Literal

from fastapi import WebSocket as FastAPIWebSocket
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.websockets import WebSocket as StarletteWebSocket
from typing_extensions import assert_type

from plivo_anyio import CallSession, CallStats, ServerStats, Spoken, VoiceApp
from plivo_core import (
    ClientConnection,
    Ended,
    Event,
    Fate,
    Interrupted,
    InvalidMessage,
    Pending,
    Request,
    RequestReceived,
    ServerConnection,
    UnknownEvent,
    parse_command,
    parse_event,
    serialize_event,
)
from plivo_core.audio import PCM_16K, AudioFrame
from plivo_core.commands import Command, RawCommand, Speak
from plivo_core.events import AgentEvent, Dtmf, StreamDtmf, StreamEvent, StreamMedia, ToolCall
from plivo_core.session import DigitGatherer, Digits

app = VoiceApp()


@app.on(Dtmf)
async def by_class(session: CallSession, event: Dtmf) -> None:
    assert_type(event.digit, str)
    session.speak("one")


@app.on("user.dtmf", replace=True)
async def by_name(session: CallSession, event: Dtmf) -> None:
    session.send_dtmf("1w2")


@app.tool("look")
async def look(session: CallSession, call: ToolCall) -> dict[str, object]:
    return {"order": call.arguments.get("order")}


@app.tool(schema=True, description="Find an order.")
async def find(session: CallSession, order_id: str, limit: int = 5) -> dict[str, object]:
    event = await session.wait_for(Dtmf, timeout=1, match=lambda event: event.digit == "1")
    assert_type(event, Dtmf)
    assert_type(await session.wait_for("x.y"), Any)
    async for frame in session.audio(PCM_16K):
        assert_type(frame, AudioFrame)
    assert_type(session.stats, CallStats)
    assert_type(session.stats.pending, Pending)
    assert_type(await session.gather_digits(4, finish_on="", source=StreamDtmf), Digits)
    session.start_soon(by_class, session, event, name="again")
    return {"order": order_id, "limit": limit}


async def speaks(session: CallSession, chunks: AsyncIterator[bytes]) -> None:
    assert_type(await session.say_audio(chunks, PCM_16K, lead_ms=100), Spoken)
    assert_type(await session.say_audio([b"", bytearray()]), Spoken)
    assert_type((await session.play_file("a.wav")).fate, Fate | None)
    assert_type(await session.send_audio(memoryview(b"")), bool)
    assert_type(await session.wait_played("a"), Fate)
    assert_type(await session.hangup_after_playback(timeout=3), Fate | None)
    assert_type(session.interrupt(), Interrupted)
    await session.say_audio("text")  # type: ignore[arg-type]


assert_type(app.tools, list[dict[str, object]])
still_typed: Callable[[CallSession, Dtmf], Coroutine[Any, Any, None]] = by_class


@app.on(StreamMedia)  # type: ignore[arg-type]
async def wrong_event(session: CallSession, event: Dtmf) -> None:
    """A handler of another event's class is refused by the type checker."""


@app.http("/page", methods=("GET", "POST"))
async def page(request: Request) -> str:
    return request.path


@app.http("/sync")
def sync_page(request: Request) -> bytes | None:
    return None


@app.http("/wrong")  # type: ignore[type-var]
async def wrong_page(request: Request) -> int:
    """A handler that returns what no answer can be made of is refused by the type checker."""
    return 7


assert_type(app.stats, ServerStats)
app.mount(VoiceApp(path="/other"))
site = Starlette(routes=[Mount("/voice", app=app.asgi)], lifespan=app.asgi.lifespan)
site.mount("/other", app.asgi_app(health="/healthz", drain_timeout=5.0))


async def route(websocket: StarletteWebSocket, same: FastAPIWebSocket) -> None:
    await app.handle_starlette(websocket)
    await app.handle_fastapi(same)


def embed(conn: ServerConnection, data: bytes, now: float) -> None:
    conn.receive_data(data, now=now)
    while (event := conn.next_event()) is not None:
        assert_type(event, RequestReceived | Event)
        if isinstance(event, RequestReceived):
            conn.accept(now=now)
        elif isinstance(event, Ended):
            assert_type(event.code, int)
    conn.send(Speak("hello"), now=now)
    assert_type(conn.data_to_send(), bytes)
    assert_type(conn.deadline(), float | None)


def gather(gatherer: DigitGatherer, event: Event, now: float) -> None:
    gatherer.receive(event, now)
    if (result := gatherer.result) is not None:
        assert_type(result, Digits)
        assert_type(result.reason, Literal["complete", "finish_key", "timeout", "ended"])
    assert_type(gatherer.deadline(), float | None)


def parse(text: str, client: ClientConnection) -> None:
    event = parse_event(text)
    assert_type(event, AgentEvent | StreamEvent | UnknownEvent | InvalidMessage)
    if not isinstance(event, InvalidMessage):
        assert_type(serialize_event(event), dict[str, object])
        client.send(event, now=0.0)
    assert_type(parse_command(text), Command | InvalidMessage)
    RawCommand({"type": "custom.thing"})
