"""What the caller hears: the queue of audio that Plivo plays in real time (PROTOCOL.md 13).

Fed by :class:`~plivo_core.platform.PlatformCall` and read by tests, which learn from it how much
was heard, how far ahead the application was and where it left the caller in silence. Time is an
argument, in seconds; the queue keeps durations, never sound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["Gap", "PlaybackQueue"]

_CAPACITY_MS = 60_000.0  # "about 60 s" or 40 s, depending on the page; the larger of the two
_GAPS = 1000  # kept, so that a call of days does not grow
_LEADS = 10_000  # kept: 200 s of frames of 20 ms
# A microsecond: far below one sample (62 us at 16 kHz), far above what the sum of a clock that has
# run for months and a few milliseconds is off by.
_GRAIN_MS = 0.001


@dataclass(frozen=True, slots=True)
class Gap:
    """The queue ran empty ``at`` (seconds), and the next audio came ``ms`` milliseconds later."""

    at: float
    ms: float


class PlaybackQueue:
    """Audio in real playing time; what was put is heard, still to come, cleared or overflowed.

    ``put_ms == heard_ms(now) + lead_ms(now) + cleared_ms + overflowed_ms`` at every ``now``. No
    ``now`` may be earlier than that of the last :meth:`put` or :meth:`clear`; between those any
    order of questions will do, they change nothing.
    """

    __slots__ = (
        "_before_ms",
        "_capacity_ms",
        "_first_heard_ms",
        "_frames_played",
        "_fresh",
        "_gaps",
        "_run_from",
        "_run_ms",
        "_stopped_at",
        "cleared_ms",
        "frames_put",
        "gap_ms",
        "leads",
        "overflowed_ms",
        "put_ms",
    )

    def __init__(self, *, capacity_ms: float = _CAPACITY_MS) -> None:
        self._capacity_ms = capacity_ms
        # A run is audio without a pause: _run_ms of it, playing since _run_from. To keep its start
        # and not its end adds no rounding error per frame.
        self._run_from = float("-inf")
        self._run_ms = 0.0
        self._before_ms = 0.0  # heard in earlier runs
        self._first_heard_ms = deque[float]()  # per frame: what must have played for it to count
        self._frames_played = 0  # and no longer in that deque
        self._fresh = True  # silence is not a gap: nothing was put since the start or a clear
        self._stopped_at = float("inf")
        self._gaps = deque[Gap](maxlen=_GAPS)
        self.put_ms = 0.0
        """All audio that came."""
        self.cleared_ms = 0.0
        """Thrown away by :meth:`clear`."""
        self.overflowed_ms = 0.0
        """Dropped on arrival, because the queue was full."""
        self.frames_put = 0
        """How many times audio came, overflowed frames included."""
        self.gap_ms = 0.0
        """Total of all gaps, those no longer in :attr:`gaps` too."""
        self.leads = deque[tuple[float, float]](maxlen=_LEADS)
        """``(now, lead_ms)`` right before each put, the newest 10,000."""

    # -- input ---------------------------------------------------------------------------------

    def put(self, ms: float, *, now: float) -> None:
        """A frame of ``ms`` milliseconds arrives. One without any sound is not there at all."""
        if ms <= 0:
            return
        now = min(now, self._stopped_at)
        lead = self.lead_ms(now)
        self.leads.append((now, lead))
        self._forget_played_frames(now)
        if lead <= 0:
            self._end_run(now)
        fits = min(ms, self._capacity_ms - lead)
        if fits > 0:
            self._first_heard_ms.append(self._run_ms + min(fits, _GRAIN_MS))
            self._run_ms += fits
        self.put_ms += ms
        self.overflowed_ms += ms - max(0.0, fits)
        self.frames_put += 1

    def clear(self, *, now: float) -> float:
        """Throw away what was not played yet: how much, in milliseconds.

        The silence from here to the next put is wanted, and no gap.
        """
        now = min(now, self._stopped_at)
        lead = self.lead_ms(now)
        self._forget_played_frames(now)
        self._first_heard_ms.clear()
        self._before_ms += self._played_ms(now)
        self._run_from, self._run_ms = now, 0.0
        self._fresh = True
        self.cleared_ms += lead
        return lead

    def stop(self, *, now: float) -> None:
        """The call is over: time stands still, what is in the queue will never be heard."""
        self._stopped_at = min(now, self._stopped_at)

    # -- output --------------------------------------------------------------------------------

    @property
    def plays_until(self) -> float:
        """When the queue is or was empty, in seconds; minus infinity before the first audio."""
        return self._run_from + self._run_ms / 1000

    @property
    def gaps(self) -> list[Gap]:
        """Each time the queue had run empty and audio came later; oldest first, the newest 1000."""
        return list(self._gaps)

    def lead_ms(self, now: float) -> float:
        """How much is still to be played."""
        return self._run_ms - self._played_ms(now)

    def heard_ms(self, now: float) -> float:
        """How much the caller has really heard, over the whole call."""
        return self._before_ms + self._played_ms(now)

    def frames_heard(self, now: float) -> int:
        """How many frames the caller has heard, in part at least."""
        played = self._played_ms(now)
        return self._frames_played + sum(needed <= played for needed in self._first_heard_ms)

    # -- one run -------------------------------------------------------------------------------

    def _played_ms(self, now: float) -> float:
        """How much of this run has been played; exactly all of it once it is over."""
        elapsed = (min(now, self._stopped_at) - self._run_from) * 1000
        return max(0.0, min(elapsed, self._run_ms))

    def _forget_played_frames(self, now: float) -> None:
        played, frames = self._played_ms(now), self._first_heard_ms
        while frames and frames[0] <= played:
            frames.popleft()
            self._frames_played += 1

    def _end_run(self, now: float) -> None:
        """Everything was played, and the next audio starts now."""
        silence = (now - self.plays_until) * 1000
        if not self._fresh and silence > _GRAIN_MS:
            self._gaps.append(Gap(self.plays_until, silence))
            self.gap_ms += silence
        self._before_ms += self._run_ms
        self._run_from, self._run_ms = now, 0.0
        self._fresh = False
