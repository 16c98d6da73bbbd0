"""From audio in pieces of any length to whole frames."""

from __future__ import annotations

from plivo_core.audio._format import AudioFormat, BytesLike, check_format
from plivo_core.errors import AudioError

__all__ = ["Framer"]


class Framer:
    """Cuts audio of ``format`` into frames of ``frame_ms`` milliseconds, a multiple of 20.

    A synthesizer's chunks have any length; Plivo's packets have 20 ms (PROTOCOL.md 13). Feed every
    chunk and send the frames; :meth:`flush` when the speech ended, :meth:`reset` on barge-in.
    Raises AudioError for another ``frame_ms``.
    """

    __slots__ = ("_rest", "format", "frame_bytes")

    def __init__(self, format: AudioFormat, frame_ms: int = 20) -> None:
        if frame_ms <= 0 or frame_ms % 20:
            raise AudioError(f"frames of {frame_ms} ms: expected a multiple of 20 ms")
        self.format = format
        self.frame_bytes = format.frame_bytes(frame_ms)
        self._rest = b""

    @property
    def pending_bytes(self) -> int:
        """Bytes kept for the next frame: fewer than one frame has."""
        return len(self._rest)

    def feed(self, data: BytesLike, format: AudioFormat | None = None) -> list[bytes]:
        """The frames that ``data`` completes, in order; the rest is kept.

        Raises AudioError, and keeps nothing of ``data``, when ``format`` is another.
        """
        check_format("Framer", self.format, format)
        audio = self._rest + data
        size = self.frame_bytes
        end = len(audio) - len(audio) % size
        self._rest = audio[end:]
        return [audio[start : start + size] for start in range(0, end, size)]

    def flush(self, *, pad: bool = True) -> bytes | None:
        """The rest as a last frame, filled up with silence; None when there is no rest.

        With ``pad=False`` the rest as it is. Afterwards the framer is as new. Raises AudioError
        when the audio ends within a sample; the rest is then kept.
        """
        rest = self._rest
        if len(rest) % self.format.sample_width:
            raise AudioError(
                f"the audio ends within a sample, {len(rest)} bytes after the last frame: "
                f"expected whole samples of {self.format.sample_width} bytes"
            )
        self._rest = b""
        if not rest:
            return None
        # The silence of one sample: no sample is longer than a millisecond.
        silence = self.format.silence(1)[: self.format.sample_width]
        missing = (self.frame_bytes - len(rest)) // self.format.sample_width
        return rest + silence * missing if pad else rest

    def reset(self) -> None:
        """Forget the rest."""
        self._rest = b""
