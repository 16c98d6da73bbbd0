"""The drivers of the one core, each served from a thread of its own: one `react` for all of them.

A :class:`Server` records what the application saw, per call, so that a test can wait for it.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import uvicorn
from anyio.abc import SocketStream
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import Mount

from examples import embed_asyncio_protocol, embed_selectors
from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._server import Server as VoiceServer
from plivo_anyio._transport import StreamIO, StreamTransport
from plivo_core import Ended, Event, Limits, SessionClosedError, SessionCommands, Timings
from plivo_core.events import Dtmf, StreamMedia, ToolCall
from tests.adapter._tls import server_context
from tests.scenarios._peer import PATIENCE, TLS

__all__ = [
    "ASGI_DRIVERS",
    "DRIVERS",
    "FOR_MESSAGES",
    "WITHOUT_HALF_CLOSE",
    "Call",
    "React",
    "Server",
    "agent",
    "any_stream",
    "run_server",
]

React = Callable[[Any, Event], None]


def agent(session: SessionCommands, event: Event) -> None:
    """What most scenarios run: the same as the examples' own `react`."""
    if isinstance(event, StreamMedia):
        session.send_media(event.payload)
    elif isinstance(event, Dtmf):
        session.speak(f"You pressed {event.digit}.")
    elif isinstance(event, ToolCall):
        session.send_tool_result(event.id, {"echo": event.arguments})


class Call:
    """What the application saw of one call."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.events: list[Event] = []

    @property
    def endings(self) -> list[Ended]:
        return [event for event in self.events if isinstance(event, Ended)]

    def seen(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Server:
    """A server under test: its port, and what its application saw."""

    def __init__(self, react: React) -> None:
        self.port = 0
        self.calls: list[Call] = []
        self.errors: list[Exception] = []
        self._react = react
        self._by_session: dict[int, Call] = {}
        self._changed = threading.Condition()

    # -- the application's side ----------------------------------------------------------------

    def react(self, session: Any, event: Event) -> None:
        with self._changed:
            call = self._by_session.get(id(session))
            if call is None:  # `call` keeps the session, so that no id is used twice
                call = self._by_session[id(session)] = Call(session)
                self.calls.append(call)
            call.events.append(event)
            self._changed.notify_all()
        try:
            self._react(session, event)
        except Exception as error:
            self.failed(error)
            raise

    def failed(self, error: Exception) -> None:
        with self._changed:
            if not any(error is known for known in self.errors):
                self.errors.append(error)
            self._changed.notify_all()

    # -- the test's side -----------------------------------------------------------------------

    def wait(self, condition: Callable[[], Any]) -> Any:
        """The value of `condition` once it is true."""
        with self._changed:
            value = self._changed.wait_for(condition, PATIENCE)
            assert value, f"waited in vain; seen: {[call.events for call in self.calls]}"
            return value

    def call(self, number: int = 0) -> Call:
        """The call that was the `number`-th to show an event."""
        self.wait(lambda: len(self.calls) > number)
        return self.calls[number]

    def ended(self, number: int = 0) -> Ended:
        """How a call ended; its end was told once and last."""
        call = self.call(number)
        self.wait(lambda: call.endings)
        assert len(call.endings) == 1
        assert call.events[-1] is call.endings[0]
        return call.endings[0]

    def seen(self, kind: type[Any], number: int = 0) -> Any:
        """The first event of `kind` in a call, once it has come."""
        return self.wait(lambda: len(self.calls) > number and self.calls[number].seen(kind))[0]


Driver = Callable[[Server, Limits, Timings], AbstractContextManager[None]]


def _record(app: VoiceApp, server: Server, *, sync: bool = False) -> None:
    """Let handlers of one kind or the other tell the server under test what they see."""

    def seen(session: CallSession, event: Event) -> None:
        server.react(session, event)

    def over(session: CallSession) -> None:
        assert session.ended is not None
        server.react(session, session.ended)

    def failed(session: CallSession, event: Event, error: Exception) -> None:
        server.failed(error)

    def of_kind(function: Callable[..., None]) -> Callable[..., object]:
        async def handler(*args: Any) -> None:
            function(*args)

        return function if sync else handler

    app.on_event(of_kind(seen))
    app.on_disconnect(of_kind(over))
    app.on_handler_error(of_kind(failed))


async def any_stream(
    self: VoiceServer, connection: socket.socket, accepted_at: float
) -> StreamTransport:
    """In place of Server._transport: the way of any byte stream, over plain TCP."""
    self._keep_little_unsent(connection)
    stream = StreamIO(await SocketStream.from_socket(connection))
    return StreamTransport(stream, self._backend, read_size=self._limits.read_size)


def _anyio(backend: str, *, tls: bool = False, stream: bool = False, sync: bool = False) -> Driver:
    @contextmanager
    def run(server: Server, limits: Limits, timings: Timings) -> Iterator[None]:
        app = VoiceApp(limits=limits, timings=timings)
        _record(app, server, sync=sync)
        with (
            pytest.MonkeyPatch.context() as patch,
            start_blocking_portal(backend=backend) as portal,
        ):
            if stream:
                patch.setattr(VoiceServer, "_transport", any_stream)
            serve = functools.partial(app.serve, ssl=server_context() if tls else None)
            serving, (_, server.port) = portal.start_task(serve, "127.0.0.1", 0)
            if tls:
                TLS.add(server.port)
            yield
            TLS.discard(server.port)
            assert not serving.done(), "the server died"
            serving.cancel()

    return run


@contextmanager
def _selectors(server: Server, limits: Limits, timings: Timings) -> Iterator[None]:
    stopper, stop = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, stop:
        server.port = listener.getsockname()[1]
        bounds = {"limits": limits, "timings": timings}
        arguments = (listener, server.react, stop)
        thread = threading.Thread(
            target=embed_selectors.serve, args=arguments, kwargs=bounds, daemon=True
        )
        thread.start()
        with stopper:
            yield
            assert thread.is_alive(), "the server died"
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def _asyncio_protocol(server: Server, limits: Limits, timings: Timings) -> Iterator[None]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        start_blocking_portal(backend="asyncio") as portal,
    ):
        server.port = listener.getsockname()[1]
        serve = embed_asyncio_protocol.serve(listener, server.react, limits=limits, timings=timings)

        async def run() -> None:
            asyncio.get_running_loop().set_exception_handler(
                lambda loop, context: server.failed(context.get("exception", Exception(context)))
            )
            await serve

        serving = portal.start_task_soon(run)
        yield
        assert not serving.done(), "the server died"
        serving.cancel()


def _asgi(framework: str, *, sync: bool = False) -> Driver:
    """Behind uvicorn: mounted in Starlette, or handed over by a route of FastAPI."""

    @contextmanager
    def run(server: Server, limits: Limits, timings: Timings) -> Iterator[None]:
        voice = VoiceApp(limits=limits, timings=timings)
        _record(voice, server, sync=sync)
        application: Starlette | FastAPI
        if framework == "starlette":
            application = Starlette(
                routes=[Mount("/", app=voice.asgi)], lifespan=voice.asgi.lifespan
            )
        else:
            application = FastAPI(lifespan=voice.asgi.lifespan)

            @application.websocket("/{anywhere:path}")
            async def call(websocket: WebSocket) -> None:
                await voice.handle_fastapi(websocket)

        config = uvicorn.Config(application, lifespan="on", log_config=None, ws="auto")
        behind = uvicorn.Server(config)
        with (
            socket.create_server(("127.0.0.1", 0), backlog=512) as listener,
            start_blocking_portal(backend="asyncio") as portal,
        ):
            server.port = listener.getsockname()[1]
            serving = portal.start_task_soon(behind.serve, [listener])
            yield
            assert not serving.done(), "the server died"
            behind.should_exit = True
            serving.result(PATIENCE)
            assert voice.stats.calls == voice.stats.connections == 0

    return run


# Those whose peer cannot end its own direction only: Python's TLS client cannot.
WITHOUT_HALF_CLOSE = {"anyio-asyncio-tls", "anyio-trio-tls"}
# Below the handlers these are the same as native-asyncio and sockets-trio.
FOR_MESSAGES = {"sync-asyncio", "sync-trio"}

DRIVERS: dict[str, Driver] = {  # of all scenarios
    "native-asyncio": _anyio("asyncio"),
    "sockets-trio": _anyio("trio"),
    "anyio-asyncio": _anyio("asyncio", stream=True),
    "anyio-trio": _anyio("trio", stream=True),
    "anyio-asyncio-tls": _anyio("asyncio", tls=True),
    "anyio-trio-tls": _anyio("trio", tls=True),
    "sync-asyncio": _anyio("asyncio", sync=True),
    "sync-trio": _anyio("trio", sync=True),
    "selectors": _selectors,
    "asyncio-protocol": _asyncio_protocol,
}
ASGI_DRIVERS: dict[str, Driver] = {  # of those about messages: the bytes are the server's
    "asgi-starlette": _asgi("starlette"),
    "asgi-starlette-sync": _asgi("starlette", sync=True),
    "asgi-fastapi": _asgi("fastapi"),
    "asgi-fastapi-sync": _asgi("fastapi", sync=True),
}


@contextmanager
def run_server(
    driver: str,
    react: React = agent,
    *,
    limits: Limits | None = None,
    timings: Timings | None = None,
    expected: type[Exception] = SessionClosedError,
) -> Iterator[Server]:
    """A server on a free port of loopback; afterwards each of its calls must have ended once.

    `expected` is what the application may raise, beside SessionClosedError: a lost race.
    """
    server = Server(react)
    with {**DRIVERS, **ASGI_DRIVERS}[driver](server, limits or Limits(), timings or Timings()):
        yield server
    for number in range(len(server.calls)):
        server.ended(number)
    for error in server.errors:
        assert isinstance(error, (expected, SessionClosedError)), server.errors
