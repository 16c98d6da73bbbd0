"""A rule-based machine of hypothesis that fuzzes a :class:`~plivo_anyio.VoiceApp` in process.

The rules and the checks are those of :class:`plivo_core.testing.AgentMachine`. The app runs on its
own event loop, under a clock that the machine moves; a handler that raises fails the run.
"""

from __future__ import annotations

import anyio

from plivo_anyio._app import VoiceApp
from plivo_anyio._transport import ByteIO
from plivo_anyio.testing._stage import Platform
from plivo_core.limits import DEFAULT_LIMITS
from plivo_core.testing import AgentEnd, AgentError, AgentMachine

__all__ = ["VoiceAppMachine"]


class VoiceAppMachine(AgentMachine):
    """``TestMyApp = MyMachine.TestCase`` of a subclass that has :meth:`make_app`."""

    pieces = (0, 0, 0, 50)
    backend: str = "asyncio"
    """Or ``"trio"``."""

    def make_app(self) -> VoiceApp:
        """Your app. One that keeps nothing between calls may be the same each time."""
        raise NotImplementedError("override make_app()")

    def make_agent(self, now: float) -> AgentEnd:
        return _AppEnd(self.make_app(), self.backend, now)


class _AppEnd:
    """An app as an AgentEnd. Its clock runs a little ahead: a microsecond per input."""

    def __init__(self, app: VoiceApp, backend: str, now: float) -> None:
        self._now = now
        self._platform = Platform(backend)
        self._platform.__enter__()
        self._arrived = bytearray()
        self._at_eof = False
        try:
            self._platform.watch(app)
            self._platform.do(self._open, app)
        except BaseException:
            self.stop()
            raise

    async def _open(self, app: VoiceApp) -> None:
        self._changed = anyio.Event()
        self._stream: ByteIO
        self._stream, _ = await self._platform.connect(app)
        self._platform.start_soon(self._read)

    async def _read(self) -> None:
        while data := await self._stream.receive(DEFAULT_LIMITS.read_size):
            self._arrived += data
            self._changed.set()
        self._at_eof = True
        self._changed.set()

    # -- what the machine asks -----------------------------------------------------------------

    @property
    def errors(self) -> list[AgentError]:
        """As a list of our own, which the machine may clear."""
        found = [AgentError(each.event, each.error) for each in self._platform.errors]
        self._platform.errors.clear()
        return found

    @property
    def closed(self) -> bool:
        return self._at_eof

    def receive_data(self, data: bytes, *, now: float) -> None:
        self._now = now
        self._platform.do(self._send, data)

    def receive_eof(self, *, now: float) -> None:
        self._now = now
        self._platform.do(self._hang_up)

    def wait(self, until: float) -> float:
        passed = self._platform.do(self._wait, until - self._now)
        self._now = min(until, self._now + passed)
        return self._now

    def data_to_send(self) -> bytes:
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    def stop(self) -> None:
        self._platform.__exit__(None, None, None)

    # -- in the event loop ---------------------------------------------------------------------

    async def _send(self, data: bytes) -> None:
        await self._stream.send(data)
        await self._platform.settle()

    async def _hang_up(self) -> None:
        await self._stream.send_eof()
        await self._platform.settle()

    async def _wait(self, seconds: float) -> float:
        began = anyio.current_time()
        with anyio.move_on_after(max(0.0, seconds)) as scope:
            while not self._arrived and not self._at_eof:
                self._changed = anyio.Event()
                await self._changed.wait()
            if self._at_eof:
                await anyio.sleep_forever()
        return seconds if scope.cancelled_caught else anyio.current_time() - began
