"""G.711 equals the standard's values and, for all codes and samples, CPython's former audioop."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import AudioError
from plivo_core.audio import (
    decode_alaw,
    decode_mulaw,
    encode_alaw,
    encode_mulaw,
)
from tests.core._audio import audioop, pcm, samples

CODES = bytes(range(256))
SAMPLES = pcm(*range(-32768, 32768))


@pytest.mark.parametrize(
    ("code", "value"),
    # G.711 table 2a, times four: ends of the range, zeros, and the first steps of segments.
    [(0x00, -32124), (0x80, 32124), (0xFF, 0), (0x7F, 0), (0xFE, 8), (0xEF, 132), (0x8F, 16764)],
)
def test_mulaw_codes_have_the_values_of_the_standard(code: int, value: int) -> None:
    assert samples(decode_mulaw(bytes((code,)))) == [value]


@pytest.mark.parametrize(
    ("code", "value"),
    # G.711 table 1a, times sixteen, in the middle of each step.
    [(0xD5, 8), (0x55, -8), (0xD4, 24), (0xC5, 264), (0xAA, 32256), (0x2A, -32256)],
)
def test_alaw_codes_have_the_values_of_the_standard(code: int, value: int) -> None:
    assert samples(decode_alaw(bytes((code,)))) == [value]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(decode_mulaw, audioop.ulaw2lin), (decode_alaw, audioop.alaw2lin)],
)
def test_all_codes_decode_as_with_audioop(
    ours: Callable[[bytes], bytes], theirs: Callable[[bytes, int], bytes]
) -> None:
    assert samples(ours(CODES)) == samples(theirs(CODES, 2))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(encode_mulaw, audioop.lin2ulaw), (encode_alaw, audioop.lin2alaw)],
)
def test_all_samples_encode_as_with_audioop(
    ours: Callable[[bytes], bytes], theirs: Callable[[bytes, int], bytes]
) -> None:
    pairs = enumerate(zip(ours(SAMPLES), theirs(SAMPLES, 2), strict=True), -32768)
    assert [(sample, a, b) for sample, (a, b) in pairs if a != b][:5] == []


@given(st.binary(max_size=400))
def test_every_code_survives_decoding_but_mulaws_negative_zero(codes: bytes) -> None:
    assert encode_alaw(decode_alaw(codes)) == codes
    assert encode_mulaw(decode_mulaw(codes)) == codes.replace(b"\x7f", b"\xff")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_all_that_is_like_bytes_is_taken(kind: Callable[[bytes], bytes]) -> None:
    assert encode_mulaw(kind(pcm(0, 0))) == b"\xff\xff"
    assert decode_alaw(kind(b"\xd5")) == pcm(8)
    assert encode_alaw(memoryview(pcm(8, 8)).cast("h")) == b"\xd5\xd5"
    assert encode_mulaw(b"") == decode_mulaw(b"") == b""


@pytest.mark.parametrize("encode", [encode_mulaw, encode_alaw])
def test_half_a_sample_cannot_be_encoded(encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(AudioError, match=f"PCM for {encode.__name__} has 3 bytes: expected whole"):
        encode(bytes(3))


def test_a_big_endian_machine_swaps_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    other = "big" if sys.byteorder == "little" else "little"
    monkeypatch.setattr(sys, "byteorder", other)
    # This machine is not of that kind, so that it reads the samples of swapped bytes.
    assert encode_mulaw(b"\x7e\xff\x81\x01") == audioop.lin2ulaw(b"\xff\x7e\x01\x81", 2)


def test_importing_the_package_makes_no_table() -> None:
    program = (
        "from plivo_core.audio import _g711, _resample, encode_alaw\n"
        "made = [_g711._mulaw_values, _g711._alaw_values, _g711._mulaw_codes, _g711._alaw_codes]\n"
        "made += [_resample._filter, _resample._slots]\n"
        "assert [table.cache_info().currsize for table in made] == [0] * 6\n"
        "encode_alaw(bytes(2))\n"
        "assert _g711._alaw_codes.cache_info().currsize == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
