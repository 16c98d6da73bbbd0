"""VoiceApp: handlers by decorator, served on asyncio or trio."""

from __future__ import annotations

import functools
import os
import signal
import socket
import ssl as ssl_module
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar, overload

import anyio
from anyio.abc import TaskStatus

from plivo_anyio._asgi import AsgiApp, StarletteWebSocket
from plivo_anyio._listening import Listener, Where
from plivo_anyio._logging import configure_from_environment, logger
from plivo_anyio._registration import WebhookRegistration
from plivo_anyio._registry import AnyHandler, Registry, class_key, is_async
from plivo_anyio._routes import HttpHandler, Route, Routes, RoutesAnswer, check_path
from plivo_anyio._server import Server
from plivo_anyio._session import CallSession
from plivo_anyio._site import Authorize, Site, Voice
from plivo_anyio._stats import Counters, ServerStats
from plivo_anyio._tls import check_context
from plivo_anyio._tools import TypedTool, check_tool_options, name_of
from plivo_anyio._upgrades import UpgradeChecks, warn_if_open
from plivo_anyio._webhooks import Webhooks, start_gates
from plivo_core import ConfigError, Limits, Timings
from plivo_core.webhooks import ReplayGuard, WebhookVerifier

__all__ = ["VoiceApp"]

E = TypeVar("E")
R = TypeVar("R")
H = TypeVar("H", bound=AnyHandler)
F = TypeVar("F", bound=HttpHandler)

# Long enough for a caller to finish a sentence and hear the answer; not for every call to end.
_DRAIN_TIMEOUT = 60.0
_STALL_WARNING = 0.1  # a gap in the audio of this length is heard


class VoiceApp(WebhookRegistration):
    """A voice agent: register handlers, then :meth:`run` it or ``await`` :meth:`serve`.

    Handlers are ``async def handler(session, event)``, or plain ``def``: the sync handlers of a
    call share one thread. ``path`` is where calls arrive, compared exactly; without it, everywhere.
    ``limits`` and ``timings`` bound what a peer can make us hold and wait for; ``authorize`` sees
    the upgrade request before the 101 and refuses it (403) by returning False. An upgrade with an
    ``Origin``, a browser's, is refused unless that is one of ``allowed_origins``.

    ``webhooks`` verifies the requests of :meth:`webhook`, by default with PLIVO_AUTH_TOKEN and
    PLIVO_PUBLIC_URL; ``replay_guard`` remembers their nonces, by default in this process.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        limits: Limits | None = None,
        timings: Timings | None = None,
        authorize: Authorize | None = None,
        allowed_origins: Collection[str] = (),
        webhooks: WebhookVerifier | None = None,
        replay_guard: ReplayGuard | None = None,
    ) -> None:
        self._path = None if path is None else check_path(path, "path")
        self._own_bounds = (limits, timings)
        self._limits = limits or Limits()
        self._timings = timings or Timings()
        if authorize is not None and not is_async(authorize):
            raise ConfigError("authorize is not async", hint="write it as 'async def'")
        self._webhooks = Webhooks(webhooks, replay_guard, self._limits, self._timings)
        self._upgrades = UpgradeChecks(authorize, allowed_origins, self._webhooks)
        self._registry = Registry()
        self._typed_tools: dict[str, TypedTool] = {}
        self._routes = Routes()
        self._mounted: list[VoiceApp] = []
        self._counters = Counters()
        self._servers: set[Server | AsgiApp] = set()
        self._asgi = self.asgi_app()

    # -- registration --------------------------------------------------------------------------

    @overload
    def on(
        self, event: type[E], *, replace: bool = False
    ) -> Callable[[Callable[[CallSession, E], R]], Callable[[CallSession, E], R]]: ...

    @overload
    def on(self, event: str, *, replace: bool = False) -> Callable[[H], H]: ...

    def on(self, event: str | type[Any], *, replace: bool = False) -> Callable[[Any], Any]:
        """Handle one kind of event: its wire name (``"user.dtmf"``) or its class (``Dtmf``).

        A wire name may be one this version does not know; the handler then gets an UnknownEvent.
        ``UnknownEvent`` itself catches the unknown ones that have no handler of their own. Raises
        ConfigError for a class that is no event, for a handler that is no function, and for a
        second one of the same event unless ``replace``.
        """
        key = event if isinstance(event, str) else class_key(event)

        def register(handler: Any) -> Any:
            self._registry.add(key, handler, replace=replace)
            return handler

        return register

    def tool(
        self,
        name: str | None = None,
        *,
        schema: bool = False,
        description: str | None = None,
        ordered: bool = False,
        replace: bool = False,
    ) -> Callable[[H], H]:
        """Answer one tool: ``async def handler(session, call)`` with ``call.arguments``.

        What it returns is the tool's result, unless it is None or the handler sent one itself. An
        exception, or ``Timings.tool_call`` seconds, become a tool.error without the exception's
        text. Each call runs in a task of its own; ``ordered`` keeps it in the control lane instead.
        Without ``name`` the tool is called as its handler is.

        ``schema`` takes the arguments by name, ``async def handler(session, order_id: str)``, and
        makes an entry of :attr:`tools` from the type hints and the docstring (or ``description``).
        Arguments that do not fit never reach the handler: the model is told what was expected.
        Raises ConfigError for a hint that JSON Schema cannot say.
        """
        check_tool_options(name, schema=schema, description=description)

        def register(handler: H) -> H:
            called = name_of(handler) if name is None else name
            typed = TypedTool(called, handler, description=description) if schema else None
            self._registry.add_tool(
                called,
                handler if typed is None else typed.handler(),
                ordered=ordered,
                replace=replace,
            )
            self._typed_tools.pop(called, None)  # of the handler that this one replaces
            if typed is not None:
                self._typed_tools[called] = typed
            return handler

        return register

    @property
    def tools(self) -> list[dict[str, object]]:
        """The tools registered with ``schema=True``, for ``llm.tools`` of the agent; new each time.

        Each is ``{"name", "description", "parameters"}`` (PROTOCOL.md 5.3).
        """
        return [tool.definition for tool in self._typed_tools.values()]

    def on_event(self, handler: H) -> H:
        """Catch-all: runs before the handler of the same event, in the same lane."""
        self._registry.set_catch_all(handler)
        return handler

    def on_connect(self, handler: H) -> H:
        """``async def handler(session)``: the call was accepted. Runs before all other handlers."""
        self._registry.set_connect(handler)
        return handler

    def on_disconnect(self, handler: H) -> H:
        """``async def handler(session)``: the call is over; runs last, once, whatever ended it."""
        self._registry.set_disconnect(handler)
        return handler

    def on_handler_error(self, handler: H) -> H:
        """``async def handler(session, event, error)``: a handler raised, or ran too long.

        ``event`` is None for on_connect, on_disconnect and tasks of ``session.start_soon``. Without
        one, errors go to the log.
        """
        self._registry.set_handler_error(handler)
        return handler

    def http(
        self, path: str, *, methods: Sequence[str] = ("GET",), replace: bool = False
    ) -> Callable[[F], F]:
        """Answer plain HTTP requests: ``async def handler(request)``, or a sync function.

        It returns a Response, text, bytes or None (204). ``path`` is compared exactly with the path
        as sent: percent-encoded, a trailing slash is another path. HEAD is answered from GET. A
        handler that raises gives 500, one that takes over ``Timings.handler`` 504. Sync handlers
        run in threads of their own.
        """
        check_path(path, "path of a route")

        def register(handler: F) -> F:
            self._routes.add(path, methods, handler, replace=replace)
            return handler

        return register

    def mount(self, other: VoiceApp) -> None:
        """Serve another app beside this one, on the path that ``other`` was made with.

        Its handlers, ``authorize`` and routes come along. Limits and timings are this app's: a
        connection is bounded before its path is known; an ``other`` with different ones is a
        ConfigError, and so are two apps of one path.
        """
        for name, theirs, ours in zip(
            ("limits", "timings"), other._own_bounds, (self._limits, self._timings), strict=True
        ):
            if theirs is not None and theirs != ours:
                raise ConfigError(
                    f"the mounted app has {name} of its own",
                    hint=f"give {name} to the app that is served; they hold for all of its port",
                )
        if self in other._apps():
            raise ConfigError("an app was mounted on itself", hint="mount another VoiceApp")
        self._mounted.append(other)
        try:
            self._voices()
        except ConfigError:
            self._mounted.pop()
            raise

    # -- serving -------------------------------------------------------------------------------

    async def serve(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: ssl_module.SSLContext | None = None,
        uds: str | os.PathLike[str] | None = None,
        sock: socket.socket | Sequence[socket.socket] | None = None,
        reuse_port: bool = False,
        drain_timeout: float = _DRAIN_TIMEOUT,
        health: str | None = None,
        stats: str | None = None,
        stall_warning: float | None = None,
        task_status: TaskStatus[tuple[str, int]] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve inside any task group until cancelled, or until a :meth:`drain` is over.

        Cancelled, calls in progress get Close 1001. Listens on ``host`` and ``port`` (0.0.0.0 and
        9000), or on a UNIX socket ``uds``, or on ``sock``, bound already, which it closes at the
        end. ``health`` and ``stats`` are paths, ``stall_warning`` and ``drain_timeout`` seconds.
        ``await tg.start(app.serve, host, 0)`` gives the (host, port) it listens on. Raises
        ConfigError for options that contradict each other, OSError where it cannot listen.
        """
        where = Where(host=host, port=port, uds=uds, sock=sock, reuse_port=reuse_port)
        server = self._server(ssl, drain_timeout, health, stats, stall_warning)
        listeners = await where.open(self._limits.backlog)
        await self._serve(server, listeners, task_status=task_status)

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        backend: str = "asyncio",
        ssl: ssl_module.SSLContext | None = None,
        uds: str | os.PathLike[str] | None = None,
        sock: socket.socket | Sequence[socket.socket] | None = None,
        reuse_port: bool = False,
        drain_timeout: float = _DRAIN_TIMEOUT,
        health: str | None = None,
        stats: str | None = None,
        stall_warning: float | None = _STALL_WARNING,
    ) -> None:
        """Serve in this thread until SIGINT or SIGTERM; then drain. A second signal ends at once.

        ``backend`` is "asyncio" or "trio"; the other options are those of :meth:`serve`.
        """
        if backend not in ("asyncio", "trio"):
            raise ConfigError(f"backend is {backend!r}", hint="use 'asyncio' or 'trio'")
        configure_from_environment()
        where = Where(host=host, port=port, uds=uds, sock=sock, reuse_port=reuse_port)
        make = functools.partial(self._server, ssl, drain_timeout, health, stats, stall_warning)
        anyio.run(self._run, where, make, backend=backend)

    @property
    def asgi(self) -> AsgiApp:
        """This app for an ASGI server, or to be mounted in Starlette or FastAPI.

        It is :meth:`asgi_app` with its defaults. A path of an app or a route is compared with what
        is below the path of the mount; ``request.path`` is the whole.
        """
        return self._asgi

    def asgi_app(
        self,
        *,
        drain_timeout: float = _DRAIN_TIMEOUT,
        health: str | None = None,
        stats: str | None = None,
    ) -> AsgiApp:
        """The same with options, which are those of :meth:`serve`."""
        _check_drain_timeout(drain_timeout)
        made = AsgiApp(
            functools.partial(self._site, health, stats),
            Voice(self._registry, self._upgrades.admit),
            limits=self._limits,
            timings=self._timings,
            drain_timeout=drain_timeout,
        )
        self._servers.add(made)
        return made

    async def handle_starlette(self, websocket: StarletteWebSocket) -> None:
        """Serve one WebSocket of Starlette until its call is over, whatever its path.

        It is accepted if that has not been done, once ``authorize`` allows it. Refused before that
        it is answered as any upgrade is, afterwards closed with 1008 (1013 while draining). What is
        over already is left alone. Apps mounted on this one and its routes play no part.
        """
        await self._asgi.serve_starlette(websocket)

    async def handle_fastapi(self, websocket: StarletteWebSocket) -> None:
        """The same as :meth:`handle_starlette`: FastAPI's WebSocket is Starlette's."""
        await self._asgi.serve_starlette(websocket)

    def drain(self) -> None:
        """End gently: new requests get 503, and serve() returns when the last call has ended.

        What is not over after ``drain_timeout`` gets Close 1001. Behind an ASGI server only the
        refusing is ours. For the event loop's thread.
        """
        for server in self._servers:
            server.drain()

    @property
    def stats(self) -> ServerStats:
        """What this app has served by itself, mounted apps included: a snapshot."""
        return self._counters.snapshot()

    def _server(
        self,
        tls: ssl_module.SSLContext | None,
        drain_timeout: float,
        health: str | None,
        stats: str | None,
        stall_warning: float | None,
    ) -> Server:
        if tls is not None:
            check_context(tls)
        _check_drain_timeout(drain_timeout)
        if stall_warning is not None and not stall_warning > 0:
            raise ConfigError(
                f"stall_warning is {stall_warning!r}", hint="give seconds, or None for no warning"
            )
        return Server(
            self._site(health, stats),
            limits=self._limits,
            timings=self._timings,
            tls=tls,
            drain_timeout=drain_timeout,
            stall_warning=stall_warning,
        )

    def _site(self, health: str | None = None, stats: str | None = None) -> Site:
        for app in self._apps():
            start_gates(app._routes)
            app._upgrades.start()
        routes = self._all_routes()
        for name, path in (("health", health), ("stats", stats)):
            if path is not None and check_path(path, name) in routes:
                raise ConfigError(
                    f"{name} is {path!r}, which is a route of app.http, too",
                    hint="give it a path of its own",
                )
        if health is not None and health == stats:
            raise ConfigError(
                f"health and stats are both {health!r}", hint="give each a path of its own"
            )
        answers = RoutesAnswer(routes, timeout=self._timings.handler, counters=self._counters)
        return Site(
            self._voices(),
            answers,
            timings=self._timings,
            counters=self._counters,
            health=health,
            stats=stats,
        )

    def _apps(self) -> list[VoiceApp]:
        """This app and those mounted, on it or on one another."""
        return [self, *(inner for app in self._mounted for inner in app._apps())]

    def _voices(self) -> dict[str | None, Voice]:
        voices: dict[str | None, Voice] = {}
        for app in self._apps():
            if app._path in voices:
                raise ConfigError(
                    f"two apps serve {'every path' if app._path is None else repr(app._path)}",
                    hint="give each a path of its own: VoiceApp(path='/support')",
                )
            voices[app._path] = Voice(app._registry, app._upgrades.admit)
        return voices

    def _all_routes(self) -> dict[str, dict[str, Route]]:
        routes: dict[str, dict[str, Route]] = {}
        for app in self._apps():
            for path, methods in app._routes.by_path.items():
                present = routes.setdefault(path, {})
                if twice := sorted(present.keys() & methods):
                    raise ConfigError(
                        f"two apps have a route {twice[0]} {path}",
                        hint="leave one of them out, or give it another path",
                    )
                present.update(methods)
        return routes

    async def _serve(
        self,
        server: Server,
        listeners: Sequence[Listener],
        *,
        task_status: TaskStatus[tuple[str, int]] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        def started() -> None:
            for listener in listeners:
                logger.info("listening on %s port %d", *listener.address)
            warn_if_open(
                ((app._path, app._upgrades) for app in self._apps()),
                [listener.address[0] for listener in listeners],
            )
            task_status.started(listeners[0].address)

        self._servers.add(server)
        try:
            await server.serve(listeners, started)
        finally:
            self._servers.discard(server)

    async def _run(self, where: Where, make: Callable[[], Server]) -> None:
        server = make()
        # Outside the group, which would wrap its OSError.
        listeners = await where.open(self._limits.backlog)
        async with anyio.create_task_group() as tasks:

            async def serve() -> None:
                await self._serve(server, listeners)
                tasks.cancel_scope.cancel()  # the drain is over

            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                tasks.start_soon(serve)
                async for number in signals:
                    name = signal.Signals(number).name
                    if server.draining:
                        logger.info("%s: closing", name)
                        tasks.cancel_scope.cancel()
                        break
                    logger.info("%s: draining", name)
                    server.drain()


def _check_drain_timeout(drain_timeout: float) -> None:
    if not drain_timeout >= 0:
        raise ConfigError(
            f"drain_timeout is {drain_timeout!r}", hint="give seconds; 0 cuts calls at once"
        )
