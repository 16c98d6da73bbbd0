"""Sample rates: a stateful resampler among 8, 16 and 24 kHz.

A polyphase windowed-sinc filter in integers. The sums of products are multiplications of two long
integers with a 32 bit slot per sample: CPython multiplies those in C, at a nanosecond or two per
product, where a loop in Python takes fifty.
"""

from __future__ import annotations

import math
import struct
from functools import cache, lru_cache

from plivo_core.audio._format import (
    AudioFormat,
    BytesLike,
    check_format,
    check_rate,
    whole_samples,
)

__all__ = ["Resampler"]


class Resampler:
    """16 bit PCM at ``source_rate`` in, at ``target_rate`` out (Hz; 8000, 16000 or 24000).

    Of ``n`` samples in, exactly ``ceil(n * target_rate / source_rate)`` come out, the last of them
    from :meth:`flush`; output sample ``m`` is at the time ``m / target_rate`` of the input. To know
    it takes 16 samples of the lower rate beyond that time, so :meth:`feed` lags by 2 ms when one
    of the rates is 8000 and by 1 ms otherwise. Where the input is cut makes no difference.

    Tones up to 0.425 of the lower rate (3400 Hz for 8000) keep their level, and noise stays 60 dB
    below them; from 0.575 on (4600 Hz) everything is at least 65 dB down. Louder than 16 bits
    saturates. Equal rates: unchanged.
    """

    __slots__ = ("_fed", "_filter", "_given", "_held", "_odd", "source", "target")

    def __init__(self, source_rate: int, target_rate: int) -> None:
        check_rate(source_rate)
        check_rate(target_rate)
        self.source = AudioFormat("pcm16", source_rate)
        self.target = AudioFormat("pcm16", target_rate)
        common = math.gcd(source_rate, target_rate)
        up, down = target_rate // common, source_rate // common
        self._filter = None if up == down else _filter(up, down)
        self.reset()

    def reset(self) -> None:
        """Forget what was fed: the next bytes begin a new sound."""
        self._odd = b""
        self._fed = self._given = 0  # samples
        self._held = b"" if self._filter is None else bytes(2 * self._filter.before)

    def feed(self, pcm: BytesLike, format: AudioFormat | None = None) -> bytes:
        """The output that is certain after ``pcm``, little-endian like it.

        Half a sample at the end of ``pcm`` is kept for the next call. Raises AudioError, with the
        resampler unchanged, when ``format`` is not PCM at the source rate.
        """
        check_format("Resampler", self.source, format)
        pcm = self._odd + pcm
        whole = len(pcm) & ~1
        self._odd, pcm = pcm[whole:], pcm[:whole]
        if self._filter is None:
            return pcm
        self._fed += whole // 2
        return self._advance(self._filter, pcm)

    def flush(self) -> bytes:
        """The tail, as if silence followed; afterwards the resampler is as new.

        Raises AudioError, with the resampler unchanged, when the input ended within a sample.
        """
        whole_samples(self._odd, "the rest of the input")
        tail = b""
        if self._filter is not None:
            up, down = self._filter.up, self._filter.down
            missing = -(-self._fed * up // down) - self._given
            tail = self._advance(self._filter, bytes(2 * self._filter.window))[: 2 * missing]
        self.reset()
        return tail

    def _advance(self, taps: _Filter, pcm: bytes) -> bytes:
        held = self._held + pcm
        blocks = max(0, (len(held) // 2 - taps.window) // taps.down + 1)
        output: list[bytes] = []
        for start in range(0, blocks, _MOST_BLOCKS):
            count = min(blocks - start, _MOST_BLOCKS)
            first = start * taps.down
            last = first + (count - 1) * taps.down + taps.window
            output.append(taps.apply(held[2 * first : 2 * last], count))
        self._held = held[2 * blocks * taps.down :]
        self._given += blocks * taps.up
        return b"".join(output)


# --- the filters ----------------------------------------------------------------------------------

_REACH = 16  # samples of the lower rate on either side: what 65 dB and that transition band take
_BETA = 7.5  # of the Kaiser window, for as many dB
_MOST_BLOCKS = 1024  # at once: bounds the integers, whatever is fed
_BITS = 14  # of a coefficient's fraction: a slot then holds every sum, see `_slots`
_FLIP = bytes(byte ^ 0x80 for byte in range(256))  # signed to offset binary and back


class _Filter:
    """All coefficients from one rate to another, ``up`` samples out for each ``down`` samples in.

    A block is the least that is whole on both sides. The ``up`` outputs of a block come from the
    same ``window`` of input, which begins ``before`` samples in front of the block.
    """

    __slots__ = ("_rows", "_same", "_taps", "before", "down", "up", "window")

    def __init__(self, up: int, down: int) -> None:
        self.up = up
        self.down = down
        reach = _REACH * max(up, down) // up  # in input samples
        self.before = reach + -reach % down
        window = self.before + (up - 1) * down // up + reach + 1
        self.window = window + -window % down
        self._taps = self.window // down  # per row and phase of the input
        rows = [self._coefficients(phase) for phase in range(up)]
        # A row of one coefficient that is 1 hands samples on as they are.
        self._same = [row.index(1 << _BITS) if 1 << _BITS in row else None for row in rows]
        # One integer per row and input phase, the coefficients in reverse: the slot of a product
        # then holds the sum of sample i times coefficient i.
        self._rows = [
            [
                sum(value << 32 * place for place, value in enumerate(row[phase::down][::-1]))
                for phase in range(down)
            ]
            for row in rows
        ]

    def _coefficients(self, phase: int) -> list[int]:
        """For the output ``phase`` of a block, by place in the window; their sum is exactly 1."""
        steps = max(self.up, self.down)
        taps: list[float] = []
        for place in range(self.window):
            # Distance from input to output, in 1/steps of a sample of the lower rate.
            distance = (place - self.before) * self.up - phase * self.down
            turn = math.pi * distance / steps
            inside = 1 - (distance / steps / _REACH) ** 2
            if distance == 0:
                taps.append(1.0)
            elif distance % steps == 0 or inside <= 0:
                taps.append(0.0)  # sin() of a multiple of pi would not be quite zero
            else:
                taps.append(math.sin(turn) / turn * _bessel(_BETA * math.sqrt(inside)))
                taps[-1] /= _bessel(_BETA)
        total = sum(taps)
        row = [round(tap / total * (1 << _BITS)) for tap in taps]
        # What rounding took goes to the largest: a constant then stays exactly what it is.
        row[row.index(max(row))] += (1 << _BITS) - sum(row)
        return row

    def apply(self, pcm: bytes, blocks: int) -> bytes:
        """``blocks`` blocks of output; ``pcm`` is their windows, all of them and no more."""
        down, up, taps = self.down, self.up, self._taps
        slots = blocks + taps - 1
        inputs: list[int] = []
        for phase in range(down):
            wide = bytearray(4 * slots)
            wide[0::4] = pcm[2 * phase :: 2 * down]
            wide[1::4] = pcm[2 * phase + 1 :: 2 * down].translate(_FLIP)
            inputs.append(int.from_bytes(wide, "little"))
        bias, top, middle = _slots(slots + taps - 1, taps - 1, blocks)
        first, last = 4 * (taps - 1), 4 * (taps - 1 + blocks)
        output = bytearray(2 * up * blocks)
        for phase, (same, row) in enumerate(zip(self._same, self._rows, strict=True)):
            low, high = slice(2 * phase, None, 2 * up), slice(2 * phase + 1, None, 2 * up)
            if same is not None:
                end = 2 * (same + blocks * down)
                output[low] = pcm[2 * same : end : 2 * down]
                output[high] = pcm[2 * same + 1 : end : 2 * down]
                continue
            sums = bias
            for samples, factors in zip(inputs, row, strict=True):
                sums += samples * factors
            if sums & top == middle:
                # The 16 bits of a sample are bits 14 to 29 of a slot; two more, and they are bytes.
                shifted = (sums << 2).to_bytes(last + first + 4, "little")
                output[low] = shifted[first + 2 : last : 4]
                output[high] = shifted[first + 3 : last : 4].translate(_FLIP)
            else:
                exact = sums.to_bytes(last + first, "little")[first:last]
                saturated = _saturate(exact)
                output[low] = saturated[0::2]
                output[high] = saturated[1::2]
        return bytes(output)


@cache
def _filter(up: int, down: int) -> _Filter:
    return _Filter(up, down)


def _bessel(x: float) -> float:
    """The modified Bessel function I0, of which the Kaiser window is made, by its power series."""
    total = term = 1.0
    for n in range(1, 40):
        term *= (x / 2 / n) ** 2
        total += term
    return total


@lru_cache(maxsize=32)
def _slots(slots: int, skipped: int, wanted: int) -> tuple[int, int, int]:
    """What is added to a product of ``slots`` slots, and how ``wanted`` of them are judged.

    The samples have 2**15 too much, so a sum of products has 2**29 too much, for the coefficients
    add up to 2**14. With 2**13 for rounding and another 2**30 that keeps every sum above zero,
    nothing is borrowed from a neighbour, and a slot between 2**30 and 2**31 is a 16 bit sample.
    Positive coefficients add up to less than 3, negative ones to more than -1: nothing reaches
    2**32 or 0 either, so nothing is carried.
    """
    bias = _repeated((1 << 30) + (1 << 13), slots)
    top = _repeated(3 << 30, wanted) << 32 * skipped
    middle = _repeated(1 << 30, wanted) << 32 * skipped
    return bias, top, middle


def _repeated(value: int, slots: int) -> int:
    return int.from_bytes(value.to_bytes(4, "little") * slots, "little")


def _saturate(slots: bytes) -> bytes:
    """Samples from slots of which some are too loud: rare, so one by one."""
    sums = struct.unpack(f"<{len(slots) // 4}I", slots)
    samples = [min(max((value >> 14) - 98304, -32768), 32767) for value in sums]
    return struct.pack(f"<{len(samples)}h", *samples)
