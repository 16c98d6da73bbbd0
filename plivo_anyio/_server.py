"""The accept loop: one driver per connection, a barrier round each, a bound on how many."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Sequence

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup

from plivo_anyio._barrier import stopped
from plivo_anyio._driver import Driver
from plivo_anyio._listening import Listener
from plivo_anyio._logging import logger
from plivo_anyio._site import Site
from plivo_anyio._stall import StallWatch
from plivo_anyio._tls import TLSTransport
from plivo_anyio._transport import AnyioTransport, Transport, TransportLost
from plivo_core import Limits, ServerConnection, Timings

__all__ = ["Server"]

# What says that the listener itself is of no use. Everything else (no descriptor left, a peer that
# went before it was accepted, a firewall's word) is a reason to try again.
_BROKEN_LISTENER = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}


class Server:
    """Serves one site on any number of listeners, once."""

    def __init__(
        self,
        site: Site,
        *,
        limits: Limits,
        timings: Timings,
        tls: ssl.SSLContext | None = None,
        drain_timeout: float,
        stall_warning: float | None = None,
    ) -> None:
        self._site = site
        self._limits = limits
        self._timings = timings
        self._tls = tls
        self._drain_timeout = drain_timeout
        self._stall_warning = stall_warning
        self._drain_asked = anyio.Event()
        self._changed = anyio.Event()
        self._closed = False
        self.connections = 0
        self.half_open = 0

    @property
    def draining(self) -> bool:
        """Whether drain() was called."""
        return self._site.draining

    def drain(self) -> None:
        """Refuse what is new and let serve() return when what is under way is over. Idempotent."""
        if not self._site.draining:
            self._site.draining = True
            self._site.counters.draining += 1
            self._drain_asked.set()

    async def serve(self, listeners: Sequence[Listener], started: Callable[[], None]) -> None:
        """Serve until cancelled (calls get Close 1001) or drained. Closes the listeners."""
        try:
            async with anyio.create_task_group() as tasks:
                for listener in listeners:
                    tasks.start_soon(self._accept, listener, tasks)
                if self._stall_warning is not None:
                    watch = StallWatch(self._stall_warning, self._site.counters)
                    tasks.start_soon(watch.run)
                started()
                await self._drain_asked.wait()
                await self._drain(listeners)
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._close(listeners)
            if self._site.draining:
                self._site.counters.draining -= 1

    async def _drain(self, listeners: Sequence[Listener]) -> None:
        """Until the last call ended, or the time is up. Meanwhile the site answers 503."""
        with anyio.move_on_after(self._drain_timeout) as patience:
            await self._site.wait_idle()
        if patience.cancelled_caught:
            left = self._site.counters.snapshot().calls
            logger.warning("%s s are over: %d calls are cut", self._drain_timeout, left)
            return
        # A balancer that has not noticed yet goes on asking, so an end of the asking cannot be
        # waited for: stop listening, and let the last answers leave.
        await self._close(listeners)
        with anyio.move_on_after(self._timings.linger * 2):
            while self.connections > self.half_open:
                self._changed = anyio.Event()
                await self._changed.wait()

    async def _close(self, listeners: Sequence[Listener]) -> None:
        self._closed = True
        for listener in listeners:
            await listener.aclose()

    # -- connections ---------------------------------------------------------------------------

    async def _accept(self, listener: Listener, tasks: TaskGroup) -> None:
        """Accept until closed; running out of file descriptors is a pause, not an end."""
        while True:
            try:
                stream = await listener.accept()
            except anyio.ClosedResourceError:
                if self._closed:
                    return
                raise
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
        sock, bound = stream.extra(SocketAttribute.raw_socket), self._limits.transport_buffer
        try:
            if sock.family not in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, bound)
            elif hasattr(socket, "TCP_NOTSENT_LOWAT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, bound)
        except OSError:
            pass  # the peer has gone already

    async def _serve(self, raw: Transport) -> None:
        """One connection, from accept to its end. Lets out nothing but cancellation."""
        accepted_at = anyio.current_time()
        counters = self._site.counters
        if (
            self.connections >= self._limits.max_connections
            or self.half_open >= self._limits.max_half_open
        ):
            counters.refused += 1
            await self._refuse(raw)
            return
        half_open = True

        def request_received() -> None:
            nonlocal half_open
            if half_open:
                half_open = False
                self.half_open -= 1
                counters.half_open -= 1

        self.connections += 1
        self.half_open += 1
        counters.connections += 1
        counters.half_open += 1
        try:
            transport = await self._secured(raw, accepted_at)
            if transport is not None:
                await Driver(
                    transport,
                    site=self._site,
                    limits=self._limits,
                    timings=self._timings,
                    accepted_at=accepted_at,
                    on_request=request_received,
                ).run()
        except BaseException as error:
            if (told := stopped(error)) is None:
                raise
            logger.error("a connection failed", exc_info=told)
        finally:
            self.connections -= 1
            counters.connections -= 1
            request_received()
            self._changed.set()

    async def _secured(self, raw: Transport, accepted_at: float) -> Transport | None:
        """The transport to speak HTTP on; None: the handshake of TLS failed, and that was told."""
        if self._tls is None:
            return raw
        failure: object = "it took too long"
        transport: TLSTransport | None = None
        try:
            # What the handshake leaves of this time is for the request's head.
            with anyio.CancelScope(deadline=accepted_at + self._timings.handshake):
                encrypted = TLSTransport(raw, self._tls)
                try:
                    await encrypted.handshake()
                    transport = encrypted
                except (ssl.SSLError, TransportLost) as error:
                    failure = error.__cause__ or error
        finally:
            if transport is None:
                with anyio.CancelScope(shield=True):
                    await raw.aclose()
        if transport is None:
            self._site.counters.failed_handshakes += 1
            # The peer's doing, and any port scanner's: nothing that an operator must act on.
            logger.info("a TLS handshake failed: %s", failure)
        return transport

    async def _refuse(self, transport: Transport) -> None:
        logger.warning("refused a connection: %d are open", self.connections)
        # Over TLS there is no word without a handshake, which is the dearest part of a connection.
        if self._tls is None:
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
