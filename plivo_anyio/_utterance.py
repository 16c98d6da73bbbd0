"""One who speaks in a call: audio that waits for room, until somebody interrupts.

Every ``clearAudio`` ends it, whoever asked for it, and so does the end of the stream. When there is
room is the core's answer (:meth:`~plivo_core.Session.audio_delay`), what was heard the ledger's.
"""

from __future__ import annotations

from binascii import b2a_base64
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from plivo_anyio._conditions import Watch
from plivo_core import Fate, SendQueueFull, SessionClosedError, State
from plivo_core.commands import PlayAudio

if TYPE_CHECKING:
    from plivo_anyio._driver import Driver
    from plivo_core.audio import AudioFormat

__all__ = ["Utterance", "is_over"]

# Seconds. A timer that rings on the dot may find a rounding error left to wait for.
_GRAIN = 1e-6
_IN_A_ROW = 10  # messages without waiting, before other tasks get their turn


def is_over(driver: Driver) -> bool:
    """Whether no audio can be heard any more: the call ended, or its stream did."""
    session = driver.conn.session
    return session.finishing or session.state in (State.ENDING, State.ENDED)


class Utterance:
    """Audio of one sender, in ``stream``'s format, at most ``ahead_ms`` ahead of the ear.

    It begins here as far as interruptions count, and at the first :meth:`put` for what was heard.
    """

    __slots__ = (
        "_ahead_ms",
        "_begins_ms",
        "_clears",
        "_driver",
        "_heard_ms",
        "_in_a_row",
        "_stream",
        "sent_ms",
    )

    def __init__(self, driver: Driver, stream: AudioFormat, ahead_ms: float) -> None:
        self._driver = driver
        self._stream = stream
        self._ahead_ms = ahead_ms
        self._clears = driver.conn.session.playback.clears
        self._begins_ms = 0.0  # in all streams together
        self._heard_ms: float | None = None  # once interrupted: what follows is somebody else's
        self._in_a_row = 0
        self.sent_ms = 0.0

    def why_stopped(self) -> Fate | None:
        """LOST: the call or the stream is over. CLEARED: interrupted. None: go on."""
        if is_over(self._driver):
            return Fate.LOST
        if self._driver.conn.session.playback.clears == self._clears:
            return None
        self._heard_ms = self.heard_ms()
        return Fate.CLEARED

    def until_stopped(self) -> Watch[Fate]:
        """A block that is cancelled when it is to stop."""
        return self._driver.conditions.watch(self.why_stopped)

    def require_open(self) -> None:
        """Raises SessionClosedError if the call or the stream is over."""
        if is_over(self._driver):
            raise SessionClosedError("the call is over: no audio can be heard any more")

    async def put(self, audio: bytes) -> bool:
        """Queue whole samples as one message, once there is room. False: it is to stop.

        Raises AudioQueueFull for a message that is over all of ``Limits.audio_buffer``.
        """
        driver, stream = self._driver, self._stream
        assert stream.content_type is not None
        payload = b2a_base64(audio, newline=False).decode("ascii")
        size, ms = len(payload), stream.duration_ms(len(audio))
        command = PlayAudio(
            payload, content_type=stream.content_type, sample_rate=stream.sample_rate
        )
        while True:
            with driver.lock:
                if self.why_stopped() is not None:
                    return False
                delay = self._delay(size, ms)
                if delay is not None and delay <= _GRAIN and self._in_a_row < _IN_A_ROW:
                    if not self.sent_ms:
                        ledger = driver.conn.session.playback
                        self._begins_ms = ledger.earlier_ms + ledger.expected_ms
                    driver.send(command, driver.conn.session.now)
                    self.sent_ms += ms
                    self._in_a_row += 1
                    return True
            self._in_a_row = 0
            if delay is None:
                await self._room(size, ms)
            elif delay > _GRAIN:
                await anyio.sleep(delay)
            else:
                await anyio.lowlevel.checkpoint()

    def _delay(self, size: int, ms: float) -> float | None:
        session = self._driver.conn.session
        session.now = self._driver.clock()
        return session.audio_delay(size, ms, ahead_ms=self._ahead_ms)

    async def _room(self, size: int, ms: float) -> None:
        await self._driver.conditions.until(
            lambda: True if self.why_stopped() or self._delay(size, ms) is not None else None
        )

    def heard_ms(self) -> float:
        """How much of it the caller has heard, by the clock."""
        if self._heard_ms is not None:
            return self._heard_ms
        with self._driver.lock:
            ledger = self._driver.conn.session.playback
            heard = ledger.earlier_ms + ledger.heard_ms(self._driver.clock())
        heard = max(0.0, heard - self._begins_ms)
        return self.sent_ms if heard > self.sent_ms - _GRAIN else heard  # all is all: no rounding

    def interrupt(self) -> None:
        """Silence what is still to be heard of it, if there is anything."""
        with suppress(SessionClosedError, SendQueueFull), self._driver.lock:
            if self.why_stopped() is None and self.sent_ms - self.heard_ms() > _GRAIN:
                self._driver.interrupt()
