"""TLS on the transport seam: what a driver sends is encrypted on its way to another stream.

:class:`ssl.SSLObject` does no I/O, so this serves on every backend and over every stream. Two
tasks use it, a reader and a writer, and only the writer writes: what reading produces (the answer
to a key update, an alert) leaves with the next record, so a read that is cancelled tears nothing.
"""

from __future__ import annotations

import ssl

import anyio

from plivo_anyio._transport import ByteIO, TransportLost
from plivo_core import ConfigError

__all__ = ["TLSTransport", "check_context"]

_RECORD = 16 * 1024  # a TLS record's payload at most; what one read from below asks for
_FAREWELL = 0.1  # seconds for 30 bytes to find room; a peer that reads has it at once


class TLSTransport:
    """The server's end of TLS over ``below``, whose owner it becomes. Begin with handshake()."""

    __slots__ = ("_below", "_finished", "_in", "_out", "_tls", "_torn")

    def __init__(self, below: ByteIO, context: ssl.SSLContext) -> None:
        self._below = below
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._finished = False
        self._torn = False  # while a record is on its way, and for ever if it was cut short

    async def handshake(self) -> None:
        """Raises ssl.SSLError or TransportLost when it fails."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                await self._flush()  # the alert says to the peer what was wrong
                raise
            else:
                await self._flush()
                return

    async def receive(self, max_bytes: int) -> bytes:
        if self._finished:  # nobody reads this any more; it only must not lie in the kernel
            return await self._below.receive(max_bytes)
        while True:
            try:
                return self._tls.read(max_bytes)
            except ssl.SSLWantReadError:
                await self._fill()
            except ssl.SSLError:
                # A forged or cut record, or the end without a farewell: as good as a reset.
                return b""

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._tls.write(view) :]
            except ssl.SSLError as error:
                raise TransportLost from error
        await self._flush()

    async def send_eof(self) -> None:
        """The farewell of TLS (close_notify), then that of TCP; the peer's is not waited for."""
        await self._say_farewell()
        await self._below.send_eof()

    async def aclose(self) -> None:
        # A peer that is strict takes an end without farewell for an attack, also behind a Close.
        with anyio.move_on_after(_FAREWELL, shield=True):
            await self._say_farewell()
        await self._below.aclose()

    async def _say_farewell(self) -> None:
        if self._finished or self._torn:
            return
        self._finished = True
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # it wants the peer's farewell, or has no use for ours
        try:
            await self._flush()
        except TransportLost:
            pass

    async def _fill(self) -> None:
        data = await self._below.receive(_RECORD)
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    async def _flush(self) -> None:
        while data := self._out.read():
            self._torn = True
            await self._below.send(data)
            self._torn = False


def check_context(context: object) -> None:
    """Raise ConfigError for an ``ssl`` option that no server can use."""
    hint = "ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) and its load_cert_chain()"
    if not isinstance(context, ssl.SSLContext):
        raise ConfigError(f"ssl is {type(context).__name__}, not an ssl.SSLContext", hint=hint)
    if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        raise ConfigError("ssl is a client's context", hint=hint)
