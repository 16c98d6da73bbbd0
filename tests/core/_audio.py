"""Sounds for the tests of audio, and the G.711 that others wrote."""

from __future__ import annotations

import math
import struct
import warnings

from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # from 3.11 on; 3.13 has audioop-lts
    import audioop

__all__ = ["audioop", "cut", "cuts", "pcm", "samples", "tone"]


def pcm(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def samples(data: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(data) // 2}h", data))


def tone(hertz: float, rate: int, count: int, level: float = 20000) -> list[float]:
    """``count`` samples of a sine at ``rate``, before they are rounded."""
    return [level * math.sin(2 * math.pi * hertz * place / rate) for place in range(count)]


def cuts() -> st.SearchStrategy[list[int]]:
    """Where to cut bytes, as lengths of the pieces; the last piece has what is left."""
    return st.lists(st.integers(0, 700), max_size=12)


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    pieces = []
    for length in lengths:
        pieces.append(data[:length])
        data = data[length:]
    return [*pieces, data]
