"""The two lanes of unsent messages: control and audio, both bounded.

Control leaves first, so nothing waits behind audio that we still hold. A checkpoint keeps its place
between audio messages but is never dropped with them.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from plivo_core.limits import Limits

__all__ = ["Output"]

# Text, playing time, and the checkpoint's name (None: audio). A bare tuple: one per packet.
_Queued: TypeAlias = "tuple[str, float, str | None]"


class Output:
    """Texts in, texts out. Sizes are characters, which are bytes: the codec writes ASCII.

    An empty lane is None: a deque takes 760 bytes, and most lanes of most calls are empty.
    """

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
        self._control: deque[str] | None = None
        self._control_size = 0
        self._audio: deque[_Queued] | None = None
        self._audio_size = 0
        self.audio_ms = 0.0
        self.audio_messages = 0
        self.dropped_ms = 0.0
        self.dropped_messages = 0

    def __bool__(self) -> bool:
        return self._audio is not None or self._control is not None

    def fits(self, text: str) -> bool:
        """Whether a control message (or a checkpoint) is within the budget."""
        return self._control_size + len(text) <= self._limits.control_buffer

    def put_control(self, text: str) -> None:
        if self._control is None:
            self._control = deque()
        self._control.append(text)
        self._control_size += len(text)

    def put_checkpoint(self, text: str, name: str) -> None:
        self._put((text, 0.0, name))
        self._control_size += len(text)

    def put_audio(self, text: str, ms: float) -> None:
        """Queue audio; over budget the oldest is dropped, never the newest."""
        self._put((text, ms, None))
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
        if (control := self._control) is not None:
            text = control.popleft()
            if not control:
                self._control = None
            self._control_size -= len(text)
            return text
        if (audio := self._audio) is None:
            return None
        item = audio.popleft()
        if not audio:
            self._audio = None
        self._forget(item)
        return item[0]

    def drop_audio(self) -> list[str]:
        """Forget the audio lane; the names of the checkpoints that were in it."""
        names: list[str] = []
        for item in self._audio or ():
            self._forget(item)
            self._count_dropped(item)
            if item[2] is not None:
                names.append(item[2])
        self._audio = None
        return names

    def clear(self) -> None:
        """Forget everything: the call is over."""
        self._control = self._audio = None
        self._control_size = self._audio_size = self.audio_messages = 0
        self.audio_ms = 0.0

    def _put(self, item: _Queued) -> None:
        if self._audio is None:
            self._audio = deque()
        self._audio.append(item)

    def _drop_oldest(self) -> None:
        audio = self._audio
        assert audio is not None
        kept: list[_Queued] = []
        while (item := audio.popleft())[2] is not None:
            kept.append(item)
        audio.extendleft(reversed(kept))
        self._forget(item)
        self._count_dropped(item)

    def _forget(self, item: _Queued) -> None:
        text, ms, checkpoint = item
        if checkpoint is None:
            self._audio_size -= len(text)
            self.audio_messages -= 1
            # Sums of fractions drift; an empty lane holds exactly nothing.
            self.audio_ms = self.audio_ms - ms if self.audio_messages else 0.0
        else:
            self._control_size -= len(text)

    def _count_dropped(self, item: _Queued) -> None:
        _, ms, checkpoint = item
        if checkpoint is None:
            self.dropped_messages += 1
            self.dropped_ms += ms
