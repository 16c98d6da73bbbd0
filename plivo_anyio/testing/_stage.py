"""Where agents under test are called: an event loop in its own thread, and a way to reach them.

The test stands outside and asks for one thing after the other. On a :class:`Platform` time passes
only while it asks, on a :class:`Server` always.
"""
# A test looks behind a VoiceApp and its calls.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import abc
import itertools
import secrets
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, TypeVar

import anyio
import anyio.from_thread
from anyio.abc import TaskGroup, TaskStatus

from plivo_anyio._app import VoiceApp
from plivo_anyio._backend import current_backend
from plivo_anyio._driver import Driver
from plivo_anyio._logging import logger
from plivo_anyio._registry import Handler, Registry
from plivo_anyio._session import CallSession
from plivo_anyio._site import Site
from plivo_anyio._transport import ByteIO, StreamIO, StreamTransport
from plivo_anyio.testing._call import Call, HandlerError
from plivo_anyio.testing._clock import Clock, JumpingClock, RealClock, TrioClock
from plivo_anyio.testing._line import Line
from plivo_anyio.testing._pipe import a_connection
from plivo_core import Event, ServerConnection
from plivo_core.platform import AgentSettings, CallMode
from plivo_core.platform._live import LiveScenario
from plivo_core.wire import Headers

__all__ = ["Platform", "Server", "Stage"]

S = TypeVar("S", bound="Stage")
T = TypeVar("T")
_INSTANT = 1e-6
_NAP = 0.001
_THREADS = 1.0  # seconds that a step waits for sync handlers, which work in real time
_PATIENCE = 10.0  # seconds for the application to answer an upgrade, and to end a call


class Stage(abc.ABC):
    """Calls agents and sees to it that all is over when the block is.

    ``backend`` is ``"asyncio"`` or ``"trio"``.
    """

    per_character: float

    def __init__(self, backend: str, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._exits = ExitStack()
        self._numbers = itertools.count(1)
        self._calls: list[Call] = []
        self._apps: dict[VoiceApp, list[tuple[Registry, Handler | None]]] = {}
        self.errors: list[HandlerError] = []
        """What handlers have raised and no test has asked for."""

    def __enter__(self: S) -> S:
        start = anyio.from_thread.start_blocking_portal(self._backend, self._clock.options)
        self._portal = self._exits.enter_context(start)
        self._main, self._tasks = self._portal.start_task(self._run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._exits:
            try:
                for call in self._calls:
                    call.__exit__(kind, error, traceback)
            finally:
                self._portal.call(self._clock.release)
                self._portal.call(self._tasks.cancel_scope.cancel)
                self._main.result()
                for handlers in self._apps.values():
                    for registry, handler in handlers:
                        registry.on_handler_error = handler

    def a_call(
        self,
        app: VoiceApp,
        *,
        mode: CallMode = "agent",
        target: str = "/",
        headers: Headers = (),
        settings: AgentSettings | None = None,
        content_type: str = "audio/x-mulaw",
        sample_rate: int = 8000,
    ) -> Call:
        """Call ``app``, which accepts; the first events are on their way.

        The arguments are those of :class:`~plivo_core.platform.PlatformCall`; ``target`` and
        ``headers`` are of the upgrade request. What is left of the call when the test ends is hung
        up. Raises AssertionError when the application refuses.
        """
        __tracebackhide__ = True
        scenario = LiveScenario(
            title=f"call-{next(self._numbers)}",
            mode=mode,
            settings=settings or AgentSettings(),
            content_type=content_type,
            sample_rate=sample_rate,
            seconds_per_character=self.per_character,
        )
        self.watch(app)
        line = self.do(self._dial, app, scenario, target, headers)
        call = Call(self, app, line, self.errors)
        self._calls.append(call)
        call._accepted()
        return call

    def do(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run ``function`` in the event loop while the test, and nobody else, waits."""
        __tracebackhide__ = True
        if self._main.done():
            self._main.result()  # raises what ended it
        result: T = self._portal.call(self._released, function, *args)
        return result

    def start_soon(self, function: Callable[[], Awaitable[None]]) -> None:
        """Have a task for the rest of the test. For the event loop's thread."""
        self._tasks.start_soon(function)

    def calls_of(self, app: VoiceApp) -> int:
        """How many calls of ``app`` go on."""
        return sum(call._is_on(app) for call in self._calls)

    async def _released(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        self._clock.release()
        try:
            return await function(*args)
        finally:
            self._clock.hold()

    async def _run(self, *, task_status: TaskStatus[TaskGroup]) -> None:
        async with anyio.create_task_group() as tasks:
            task_status.started(tasks)
            await self._clock.start(self._busy)
            await anyio.sleep_forever()

    def _busy(self) -> bool:
        """Whether a thread of a call is at work."""
        return False

    @abc.abstractmethod
    async def settle(self) -> None:
        """Return when everything has happened that happens now, if that can be known."""

    async def _dial(
        self, app: VoiceApp, scenario: LiveScenario, target: str, headers: Headers
    ) -> Line:
        stream, host = await self.connect(app)
        try:
            line = Line(
                scenario,
                stream,
                random_bytes=secrets.token_bytes,
                host=host,
                target=target,
                headers=tuple(headers),
            )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await stream.aclose()
            raise
        self.start_soon(line.hold)
        await line.until(lambda: line.began, _PATIENCE)
        return line

    @abc.abstractmethod
    async def connect(self, app: VoiceApp) -> tuple[ByteIO, str]:
        """A connection to ``app``, and the name of its host."""

    # -- handlers that raise -------------------------------------------------------------------

    def watch(self, app: VoiceApp) -> None:
        """Hear of what its handlers raise, before its own ``on_handler_error`` does."""
        if app not in self._apps:
            registries = [each._registry for each in app._apps()]
            self._apps[app] = [(each, each.on_handler_error) for each in registries]
            for registry in registries:
                registry.on_handler_error = self._overhear(registry.on_handler_error)

    def _overhear(self, handler: Handler | None) -> Handler:
        def note(session: CallSession, event: Event | None, error: Exception) -> None:
            self.errors.append(HandlerError(session.call_uuid, event, error))

        async def tell(session: CallSession, event: Event | None, error: Exception) -> None:
            note(session, event, error)
            if handler is None:
                logger.error("handler of %s failed", type(event).__name__, exc_info=error)
            else:
                await handler.function(session, event, error)

        def tell_in_thread(session: CallSession, event: Event | None, error: Exception) -> None:
            note(session, event, error)
            assert handler is not None
            handler.function(session, event, error)

        if handler is not None and handler.threaded:
            return Handler(tell_in_thread, True)
        return Handler(tell, False)


class Platform(Stage):
    """In this process, without sockets, under a clock that only a waiting test lets go on."""

    per_character = 0.06

    def __init__(self, backend: str = "asyncio") -> None:
        super().__init__(backend, TrioClock() if backend == "trio" else JumpingClock())
        self._sites: dict[VoiceApp, Site] = {}
        self._drivers: list[Driver] = []

    async def connect(self, app: VoiceApp) -> tuple[ByteIO, str]:
        if app not in self._sites:
            self._sites[app] = app._site()
        ours, theirs = a_connection()
        backend = current_backend()
        driver = Driver(
            StreamTransport(theirs, backend, read_size=app._limits.read_size),
            ServerConnection(now=backend.clock(), limits=app._limits, timings=app._timings),
            backend=backend,
            site=self._sites[app],
            on_request=lambda: None,
        )
        self._drivers.append(driver)
        self.start_soon(driver.run)
        return ours, "test"

    async def settle(self) -> None:
        await anyio.sleep(_INSTANT)  # the clock goes on only when all tasks wait
        with anyio.move_on_after(_THREADS):
            # A thread of somebody else's: it tells nobody.
            while self._busy():  # noqa: ASYNC110
                await anyio.sleep(_NAP)
            await anyio.sleep(_INSTANT)

    def _busy(self) -> bool:
        return any(driver.thread_is_awake for driver in self._drivers)


class Server(Stage):
    """On loopback, over TCP, in real time; nobody has to speak for as long as the words take."""

    per_character = 0.0

    def __init__(self, backend: str = "asyncio") -> None:
        super().__init__(backend, RealClock())
        self._addresses: dict[VoiceApp, tuple[str, int]] = {}

    async def settle(self) -> None:
        pass  # nobody knows what is under way in a socket

    def url(self, app: VoiceApp) -> str:
        """Where ``app`` is served from now on, on a port of the kernel's choice: ``http://...``."""
        host, port = self.do(self._serve, app)
        return f"http://{host}:{port}"

    async def _serve(self, app: VoiceApp) -> tuple[str, int]:
        if app not in self._addresses:
            self._addresses[app] = await self._tasks.start(app.serve, "127.0.0.1", 0)
        return self._addresses[app]

    async def connect(self, app: VoiceApp) -> tuple[ByteIO, str]:
        host, port = await self._serve(app)
        return StreamIO(await anyio.connect_tcp(host, port)), f"{host}:{port}"
