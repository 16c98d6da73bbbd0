"""Sound that needs no recording: what a caller plays in a scenario that is not about sound."""

from __future__ import annotations

from plivo_core.audio import AudioFormat

__all__ = ["silence", "tone"]

_SILENCE = {1: b"\xff", 2: b"\0\0"}  # of mu-law, of linear PCM
# A quarter of full scale, up and down; the mu-law codes are those of the linear values, roughly.
_HIGH = {1: b"\x9f", 2: (8000).to_bytes(2, "little", signed=True)}
_LOW = {1: b"\x1f", 2: (-8000).to_bytes(2, "little", signed=True)}


def silence(format: AudioFormat, seconds: float) -> bytes:
    """Nothing to be heard."""
    return _SILENCE[format.sample_width] * round(seconds * format.sample_rate)


def tone(format: AudioFormat, seconds: float, hz: float) -> bytes:
    """A square wave: not nice, but exact in integers, and so the same everywhere."""
    half = max(1, round(format.sample_rate / hz / 2))  # samples
    wave = _HIGH[format.sample_width] * half + _LOW[format.sample_width] * half
    size = round(seconds * format.sample_rate) * format.sample_width
    return (wave * (size // len(wave) + 1))[:size]
