"""The two lanes of unsent messages: control and audio, both bounded.

Control leaves first, so nothing waits behind audio that we still hold. A checkpoint keeps its place
between audio messages but is never dropped with them. What leaves is told to the ledger.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, TypeAlias

from plivo_core.errors import AudioQueueFull
from plivo_core.limits import Limits
from plivo_core.playback import PlaybackLedger

__all__ = ["Output", "Pending"]

# Text, playing time, and the checkpoint's name (None: audio). A bare tuple: one per packet.
_Queued: TypeAlias = "tuple[str, float, str | None]"


class Pending(NamedTuple):
    """What waits to be sent. Sizes are bytes of message text."""

    control_messages: int
    """Everything but audio, checkpoints included."""
    control_bytes: int
    audio_messages: int
    audio_bytes: int
    audio_ms: float
    """Playing time."""


class _Clear(str):
    """The text of a ``clearAudio``: when it leaves is what the ledger goes by."""

    __slots__ = ()


class Output:
    """Texts in, texts out. Sizes are characters, which are bytes: the codec writes ASCII.

    An empty lane is None: a deque takes 760 bytes, and most lanes of most calls are empty.
    """

    __slots__ = (
        "_audio",
        "_audio_messages",
        "_audio_size",
        "_checkpoints",
        "_control",
        "_control_size",
        "_ledger",
        "_limits",
        "dropped_messages",
    )

    def __init__(self, limits: Limits, ledger: PlaybackLedger) -> None:
        self._limits = limits
        self._ledger = ledger
        self._control: deque[str] | None = None
        self._control_size = 0  # of checkpoints, too
        self._audio: deque[_Queued] | None = None
        self._audio_size = 0
        self._audio_messages = 0
        self._checkpoints = 0
        self.dropped_messages = 0
        """Audio messages of this call that never left."""

    def __bool__(self) -> bool:
        return self._audio is not None or self._control is not None

    @property
    def pending(self) -> Pending:
        """The messages that wait."""
        return Pending(
            len(self._control or ()) + self._checkpoints,
            self._control_size,
            self._audio_messages,
            self._audio_size,
            self._ledger.queued_ms,
        )

    def fits(self, text: str) -> bool:
        """Whether a control message (or a checkpoint) is within the budget."""
        return self._control_size + len(text) <= self._limits.control_buffer

    def fits_audio(self, size: int, ms: float) -> bool:
        """Whether audio is within the budget. A single message may last as long as it likes."""
        return (
            not self._audio_messages or self._ledger.queued_ms + ms <= self._limits.audio_buffer_ms
        ) and self._audio_size + size <= self._limits.audio_buffer

    def put_control(self, text: str) -> None:
        if self._control is None:
            self._control = deque()
        self._control.append(text)
        self._control_size += len(text)

    def put_clear(self, text: str) -> None:
        """Queue ``clearAudio``, which overtakes the audio lane: what is in there is dropped."""
        for name in self.drop_audio():
            self._ledger.checkpoint_dropped(name)
        self._ledger.clear_queued()
        self.put_control(_Clear(text))

    def put_checkpoint(self, text: str, name: str) -> None:
        self._ledger.checkpoint_queued(name)
        if self._audio is None:
            self._audio = deque()
        self._audio.append((text, 0.0, name))
        self._checkpoints += 1
        self._control_size += len(text)

    def put_audio(self, text: str, ms: float) -> None:
        """Queue audio; over budget the policy decides.

        Raises AudioQueueFull if that is what ``Limits.audio_overflow`` asks for, and for a message
        that is over ``Limits.audio_buffer`` by itself.
        """
        ledger, size = self._ledger, len(text)
        limits = self._limits
        if (
            self._audio_size + size > limits.audio_buffer
            or ledger.queued_ms + ms > limits.audio_buffer_ms
        ) and not self._make_room(size, ms):
            return
        if self._audio is None:
            self._audio = deque()
        self._audio.append((text, ms, None))
        self._audio_size += size
        self._audio_messages += 1
        ledger.queued_ms += ms

    def take(self, now: float) -> str | None:
        """The next text to send, which counts as sent."""
        if (control := self._control) is not None:
            text = control.popleft()
            if not control:
                self._control = None
            self._control_size -= len(text)
            if type(text) is _Clear:
                self._ledger.clear_sent(now)
            return text
        if (audio := self._audio) is None:
            return None
        item = audio.popleft()
        if not audio:
            self._audio = None
        self._forget(item)
        if item[2] is None:
            self._ledger.sent(item[1], now)
        else:
            self._ledger.checkpoint_sent(item[2])
        return item[0]

    def drop_audio(self) -> list[str]:
        """Forget the audio lane; the names of the checkpoints that were in it."""
        names: list[str] = []
        for item in self._audio or ():
            self._forget(item)
            if item[2] is None:
                self._count_dropped(item[1])
            else:
                names.append(item[2])
        self._audio = None
        return names

    def disown_clears(self) -> None:
        """Another stream began: no ``clearAudio`` in the control lane is for it.

        They still leave, but the ledger must not wait for answers, which name the old stream.
        """
        if self._control is not None:
            self._control = deque(map(str, self._control))

    def clear(self) -> None:
        """Forget everything: the call is over."""
        self.drop_audio()
        self._control = None
        self._control_size = 0

    def _make_room(self, size: int, ms: float) -> bool:
        """Do as the policy says; False: the new audio is dropped."""
        if size > self._limits.audio_buffer:
            raise AudioQueueFull(
                f"one audio message has {size} bytes, at most {self._limits.audio_buffer} may wait",
                hint="send it in pieces: 20 ms each is usual",
            )
        if self.fits_audio(size, ms):
            return True
        if self._limits.audio_overflow == "error":
            raise AudioQueueFull(
                f"{self._ledger.queued_ms:.0f} ms of audio ({self._audio_size} bytes) wait to"
                " be sent",
                hint="send slower, or clear_audio() first",
            )
        if self._limits.audio_overflow == "drop_newest":
            self._count_dropped(ms)
            return False
        self._drop_oldest(size, ms)
        return True

    def _drop_oldest(self, size: int, ms: float) -> None:
        """Drop until there is room, in one pass: a thousand checkpoints may stand in between."""
        audio = self._audio
        assert audio is not None
        kept: list[_Queued] = []
        while not self.fits_audio(size, ms):
            while (item := audio.popleft())[2] is not None:
                kept.append(item)
            self._forget(item)
            self._count_dropped(item[1])
        audio.extendleft(reversed(kept))
        if not audio:
            self._audio = None

    def _forget(self, item: _Queued) -> None:
        text, ms, checkpoint = item
        if checkpoint is None:
            self._audio_size -= len(text)
            self._audio_messages -= 1
            # Sums of fractions drift; an empty lane holds exactly nothing.
            ledger = self._ledger
            ledger.queued_ms = ledger.queued_ms - ms if self._audio_messages else 0.0
        else:
            self._control_size -= len(text)
            self._checkpoints -= 1

    def _count_dropped(self, ms: float) -> None:
        self.dropped_messages += 1
        self._ledger.dropped_ms += ms
