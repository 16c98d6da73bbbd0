"""From one audio format to another, packet by packet."""

from __future__ import annotations

from plivo_core.audio._format import AudioFormat, BytesLike, check_format
from plivo_core.audio._g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from plivo_core.audio._resample import Resampler

__all__ = ["Converter"]

_DECODERS = {"mulaw": decode_mulaw, "alaw": decode_alaw}
_ENCODERS = {"mulaw": encode_mulaw, "alaw": encode_alaw}


class Converter:
    """Decodes, resamples and encodes: ``source`` in, ``target`` out; unchanged when they are equal.

    Of ``n`` samples in, ``ceil(n * target rate / source rate)`` come out, once :meth:`flush` was
    called; with one rate on both sides nothing lags. See :class:`Resampler` for the delay.
    """

    __slots__ = ("_decode", "_encode", "_resampler", "source", "target")

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self.source = source
        self.target = target
        # G.711 to itself must skip both: mu-law's negative zero would not come back.
        same = source == target
        self._decode = None if same else _DECODERS.get(source.encoding)
        self._encode = None if same else _ENCODERS.get(target.encoding)
        self._resampler: Resampler | None = None
        if not same or source.sample_width == 2:
            self._resampler = Resampler(source.sample_rate, target.sample_rate)

    def feed(self, data: BytesLike, format: AudioFormat | None = None) -> bytes:
        """What is known of the target after ``data``, which may end within a sample.

        Raises AudioError, with the converter unchanged, when ``format`` is not the source's.
        """
        check_format("Converter", self.source, format)
        if self._resampler is None:
            return bytes(data)
        pcm = self._resampler.feed(data if self._decode is None else self._decode(data))
        return pcm if self._encode is None else self._encode(pcm)

    def flush(self) -> bytes:
        """The tail, when no more will come; afterwards the converter is as new.

        Raises AudioError when the audio ends within a sample.
        """
        pcm = b"" if self._resampler is None else self._resampler.flush()
        return pcm if self._encode is None else self._encode(pcm)

    def reset(self) -> None:
        """Forget what was fed: the next packet begins a new sound."""
        if self._resampler is not None:
            self._resampler.reset()
