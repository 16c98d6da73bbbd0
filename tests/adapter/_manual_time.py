"""Time that passes only when everybody waits for it, on both backends, and a wire in memory.

:data:`JUMPING` are backends for the ``anyio_backend`` fixture: as soon as no task can run, the
clock jumps to the next deadline. Ten minutes of 20 ms steps take a few seconds.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import trio.testing

from plivo_anyio import VoiceApp
from plivo_anyio._backend import current_backend
from plivo_anyio._driver import Driver
from plivo_anyio._transport import StreamTransport
from plivo_core import Limits, ServerConnection, Timings, Upgraded
from tests.adapter._caller import Caller

__all__ = ["JUMPING", "Wire", "a_call_over"]


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:  # nothing can run before that
            self.now += timeout
            timeout = 0
        return super().select(timeout)


def _jumping_loop() -> asyncio.AbstractEventLoop:
    selector = _JumpingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    return loop


JUMPING: list[tuple[str, dict[str, Any]]] = [
    ("asyncio", {"loop_factory": _jumping_loop}),
    ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}),
]


class Wire:
    """The server's bytes: a ByteIO for its transport. The peer reads when a test lets it.

    ``room`` is what the kernel would take of a peer that does not read.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._up, self._down = bytearray(), bytearray()
        self._changed = anyio.Event()
        self._closed = False

    # -- the server's end ------------------------------------------------------------------------

    async def receive(self, max_bytes: int) -> bytes:
        return await self._read(self._up, max_bytes)

    async def send(self, data: bytes) -> None:
        self._down += data
        self._tell()
        while len(self._down) > self._room and not self._closed:
            await self._changed.wait()

    async def send_eof(self) -> None: ...

    async def aclose(self) -> None:
        self._closed = True
        self._tell()

    # -- the peer's ------------------------------------------------------------------------------

    @property
    def peer(self) -> Any:
        return _Peer(self)

    async def read_down(self) -> bytes:
        if not (data := await self._read(self._down, 65536)):
            raise anyio.EndOfStream
        return data

    def write_up(self, data: bytes) -> None:
        self._up += data
        self._tell()

    # -- inside ----------------------------------------------------------------------------------

    async def _read(self, buffer: bytearray, max_bytes: int) -> bytes:
        while not buffer and not self._closed:
            await self._changed.wait()
        data = bytes(buffer[:max_bytes])
        del buffer[:max_bytes]
        self._tell()
        return data

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class _Peer:
    """As much of a stream as a Caller needs."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def send(self, data: bytes) -> None:
        self._wire.write_up(data)

    async def receive(self) -> bytes:
        return await self._wire.read_down()


@asynccontextmanager
async def a_call_over(
    wire: Wire, app: VoiceApp, *, limits: Limits, timings: Timings
) -> AsyncIterator[Caller]:
    """A call of the app, driven over the wire while the block runs."""
    backend = current_backend()
    driver = Driver(
        StreamTransport(wire, backend, read_size=limits.read_size),
        ServerConnection(now=backend.clock(), limits=limits, timings=timings),
        site=cast("Any", app)._site(),
        on_request=lambda: None,
        backend=backend,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(driver.run)
        caller = Caller(wire.peer, "/")
        assert isinstance(await caller.receives(), Upgraded)
        yield caller
        tasks.cancel_scope.cancel()
