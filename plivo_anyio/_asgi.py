"""VoiceApp as an ASGI application: three kinds of scope, one Driver per call.

The driver and all above it are those of our own server. Each scope is served by a task of its own:
a server that cancels its own task, outside anyio, then cancels a scope, which is what the rest
knows how to take.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio

from plivo_anyio._asgi_connection import AsgiConnection, AsgiIO, Message, Receive, Scope, Send
from plivo_anyio._asgi_http import answer_request, path_below
from plivo_anyio._backend import current_backend
from plivo_anyio._barrier import stopped
from plivo_anyio._driver import Driver
from plivo_anyio._logging import logger
from plivo_anyio._routes import plain
from plivo_anyio._site import Accept, Answers, Site, Voice
from plivo_anyio._transport import StreamTransport
from plivo_core import ConfigError, Limits, Request, RequestReceived, Response, Timings
from plivo_core.webhooks import request_from_asgi

__all__ = ["AsgiApp", "StarletteWebSocket"]


class StarletteWebSocket(Protocol):
    """What is asked of a WebSocket of Starlette, which FastAPI's is, too."""

    @property
    def scope(self) -> Scope: ...

    @property
    def client_state(self) -> Any: ...

    @property
    def application_state(self) -> Any: ...

    async def receive(self) -> Message: ...

    async def send(self, message: Message) -> None: ...


class AsgiApp:
    """``await app(scope, receive, send)``; made by :meth:`plivo_anyio.VoiceApp.asgi_app`.

    Scopes: websocket, http, and lifespan, whose shutdown drains. Nothing is raised into the server
    but its own cancellation, and ConfigError for apps that contradict each other.
    """

    def __init__(
        self,
        make_site: Callable[[], Site],
        voice: Voice,
        *,
        limits: Limits,
        timings: Timings,
        drain_timeout: float,
    ) -> None:
        self._make_site = make_site
        self._voice = voice  # of the app itself, for a WebSocket that came by another route
        self._limits = limits
        self._timings = timings
        self._drain_timeout = drain_timeout
        self._made: Site | None = None
        self._draining = False  # asked for; maybe before there was a site
        self._scopes: set[anyio.CancelScope] = set()

    # -- what a server calls -------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "websocket":
            await self._serve(functools.partial(self._call, scope, receive, send))
        elif kind == "http":
            await self._serve(functools.partial(self._request, scope, receive, send))
        elif kind == "lifespan":
            await self._live(receive, send)
        else:
            # What the specification asks of an application: a server takes it for "not supported".
            raise ConfigError(f"there is no ASGI scope {kind!r} here")

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """The lifespan for a Starlette or FastAPI that this very object is mounted in.

        Frameworks do not tell what they mount that the server stops:
        ``Starlette(..., lifespan=agent.lifespan)`` drains at the end.
        """
        self._restart()
        try:
            yield
        finally:
            await self._finish()

    async def serve_starlette(self, websocket: StarletteWebSocket) -> None:
        """See :meth:`plivo_anyio.VoiceApp.handle_starlette`."""
        client, ours = websocket.client_state.name, websocket.application_state.name
        if client == "DISCONNECTED" or ours not in ("CONNECTING", "CONNECTED"):
            return  # a lost race: the client left, or a middleware refused it
        await self._serve(
            functools.partial(
                self._call,
                websocket.scope,
                websocket.receive,
                websocket.send,
                connected=client != "CONNECTING",
                accepted=ours == "CONNECTED",
                voice=self._voice,
            )
        )

    def drain(self) -> None:
        """Refuse what is new. Idempotent."""
        self._draining = True
        if self._made is not None:
            self._close(self._made)

    # -- scopes --------------------------------------------------------------------------------

    @property
    def _site(self) -> Site:
        # As late as can be: handlers, routes and apps may be added after `app.asgi` was passed on.
        if self._made is None:
            self._made = self._make_site()
            if self._draining:
                self._close(self._made)
        return self._made

    def _close(self, site: Site) -> None:
        if not site.draining:
            site.draining = True
            site.counters.draining += 1

    async def _serve(self, serve: Callable[[Site], Awaitable[None]]) -> None:
        """Run ``serve`` where cancellation is anyio's, with a barrier round it."""
        site = self._site  # raises what is wrong with the apps where it can be seen
        scope: anyio.CancelScope | None = None
        site.counters.connections += 1
        try:
            async with anyio.create_task_group() as tasks:
                scope = tasks.cancel_scope
                self._scopes.add(scope)
                tasks.start_soon(_barred, serve, site)
        finally:
            if scope is not None:
                self._scopes.discard(scope)
            site.counters.connections -= 1

    async def _call(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        site: Site,
        *,
        connected: bool = False,
        accepted: bool = False,
        voice: Voice | None = None,
    ) -> None:
        backend = current_backend()
        request = request_from_asgi(scope)
        answers: Answers
        if voice is None:
            answers = functools.partial(site.answer_at, path_below(scope, request))
        else:
            answers = functools.partial(site.answer_call, voice)
        io = AsgiIO(receive, send, connected=connected, patience=self._timings.error_linger)
        conn = AsgiConnection(
            request,
            accepted=accepted,
            can_refuse="websocket.http.response" in (scope.get("extensions") or ()),
            now=backend.clock(),
            limits=self._limits,
            timings=self._timings,
        )
        await Driver(
            StreamTransport(io, backend, read_size=self._limits.read_size),
            conn,
            site=site,
            answers=answers,
            peer=_peer_of(scope),
            on_request=_nothing,
            backend=backend,
            refusal=self._refusal(site),
        ).run()

    async def _request(self, scope: Scope, receive: Receive, send: Send, site: Site) -> None:
        async def answer(request: Request) -> Response:
            if (refusal := self._refusal(site)) is not None:
                return refusal
            event = RequestReceived(request, upgrade=False)
            verdict = await site.answer_at(path_below(scope, request), event, _peer_of(scope))
            assert not isinstance(verdict, Accept), "only upgrades are accepted"
            return verdict

        await answer_request(
            scope, receive, send, answer, limits=self._limits, timings=self._timings
        )

    def _refusal(self, site: Site) -> Response | None:
        if site.counters.connections <= self._limits.max_connections:
            return None
        site.counters.refused += 1
        logger.warning("refused a connection: %d are open", site.counters.connections - 1)
        return plain(503, "too many calls")

    # -- lifespan ------------------------------------------------------------------------------

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._restart()
        except ConfigError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._finish()
        await send({"type": "lifespan.shutdown.complete"})

    def _restart(self) -> None:
        """Begin anew: one app may be started many times, by tests for example."""
        self._draining = False
        if (before := self._site).draining:
            before.counters.draining -= 1
            self._made = self._make_site()

    async def _finish(self) -> None:
        """What SIGTERM does to our own server, but for the port, which is not ours."""
        self.drain()
        site = self._site
        with anyio.move_on_after(self._drain_timeout) as patience:
            await site.wait_idle()
        if patience.cancelled_caught:
            left = site.counters.snapshot().calls
            logger.warning("%s s are over: %d calls are cut", self._drain_timeout, left)
            for scope in tuple(self._scopes):
                scope.cancel()
            await site.wait_idle()  # a goodbye and on_disconnect, which are bounded


async def _barred(serve: Callable[[Site], Awaitable[None]], site: Site) -> None:
    try:
        await serve(site)
    except BaseException as error:
        if (told := stopped(error)) is None:
            raise
        logger.error("a connection failed", exc_info=told)


def _peer_of(scope: Scope) -> str | None:
    client = scope.get("client")
    return str(client[0]) if client else None


def _nothing() -> None:
    """No head is half read here."""
