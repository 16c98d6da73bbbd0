"""Both sides of a call on one clock, as stereo: what a recording is made of.

Driven by whoever reads the caller's packets and asks the ledger what was heard of ours. Opens no
file and reads no clock; what is settled is handed out, so a call of any length takes little memory.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from plivo_core.audio._format import AudioFormat, BytesLike, whole_samples
from plivo_core.audio._pcm import interleave
from plivo_core.errors import AudioError

__all__ = ["Recorder"]

_HOLD = 1.0  # seconds until all is settled: a stall of the network that long loses nothing
_SLACK = 0.02  # seconds, one packet: by less than that the count is not corrected
_GRAIN = 0.001  # seconds: far above rounding, far below what can be heard as a pause
_MOST_WAITING = 500  # packets, ten seconds: of a sender that is faster than speech no more wait


class _Packet(NamedTuple):
    place: int  # in samples, by counting
    late: int  # samples: when it arrived, by the clock, less that
    pcm: bytes


class Recorder:
    """Left the caller, right the agent, in ``format`` (16 bit PCM), from ``now`` (seconds) on.

    The caller's track is counted, missing packets too. A packet may come late but never early, so
    the least late one of a second says where the count belongs on the clock. It is moved, by
    silence or by a cut, when it is off by more than 20 ms: the caller paused, or the clocks differ.

    The agent's track has what the ledger says was heard, when it was. What was cleared is not in
    it; nor is, as silence only, what nobody fed.

    Raises AudioError for a format that is not PCM.
    """

    __slots__ = (
        "_agent",
        "_agent_until",
        "_caller",
        "_counted",
        "_heard",
        "_shift",
        "_started_at",
        "_taken",
        "_unheard",
        "_waiting",
        "format",
    )

    def __init__(self, format: AudioFormat, *, now: float) -> None:
        if format.encoding != "pcm16":
            raise AudioError(f"a recording of {format}: expected 16 bit PCM, which can be mixed")
        self.format = format
        self._started_at = now
        self._taken = 0  # samples per channel: where both tracks below begin
        self._caller = bytearray()
        self._waiting = deque[_Packet]()
        self._counted = 0
        self._shift: int | None = None  # from the count to the clock
        self._agent = bytearray()
        self._agent_until = 0
        self._unheard = bytearray()  # fed, from position _heard of the stream on
        self._heard = 0

    def feed_caller(self, pcm: BytesLike, *, now: float, missing: int = 0) -> None:
        """The next packet, when it arrived, and how many of its length were lost in front of it."""
        pcm = whole_samples(pcm, "the packet")
        size = len(pcm) // 2
        place = self._counted + missing * size
        self._waiting.append(_Packet(place, self._elapsed(now) - place, pcm))
        self._counted = place + size
        self._settle(float("-inf"))

    def feed_agent(self, pcm: BytesLike, *, at_ms: float) -> None:
        """What is heard when the ledger's ``heard_ms`` gets to ``at_ms``: not before it is.

        That is the ledger's ``expected_ms`` before an utterance is sent, plus what was fed of it.
        What was fed for ``at_ms`` or later is forgotten, since this can only follow a clear.
        """
        pcm = whole_samples(pcm, "the audio")
        start = self._samples(at_ms / 1000) - self._heard
        pcm = pcm[max(0, -2 * start) :]  # for what was heard already it is too late
        start = max(0, start)
        del self._unheard[2 * start :]
        self._unheard += bytes(2 * start - len(self._unheard)) + pcm

    def hear(self, *, now: float, heard_ms: float, unheard_ms: float) -> None:
        """What the caller hears, as the ledger has it at ``now``.

        Tell it some times a second, and before an utterance is fed: what began or ended in between
        is placed no better than that.
        """
        self._hear(self._elapsed(now), self._samples(heard_ms / 1000), playing=unheard_ms > 0)

    def take(self, *, now: float) -> bytes:
        """Stereo PCM from where the last one ended to a second ago, when all is settled.

        No further than :meth:`hear` was told.
        """
        until = min(self._elapsed(now - _HOLD), self._agent_until)
        self._settle(until)
        return self._cut(until)

    def finish(self, *, now: float) -> bytes:
        """The rest: afterwards all of the recording has been handed out, until ``now``."""
        self._hear(self._elapsed(now), self._heard, playing=False)
        self._settle(float("inf"))
        return self._cut(self._elapsed(now))

    # -- inside --------------------------------------------------------------------------------

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.format.sample_rate)

    def _elapsed(self, now: float) -> int:
        return self._samples(now - self._started_at)

    def _settle(self, until: float) -> None:
        """Place the packets of the track up to there; those behind them say how late they were."""
        waiting = self._waiting
        while waiting:
            first = waiting[0]
            shift = first.late if self._shift is None else min(first.late, self._shift)
            if first.place + shift > until and len(waiting) <= _MOST_WAITING:
                return
            least = min(packet.late for packet in waiting)
            if self._shift is None or abs(least - self._shift) > self._samples(_SLACK):
                self._shift = least
            gap = 2 * (first.place + self._shift - self._taken) - len(self._caller)
            self._caller += bytes(max(0, gap)) + first.pcm[max(0, -gap) :]
            waiting.popleft()

    def _hear(self, until: int, heard: int, *, playing: bool) -> None:
        """The clock and the ledger went on: what was heard goes into the agent's track."""
        passed = max(0, until - self._agent_until)
        sound = max(0, heard - self._heard)
        if abs(passed - sound) <= self._samples(_GRAIN) and 2 * passed <= len(self._unheard):
            sound = passed  # nothing but rounding: no click
        skipped = max(0, sound - passed)  # more than time allows: the latest of it is true
        audio = bytes(self._unheard[2 * skipped : 2 * sound]).ljust(2 * (sound - skipped), b"\0")
        del self._unheard[: 2 * sound]
        self._heard += sound
        silence = bytes(2 * passed - len(audio))
        self._agent += silence + audio if playing else audio + silence
        self._agent_until += passed

    def _cut(self, until: int) -> bytes:
        size = 2 * max(0, until - self._taken)
        stereo = interleave(bytes(self._caller[:size]).ljust(size, b"\0"), self._agent[:size])
        del self._caller[:size], self._agent[:size]
        self._taken += size // 2
        return stereo
