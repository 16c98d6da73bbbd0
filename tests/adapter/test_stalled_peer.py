"""A peer that stops reading while the application sends ten minutes of audio, over a real socket.

Both backends, async and sync handlers: what the server holds stays within the stated bound, the
write timeout ends the call, and that is told once.
"""

from __future__ import annotations

import base64
import fcntl
import socket
import struct
import termios
import tracemalloc
from collections.abc import Callable

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Ended, Limits, SessionClosedError, Timings, Upgraded
from plivo_core.events import Dtmf, StreamMedia, StreamStart
from tests.adapter._caller import Caller, calling, serving

pytestmark = pytest.mark.anyio

PACKET = base64.b64encode(bytes(range(160))).decode()  # 20 ms of mu-law
TEN_MINUTES = 10 * 60 * 50  # packets, 8.7 MB as messages
START = StreamStart(stream_id="s", content_type="audio/x-mulaw", sample_rate=8000)
LIMITS = Limits()
WRITE = 1.0  # enough to queue all of it, from a thread too
HANG = 60.0  # seconds: the flood is slow under a coverage tool
# The queue of audio, once more for the objects round its text (nothing waits in that of control);
# what one pull hands out is joined, framed, and cut where the kernel took a part.
BOUND = 2 * LIMITS.audio_buffer + 4 * LIMITS.transport_buffer


class Flood:
    """An application that sends everything at once when a key is pressed, and what it saw."""

    def __init__(self) -> None:
        self.app = VoiceApp(limits=LIMITS, timings=Timings(write=WRITE, close=0.3, linger=0.1))
        self.held = 0
        self.session: CallSession | None = None
        self.lost_the_race = False
        self.endings: list[Ended] = []
        self.gone = anyio.Event()

    def send(self, session: CallSession) -> None:
        self.session = session
        tracemalloc.start()
        try:
            for _ in range(TEN_MINUTES):
                session.send_media(PACKET)
        except SessionClosedError:
            self.lost_the_race = True
        finally:
            _, self.held = tracemalloc.get_traced_memory()
            tracemalloc.stop()


def async_flood() -> Flood:
    flood = Flood()

    @flood.app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        flood.send(session)

    return flood


def sync_flood() -> Flood:
    flood = Flood()

    @flood.app.on(Dtmf)
    def pressed(session: CallSession, event: Dtmf) -> None:
        flood.send(session)

    return flood


def kernel_holds(sock: socket.socket) -> int:
    """Bytes that wait in the kernel to be read."""
    return int(struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0])


@pytest.mark.parametrize("make", [async_flood, sync_flood])
async def test_ten_minutes_of_audio_for_a_peer_that_does_not_read(
    make: Callable[[], Flood],
) -> None:
    flood = make()
    app = flood.app

    @app.on(StreamMedia)
    async def heard(session: CallSession, event: StreamMedia) -> None:
        session.send_media(event.payload)

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        if session is flood.session:
            assert session.ended is not None
            flood.endings.append(session.ended)
            flood.gone.set()

    async with serving(app) as port, calling(port) as other:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", port))
            sock.setblocking(False)
            deaf = Caller(_Stream(sock), "/")  # type: ignore[arg-type]
            assert isinstance(await deaf.receives(), Upgraded)
            began = anyio.current_time()
            await deaf.says(START, Dtmf(digit="1"))
            with anyio.fail_after(HANG):
                await flood.gone.wait()
            took = anyio.current_time() - began
            await other.says(START, StreamMedia(payload=PACKET))
            await other.receives()  # another call goes on
            assert kernel_holds(sock) < 1 << 20, "not what the audio would need"
    (end,) = flood.endings
    assert (end.cause, end.code, end.initiator) == ("error", 1006, "local")
    assert took >= WRITE
    assert 0 < flood.held < BOUND, f"{flood.held} bytes held"


class _Stream:
    """As much of a stream as the caller needs, on a socket whose buffer stays small."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    async def receive(self) -> bytes:
        await anyio.wait_readable(self._sock)
        return self._sock.recv(65536)
