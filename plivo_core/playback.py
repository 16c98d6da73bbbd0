"""What became of the audio we sent: the checkpoint half of the playback ledger (PROTOCOL.md 13).

A checkpoint marks a position in the platform's queue. Each ends exactly once: *played* when
``playedStream`` names it, *cleared* when the audio in front of it was dropped or cleared, *lost*
when its stream ended first. Acknowledgements that are late, repeated or about names never sent are
inert. Driven by the session; it knows no time and sends nothing.
"""

from __future__ import annotations

from enum import Enum

from plivo_core.limits import Limits

__all__ = ["Fate", "PlaybackLedger", "audio_duration_ms"]


class Fate(Enum):
    """Where a checkpoint stands; everything but PENDING is final."""

    PENDING = "pending"
    PLAYED = "played"
    CLEARED = "cleared"
    LOST = "lost"


def audio_duration_ms(payload: str, content_type: str, sample_rate: float) -> float:
    """Playing time of base64 ``payload`` in milliseconds, from its length alone.

    ``audio/x-l16`` has two bytes per sample, everything else counts one. A rate that is not
    positive counts as 8000 Hz.
    """
    size = len(payload) * 3 // 4 - payload.count("=", -2)
    samples = max(0, size // 2 if content_type == "audio/x-l16" else size)
    return samples * 1000 / (sample_rate if sample_rate > 0 else 8000)


class PlaybackLedger:
    """Checkpoints and their fates, for one call."""

    __slots__ = ("_clears", "_fates", "_limit", "_pending", "_sent_clears")

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.max_checkpoints
        self._pending: dict[str, int] = {}  # name -> clears sent before it, in order of sending
        self._fates: dict[str, Fate] = {}
        self._sent_clears = 0
        # clearAudio commands the platform has not answered yet, oldest first. One that answers
        # none of them only grows this until the oldest is forgotten.
        self._clears: list[int] = []

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

    def sent(self, name: str) -> None:
        """A checkpoint was queued. The name must not be pending."""
        self._pending[name] = self._sent_clears

    def dropped(self, name: str) -> None:
        """A checkpoint never left, because the audio in front of it was dropped by a clear."""
        self._settle(name, Fate.CLEARED)

    def clear_sent(self) -> None:
        """``clearAudio`` was queued: what is pending now will be cleared or has been played."""
        self._sent_clears += 1
        self._clears.append(self._sent_clears)
        if len(self._clears) > self._limit:
            del self._clears[0]

    def played(self, name: str) -> None:
        """``playedStream`` arrived; it wins over a ``clearAudio`` it crossed."""
        self._settle(name, Fate.PLAYED)

    def cleared(self) -> None:
        """``clearedAudio`` arrived: settles what preceded its command, or all if nobody asked."""
        before = self._clears.pop(0) if self._clears else self._sent_clears + 1
        for name in [name for name, clears in self._pending.items() if clears < before]:
            self._settle(name, Fate.CLEARED)

    def stream_ended(self) -> None:
        """The stream is over: what is pending is lost."""
        for name in self.pending:
            self._settle(name, Fate.LOST)
        self._clears.clear()

    def _settle(self, name: str, fate: Fate) -> None:
        if self._pending.pop(name, None) is None:
            return
        self._fates.pop(name, None)
        self._fates[name] = fate
        if len(self._fates) > self._limit:
            del self._fates[next(iter(self._fates))]
