"""The caller's sound on its way to the application: ``media`` frames, each in its time.

Filled by a :class:`~plivo_core.platform.CallerPlays`, emptied by the call as the clock goes on. A
clock that comes late finds everything due at once: sound is never lost and never shifted.
"""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass

from plivo_core.audio import AudioFormat
from plivo_core.errors import ConfigError
from plivo_core.events import StreamMedia

__all__ = ["Microphone"]


@dataclass(slots=True)
class _Sound:
    audio: bytes
    frame_size: int  # bytes
    starts_at: float
    sent: int = 0  # bytes


class Microphone:
    """The caller's track of one stream."""

    def __init__(self, format: AudioFormat, stream_id: str) -> None:
        self._format = format
        self._stream_id = stream_id
        self._started_at = 0.0
        self._sounds = deque[_Sound]()
        self._sounds_until = float("-inf")
        self._frames = 0

    def check(self, audio: bytes, frame_ms: int) -> None:
        """Raise ConfigError for frames without length and for half samples."""
        if frame_ms < 1:
            raise ConfigError(f"CallerPlays sends frames of 1 ms or more, not of {frame_ms} ms")
        if len(audio) % self._format.sample_width:
            raise ConfigError(
                f"CallerPlays has {len(audio)} bytes, but one sample of {self._format} has"
                f" {self._format.sample_width}",
                hint="play whole samples, or give PlatformCall the content_type of the sound",
            )

    def start(self, *, now: float) -> None:
        """The stream starts: the zero of its timestamps."""
        self._started_at = now

    def play(self, audio: bytes, frame_ms: int, *, now: float) -> float:
        """Queue a sound that was checked behind the one that goes on; when it ends, in seconds."""
        starts_at = max(self._sounds_until, now)
        self._sounds_until = starts_at + self._format.duration_ms(len(audio)) / 1000
        if audio:
            frame_size = self._format.frame_bytes(frame_ms)
            self._sounds.append(_Sound(audio, frame_size, starts_at))
        return self._sounds_until

    @property
    def due(self) -> float:
        """When the next frame is to be sent; infinity: there is none."""
        return self._due_of(self._sounds[0]) if self._sounds else float("inf")

    def next_frame(self) -> StreamMedia:
        """The frame that is :attr:`due`. The last of a sound may be shorter."""
        sound = self._sounds[0]
        due = self._due_of(sound)
        frame = sound.audio[sound.sent : sound.sent + sound.frame_size]
        sound.sent += len(frame)
        if sound.sent == len(sound.audio):
            self._sounds.popleft()
        self._frames += 1
        return StreamMedia(
            payload=base64.b64encode(frame).decode(),
            timestamp=str(round((due - self._started_at) * 1000)),
            track="inbound",
            chunk=self._frames,
            stream_id=self._stream_id,
        )

    def mute(self) -> None:
        """The call is over: what was not sent yet is not sent."""
        self._sounds.clear()

    def _due_of(self, sound: _Sound) -> float:
        return sound.starts_at + self._format.duration_ms(sound.sent) / 1000
