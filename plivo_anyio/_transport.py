"""The seam between a driver and the bytes: what carries them, and what a driver asks of it.

A transport tells its :class:`Receiver` what came and pulls from it what leaves, whenever there is
room: nothing is taken from the core before the transport can pass it on. :class:`StreamTransport`
serves any byte stream of anyio on every backend (TLS, memory streams); `_sockets` and `_native`
know shorter ways for plain sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, TaskGroup

from plivo_anyio._backend import Backend

__all__ = ["ByteIO", "Receiver", "StreamIO", "StreamTransport", "Transport", "TransportLost"]


class TransportLost(Exception):  # noqa: N818 - not an error of ours: news about the peer
    """The transport is broken; nothing more can be sent."""


class Receiver(Protocol):
    """The driver, as its transport sees it. None of these waits."""

    def received(self, data: Any) -> None:
        """Something came."""
        ...

    def received_eof(self) -> None:
        """Nothing more will come (a reset is an end too). Idempotent."""
        ...

    def pull(self) -> Any:
        """The next piece to send; falsy: nothing for now."""
        ...

    def pulled(self) -> None:
        """What was pulled is being sent, which may take long: keep the time of what is left."""
        ...

    def writable(self) -> None:
        """There is room again: flush."""
        ...

    def all_sent(self) -> None:
        """Everything pulled so far has left this process."""
        ...

    def send_failed(self) -> None:
        """What was pulled never left: the transport is dead."""
        ...

    def post(self, function: Callable[[], object]) -> None:
        """Have the loop run ``function`` soon. From any thread."""
        ...

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> bool:
        """Start a task beside the driver's, unless those are over (False)."""
        ...


class Transport(Protocol):
    """Carries the data of one driver. ``aclose`` is called exactly once, after everything else."""

    blocked_since: float | None
    """Since when what was pulled has not left; None: all of it has."""
    lost: bool
    """Whether nothing more can be sent."""

    def start(self, driver: Receiver, tasks: TaskGroup) -> None:
        """Begin to read and write. Tasks, if any, go to ``tasks``."""
        ...

    def flush(self) -> None:
        """There may be something to pull: pull it now, or as soon as there is room."""
        ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    async def send_last(self, data: Any) -> None:
        """Send behind everything else, after the tasks are gone. Raises TransportLost."""
        ...

    async def send_eof(self) -> None:
        """Half-close; harmless where the transport cannot."""
        ...

    async def aclose(self) -> None:
        """Close at once, without waiting for the peer."""
        ...


class ByteIO(Protocol):
    """Bytes in and out, by awaiting. Every method may be cancelled."""

    async def receive(self, max_bytes: int) -> bytes:
        """At least one byte, or ``b""`` at the end (a reset is an end too)."""
        ...

    async def send(self, data: bytes) -> None:
        """Return when more can be taken. Raises TransportLost."""
        ...

    async def send_eof(self) -> None:
        """Half-close; harmless where that cannot be."""
        ...

    async def aclose(self) -> None:
        """Close at once, without waiting for the peer."""
        ...


class StreamIO:
    """An :class:`anyio.abc.ByteStream` as a ByteIO."""

    __slots__ = ("_stream",)

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def receive(self, max_bytes: int) -> bytes:
        try:
            return await self._stream.receive(max_bytes)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return b""

    async def send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise TransportLost from error

    async def send_eof(self) -> None:
        try:
            await self._stream.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            pass  # the peer was faster; there is nobody left to tell

    async def aclose(self) -> None:
        await anyio.aclose_forcefully(self._stream)


class StreamTransport:
    """One task reads, one writes: the way that serves whatever there is."""

    def __init__(self, stream: ByteIO, backend: Backend, *, read_size: int) -> None:
        self._stream = stream
        self._read_size = read_size
        self._clock = backend.clock
        self._to_write = backend.parker()
        self._to_read = backend.parker()
        self._reading = True
        self.blocked_since: float | None = None
        self.lost = False

    def start(self, driver: Receiver, tasks: TaskGroup) -> None:
        tasks.start_soon(self._read, driver)
        tasks.start_soon(self._write, driver)

    def flush(self) -> None:
        self._to_write.unpark()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._to_read.unpark()

    async def send_last(self, data: Any) -> None:
        await self._stream.send(data)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def _read(self, driver: Receiver) -> None:
        in_a_row = 0
        while data := await self._stream.receive(self._read_size):
            driver.received(data)
            # Not every stream lets other tasks run: what came would seem to wait for its handlers.
            if (in_a_row := in_a_row + len(data)) >= self._read_size:
                in_a_row = 0
                await anyio.lowlevel.checkpoint()
            while not self._reading:
                await self._to_read.park()
        driver.received_eof()

    async def _write(self, driver: Receiver) -> None:
        while True:
            while data := driver.pull():
                self.blocked_since = self._clock()
                driver.pulled()
                try:
                    await self._stream.send(data)
                except TransportLost:
                    self.lost = True
                    driver.send_failed()
                    return
            self.blocked_since = None
            driver.all_sent()
            await self._to_write.park()
