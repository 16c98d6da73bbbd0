"""A connection in memory, for :class:`~plivo_anyio._transport.StreamTransport` and a line."""

from __future__ import annotations

import anyio

from plivo_anyio._transport import TransportLost

__all__ = ["PipeEnd", "a_connection"]

_ROOM = 65536  # bytes that a writer is ahead of its reader: about what a socket takes


class _Pipe:
    """One direction."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False
        self._broken = False
        self._changed = anyio.Event()

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def write(self, data: bytes) -> None:
        while len(self._data) >= _ROOM and not self._broken:
            await self._changed.wait()
        if self._broken or self._ended:
            raise TransportLost
        self._data += data
        self._change()

    async def read(self, most: int) -> bytes:
        while not self._data and not self._ended and not self._broken:
            await self._changed.wait()
        data = bytes(self._data[:most])
        del self._data[:most]
        self._change()
        return data

    def end(self) -> None:
        """Nothing more is written; what was, is still there to read."""
        self._ended = True
        self._change()

    def break_off(self) -> None:
        """Nothing more is read."""
        self._broken = True
        self._data.clear()
        self._change()


class PipeEnd:
    """A :class:`~plivo_anyio._transport.ByteIO`."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    async def receive(self, max_bytes: int) -> bytes:
        return await self._incoming.read(max_bytes)

    async def send(self, data: bytes) -> None:
        await self._outgoing.write(data)

    async def send_eof(self) -> None:
        self._outgoing.end()

    async def aclose(self) -> None:
        self._outgoing.end()
        self._incoming.break_off()


def a_connection() -> tuple[PipeEnd, PipeEnd]:
    """Both ends."""
    there, back = _Pipe(), _Pipe()
    return PipeEnd(back, there), PipeEnd(there, back)
