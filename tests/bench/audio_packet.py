"""What a 20 ms packet costs in plivo_core.audio, beside CPython's former audioop: microseconds.

    python -m tests.bench.audio_packet

Medians of rounds in which all rows take turns, so that a busy machine slows all alike; CPU time of
this thread. Rows of audioop are left out where it is missing. Its ratecv interpolates between two
samples and filters nothing, which is why it is so cheap.
"""

from __future__ import annotations

import math
import statistics
import struct
import time
import warnings
from collections.abc import Callable
from typing import Any

from plivo_core.audio import Resampler, decode_mulaw, encode_mulaw

PACKETS = 200
ROUNDS = 41
CHANGES = ((8000, 16000), (16000, 8000), (8000, 24000), (24000, 8000))

Work = Callable[[bytes], object]


def a_packet(rate: int) -> bytes:
    """20 ms of two tones, so that neither all samples nor all codes are alike."""
    turn = 2 * math.pi / rate
    values = [
        round(9000 * math.sin(440 * turn * place) + 4000 * math.sin(1870 * turn * place))
        for place in range(rate // 50)
    ]
    return struct.pack(f"<{len(values)}h", *values)


def rate_changer(audioop: Any, source: int, target: int) -> Work:
    """A stream's ratecv, with the state that it hands back."""
    state = None

    def work(packet: bytes) -> object:
        nonlocal state
        output, state = audioop.ratecv(packet, 2, 1, source, target, state)
        return output

    return work


def of_audioop() -> dict[str, Work]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import audioop
    except ImportError:
        return {}
    changers = {
        f"{source // 1000}->{target // 1000} kHz": rate_changer(audioop, source, target)
        for source, target in CHANGES
    }
    return {
        "mu-law decode": lambda packet: audioop.ulaw2lin(packet, 2),
        "mu-law encode": lambda packet: audioop.lin2ulaw(packet, 2),
        **changers,
    }


def microseconds(work: Work, packet: bytes) -> float:
    began = time.thread_time()
    for _ in range(PACKETS):
        work(packet)
    return (time.thread_time() - began) / PACKETS * 1e6


def main() -> None:
    ours: dict[str, Work] = {"mu-law decode": decode_mulaw, "mu-law encode": encode_mulaw}
    linear = a_packet(8000)
    packets = {"mu-law decode": encode_mulaw(linear), "mu-law encode": linear}
    for source, target in CHANGES:
        name = f"{source // 1000}->{target // 1000} kHz"
        ours[name] = Resampler(source, target).feed
        packets[name] = a_packet(source)
    theirs = of_audioop()
    rows = [row for who in (ours, theirs) for row in who.items()]
    for name, work in rows:
        microseconds(work, packets[name])  # makes the tables
    rounds = [[microseconds(work, packets[name]) for name, work in rows] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    of_ours, of_theirs = medians[: len(ours)], medians[len(ours) :]
    print(f"{'us per 20 ms packet':20}{'ours':>8}" + f"{'audioop':>10}" * bool(theirs))
    for place, name in enumerate(ours):
        beside = f"{of_theirs[place]:10.1f}" if theirs else ""
        print(f"{name:20}{of_ours[place]:8.1f}{beside}")


if __name__ == "__main__":
    main()
