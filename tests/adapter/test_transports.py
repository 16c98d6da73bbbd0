"""Each transport by itself, over a real TCP connection: what it tells its driver, and when.

`native` is for asyncio; `socket` and `stream` run on both backends.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import pytest
from anyio.abc import SocketStream, TaskGroup

from plivo_anyio._backend import current_backend
from plivo_anyio._native import NativeTransport
from plivo_anyio._sockets import SocketTransport
from plivo_anyio._transport import StreamIO, StreamTransport, Transport, TransportLost
from tests.adapter._caller import PATIENCE

pytestmark = pytest.mark.anyio

READ_SIZE = 1024
HUGE = bytes(16 * 1024 * 1024)  # more than any pair of socket buffers takes

KINDS = [
    ("native", "asyncio"),
    ("socket", "asyncio"),
    ("socket", "trio"),
    ("stream", "asyncio"),
    ("stream", "trio"),
]


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> str:
    return cast("tuple[str, str]", request.param)[0]


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The backend of the test's kind; of its own parameter where it has none."""
    name: str = request.node.callspec.params["kind"][1]
    return name


class Driver:
    """What a transport sees of a driver; tells a test what it was told."""

    def __init__(self, tasks: TaskGroup, transport: Transport) -> None:
        self.tasks = tasks
        self.transport = transport
        self.data = bytearray()
        self.eof = 0
        self.failed = 0
        self.sent = 0  # times that all had left, since sends()
        self.to_send: list[bytes] = []
        self.on_received: Callable[[], None] = lambda: None
        self._changed = anyio.Event()
        self._backend = current_backend()

    def sends(self, *pieces: bytes) -> None:
        self.sent = 0
        self.to_send += pieces
        self.transport.flush()

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():
                self._changed = anyio.Event()
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()

    def received(self, data: Any) -> None:
        self.data += data
        self.on_received()
        self._tell()

    def received_eof(self) -> None:
        self.eof += 1
        self._tell()

    def pull(self) -> bytes:
        return self.to_send.pop(0) if self.to_send else b""

    def writable(self) -> None:
        self.transport.flush()
        self._tell()

    def pulled(self) -> None:
        """Nothing of it is looked at."""

    def all_sent(self) -> None:
        self.sent += 1
        self._tell()

    def send_failed(self) -> None:
        self.failed += 1
        self.to_send.clear()
        self._tell()

    def post(self, function: Callable[[], object]) -> None:
        self._backend.call_soon(lambda: (function(), None)[1])

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> bool:
        self.tasks.start_soon(function, *args)
        return True


async def make(kind: str, sock: socket.socket) -> Transport:
    backend = current_backend()
    if kind == "native":
        return await NativeTransport.connect(sock, memoryview(bytearray(READ_SIZE)), backend)
    if kind == "socket":
        return SocketTransport(sock, backend, read_size=READ_SIZE)
    stream = StreamIO(await SocketStream.from_socket(sock))
    return StreamTransport(stream, backend, read_size=READ_SIZE)


class Peer:
    """The other end, which no loop wakes: it acts only when the test says so."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def reads(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or fewer at the end."""
        data = bytearray()
        with anyio.fail_after(PATIENCE):
            while len(data) < size:
                try:
                    more = self.sock.recv(min(size - len(data), 1 << 20))
                except BlockingIOError:
                    await anyio.wait_readable(self.sock)
                    continue
                if not more:
                    break
                data += more
        return bytes(data)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    far.setblocking(False)
    return far, near


@asynccontextmanager
async def connected(kind: str, *, started: bool = True) -> AsyncIterator[tuple[Driver, Peer]]:
    """A driver whose transport runs, and its peer; both are closed at the end."""
    far, near = tcp_pair()
    with near:
        peer = Peer(near)
        transport = await make(kind, far)
        try:
            async with anyio.create_task_group() as tasks:
                driver = Driver(tasks, transport)
                if started:
                    transport.start(driver, tasks)
                yield driver, peer
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await transport.aclose()
                await anyio.wait_all_tasks_blocked()  # asyncio closes the socket a little later


async def test_bytes_go_both_ways(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        peer.sock.send(b"ping")
        await driver.until(lambda: driver.data == b"ping")
        driver.sends(b"po", b"ng")
        assert await peer.reads(4) == b"pong"
        await driver.until(lambda: driver.sent)
        assert driver.transport.blocked_since is None
        assert (driver.eof, driver.failed) == (0, 0)


async def test_a_read_brings_no_more_than_the_read_size(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        sizes = list[int]()
        driver.on_received = lambda: sizes.append(len(driver.data))
        peer.sock.send(bytes(5 * READ_SIZE))
        await driver.until(lambda: len(driver.data) == 5 * READ_SIZE)
        steps = [b - a for a, b in zip([0, *sizes], sizes, strict=False)]
        assert max(steps) <= READ_SIZE


async def test_a_task_that_a_full_read_woke_runs_before_the_next(kind: str) -> None:
    """Or a burst overflows the queue of a handler that is fast enough."""
    async with connected(kind) as (driver, peer):
        parker, order = current_backend().parker(), list[str]()

        async def handle() -> None:
            while True:
                await parker.park()
                order.append("handled")

        def received() -> None:
            order.append("read")
            parker.unpark()

        driver.tasks.start_soon(handle)
        await anyio.wait_all_tasks_blocked()
        driver.on_received = received
        peer.sock.send(bytes(20 * READ_SIZE))
        await driver.until(lambda: len(driver.data) == 20 * READ_SIZE)
        assert "read read" not in " ".join(order)


async def test_a_peer_that_stops_reading_blocks_and_one_that_reads_on_gets_all_in_order(
    kind: str,
) -> None:
    pieces = [bytes([n]) * (len(HUGE) // 4) for n in range(4)]
    async with connected(kind) as (driver, peer):
        before = anyio.current_time()
        driver.sends(*pieces)
        await anyio.wait_all_tasks_blocked()
        since = driver.transport.blocked_since
        assert since is not None
        assert before <= since <= anyio.current_time()
        assert driver.to_send, "nothing is pulled before it can be passed on"
        waiting = len(driver.to_send)
        driver.sends(b"last")
        assert len(driver.to_send) == waiting + 1
        assert driver.sent == 0
        assert await peer.reads(len(HUGE) + 4) == b"".join(pieces) + b"last"
        await driver.until(lambda: driver.sent)
        assert driver.transport.blocked_since is None
        assert driver.failed == 0


async def test_a_reset_while_reading_is_an_end(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        await anyio.wait_all_tasks_blocked()
        peer.reset()
        await driver.until(lambda: driver.eof)
        assert driver.failed == 0


async def test_a_reset_while_a_piece_waits_for_room_is_a_failure_told_once(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        driver.sends(HUGE, b"more")
        await anyio.wait_all_tasks_blocked()
        assert driver.transport.blocked_since is not None
        peer.reset()
        await driver.until(lambda: driver.failed and driver.eof)
        assert driver.transport.lost
        await anyio.wait_all_tasks_blocked()
        assert driver.failed == 1


async def test_a_write_after_a_reset_fails_and_says_nothing_in_the_log(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(kind) as (driver, peer):
        driver.on_received = driver.transport.pause_reading  # or reading tells of the reset first
        peer.sock.send(b"x")
        await driver.until(lambda: driver.data)
        peer.reset()
        with caplog.at_level(logging.DEBUG):
            for _ in range(20):  # in one go, as a handler with many packets does
                driver.sends(b"anybody?")
            await driver.until(lambda: driver.failed or driver.eof)
            driver.sends(b"nobody")
            await driver.until(lambda: driver.failed)
        assert "socket.send() raised" not in caplog.text


async def test_the_end_of_the_peers_direction_leaves_ours_open(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        peer.sock.shutdown(socket.SHUT_WR)
        await driver.until(lambda: driver.eof)
        driver.sends(b"still here")
        assert await peer.reads(10) == b"still here"
        assert driver.failed == 0


async def test_a_half_close_ends_our_direction_only(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        driver.sends(b"the end")
        await driver.until(lambda: driver.sent)
        await driver.transport.send_eof()
        assert await peer.reads(100) == b"the end"
        peer.sock.send(b"heard")
        await driver.until(lambda: driver.data == b"heard")


async def test_a_half_close_after_the_peer_left_is_harmless(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        peer.reset()
        await driver.until(lambda: driver.eof)
        await driver.transport.send_eof()
        await driver.transport.aclose()
        await driver.transport.send_eof()


async def test_nothing_is_read_while_reading_is_paused(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        peer.sock.send(bytes(READ_SIZE))
        driver.on_received = driver.transport.pause_reading
        await driver.until(lambda: len(driver.data) == READ_SIZE)
        peer.sock.send(b"more")
        await anyio.wait_all_tasks_blocked()
        assert len(driver.data) == READ_SIZE
        driver.on_received = lambda: None
        driver.transport.resume_reading()
        driver.transport.resume_reading()  # twice is harmless
        await driver.until(lambda: bytes(driver.data[READ_SIZE:]) == b"more")


async def test_an_end_that_comes_while_reading_is_paused_is_told_later(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        driver.on_received = driver.transport.pause_reading
        peer.sock.send(b"x")
        await driver.until(lambda: driver.data)
        peer.sock.shutdown(socket.SHUT_WR)
        await anyio.wait_all_tasks_blocked()
        assert driver.eof == 0
        driver.transport.resume_reading()
        await driver.until(lambda: driver.eof)


async def test_what_came_before_the_start_is_not_lost(kind: str) -> None:
    async with connected(kind, started=False) as (driver, peer):
        peer.sock.send(b"early")
        driver.transport.flush()  # nobody to ask: harmless
        await anyio.wait_all_tasks_blocked()
        assert not driver.data
        driver.transport.start(driver, driver.tasks)
        await driver.until(lambda: driver.data == b"early")


async def test_a_peer_that_left_before_the_start_is_an_end(kind: str) -> None:
    async with connected(kind, started=False) as (driver, peer):
        peer.reset()
        await anyio.wait_all_tasks_blocked()
        driver.transport.start(driver, driver.tasks)
        await driver.until(lambda: driver.eof)


async def test_the_last_words_leave_without_tasks(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        driver.tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(driver.transport.send_last, HUGE)
                assert len(await peer.reads(len(HUGE))) == len(HUGE)
            assert driver.transport.blocked_since is None


async def test_no_flush_comes_between_the_pieces_of_the_last_words(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        driver.tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(driver.transport.send_last, HUGE)
                await anyio.wait_all_tasks_blocked()
                driver.sends(b"late")  # as a thread's command does, whose wake-up was on its way
                got = await peer.reads(len(HUGE))
            assert got == HUGE


async def test_the_last_words_to_a_peer_that_left_fail(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        peer.reset()
        await driver.until(lambda: driver.eof)
        with pytest.raises(TransportLost):
            await driver.transport.send_last(b"bye")


async def test_the_last_words_can_be_cut_short(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        with anyio.move_on_after(0.05) as scope:
            await driver.transport.send_last(HUGE)
        assert scope.cancelled_caught
        await driver.transport.aclose()
        assert 0 < len(await swallow(peer)) < len(HUGE)


async def test_a_cancelled_send_leaves_the_transport_blocked(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        driver.sends(HUGE)
        await anyio.wait_all_tasks_blocked()
        driver.tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.wait_all_tasks_blocked()
            assert driver.transport.blocked_since is not None, "a frame was cut in two"
            await driver.transport.aclose()
            assert len(await swallow(peer)) < len(HUGE)


async def test_a_flush_after_the_close_is_harmless(kind: str) -> None:
    async with connected(kind) as (driver, peer):
        await driver.transport.aclose()
        await driver.transport.aclose()
        driver.sends(b"too late")
        driver.transport.pause_reading()
        driver.transport.resume_reading()
        assert await swallow(peer) == b""


async def swallow(peer: Peer) -> bytes:
    """All that comes until the connection is gone, in whatever way."""
    data = bytearray()
    with anyio.fail_after(PATIENCE), contextlib.suppress(ConnectionError):
        while more := await peer.reads(1 << 16):
            data += more
    return bytes(data)


async def test_a_close_that_overtakes_a_reader_is_an_end_each_time(kind: str) -> None:
    """trio remembers who waited for a descriptor that is none, and refuses the next one."""
    for _ in range(3):
        async with connected(kind) as (driver, peer):
            driver.on_received = driver.transport.pause_reading
            peer.sock.send(b"x")
            await driver.until(lambda: driver.data)
            await anyio.wait_all_tasks_blocked()
            driver.transport.resume_reading()
            with anyio.CancelScope() as scope:
                scope.cancel()  # as little waiting as can be: the reader must not run first
                await driver.transport.aclose()
            await anyio.wait_all_tasks_blocked()
