"""``session.audio()``: the caller's audio for an ``async for``, decoded and in order.

Like ``wait_for`` it sees events when they arrive, whatever waits in the lanes, and beside the
handlers. What arrives is decoded at once and waits in an :class:`_Inbox` that the call knows; the
loop holds the :class:`CallerFrames`, which the call knows weakly: a loop that breaks takes both
with it. What the packets mean is the core's business (:mod:`plivo_core.audio`).
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from plivo_core import AudioError, Event, UnknownEvent
from plivo_core.audio import AudioFormat, AudioFrame, CallerAudio
from plivo_core.events import (
    AgentSessionStarted,
    ClearedAudio,
    PlayedStream,
    StreamDtmf,
    StreamMedia,
    StreamStart,
    StreamStop,
)
from plivo_core.events._stream import DEFAULT_RATE

if TYPE_CHECKING:
    from plivo_anyio._driver import Driver

__all__ = ["CallerFrames"]


class CallerFrames:
    """An async iterator over :class:`~plivo_core.audio.AudioFrame`; see ``CallSession.audio``.

    One task at a time may wait for the next frame. Cancelled, it has taken none.
    """

    __slots__ = ("__weakref__", "_inbox", "_waited_for")

    def __init__(self, driver: Driver, target: AudioFormat | None) -> None:
        self._waited_for = False
        self._inbox = _Inbox(driver, target)
        self._inbox.owner = weakref.ref(self, self._inbox.abandoned)

    def __aiter__(self) -> CallerFrames:
        return self

    async def __anext__(self) -> AudioFrame:
        if self._waited_for:
            raise anyio.BusyResourceError("waiting for the caller's audio")
        self._waited_for = True
        try:
            while (frame := self._inbox.take()) is None:
                await self._inbox.wake.park()
        finally:
            self._waited_for = False
        return frame

    async def aclose(self) -> None:
        """Stop listening and forget what waits; a task that waits sees the end. Idempotent."""
        self._inbox.close()


class _Inbox:
    """What arrived and was not read yet, at most ``Limits.media_lane_ms``. A Waiter."""

    __slots__ = (
        "_audio",
        "_error",
        "_gap",
        "_most",
        "_ms",
        "_over",
        "_queue",
        "_session",
        "_streaming",
        "_target",
        "_waiters",
        "owner",
        "wake",
    )

    def __init__(self, driver: Driver, target: AudioFormat | None) -> None:
        driver.waiters.require_open()
        self._waiters = driver.waiters
        self._session = driver.conn.session
        self._most = driver.conn.limits.media_lane_ms
        self.wake = driver.backend.parker()
        self.owner: weakref.ref[CallerFrames] | None = None
        self._target = target
        self._queue: deque[tuple[AudioFrame, float]] = deque()
        self._ms = 0.0
        self._gap = 0  # packets dropped from the queue, and what was missing between them
        self._over = False
        self._error: AudioError | None = None
        self._audio: CallerAudio | None = None  # None: the format is not known yet
        self._streaming = self._session.stream_id is not None
        self._waiters.append(self)
        self._begin_as_known()

    # -- what the call tells -------------------------------------------------------------------

    def receive(self, event: Event) -> None:
        if isinstance(event, StreamMedia):
            self._take_packet(event)
        elif isinstance(event, StreamStart):
            if self._streaming:
                self.end()  # another stream; who wants its audio asks again
                return
            self._streaming = True
            self._begin(event.content_type, event.sample_rate)
            self._skip(event.sequence_number)
        elif isinstance(event, StreamStop):
            self.end()
        elif isinstance(event, (StreamDtmf, PlayedStream, ClearedAudio)):
            self._skip(event.sequence_number)
        elif isinstance(event, UnknownEvent):
            self._skip(event.get("sequenceNumber"))
        elif isinstance(event, AgentSessionStarted) and self._audio is None:
            self._begin_as_known()

    def end(self) -> None:
        """No more audio comes; what arrived can still be read."""
        if not self._over:
            self._over = True
            with suppress(ValueError):  # left at once in the loop and by the garbage collector
                self._waiters.remove(self)
            self.wake.unpark()

    # -- what the reader asks ------------------------------------------------------------------

    def take(self) -> AudioFrame | None:
        """The next frame, None if there is none yet. Raises why there will be no more."""
        if self._queue:
            frame, ms = self._queue.popleft()
            self._ms = self._ms - ms if self._queue else 0.0  # sums of fractions drift
            if self._gap:
                frame = frame._replace(missing=frame.missing + self._gap)
                self._gap = 0
            return frame
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._over:
            raise StopAsyncIteration
        return None

    def close(self) -> None:
        self.end()
        self._queue.clear()
        self._error = self.owner = None

    def abandoned(self, _: object) -> None:
        """Nobody can read any more. In whatever thread Python collects garbage."""
        self.close()

    # -- inside --------------------------------------------------------------------------------

    def _begin_as_known(self) -> None:
        known = self._session.media_format
        if known is not None:
            self._begin(known.content_type, known.sample_rate)

    def _begin(self, content_type: str, sample_rate: float) -> None:
        """The format is known, or known better: that of ``start`` wins over the agent's."""
        if not content_type and self._audio is not None:
            return
        try:
            format = AudioFormat.of(content_type, sample_rate)
        except AudioError as error:
            self._fail(error)
            return
        if self._audio is None or self._audio.format != format:
            self._audio = CallerAudio(format, self._target)

    def _fail(self, error: AudioError) -> None:
        self._error = error
        self.end()

    def _skip(self, sequence_number: object) -> None:
        if self._audio is not None and isinstance(sequence_number, (int, float)):
            self._audio.skip(sequence_number)

    def _take_packet(self, event: StreamMedia) -> None:
        audio = self._audio
        if audio is None:
            self._count(invalid=1)
            return
        try:
            frame = audio.feed(
                event.payload,
                format=_said_format(event, audio.format),
                chunk=event.chunk,
                sequence_number=event.sequence_number,
                timestamp=event.timestamp,
            )
        except AudioError as error:
            self._fail(error)
            return
        if frame is None or frame.missing:
            self._count(missing=audio.missing, repeated=audio.repeated, invalid=audio.invalid)
            audio.missing = audio.repeated = audio.invalid = 0
        if frame is not None:
            self._put(frame)

    def _put(self, frame: AudioFrame) -> None:
        # A packet counts a millisecond at least, or empty ones would be without number.
        ms = max(frame.format.duration_ms(len(frame.data)), 1.0)
        self._ms += ms
        while self._queue and self._ms > self._most:
            oldest, its_ms = self._queue.popleft()
            self._ms -= its_ms
            self._gap += oldest.missing + 1
            self._count(dropped=1)
        self._queue.append((frame, ms))
        self.wake.unpark()

    def _count(
        self, *, missing: int = 0, repeated: int = 0, invalid: int = 0, dropped: int = 0
    ) -> None:
        so_far = self._waiters.caller_audio
        self._waiters.caller_audio = replace(
            so_far,
            missing=so_far.missing + missing,
            repeated=so_far.repeated + repeated,
            invalid=so_far.invalid + invalid,
            dropped=so_far.dropped + dropped,
        )


def _said_format(event: StreamMedia, of_stream: AudioFormat) -> AudioFormat | None:
    """The format that a packet says it has; None: nothing that is news.

    A packet that names the stream's encoding and no rate shows the default one, 8000 Hz.
    """
    said, rate = event.content_type, event.sample_rate
    if not said or (
        said == of_stream.content_type and rate in (DEFAULT_RATE, of_stream.sample_rate)
    ):
        return None
    try:
        return AudioFormat.of(said, rate)
    except AudioError as error:
        raise AudioError(
            f"a packet of {said[:64]!r} at {rate!s:.32} Hz came in a stream of {of_stream}"
        ) from error
