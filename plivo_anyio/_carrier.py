"""Carries one side of a call over a stream: bytes both ways, and the time that passes.

A task of its own reads: a read that ended with each deadline would starve where one is always due,
as on a machine that is behind. One task writes and keeps the time. What the bytes mean is the
side's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from plivo_anyio._backend import current_backend
from plivo_anyio._transport import ByteIO, TransportLost
from plivo_core.limits import DEFAULT_LIMITS, DEFAULT_TIMINGS
from plivo_core.platform import SocketAction

__all__ = ["Carrier", "Side", "led_by"]

_READ = DEFAULT_LIMITS.read_size
_WRITE = DEFAULT_TIMINGS.write


class Side(Protocol):
    """The contract of :class:`~plivo_core.platform.ScenarioRun`, which is one."""

    @property
    def reading(self) -> bool: ...

    @property
    def finished(self) -> bool: ...

    def receive_data(self, data: bytes, *, now: float) -> None: ...

    def receive_eof(self, *, now: float) -> None: ...

    def send_failed(self, *, now: float) -> None: ...

    def handle_timeout(self, *, now: float) -> None: ...

    def data_to_send(self) -> bytes: ...

    def next_action(self) -> SocketAction | None: ...

    def deadline(self) -> float | None: ...


class Carrier:
    """Carries ``side`` over ``io``; a write that takes longer than ``write_timeout`` has failed.

    ``on_turn`` is told whenever all that either side did has been seen to.
    """

    def __init__(
        self,
        side: Side,
        io: ByteIO,
        *,
        write_timeout: float = _WRITE,
        on_turn: Callable[[], object] = lambda: None,
    ) -> None:
        self._side = side
        self._io = io
        self._write_timeout = write_timeout
        self._on_turn = on_turn
        backend = current_backend()
        self._clock = backend.clock
        self._to_write = backend.parker()
        self._to_read = backend.parker()
        self._woken = False

    async def run(self) -> None:
        """Until the side is finished, and what it had to say has left; the stream stays open.

        Raises what the side raises.
        """
        await led_by(self._write, self._read)

    def wake(self) -> None:
        """Something was asked of the side: it may have something to say, or another deadline."""
        self._woken = True
        self._to_write.unpark()

    async def flush(self) -> None:
        """Send, and do to the socket, what there is."""
        side = self._side
        while True:
            while data := side.data_to_send():
                try:
                    with anyio.fail_after(self._write_timeout):
                        await self._io.send(data)
                except (TransportLost, TimeoutError):
                    side.send_failed(now=self._clock())
            action = side.next_action()
            if action is None:
                return
            if action is SocketAction.DROP:
                await self._io.aclose()
            else:
                await self._io.send_eof()

    async def _write(self) -> None:
        side = self._side
        while True:
            side.handle_timeout(now=self._clock())
            await self.flush()
            self._on_turn()
            if side.finished:
                return
            if side.reading:
                self._to_read.unpark()
            if not self._woken:
                due = side.deadline()
                with anyio.CancelScope(deadline=float("inf") if due is None else due):
                    await self._to_write.park()
            self._woken = False

    async def _read(self) -> None:
        side, data = self._side, b"-"
        while data:
            data = await self._io.receive(_READ)
            while not side.reading:  # what was on its way when the reading stopped waits here
                await self._to_read.park()
            if data:
                side.receive_data(data, now=self._clock())
            else:
                side.receive_eof(now=self._clock())
            self.wake()


async def led_by(
    main: Callable[[], Awaitable[None]], *beside: Callable[[], Awaitable[None]]
) -> None:
    """Run ``main``, and the others until it returns; raise the first error of any, bare."""
    failed: list[Exception] = []

    async def guarded(function: Callable[[], Awaitable[None]]) -> None:
        try:
            await function()
        except Exception as error:  # noqa: BLE001 - raised below, outside the group
            failed.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for function in beside:
            tasks.start_soon(guarded, function)
        await guarded(main)
        tasks.cancel_scope.cancel()
    if failed:
        raise failed[0]
