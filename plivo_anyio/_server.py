"""The accept loop: one driver per connection, a barrier round each, a bound on how many."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Sequence

import anyio
from anyio.abc import SocketStream, TaskGroup

from plivo_anyio._backend import current_backend
from plivo_anyio._barrier import stopped
from plivo_anyio._driver import Driver
from plivo_anyio._listening import Listener
from plivo_anyio._logging import logger
from plivo_anyio._native import NativeTransport
from plivo_anyio._site import Site
from plivo_anyio._sockets import SocketTransport
from plivo_anyio._stall import StallWatch
from plivo_anyio._tls import TLSTransport
from plivo_anyio._transport import StreamIO, StreamTransport, Transport, TransportLost
from plivo_anyio._turnstile import Turnstile
from plivo_core import Limits, Response, ServerConnection, Timings

__all__ = ["Server"]

# What says that the listener itself is of no use. Everything else (no descriptor left, a peer that
# went before it was accepted, a firewall's word) is a reason to try again.
_BROKEN_LISTENER = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}

_MAX_REFUSING = 64  # connections being told that there is no room


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
        self._backend = current_backend()
        self._turnstile = Turnstile(self._backend)
        # Shared: what is in it is read before the next connection fills it.
        self._buffer = memoryview(bytearray(limits.read_size))
        self._accepted: set[socket.socket] = set()  # whose tasks have not begun
        self._drain_asked = anyio.Event()
        self._changed = anyio.Event()
        self._closed = False
        self.connections = 0
        self.half_open = 0
        self._refusing = 0
        self._warn_again_at = float("-inf")

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
                tasks.start_soon(self._turnstile.watch)
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
            for connection in self._accepted:
                connection.close()
            if self._site.draining:
                self._site.counters.draining -= 1

    async def _drain(self, listeners: Sequence[Listener]) -> None:
        """Until the last call ended, or the time is up. Meanwhile the site answers 503."""
        until = self._backend.clock() + self._drain_timeout
        with anyio.CancelScope(deadline=until) as patience:
            await self._site.wait_idle()
        if patience.cancelled_caught:
            left = self._site.counters.snapshot().calls
            logger.warning("%s s are over: %d calls are cut", self._drain_timeout, left)
            return
        # A balancer that has not noticed yet goes on asking, so an end of the asking cannot be
        # waited for: stop listening, and let the last answers leave.
        await self._close(listeners)
        last = self._backend.clock() + self._timings.linger * 2
        with anyio.CancelScope(deadline=max(until, last)):
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
                connection = await listener.accept()
            except anyio.ClosedResourceError:
                if self._closed:
                    return
                raise
            except OSError as error:
                if error.errno in _BROKEN_LISTENER:
                    raise
                logger.error("cannot accept: %s", error)
                await anyio.sleep(0.1)
                continue
            self._accepted.add(connection)
            tasks.start_soon(self._serve, connection)

    def _keep_little_unsent(self, connection: socket.socket) -> None:
        """Stop the kernel from hoarding minutes of audio, which no clearAudio could overtake."""
        bound = self._limits.transport_buffer
        try:
            if connection.family not in (socket.AF_INET, socket.AF_INET6):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, bound)
            elif hasattr(socket, "TCP_NOTSENT_LOWAT"):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, bound)
        except OSError:
            pass  # the peer has gone already

    async def _serve(self, connection: socket.socket) -> None:
        """One connection, from accept to its end. Lets out nothing but cancellation."""
        self._accepted.discard(connection)
        accepted_at = self._backend.clock()
        counters = self._site.counters
        if (
            self.connections >= self._limits.max_connections
            or self.half_open >= self._limits.max_half_open
        ):
            counters.refused += 1
            if accepted_at >= self._warn_again_at:
                self._warn_again_at = accepted_at + 1
                logger.warning(
                    "refused a connection: %d are open, %d were refused so far",
                    self.connections,
                    counters.refused,
                )
            # Over TLS no word without a handshake, which is the dearest part of a connection; and
            # who comes in crowds is not worth a word, which takes a descriptor for a second.
            if self._tls is not None or self._refusing >= _MAX_REFUSING:
                connection.close()
                return
            self._refusing += 1
            try:
                refusal = Response(status=503, body=b"too many calls\n")
                await self._drive(connection, accepted_at, lambda: None, refusal)
            finally:
                self._refusing -= 1
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
            await self._drive(connection, accepted_at, request_received)
        finally:
            self.connections -= 1
            counters.connections -= 1
            request_received()
            self._changed.set()

    async def _drive(
        self,
        connection: socket.socket,
        accepted_at: float,
        on_request: Callable[[], None],
        refusal: Response | None = None,
    ) -> None:
        peer = _address_of(connection)
        try:
            try:
                transport = await self._transport(connection, accepted_at)
            except BaseException:
                connection.close()
                raise
            if transport is not None:
                await Driver(
                    transport,
                    ServerConnection(now=accepted_at, limits=self._limits, timings=self._timings),
                    backend=self._backend,
                    site=self._site,
                    on_request=on_request,
                    refusal=refusal,
                    peer=peer,
                    turnstile=self._turnstile,
                ).run()
        except BaseException as error:
            if (told := stopped(error)) is None:
                raise
            logger.error("a connection failed", exc_info=told)

    async def _transport(self, connection: socket.socket, accepted_at: float) -> Transport | None:
        """The transport to speak HTTP on; None: there is none, and why was told."""
        self._keep_little_unsent(connection)
        if self._tls is not None:
            return await self._secured(connection, self._tls, accepted_at)
        if self._backend.name == "asyncio":
            return await NativeTransport.connect(connection, self._buffer, self._backend)
        return SocketTransport(connection, self._backend, read_size=self._limits.read_size)

    async def _secured(
        self, connection: socket.socket, context: ssl.SSLContext, accepted_at: float
    ) -> Transport | None:
        failure: object = "it took too long"
        transport: Transport | None = None
        raw = StreamIO(await SocketStream.from_socket(connection))
        try:
            # What the handshake leaves of this time is for the request's head.
            with anyio.CancelScope(deadline=accepted_at + self._timings.handshake):
                encrypted = TLSTransport(raw, context)
                try:
                    await encrypted.handshake()
                    transport = StreamTransport(
                        encrypted, self._backend, read_size=self._limits.read_size
                    )
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


def _address_of(connection: socket.socket) -> str | None:
    """The address of the peer; None: it has none (a UNIX socket), or has gone already."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return None
