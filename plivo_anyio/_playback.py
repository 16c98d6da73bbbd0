"""Sending audio so that the caller hears it: in turn, in time, and with word of what was heard.

A :class:`Player` belongs to one call, and lives on the loop's own thread. Who sends takes turns;
what was said is followed by a checkpoint, whose fate is waited for, but never past the call's end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.lowlevel

from plivo_anyio._barrier import holds
from plivo_anyio._sources import AudioSource, BytesLike, Cutter, Source, WavFile, bytes_of
from plivo_anyio._utterance import Utterance, is_over
from plivo_core import AudioError, ConfigError, Fate, LocalProtocolError, SessionClosedError
from plivo_core.commands import Checkpoint

if TYPE_CHECKING:
    from plivo_anyio._driver import Driver
    from plivo_core.audio import AudioFormat

__all__ = ["Player", "Spoken"]

_MESSAGE = 12 * 1024  # bytes of audio, 16 KB of base64: the most that Plivo recommends
_PATIENCE = 5.0  # seconds for an acknowledgement, after all should have been heard
_NEVER = float("inf")


class Spoken(NamedTuple):
    """What became of one utterance; milliseconds of playing time."""

    sent_ms: float
    """Given to the call; the silence that fills up the last 20 ms counts."""
    heard_ms: float
    """The caller heard this much of it, by the clock: from 0 to ``sent_ms``."""
    fate: Fate | None
    """PLAYED: all was heard, says the platform. CLEARED: somebody interrupted. LOST: another stream
    took the place of this one. PENDING: the platform owes the answer. None: nothing was to say."""


class Player:
    """The sending half of the live audio of one call; the docstrings are those of CallSession."""

    __slots__ = ("_driver", "_names", "_turns")

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._turns = anyio.Lock()  # first come, first heard
        self._names = 0

    async def send_audio(self, chunk: BytesLike, format: AudioFormat | None) -> bool:
        audio = bytes_of(chunk)
        stream = self._stream_format()
        if format is not None and format != stream:
            raise AudioError(
                f"audio of {format} for a stream of {stream}",
                hint="say_audio() converts, and so does plivo_core.audio.Converter",
            )
        _require_samples(audio, stream)
        limits = self._driver.conn.limits
        # A smaller budget is filled in smaller pieces; base64 and the rest fit twice.
        most = max(min(_MESSAGE, limits.audio_buffer // 2) & ~1, 2)
        utterance = Utterance(self._driver, stream, limits.playback_ahead_ms)
        with utterance.until_stopped():
            async with self._turns:
                for start in range(0, len(audio), most):
                    if not await utterance.put(audio[start : start + most]):
                        break
                else:
                    return True
        utterance.require_open()
        return False

    async def say_audio(
        self, source: AudioSource, format: AudioFormat | None, lead_ms: float
    ) -> Spoken:
        chunks = Source(source)
        try:
            _require_number(lead_ms, "lead_ms", "milliseconds")
            stream = self._stream_format()
            if isinstance(source, (bytes, bytearray, memoryview)):
                _require_samples(bytes(source), format or stream)
            ahead = min(lead_ms, self._driver.conn.limits.playback_ahead_ms)
            utterance = Utterance(self._driver, stream, ahead)
            try:
                return await self._say(utterance, chunks, Cutter(format or stream, stream))
            except BaseException as error:
                # On trio a source with a nursery lets out a group.
                if holds(error, (anyio.get_cancelled_exc_class(),)):
                    utterance.interrupt()  # before anything is awaited
                raise
        finally:
            await chunks.aclose()

    async def play_file(self, path: str | os.PathLike[str], lead_ms: float) -> Spoken:
        return await self.say_audio(WavFile(path, self._stream_format()), None, lead_ms)

    async def wait_played(self, name: str) -> Fate:
        with self._driver.lock:
            if self._driver.conn.session.playback.fate(name) is None:
                raise LocalProtocolError(
                    f"no checkpoint {name!r} was sent", hint="send_checkpoint() first"
                )
        fate = await self._driver.conditions.until(lambda: self._final(name, self._lost))
        assert fate is not None
        return fate

    async def hangup_after_playback(self, seconds: float | None) -> Fate | None:
        if seconds is not None:
            _require_number(seconds, "timeout", "seconds")
        fate = await self._all_played(seconds)
        self._driver.end_call()
        return fate

    # -- speaking --------------------------------------------------------------------------------

    async def _say(self, utterance: Utterance, chunks: Source, cutter: Cutter) -> Spoken:
        placed: tuple[str, float] | None = None
        with utterance.until_stopped():
            async with self._turns:
                if await self._put_all(utterance, chunks, cutter) and utterance.sent_ms:
                    placed = self._place_checkpoint("say")
        # Who comes next may speak on: no pause while the platform owes an answer.
        stopped = utterance.why_stopped
        fate = stopped() if placed is None else await self._fate_of(*placed, stopped)
        if fate is Fate.LOST:
            utterance.require_open()
        return Spoken(utterance.sent_ms, utterance.heard_ms(), fate)

    async def _put_all(self, utterance: Utterance, chunks: Source, cutter: Cutter) -> bool:
        """False: stopped."""
        while (chunk := await chunks.next()) is not None:
            if not chunk:  # without end, maybe: the loop is not this source's alone
                await anyio.lowlevel.checkpoint()
            for frame in cutter.feed(chunk):
                if not await utterance.put(frame):
                    return False
        for frame in cutter.flush():
            if not await utterance.put(frame):
                return False
        return utterance.why_stopped() is None

    def _stream_format(self) -> AudioFormat:
        from plivo_core.audio import AudioFormat

        if is_over(self._driver):
            raise SessionClosedError("the call is over: no audio can be heard any more")
        media = self._driver.conn.session.media_format
        if media is None:
            raise LocalProtocolError(
                "the stream has not started, so its format is not known",
                hint="send audio from the handler of 'start' on",
            )
        return AudioFormat.of(media.content_type, media.sample_rate)

    # -- checkpoints -----------------------------------------------------------------------------

    def _place_checkpoint(self, prefix: str) -> tuple[str, float]:
        """Its name, and what will have been heard when it is played; not for calls that are over.

        Nobody else's checkpoint has this name. Of a platform that answers none, and now owes
        ``Limits.max_checkpoints``, no further one is asked: the clock has to do.
        """
        with self._driver.lock:
            ledger = self._driver.conn.session.playback
            while True:
                self._names += 1
                name = f"{prefix}-{self._names}"
                if ledger.fate(name) is None:
                    break
            if not ledger.full:
                self._driver.send(Checkpoint(name), None)
            return name, ledger.expected_ms

    def _lost(self) -> Fate | None:
        return Fate.LOST if is_over(self._driver) else None

    def _final(self, name: str, otherwise: Callable[[], Fate | None]) -> Fate | None:
        """The fate of a checkpoint if it is final, else what ``otherwise`` says."""
        fate = self._driver.conn.session.playback.fate(name)
        return otherwise() if fate is None or fate is Fate.PENDING else fate

    async def _fate_of(
        self, name: str, heard_ms: float, otherwise: Callable[[], Fate | None], due: float = _NEVER
    ) -> Fate:
        """Its final fate; PENDING at ``due``, or 5 s after ``heard_ms`` should have been heard."""
        clock = self._driver.clock
        while True:
            deadline = min(due, clock() + self._left(heard_ms) + _PATIENCE)
            fate = await self._driver.conditions.until(
                lambda: self._final(name, otherwise), deadline=deadline
            )
            # A transport that was full until now delays what it was to deliver.
            if fate is not None or clock() >= due or self._left(heard_ms) <= 0:
                return fate or Fate.PENDING

    def _left(self, heard_ms: float) -> float:
        """Seconds until that much was heard, by the clock; after a clear it never will be."""
        with self._driver.lock:
            now, ledger = self._driver.clock(), self._driver.conn.session.playback
            return max(0, min(heard_ms - ledger.heard_ms(now), ledger.unheard_ms(now))) / 1000

    async def _all_played(self, seconds: float | None) -> Fate | None:
        """The fate of all that is queued, and of who speaks or waits to; None: there is nothing."""
        driver = self._driver
        if not self._turns.locked() and self._is_silent():
            return None
        due = _NEVER if seconds is None else driver.clock() + seconds
        placed: tuple[str, float] | None = None
        with driver.conditions.watch(self._lost, deadline=due):
            async with self._turns:
                if self._is_silent():
                    return None
                with driver.lock:
                    if not is_over(driver):
                        placed = self._place_checkpoint("hangup")
        if placed is None:
            return self._lost() or Fate.PENDING
        return await self._fate_of(*placed, self._lost, due)

    def _is_silent(self) -> bool:
        """Whether the stream never had anything to hear: the platform then acknowledges nothing."""
        driver = self._driver
        with driver.lock:
            now, ledger = driver.clock(), driver.conn.session.playback
            return not (ledger.unheard_ms(now) or ledger.heard_ms(now) or is_over(driver))


def _require_samples(audio: bytes, format: AudioFormat) -> None:
    if len(audio) % format.sample_width:
        raise AudioError(
            f"{len(audio)} bytes of {format}: expected whole samples of {format.sample_width} bytes"
        )


def _require_number(value: object, name: str, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{name} must be {unit}, not {type(value).__name__}")
    if not 0 <= value <= _NEVER:  # NaN compares false
        raise ConfigError(f"{name} must not be negative, got {value}")
