"""Calls in virtual time on either backend: no sockets, and a clock that jumps when all wait.

The platform is the simulated one, the driver is the real one over StreamTransport. A test module
takes `virtual_backend` as its fixture `anyio_backend`.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio.testing
from anyio.abc import ByteStream

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._backend import current_backend
from plivo_anyio._driver import Driver
from plivo_anyio._platform import _Caller
from plivo_anyio._transport import StreamIO, StreamTransport
from plivo_core import Ended, Limits, ServerConnection, Timings
from plivo_core.commands import PlayAudio
from plivo_core.events import StreamStart
from plivo_core.platform import Pause, PlatformCall

HANG = 3600.0  # seconds of virtual time


class _Jumping(selectors.DefaultSelector):
    """Never waits: the time it should have waited has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found:
            assert timeout is not None, "all tasks wait, and nothing will wake them"
            self.now += timeout
        return found


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@pytest.fixture(params=["asyncio", "trio"])
def virtual_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "asyncio":
        return "asyncio", {"loop_factory": _JumpingLoop}
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def threads_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done in a thread is done at once: a clock that jumps waits for no thread."""

    async def run_sync(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", run_sync)


class _Pipe:
    """One direction; `open` False: the reader takes nothing, and a second write waits."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._eof = False
        self._changed = anyio.Event()
        self.open = True

    def change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def put(self, data: bytes) -> None:
        while not self.open and self._data and not self._eof:
            await self._changed.wait()
        if self._eof:
            raise anyio.BrokenResourceError
        self._data += data
        self.change()
        await anyio.lowlevel.checkpoint()

    async def take(self, most: int) -> bytes:
        while not self._data or not self.open:
            if self._eof:
                raise anyio.EndOfStream
            await self._changed.wait()
        data = bytes(self._data[:most])
        del self._data[:most]
        self.change()
        return data

    def end(self) -> None:
        self._eof = True
        self.change()


class _End:
    """One end of two pipes: what StreamIO wants of a ByteStream."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    async def receive(self, max_bytes: int) -> bytes:
        return await self._incoming.take(max_bytes)

    async def send(self, data: bytes) -> None:
        await self._outgoing.put(data)

    async def send_eof(self) -> None:
        self._outgoing.end()

    async def aclose(self) -> None:
        self._outgoing.end()
        self._incoming.end()


class Phone:
    """A call that is up, as a test sees it."""

    def __init__(self, platform: PlatformCall, session: CallSession, to_platform: _Pipe) -> None:
        self.platform = platform
        self.session = session
        self._to_platform = to_platform
        self.received: list[tuple[float, Any]] = []
        self.server = anyio.CancelScope()

    @property
    def now(self) -> float:
        return anyio.current_time()

    @property
    def audio(self) -> list[tuple[float, PlayAudio]]:
        return [each for each in self.received if isinstance(each[1], PlayAudio)]

    @property
    def driver(self) -> Driver:
        return self.session._driver

    def stalls(self) -> None:
        """The platform reads nothing more."""
        self._to_platform.open = False

    def reads_on(self) -> None:
        self._to_platform.open = True
        self._to_platform.change()


class Line:
    """The two ends of a connection without sockets, and who drives them."""

    def __init__(
        self,
        app: VoiceApp,
        call: PlatformCall,
        *,
        limits: Limits | None = None,
        timings: Timings | None = None,
        on_sent: Callable[[Any], None] = lambda event: None,
        on_received: Callable[[Any], None] = lambda command: None,
    ) -> None:
        self.to_server, self.to_platform = _Pipe(), _Pipe()
        backend = current_backend()
        ours = StreamIO(cast("ByteStream", _End(self.to_server, self.to_platform)))
        self._driver = Driver(
            StreamTransport(ours, backend, read_size=16384),
            ServerConnection(now=anyio.current_time(), limits=limits, timings=timings),
            backend=backend,
            site=app._site(),
            on_request=lambda: None,
        )
        theirs = cast("ByteStream", _End(self.to_platform, self.to_server))
        self.caller = _Caller(call, theirs, "test", "/", on_sent, on_received)
        self.server = anyio.CancelScope()

    async def serve(self) -> None:
        with self.server:
            await self._driver.run()

    def breaks(self) -> None:
        """Both ends see it at once."""
        self.to_server.end()
        self.to_platform.end()

    async def hold(self) -> Ended:
        """The call, to its end on both sides."""
        with anyio.fail_after(HANG):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.serve)
                ended = await self.caller.run()
        return ended


@asynccontextmanager
async def a_phone_call(
    *script: Any,
    limits: Limits | None = None,
    timings: Timings | None = None,
    **platform: Any,
) -> AsyncIterator[Phone]:
    """A call whose `start` has been handled. After `script` (none: an hour) the caller leaves."""
    call = PlatformCall(script or [Pause(HANG)], **{"mode": "stream", **platform})
    app = VoiceApp(limits=limits, timings=timings)
    started = anyio.Event()
    sessions: list[CallSession] = []

    @app.on("start")
    async def start(session: CallSession, event: StreamStart) -> None:
        sessions.append(session)
        started.set()

    received: list[tuple[float, Any]] = []
    line = Line(
        app,
        call,
        limits=limits,
        timings=timings,
        on_received=lambda command: received.append((anyio.current_time(), command)),
    )
    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(line.serve)
            tasks.start_soon(line.caller.run)
            await started.wait()
            phone = Phone(call, sessions[0], line.to_platform)
            phone.received, phone.server = received, line.server
            yield phone
            tasks.cancel_scope.cancel()


def said(ms: int, *, value: int = 0x7F) -> bytes:
    """So much mu-law at 8 kHz."""
    return bytes([value]) * (ms * 8)


def ms_of(audio: Iterable[tuple[float, PlayAudio]]) -> list[float]:
    """When each message of audio came, in milliseconds after the first."""
    times = [at for at, _ in audio]
    return [round((at - times[0]) * 1000, 3) for at in times]


class Doing:
    """A task beside the test, and what came of it."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.scope = anyio.CancelScope()
        self.result: Any = None
        self.error: Exception | None = None
        self.over = anyio.Event()
        self.ended_at = 0.0
        self._call = function, args

    async def run(self) -> None:
        function, args = self._call
        with self.scope:
            try:
                self.result = await function(*args)
            except Exception as error:  # noqa: BLE001 - what the test is about
                self.error = error
        self.ended_at = anyio.current_time()
        self.over.set()


async def settle() -> None:
    """Everything that can happen now has happened, on either backend."""
    await anyio.sleep(0.0001)
