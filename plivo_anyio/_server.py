"""The accept loop: one driver per connection, a barrier round each, a bound on how many."""

from __future__ import annotations

import errno
import socket

import anyio
from anyio.abc import SocketAttribute, SocketListener, TaskGroup

from plivo_anyio._backend import current_backend
from plivo_anyio._barrier import stopped
from plivo_anyio._driver import Authorize, Driver
from plivo_anyio._logging import logger
from plivo_anyio._native import NativeTransport, accept_socket
from plivo_anyio._registry import Registry
from plivo_anyio._sockets import SocketTransport
from plivo_anyio._transport import Transport
from plivo_core import Limits, Response, Timings

__all__ = ["Server"]

# What says that the listener itself is of no use. Everything else (no descriptor left, a peer that
# went before it was accepted, a firewall's word) is a reason to try again.
_BROKEN_LISTENER = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}


class Server:
    """Serves one registry of handlers on any number of listeners."""

    def __init__(
        self, registry: Registry, *, limits: Limits, timings: Timings, authorize: Authorize
    ) -> None:
        self._registry = registry
        self._limits = limits
        self._timings = timings
        self._authorize = authorize
        self._backend = current_backend()
        # Shared: what is in it is read before the next connection fills it.
        self._buffer = memoryview(bytearray(limits.read_size))
        self.connections = 0
        self.half_open = 0

    async def accept(self, listener: SocketListener, tasks: TaskGroup) -> None:
        """Accept until cancelled; running out of file descriptors is a pause, not an end."""
        accept = self._accept_native if self._backend.name == "asyncio" else self._accept
        while True:
            try:
                transport = await accept(listener)
            except (OSError, anyio.BrokenResourceError) as error:
                cause = error if isinstance(error, OSError) else error.__cause__  # on trio
                if not isinstance(cause, OSError) or cause.errno in _BROKEN_LISTENER:
                    raise
                logger.error("cannot accept: %s", cause)
                await anyio.sleep(0.1)
                continue
            tasks.start_soon(self._serve, transport)

    async def _accept(self, listener: SocketListener) -> Transport:
        stream = await listener.accept()
        self._keep_little_unsent(stream.extra(SocketAttribute.raw_socket))
        return SocketTransport(stream, read_size=self._limits.read_size)

    async def _accept_native(self, listener: SocketListener) -> Transport:
        accepted = await accept_socket(listener.extra(SocketAttribute.raw_socket))
        self._keep_little_unsent(accepted)
        return await NativeTransport.connect(accepted, self._buffer, self._backend)

    def _keep_little_unsent(self, accepted: socket.socket) -> None:
        """Stop the kernel from hoarding minutes of audio, which no clearAudio could overtake."""
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            try:
                accepted.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._limits.transport_buffer
                )
            except OSError:
                pass  # the peer has gone already, or it is no TCP

    async def _serve(self, transport: Transport) -> None:
        refusal: Response | None = None
        if (
            self.connections >= self._limits.max_connections
            or self.half_open >= self._limits.max_half_open
        ):
            logger.warning("refused a connection: %d are open", self.connections)
            refusal = Response(status=503, body=b"too many calls\n")
        half_open = refusal is None

        def request_received() -> None:
            nonlocal half_open
            if half_open:
                half_open = False
                self.half_open -= 1

        if refusal is None:
            self.connections += 1
            self.half_open += 1
        try:
            await Driver(
                transport,
                registry=self._registry,
                limits=self._limits,
                timings=self._timings,
                authorize=self._authorize,
                on_request=request_received,
                backend=self._backend,
                refusal=refusal,
            ).run()
        except BaseException as error:
            if (told := stopped(error)) is None:
                raise
            logger.error("a connection failed", exc_info=told)
        finally:
            if refusal is None:
                self.connections -= 1
                request_received()


def bound_address(listener: SocketListener) -> tuple[str, int]:
    """Host and port a listener is bound to."""
    address = listener.extra(SocketAttribute.local_address)
    return str(address[0]), int(address[1])
