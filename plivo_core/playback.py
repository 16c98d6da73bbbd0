"""What became of the audio we sent (DESIGN 6, PROTOCOL.md 13): milliseconds and checkpoints.

The ledger follows one stream. Audio is *queued* here until the transport takes it, then *sent*; the
platform plays what it was sent in real time. So a clock tells what has been *heard*, and
``playedStream`` *proves* it. ``clearAudio`` divides what was sent into what had been heard when the
command left and what will not be: *clearing*, and *cleared* once ``clearedAudio`` came.

A checkpoint marks a position in that queue. Each ends exactly once: *played* when ``playedStream``
names it, *cleared* when the audio in front of it was dropped or cleared, *lost* when its stream
ended first. Acknowledgements that are late, repeated or about names never sent are inert. Driven by
the session; sends nothing, and time is an argument.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from plivo_core.limits import Limits

__all__ = ["Fate", "Interrupted", "PlaybackLedger", "audio_duration_ms"]


class Fate(Enum):
    """Where a checkpoint stands; everything but PENDING is final."""

    PENDING = "pending"
    PLAYED = "played"
    CLEARED = "cleared"
    LOST = "lost"


class Interrupted(NamedTuple):
    """What an interruption cut off; milliseconds, of the whole stream but for ``unheard_ms``.

    What was heard of one utterance is ``heard_ms`` less the ledger's ``expected_ms`` from before it
    (nothing, if that is below zero).
    """

    heard_ms: float
    """The caller heard this much, by the clock: :meth:`PlaybackLedger.heard_ms`."""
    proven_ms: float
    """Of that, what ``playedStream`` proves."""
    unheard_ms: float
    """Will not be heard: what had not left, and what the platform had not played."""
    clearing: bool
    """Whether the platform had audio to clear, by the clock; ``clearedAudio`` says when it is
    silent. False: it had played everything, nothing had left, or a clear had left before."""


def audio_duration_ms(payload: str, content_type: str, sample_rate: float) -> float:
    """Playing time of base64 ``payload`` in milliseconds, from its length alone.

    ``audio/x-l16`` has two bytes per sample, everything else counts one. A rate that is not
    positive counts as 8000 Hz.
    """
    size = len(payload) * 3 // 4 - payload.count("=", -2)
    samples = max(0, size // 2 if content_type == "audio/x-l16" else size)
    return samples * 1000 / (sample_rate if sample_rate > 0 else 8000)


class _Clear:
    """A ``clearAudio`` that left and was not answered: the audio from ``start`` to ``end``."""

    __slots__ = ("end", "heard_to", "number", "proven_to")

    def __init__(self, number: int, end: float, heard_to: float, proven_to: float) -> None:
        self.number = number
        self.end = end
        self.heard_to = heard_to
        self.proven_to = proven_to


class PlaybackLedger:
    """The audio of one stream, in milliseconds of playing time, and the checkpoints of one call.

    Always: ``sent_ms == heard_ms(now) + buffered_ms(now) + clearing_ms + cleared_ms + lost_ms`` and
    ``proven_ms <= heard_ms(now) <= sent_ms``. A second ``start`` begins all of it anew.
    """

    __slots__ = (
        "_clears",
        "_ends_at",
        "_fates",
        "_heard",
        "_left_clears",
        "_limit",
        "_pending",
        "_proven",
        "_proven_to",
        "_since",
        "_stream_over",
        "_waiting_clears",
        "cleared_ms",
        "clears",
        "dropped_ms",
        "earlier_ms",
        "lost_ms",
        "queued_ms",
        "sent_ms",
    )

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.max_checkpoints
        # In order of queueing: clears that left before it, and the position; None: it waits here.
        self._pending: dict[str, tuple[int, float] | None] = {}
        self._fates: dict[str, Fate] = {}
        # clearAudio commands the platform has not answered yet, oldest first. One that answers
        # none of them only grows this until the oldest counts as answered.
        self._clears: list[_Clear] = []
        self._left_clears = 0
        self._waiting_clears = 0
        self.clears = 0
        """``clearAudio`` commands and new streams so far: one more, and earlier audio never plays.
        A ``clearedAudio`` that nobody asked for counts as well."""
        self.earlier_ms = 0.0
        """Heard of the streams before this one."""
        self._begin()

    def _begin(self) -> None:
        self._stream_over = False
        # Positions count what was sent. Before _since everything is settled or in _clears.
        self._since = 0.0
        self._proven_to = 0.0
        self._ends_at = 0.0  # when the platform will have played everything
        self._heard = 0.0  # of what was sent before _since
        self._proven = 0.0
        self.queued_ms = 0.0
        """Waits here for the transport."""
        self.dropped_ms = 0.0
        """Never left: over the budget, or overtaken by a clear."""
        self.sent_ms = 0.0
        """Taken by the transport."""
        self.cleared_ms = 0.0
        """Sent, and thrown away by the platform before the caller heard it."""
        self.lost_ms = 0.0
        """Sent, and not yet heard when the stream ended."""

    # -- milliseconds --------------------------------------------------------------------------

    def heard_ms(self, now: float) -> float:
        """What the caller has heard, by the clock; at least what is proven, at most what was sent.

        Ahead of the caller's ear by the way there: audio counts as playing from when it is sent.
        """
        return self._heard + self._heard_to(now) - self._since

    def buffered_ms(self, now: float) -> float:
        """What the platform still has to play, by the clock."""
        return self.sent_ms - self._heard_to(now)

    def unheard_ms(self, now: float) -> float:
        """What is still to be heard if nothing is cleared: queued here or buffered there."""
        return self.queued_ms + self.sent_ms - self._heard_to(now)

    @property
    def expected_ms(self) -> float:
        """What :meth:`heard_ms` will be when all audio so far has played."""
        return self._heard + self.sent_ms - self._since + self.queued_ms

    @property
    def clear_waits(self) -> bool:
        """Whether a ``clearAudio`` has not left: what it will cut off is not known yet."""
        return self._waiting_clears > 0

    @property
    def proven_ms(self) -> float:
        """What ``playedStream`` proves to have been heard."""
        return self._proven + self._proven_to - self._since

    @property
    def clearing_ms(self) -> float:
        """Cut off by ``clearAudio`` that ``clearedAudio`` has not answered."""
        return sum(clear.end - clear.heard_to for clear in self._clears)

    def _heard_to(self, now: float) -> float:
        left = (self._ends_at - now) * 1000
        position = self.sent_ms - left if left > 0 else self.sent_ms
        return position if position > self._proven_to else self._proven_to

    # -- checkpoints ---------------------------------------------------------------------------

    @property
    def pending(self) -> tuple[str, ...]:
        """Names whose fate is open, in order of sending."""
        return tuple(self._pending)

    @property
    def full(self) -> bool:
        """Whether no further checkpoint fits (``Limits.max_checkpoints``)."""
        return len(self._pending) >= self._limit

    def fate(self, name: str) -> Fate | None:
        """The fate of the last checkpoint of this name; None: never sent, or long forgotten."""
        return Fate.PENDING if name in self._pending else self._fates.get(name)

    # -- what the session tells ----------------------------------------------------------------

    def sent(self, ms: float, now: float) -> None:
        """Audio was taken by the transport."""
        ends_at = self._ends_at
        self._ends_at = (ends_at if ends_at > now else now) + ms / 1000
        self.sent_ms += ms
        if self._stream_over:
            self._lose(now)

    def checkpoint_queued(self, name: str) -> None:
        """The name must not be pending."""
        self._pending[name] = None

    def checkpoint_sent(self, name: str) -> None:
        """It was taken by the transport, behind the audio that precedes it."""
        if name in self._pending:
            self._pending[name] = self._left_clears, self.sent_ms

    def checkpoint_dropped(self, name: str) -> None:
        """It never left, because the audio in front of it was dropped by a clear."""
        self._settle(name, Fate.CLEARED)

    def clear_queued(self) -> None:
        """``clearAudio``: no audio leaves before it any more."""
        self.clears += 1
        self._waiting_clears += 1

    def clear_sent(self, now: float) -> None:
        """``clearAudio`` was taken by the transport: what plays now plays no further."""
        self._left_clears += 1
        self._waiting_clears -= 1
        heard_to = self._heard_to(now)
        self._clears.append(_Clear(self._left_clears, self.sent_ms, heard_to, self._proven_to))
        self._heard += heard_to - self._since
        self._proven += self._proven_to - self._since
        self._since = self._proven_to = self.sent_ms
        self._ends_at = now
        if len(self._clears) > self._limit:
            self._answered(self._clears.pop(0))

    def played(self, name: str, now: float) -> None:
        """``playedStream`` arrived; it wins over a ``clearAudio`` it crossed."""
        sent = self._pending.get(name)
        if sent is None:
            return  # unknown, or not even sent: an echo of an earlier use of the name
        clears, position = sent
        self._settle(name, Fate.PLAYED)
        if clears == self._left_clears:
            self._proven_to = max(self._proven_to, position)
            # The rest cannot take longer than it lasts.
            self._ends_at = min(self._ends_at, now + (self.sent_ms - position) / 1000)
            return
        for clear in self._clears:
            if clear.number == clears + 1:
                self._proven += max(0.0, position - clear.proven_to)
                clear.proven_to = max(clear.proven_to, position)
                self._heard += max(0.0, position - clear.heard_to)
                clear.heard_to = max(clear.heard_to, position)

    def cleared(self, now: float) -> None:
        """``clearedAudio`` arrived: settles what preceded its command, or all if nobody asked."""
        if not self._clears:
            self.clear_queued()
            self.clear_sent(now)
        self._answered(self._clears.pop(0))

    def _answered(self, clear: _Clear) -> None:
        self.cleared_ms += clear.end - clear.heard_to
        for name, sent in list(self._pending.items()):
            if sent is not None and sent[0] < clear.number:
                self._settle(name, Fate.CLEARED)

    def stream_began(self, now: float) -> None:
        """A second stream: what the first one owed is lost, and counting begins anew.

        The audio that was queued for the first one must have been dropped.
        """
        self.stream_ended(now)
        self.clears += 1
        self.earlier_ms += self._heard
        self._begin()

    def stream_ended(self, now: float) -> None:
        """The stream is over: what is pending is lost. Audio that is sent after it, too."""
        for name in self.pending:
            self._settle(name, Fate.LOST)
        self._stream_over = True
        self._lose(now)

    def _lose(self, now: float) -> None:
        self.lost_ms += self.buffered_ms(now) + self.clearing_ms
        self._heard = self.heard_ms(now)
        self._proven = self.proven_ms
        self._clears.clear()
        self._since = self._proven_to = self.sent_ms
        self._ends_at = now

    def _settle(self, name: str, fate: Fate) -> None:
        if name not in self._pending:
            return
        del self._pending[name]
        self._fates.pop(name, None)
        self._fates[name] = fate
        if len(self._fates) > self._limit:
            del self._fates[next(iter(self._fates))]
