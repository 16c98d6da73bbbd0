"""Plivo's end of one call that a test leads step by step, over any byte stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import anyio

from plivo_anyio._carrier import Carrier
from plivo_anyio._transport import ByteIO
from plivo_core import Command, InvalidMessage
from plivo_core.platform import PlatformEvent, ScenarioRun, Step
from plivo_core.platform._live import LiveCall, LiveScenario
from plivo_core.wire import Headers

__all__ = ["Line"]


class Line:
    """:meth:`hold` it in a task; everything else is for the thread of the event loop, too."""

    def __init__(
        self,
        scenario: LiveScenario,
        stream: ByteIO,
        *,
        random_bytes: Callable[[int], bytes],
        host: str,
        target: str,
        headers: Headers,
    ) -> None:
        self._stream = stream
        self.mode = scenario.mode
        self.call_uuid = scenario.title
        self.began_at = anyio.current_time()
        self.run = ScenarioRun(
            scenario,
            random_bytes=random_bytes,
            now=anyio.current_time(),
            host=host,
            target=target,
            headers=headers,
            on_sent=self._sent,
            on_received=self._received,
        )
        self.began = False
        """Whether the call was accepted, and something said."""
        self.received: list[tuple[float, Command | InvalidMessage]] = []
        """Everything the application sent, and when."""
        self._gone = False
        self._changed = anyio.Event()  # by either side
        self._carrier = Carrier(self.run, stream, on_turn=self._tell)

    @property
    def over(self) -> bool:
        return self.run.finished or self._gone

    @property
    def call(self) -> LiveCall:
        return cast("LiveCall", self.run.call)

    def _sent(self, event: PlatformEvent) -> None:
        self.began = True

    def _received(self, command: Command | InvalidMessage) -> None:
        self.received.append((anyio.current_time(), command))

    async def seconds(self) -> float:
        """How long the call has lasted."""
        return self.run.result.seconds if self.over else anyio.current_time() - self.began_at

    # -- for steps -----------------------------------------------------------------------------

    async def play(self, *steps: Step) -> None:
        """Play ``steps``; return when the last of them is over, or the call is."""
        self.call.play(*steps, now=anyio.current_time())
        self._carrier.wake()
        while self.call.waiting and not self.over:
            await self._changed.wait()

    async def until(self, met: Callable[[], bool], within: float) -> bool:
        """Whether something is ``met`` before so many seconds or the call are over."""
        with anyio.move_on_after(within):
            while not met() and not self.over:
                await self._changed.wait()
        return met()

    # -- the connection ------------------------------------------------------------------------

    async def hold(self) -> None:
        """Until the call is over."""
        try:
            await self._carrier.run()
        finally:
            self._gone = True
            self._tell()
            await self._stream.aclose()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
