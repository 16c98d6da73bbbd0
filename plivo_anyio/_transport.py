"""The seam between a driver and the bytes: all that a driver asks of a transport.

One implementation for now, over anyio's byte streams: TCP, TLS, UNIX sockets and memory streams on
every backend.
"""

from __future__ import annotations

from typing import Protocol

import anyio
from anyio.abc import ByteStream

__all__ = ["AnyioTransport", "Transport", "TransportLost"]


class TransportLost(Exception):  # noqa: N818 - not an error of ours: news about the peer
    """The transport is broken; nothing more can be sent."""


class Transport(Protocol):
    """Bytes in and out. Every method may be cancelled."""

    async def receive(self, max_bytes: int) -> bytes:
        """At least one byte, or ``b""`` at the end (a reset is an end too)."""
        ...

    async def send(self, data: bytes) -> None:
        """Return when the transport can take more. Raises TransportLost."""
        ...

    async def send_eof(self) -> None:
        """Half-close; harmless where the transport cannot."""
        ...

    async def aclose(self) -> None:
        """Close at once, without waiting for the peer."""
        ...


class AnyioTransport:
    """An :class:`anyio.abc.ByteStream` behind the seam."""

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
