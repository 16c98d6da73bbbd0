"""The short way on trio: plain sockets, tried before they are waited for.

What leaves is written where it was queued; a task comes in only when the kernel takes no more. What
arrives is waited for before it is read: trio's own stream tries first, in vain nearly every time.
"""

from __future__ import annotations

import functools
import socket
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from plivo_anyio._backend import Backend, Parker
from plivo_anyio._transport import Receiver, TransportLost

__all__ = ["SocketTransport"]


class SocketTransport:
    """A connected, non-blocking TCP or UNIX socket, whose owner it becomes."""

    def __init__(self, sock: socket.socket, backend: Backend, *, read_size: int) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                pass  # some systems refuse it for a peer that has gone already
        self._socket = sock
        self._read_size = read_size
        self._clock = backend.clock
        self._to_read: Parker = backend.parker()
        self._reading = True
        self._driver: Receiver | None = None
        self.blocked_since: float | None = None
        self.lost = False

    def start(self, driver: Receiver, tasks: TaskGroup) -> None:
        self._driver = driver
        tasks.start_soon(self._read, driver)

    def flush(self) -> None:
        driver = self._driver
        if self.blocked_since is not None or driver is None:
            return
        while data := driver.pull():
            if self.lost or (taken := self._try(data)) is None:
                driver.post(driver.send_failed)
                return
            if taken < len(data):
                self.blocked_since = self._clock()
                write = functools.partial(self._write_rest, driver, data[taken:])
                driver.post(functools.partial(driver.start_soon, write))
                return
        driver.all_sent()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._to_read.unpark()

    async def send_last(self, data: Any) -> None:
        self.blocked_since = self._clock()  # no flush may come between its pieces
        if not await self._write(data):
            raise TransportLost
        self.blocked_since = None

    async def send_eof(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer was faster; there is nobody left to tell

    async def aclose(self) -> None:
        self._driver = None  # a circle
        if self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
            self._socket.close()

    def _try(self, data: bytes) -> int | None:
        """How much the kernel took; None: the connection is broken."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.lost = True
            return None

    async def _write(self, data: bytes) -> bool:
        while (taken := self._try(data)) is not None:
            data = data[taken:]
            if not data:
                return True
            try:
                await anyio.wait_writable(self._socket)
            except (anyio.ClosedResourceError, OSError, ValueError):
                self.lost = True
                break
        return False

    async def _write_rest(self, driver: Receiver, rest: bytes) -> None:
        sent = await self._write(rest)
        self.blocked_since = None
        if sent:
            driver.writable()
        else:
            driver.send_failed()

    async def _read(self, driver: Receiver) -> None:
        wait, read, size = anyio.wait_readable, self._socket.recv, self._read_size
        try:
            while True:
                await wait(self._socket)
                try:
                    data = read(size)
                except (BlockingIOError, InterruptedError):
                    continue
                if not data:
                    break
                driver.received(data)
                if len(data) == size:  # there may be more: let the handlers of these run first
                    await anyio.lowlevel.checkpoint()
                while not self._reading:
                    await self._to_read.park()
                if self._driver is None:
                    break  # closed meanwhile; trio must not be asked to wait for no descriptor
        except (anyio.ClosedResourceError, OSError, ValueError):
            pass  # a reset is an end like any other; so is our own close
        driver.received_eof()
