"""The short way on asyncio: a BufferedProtocol instead of anyio's stream, for plain sockets.

What arrives goes to the driver in the callback of the loop, and what leaves is written where it was
queued: no task of its own for either. anyio's stream pauses and resumes reading round every
receive (two epoll_ctl calls) and wakes a task for each direction.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from anyio.abc import TaskGroup

from plivo_anyio._backend import Backend, Parker
from plivo_anyio._transport import Receiver, TransportLost

__all__ = ["NativeTransport"]


class NativeTransport(asyncio.BufferedProtocol):
    """Make it with :meth:`connect`. ``buffer`` may be shared by all connections of one loop."""

    __slots__ = (
        "_buffer",
        "_clock",
        "_driver",
        "_early",
        "_early_eof",
        "_idle",
        "_reading",
        "_transport",
        "blocked_since",
        "lost",
    )

    def __init__(self, buffer: memoryview, backend: Backend) -> None:
        self._buffer = buffer
        self._clock = backend.clock
        self._idle: Parker = backend.parker()  # where the end waits for the last bytes to leave
        self._driver: Receiver | None = None
        self._transport: asyncio.Transport  # from connection_made() on
        self._early = b""  # what came before there was a driver
        self._early_eof = False
        self._reading = True
        self.blocked_since: float | None = None
        self.lost = False

    @classmethod
    async def connect(
        cls, accepted: socket.socket, buffer: memoryview, backend: Backend
    ) -> NativeTransport:
        """Take over an accepted socket. Raises OSError."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_accepted_socket(
            lambda: cls(buffer, backend), accepted
        )
        # Until there is a driver. Not in connection_made(): 3.10 then begins to read all the same.
        transport.pause_reading()
        return protocol

    # -- what the driver asks --------------------------------------------------------------------

    def start(self, driver: Receiver, tasks: TaskGroup) -> None:
        self._driver = driver
        # uvloop reads before connect() can pause it: once, for a pause follows.
        early, self._early = self._early, b""
        if early:
            driver.received(early)
        if self.lost or self._early_eof:
            driver.received_eof()
        if not self.lost and self._reading:
            self._transport.resume_reading()

    def flush(self) -> None:
        driver = self._driver
        if driver is None:
            return
        while self.blocked_since is None:
            data = driver.pull()
            if not data:
                driver.all_sent()
                return
            # Closing: lost, or about to be told so. asyncio would log each write from here on.
            if self._transport.is_closing():
                driver.post(driver.send_failed)
                return
            self._transport.write(data)

    def pause_reading(self) -> None:
        self._reading = False
        if not self.lost:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._reading = True
        if not self.lost:
            self._transport.resume_reading()

    async def send_last(self, data: Any) -> None:
        if self._transport.is_closing():
            raise TransportLost
        self._transport.write(data)
        while self.blocked_since is not None:
            await self._idle.park()

    async def send_eof(self) -> None:
        try:
            self._transport.write_eof()
        except OSError:
            pass  # the peer was faster; there is nobody left to tell

    async def aclose(self) -> None:
        self._driver = None  # a circle
        self._transport.abort()

    # -- what the loop tells -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a socket's goes both ways
        self._transport.set_write_buffer_limits(high=0)  # the kernel takes no more: paused

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._buffer[:nbytes])
        if self._driver is None:
            self._early += data
        else:
            self._driver.received(data)

    def eof_received(self) -> bool:
        if self._driver is None:
            self._early_eof = True
        else:
            self._driver.received_eof()
        return True  # the other direction stays open

    def pause_writing(self) -> None:
        self.blocked_since = self._clock()

    def resume_writing(self) -> None:
        self.blocked_since = None
        self._idle.unpark()
        if self._driver is not None:
            self._driver.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._idle.unpark()
        driver = self._driver
        if driver is None:
            return
        if self.blocked_since is not None:
            self.blocked_since = None
            driver.send_failed()
        driver.received_eof()
