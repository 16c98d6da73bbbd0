"""G.711: mu-law and A-law to 16 bit PCM and back, by tables (ITU-T G.711, tables 1 and 2).

The results equal those of CPython's former ``audioop`` for every code and every sample: mu-law
keeps the upper 14 bits of a sample, A-law the upper 13, both rounded down.
"""

from __future__ import annotations

import sys
from array import array
from functools import cache

from plivo_core.audio._format import BytesLike, whole_samples

__all__ = ["decode_alaw", "decode_mulaw", "encode_alaw", "encode_mulaw"]


def decode_mulaw(data: BytesLike) -> bytes:
    """Mu-law to PCM: one byte per sample in, two (little-endian) out. Any bytes are valid."""
    return _decode(data, *_mulaw_values())


def encode_mulaw(pcm: BytesLike) -> bytes:
    """PCM to mu-law: two bytes per sample in, one out; AudioError for an odd number of bytes.

    Louder than 32635 is clipped. Never gives 0x7F, mu-law's negative zero.
    """
    return _encode(whole_samples(pcm, "PCM for encode_mulaw"), _mulaw_codes())


def decode_alaw(data: BytesLike) -> bytes:
    """A-law to PCM: one byte per sample in, two (little-endian) out. Any bytes are valid."""
    return _decode(data, *_alaw_values())


def encode_alaw(pcm: BytesLike) -> bytes:
    """PCM to A-law: two bytes per sample in, one out; AudioError for an odd number of bytes."""
    return _encode(whole_samples(pcm, "PCM for encode_alaw"), _alaw_codes())


def _decode(data: BytesLike, low: bytes, high: bytes) -> bytes:
    # Two translations and two strided copies, all in C and right on every machine.
    codes = bytes(data)
    pcm = bytearray(2 * len(codes))
    pcm[0::2] = codes.translate(low)
    pcm[1::2] = codes.translate(high)
    return bytes(pcm)


def _encode(pcm: bytes, codes: bytes) -> bytes:
    samples = array("H", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes([codes[sample] for sample in samples])  # map() would cost a third more


# --- the tables, made at first use ----------------------------------------------------------------


def _halves(values: list[int]) -> tuple[bytes, bytes]:
    """Translation tables from codes to the low and to the high byte of a sample."""
    return bytes(value & 0xFF for value in values), bytes(value >> 8 & 0xFF for value in values)


@cache
def _mulaw_values() -> tuple[bytes, bytes]:
    values: list[int] = []
    for code in range(256):
        flipped = code ^ 0xFF  # G.711 sends mu-law with all bits inverted
        # 132 (33 at 14 bits) makes every segment begin at a power of two.
        magnitude = (((flipped & 0xF) << 3) + 132 << (flipped >> 4 & 7)) - 132
        values.append(-magnitude if flipped & 0x80 else magnitude)
    return _halves(values)


@cache
def _alaw_values() -> tuple[bytes, bytes]:
    values: list[int] = []
    for code in range(256):
        flipped = code ^ 0x55  # G.711 sends A-law with the even bits inverted
        segment, step = flipped >> 4 & 7, (flipped & 0xF) << 4
        magnitude = step + 0x108 << segment - 1 if segment else step + 8
        values.append(magnitude if flipped & 0x80 else -magnitude)
    return _halves(values)


def _sample_table(positive: bytes, negative: bytes, samples_per_step: int) -> bytes:
    """A code for every 16 bit sample, indexed by the sample read as unsigned.

    ``positive`` has the codes of the steps from 0 upward, ``negative`` from -1 downward.
    """
    table = bytearray(65536)
    for offset in range(samples_per_step):
        table[offset:32768:samples_per_step] = positive
        table[32768 + offset :: samples_per_step] = negative[::-1]
    return bytes(table)


@cache
def _mulaw_codes() -> bytes:
    # By runs: sixteen intervals in each of eight segments, twice as wide in each. The first run
    # begins at 32 of the biased magnitude, where 33 is zero.
    runs = [
        bytes((0xFF ^ (segment << 4 | interval),)) * (2 << segment)
        for segment in range(8)
        for interval in range(16)
    ]
    magnitudes = b"".join(runs)[1:].ljust(8193, b"\x80")  # 14 bits; beyond 8158 it clips
    negative = bytes(code & 0x7F for code in magnitudes[1:])
    return _sample_table(magnitudes[:8192], negative, 4)


@cache
def _alaw_codes() -> bytes:
    # By runs of 13 bit magnitudes; the first two segments are equally wide. -1 and 0 are mirrored.
    runs = [
        bytes((0xD5 ^ (segment << 4 | interval),)) * (1 << max(segment, 1))
        for segment in range(8)
        for interval in range(16)
    ]
    positive = b"".join(runs)
    return _sample_table(positive, bytes(code & 0x7F for code in positive), 8)
