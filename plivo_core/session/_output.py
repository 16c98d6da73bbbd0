"""The two lanes of unsent messages: control and audio, both bounded.

Control leaves first, so nothing waits behind audio that we still hold. A checkpoint keeps its place
between audio messages but is never dropped with them.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from plivo_core.limits import Limits

__all__ = ["Output"]


class _Queued(NamedTuple):
    text: str
    ms: float
    checkpoint: str | None  # None: audio


class Output:
    """Texts in, texts out. Sizes are characters, which are bytes: the codec writes ASCII."""

    __slots__ = (
        "_audio",
        "_audio_size",
        "_control",
        "_control_size",
        "_limits",
        "audio_messages",
        "audio_ms",
        "dropped_messages",
        "dropped_ms",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._control: deque[str] = deque()
        self._control_size = 0
        self._audio: deque[_Queued] = deque()
        self._audio_size = 0
        self.audio_ms = 0.0
        self.audio_messages = 0
        self.dropped_ms = 0.0
        self.dropped_messages = 0

    def __bool__(self) -> bool:
        return bool(self._control or self._audio)

    def fits(self, text: str) -> bool:
        """Whether a control message (or a checkpoint) is within the budget."""
        return self._control_size + len(text) <= self._limits.control_buffer

    def put_control(self, text: str) -> None:
        self._control.append(text)
        self._control_size += len(text)

    def put_checkpoint(self, text: str, name: str) -> None:
        self._audio.append(_Queued(text, 0.0, name))
        self._control_size += len(text)

    def put_audio(self, text: str, ms: float) -> None:
        """Queue audio; over budget the oldest is dropped, never the newest."""
        self._audio.append(_Queued(text, ms, None))
        self._audio_size += len(text)
        self.audio_ms += ms
        self.audio_messages += 1
        while self.audio_messages > 1 and (
            self._audio_size > self._limits.audio_buffer
            or self.audio_ms > self._limits.audio_buffer_ms
        ):
            self._drop_oldest()

    def take(self) -> str | None:
        """The next text to send."""
        if self._control:
            text = self._control.popleft()
            self._control_size -= len(text)
            return text
        if not self._audio:
            return None
        item = self._audio.popleft()
        self._forget(item)
        return item.text

    def drop_audio(self) -> list[str]:
        """Forget the audio lane; the names of the checkpoints that were in it."""
        names = [item.checkpoint for item in self._audio if item.checkpoint is not None]
        for item in self._audio:
            self._forget(item)
            self._count_dropped(item)
        self._audio.clear()
        return names

    def clear(self) -> None:
        """Forget everything: the call is over."""
        self._control.clear()
        self._audio.clear()
        self._control_size = self._audio_size = self.audio_messages = 0
        self.audio_ms = 0.0

    def _drop_oldest(self) -> None:
        kept: list[_Queued] = []
        while (item := self._audio.popleft()).checkpoint is not None:
            kept.append(item)
        self._audio.extendleft(reversed(kept))
        self._forget(item)
        self._count_dropped(item)

    def _forget(self, item: _Queued) -> None:
        if item.checkpoint is None:
            self._audio_size -= len(item.text)
            self.audio_messages -= 1
            # Sums of fractions drift; an empty lane holds exactly nothing.
            self.audio_ms = self.audio_ms - item.ms if self.audio_messages else 0.0
        else:
            self._control_size -= len(item.text)

    def _count_dropped(self, item: _Queued) -> None:
        if item.checkpoint is None:
            self.dropped_messages += 1
            self.dropped_ms += item.ms
