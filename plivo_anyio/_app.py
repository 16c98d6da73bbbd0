"""VoiceApp: handlers by decorator, served on asyncio or trio."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast, overload

import anyio
from anyio.abc import SocketListener, SocketStream, TaskStatus
from anyio.streams.stapled import MultiListener

from plivo_anyio._barrier import stopped
from plivo_anyio._logging import configure_from_environment, logger
from plivo_anyio._registry import AnyHandler, Registry, class_key, is_async
from plivo_anyio._server import Server, bound_address
from plivo_anyio._session import CallSession
from plivo_anyio._tools import TypedTool, check_tool_options, name_of
from plivo_core import ConfigError, Limits, Request, Timings

__all__ = ["VoiceApp"]

E = TypeVar("E")
R = TypeVar("R")
H = TypeVar("H", bound=AnyHandler)


class VoiceApp:
    """A voice agent: register handlers, then :meth:`run` it or ``await`` :meth:`serve`.

    Handlers are ``async def handler(session, event)``, or plain ``def``: the sync handlers of a
    call share one thread. ``limits`` and ``timings`` bound what a peer
    can make us hold and wait for; ``authorize`` sees the upgrade request before the 101 and refuses
    it (403) by returning False.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        timings: Timings | None = None,
        authorize: Callable[[Request], Awaitable[bool]] | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._timings = timings or Timings()
        if authorize is not None and not is_async(authorize):
            raise ConfigError("authorize is not async", hint="write it as 'async def'")
        self._authorize = authorize
        self._registry = Registry()
        self._typed_tools: dict[str, TypedTool] = {}

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

    # -- serving -------------------------------------------------------------------------------

    async def serve(
        self,
        host: str = "0.0.0.0",
        port: int = 9000,
        *,
        task_status: TaskStatus[tuple[str, int]] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled, inside any task group; calls in progress then get Close 1001.

        ``await tg.start(app.serve, host, 0)`` gives the (host, port) it listens on.
        """
        await self._serve(await self._listen(host, port), task_status=task_status)

    def run(self, host: str = "0.0.0.0", port: int = 9000, *, backend: str = "asyncio") -> None:
        """Serve in this thread until SIGINT or SIGTERM. ``backend`` is "asyncio" or "trio"."""
        if backend not in ("asyncio", "trio"):
            raise ConfigError(f"backend is {backend!r}", hint="use 'asyncio' or 'trio'")
        configure_from_environment()
        anyio.run(self._run, host, port, backend=backend)

    async def _listen(self, host: str, port: int) -> MultiListener[SocketStream]:
        return await anyio.create_tcp_listener(
            local_host=host, local_port=port, backlog=self._limits.backlog
        )

    async def _serve(
        self,
        bound: MultiListener[SocketStream],
        *,
        task_status: TaskStatus[tuple[str, int]] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        server = Server(
            self._registry, limits=self._limits, timings=self._timings, authorize=self._allowed
        )
        listeners = cast("Sequence[SocketListener]", bound.listeners)
        async with bound, anyio.create_task_group() as tasks:
            for listener in listeners:
                tasks.start_soon(server.accept, listener, tasks)
            address = bound_address(listeners[0])
            logger.info("listening on %s port %d", *address)
            task_status.started(address)

    async def _run(self, host: str, port: int) -> None:
        bound = await self._listen(host, port)  # outside the group, which would wrap its OSError
        async with anyio.create_task_group() as tasks:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                tasks.start_soon(self._serve, bound)
                async for number in signals:
                    logger.info("%s: closing", signal.Signals(number).name)
                    tasks.cancel_scope.cancel()
                    break

    async def _allowed(self, request: Request) -> bool:
        if self._authorize is None:
            return True
        try:
            return await self._authorize(request)
        except BaseException as error:
            if (told := stopped(error)) is None:
                raise
            logger.error("authorize failed; the upgrade is refused", exc_info=told)
            return False
