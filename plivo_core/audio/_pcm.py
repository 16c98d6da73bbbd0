"""Two sounds in one: mixed into one channel, or side by side in two."""

from __future__ import annotations

import math
import sys
from array import array
from operator import add

from plivo_core.audio._format import BytesLike, whole_samples
from plivo_core.errors import AudioError

__all__ = ["interleave", "mix"]

# From here on every sample but zero saturates, and nothing becomes infinite.
_MOST_GAIN = 65536.0


def samples_of(pcm: bytes) -> array[int]:
    """The 16 bit little-endian samples of ``pcm``, which holds whole ones."""
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def bytes_of(samples: array[int]) -> bytes:
    """The reverse of :func:`samples_of`; ``samples`` is used up."""
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def mix(first: BytesLike, second: BytesLike, *, gain: float = 1.0) -> bytes:
    """16 bit PCM ``first`` plus ``gain`` times ``second``, as long as ``first``.

    Both are little-endian and of one sample rate. ``second`` is cut, or silent once it ended;
    0.25 is music behind a voice. Sums beyond 16 bits saturate. Raises AudioError for an odd number
    of bytes and for a ``gain`` that is not finite.
    """
    first = whole_samples(first, "first")
    second = whole_samples(second, "second")
    if not math.isfinite(gain):
        raise AudioError(f"gain {gain!r}: expected a finite number")
    gain = min(max(gain, -_MOST_GAIN), _MOST_GAIN)
    size = len(first)
    below = samples_of(second[:size].ljust(size, b"\0"))
    scaled = below if gain == 1.0 else [math.floor(sample * gain + 0.5) for sample in below]
    voice = samples_of(first)
    try:
        mixed = array("h", map(add, voice, scaled))
    except OverflowError:  # what array says to a sum beyond 16 bits
        sums = map(add, voice, scaled)
        mixed = array("h", [min(max(value, -32768), 32767) for value in sums])
    return bytes_of(mixed)


def interleave(left: BytesLike, right: BytesLike) -> bytes:
    """Two channels of 16 bit PCM as stereo: left, right, left, right.

    The shorter one is padded with silence. Raises AudioError for an odd number of bytes.
    """
    left = whole_samples(left, "left")
    right = whole_samples(right, "right")
    size = max(len(left), len(right))
    stereo = bytearray(2 * size)
    for channel, pcm in enumerate((left, right)):
        padded = pcm.ljust(size, b"\0")
        stereo[2 * channel :: 4] = padded[0::2]
        stereo[2 * channel + 1 :: 4] = padded[1::2]
    return bytes(stereo)
