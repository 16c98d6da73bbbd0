"""The accept loop: one driver per connection, a barrier round each, a bound on how many."""

from __future__ import annotations

import errno
import socket

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup

from plivo_anyio._barrier import stopped
from plivo_anyio._driver import Authorize, Driver
from plivo_anyio._logging import logger
from plivo_anyio._registry import Registry
from plivo_anyio._transport import AnyioTransport, Transport, TransportLost
from plivo_core import Limits, ServerConnection, Timings

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
        self.connections = 0
        self.half_open = 0

    async def accept(self, listener: SocketListener, tasks: TaskGroup) -> None:
        """Accept until cancelled; running out of file descriptors is a pause, not an end."""
        while True:
            try:
                stream = await listener.accept()
            except (OSError, anyio.BrokenResourceError) as error:
                cause = error if isinstance(error, OSError) else error.__cause__  # on trio
                if not isinstance(cause, OSError) or cause.errno in _BROKEN_LISTENER:
                    raise
                logger.error("cannot accept: %s", cause)
                await anyio.sleep(0.1)
                continue
            self._keep_little_unsent(stream)
            tasks.start_soon(self._serve, AnyioTransport(stream))

    def _keep_little_unsent(self, stream: SocketStream) -> None:
        """Stop the kernel from hoarding minutes of audio, which no clearAudio could overtake."""
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            try:
                stream.extra(SocketAttribute.raw_socket).setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._limits.transport_buffer
                )
            except OSError:
                pass  # the peer has gone already

    async def _serve(self, transport: Transport) -> None:
        if (
            self.connections >= self._limits.max_connections
            or self.half_open >= self._limits.max_half_open
        ):
            await self._refuse(transport)
            return
        half_open = True

        def request_received() -> None:
            nonlocal half_open
            if half_open:
                half_open = False
                self.half_open -= 1

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
            ).run()
        except BaseException as error:
            if (told := stopped(error)) is None:
                raise
            logger.error("a connection failed", exc_info=told)
        finally:
            self.connections -= 1
            request_received()

    async def _refuse(self, transport: Transport) -> None:
        logger.warning("refused a connection: %d are open", self.connections)
        conn = ServerConnection(now=anyio.current_time(), limits=self._limits)
        conn.reject(503, body=b"too many calls\n", now=anyio.current_time())
        conn.next_event()
        with anyio.move_on_after(self._timings.linger, shield=True):
            try:
                await transport.send(conn.data_to_send())
                await transport.send_eof()
                while await transport.receive(self._limits.read_size):
                    pass
            except TransportLost:
                pass
        await transport.aclose()


def bound_address(listener: SocketListener) -> tuple[str, int]:
    """Host and port a listener is bound to."""
    address = listener.extra(SocketAttribute.local_address)
    return str(address[0]), int(address[1])
