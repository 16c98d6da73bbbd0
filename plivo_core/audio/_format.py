"""What audio bytes mean: an encoding and a sample rate, as one value (PROTOCOL.md 13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from plivo_core.errors import AudioError

__all__ = [
    "ALAW_8K",
    "MULAW_8K",
    "PCM_8K",
    "PCM_16K",
    "PCM_24K",
    "SAMPLE_RATES",
    "AudioFormat",
    "BytesLike",
    "Encoding",
    "check_format",
    "check_rate",
    "whole_samples",
]

BytesLike: TypeAlias = bytes | bytearray | memoryview
Encoding: TypeAlias = Literal["mulaw", "alaw", "pcm16"]

SAMPLE_RATES: Final = (8000, 16000, 24000)
_ENCODINGS: Final = get_args(Encoding)
_NAMES: Final = {"mulaw": "mu-law", "alaw": "A-law", "pcm16": "16 bit PCM"}
# The zero of each law: the code of the smallest positive value (G.711 tables 1a and 2a).
_SILENCE: Final = {"mulaw": b"\xff", "alaw": b"\xd5", "pcm16": b"\0\0"}
# What a stream can carry (PROTOCOL.md 13), and its name there.
_ON_THE_WIRE: Final[dict[tuple[Encoding, int], str]] = {
    ("mulaw", 8000): "audio/x-mulaw",
    ("pcm16", 8000): "audio/x-l16",
    ("pcm16", 16000): "audio/x-l16",
}
# Characters of a content type. It is the peer's word, of any packet even, and a megabyte of
# parameters would take a second to read; with all that Plivo names there are 40.
_MOST_NAME: Final = 256


def check_rate(rate: int) -> None:
    """Raise AudioError unless ``rate`` is 8000, 16000 or 24000 (Hz)."""
    # A float would pass the second test and then make lengths that are no integers.
    if type(rate) is not int or rate not in SAMPLE_RATES:
        raise AudioError(f"sample rate {rate!r}: expected 8000, 16000 or 24000 Hz")


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One channel of ``encoding`` at ``sample_rate`` Hz.

    ``encoding`` is ``"mulaw"`` or ``"alaw"`` (ITU-T G.711, one byte per sample, 8000 Hz only) or
    ``"pcm16"`` (signed 16 bit, little-endian, 8000, 16000 or 24000 Hz). Anything else raises
    AudioError. The five that exist are constants: :data:`MULAW_8K`, :data:`ALAW_8K`,
    :data:`PCM_8K`, :data:`PCM_16K`, :data:`PCM_24K`.
    """

    encoding: Encoding
    sample_rate: int

    def __post_init__(self) -> None:
        if self.encoding not in _ENCODINGS:
            raise AudioError(f"encoding {self.encoding!r}: expected 'mulaw', 'alaw' or 'pcm16'")
        check_rate(self.sample_rate)
        if self.encoding != "pcm16" and self.sample_rate != 8000:
            raise AudioError(
                f"{_NAMES[self.encoding]} at {self.sample_rate} Hz: expected 8000 Hz, "
                "the only rate of G.711",
                hint="at 16000 and 24000 Hz there is 'pcm16'",
            )

    @classmethod
    def of(cls, content_type: str, sample_rate: float) -> AudioFormat:
        """The format that a ``start`` event or a ``MediaFormat`` names (PROTOCOL.md 13).

        ``content_type`` is audio/x-mulaw or audio/x-l16, in any case. Its parameters ``rate`` and
        ``channels`` must agree with ``sample_rate`` (Hz) and with one channel; others are ignored.
        Raises AudioError for a pair that no stream carries, also for 24000 Hz, and for a
        ``content_type`` of more than 256 characters.
        """
        if len(content_type) > _MOST_NAME:
            raise AudioError(
                f"a content type of {len(content_type)} characters: expected {_MOST_NAME} at most"
            )
        kind, *parameters = (part.strip() for part in content_type.lower().split(";"))
        pairs = [pair for pair, name in _ON_THE_WIRE.items() if name == kind]
        found = next((pair for pair in pairs if pair[1] == sample_rate), None)
        if found is None:
            raise AudioError(
                f"{content_type!r} at {sample_rate} Hz: expected 'audio/x-mulaw' at 8000 Hz, "
                "or 'audio/x-l16' at 8000 or 16000 Hz"
            )
        agreed = {"rate": str(found[1]), "channels": "1"}
        for parameter in parameters:
            key, _, value = (part.strip() for part in parameter.partition("="))
            if agreed.get(key, value) != value:
                raise AudioError(
                    f"{content_type!r} contradicts itself or the sample rate of "
                    f"{sample_rate} Hz: expected {key}={agreed[key]}"
                )
        return cls(*found)

    @property
    def sample_width(self) -> int:
        """Bytes per sample: 1 for G.711, 2 for PCM."""
        return 2 if self.encoding == "pcm16" else 1

    @property
    def content_type(self) -> str | None:
        """Its name in ``playAudio`` and ``start``; None when no stream carries it.

        Plivo's streams carry neither A-law nor 24000 Hz.
        """
        return _ON_THE_WIRE.get((self.encoding, self.sample_rate))

    def frame_bytes(self, ms: int = 20) -> int:
        """Bytes in ``ms`` milliseconds; 160, 320, 640 or 960 for the 20 of one packet."""
        return self.sample_rate * ms // 1000 * self.sample_width

    def duration_ms(self, size: int) -> float:
        """How long ``size`` bytes play, in milliseconds."""
        return size * 1000 / (self.sample_rate * self.sample_width)

    def silence(self, ms: int) -> bytes:
        """``ms`` milliseconds of silence: mu-law 0xFF, A-law 0xD5, PCM zeros."""
        return _SILENCE[self.encoding] * (self.sample_rate * ms // 1000)

    def __str__(self) -> str:
        return f"{_NAMES[self.encoding]} at {self.sample_rate} Hz"


MULAW_8K: Final = AudioFormat("mulaw", 8000)
ALAW_8K: Final = AudioFormat("alaw", 8000)
PCM_8K: Final = AudioFormat("pcm16", 8000)
PCM_16K: Final = AudioFormat("pcm16", 16000)
PCM_24K: Final = AudioFormat("pcm16", 24000)


def check_format(helper: str, expected: AudioFormat, given: AudioFormat | None) -> None:
    """Raise AudioError when a packet is said to be of another format than ``helper`` is for."""
    if given is not None and given != expected:
        raise AudioError(
            f"a packet of {given} came to a {helper} for {expected}",
            hint=f"one {helper} per format, or a Converter in front of it",
        )


def whole_samples(pcm: BytesLike, what: str) -> bytes:
    """``pcm`` as bytes; AudioError when it ends within a 16 bit sample."""
    pcm = bytes(pcm)  # first: the length of a memoryview may count items
    if len(pcm) % 2:
        raise AudioError(f"{what} has {len(pcm)} bytes: expected whole samples of 2 bytes")
    return pcm
