"""Framing, converting and mixing."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import AudioError
from plivo_core.audio import (
    ALAW_8K,
    MULAW_8K,
    PCM_8K,
    PCM_16K,
    PCM_24K,
    AudioFormat,
    Converter,
    Framer,
    Resampler,
    decode_alaw,
    decode_mulaw,
    encode_alaw,
    encode_mulaw,
    interleave,
    mix,
)
from tests.core._audio import audioop, cut, cuts, pcm, samples, tone

ALL = [MULAW_8K, ALAW_8K, PCM_8K, PCM_16K, PCM_24K]

formats = st.sampled_from(ALL)


# --- frames ---------------------------------------------------------------------------------------


@given(st.binary(max_size=4000), cuts(), formats, st.sampled_from([20, 40, 60]))
def test_frames_are_whole_and_lose_nothing(
    data: bytes, lengths: list[int], audio: AudioFormat, frame_ms: int
) -> None:
    framer = Framer(audio, frame_ms)
    frames = [frame for piece in cut(data, lengths) for frame in framer.feed(piece)]
    assert {len(frame) for frame in frames} <= {audio.frame_bytes(frame_ms)}
    assert framer.pending_bytes == len(data) - sum(map(len, frames)) < audio.frame_bytes(frame_ms)
    framer.feed(bytes(framer.pending_bytes % audio.sample_width))
    rest = framer.flush(pad=False) or b""
    assert (b"".join(frames) + rest)[: len(data)] == data
    assert framer.pending_bytes == 0


@pytest.mark.parametrize("audio", ALL)
def test_the_last_frame_is_filled_up_with_silence(audio: AudioFormat) -> None:
    framer = Framer(audio)
    speech = b"\x11" * 22
    assert framer.feed(speech) == []
    assert framer.flush() == speech + audio.silence(20)[22:]
    assert framer.flush() is None


def test_without_padding_the_rest_comes_as_it_is() -> None:
    framer = Framer(MULAW_8K)
    framer.feed(b"abc")
    assert framer.flush(pad=False) == b"abc"
    assert framer.flush(pad=False) is None


def test_a_framer_that_was_reset_has_no_rest() -> None:
    framer = Framer(PCM_8K)
    framer.feed(b"abc")
    framer.reset()
    assert (framer.pending_bytes, framer.flush()) == (0, None)


@pytest.mark.parametrize("pad", [True, False])
def test_a_rest_with_half_a_sample_is_an_error_and_kept(pad: bool) -> None:
    framer = Framer(PCM_16K)
    framer.feed(bytearray(643))
    with pytest.raises(AudioError, match="ends within a sample, 3 bytes after the last frame"):
        framer.flush(pad=pad)
    assert framer.pending_bytes == 3


@pytest.mark.parametrize("frame_ms", [-20, 0, 10, 30])
def test_a_frame_is_a_multiple_of_20_ms(frame_ms: int) -> None:
    with pytest.raises(AudioError, match=f"frames of {frame_ms} ms: expected a multiple of 20 ms"):
        Framer(MULAW_8K, frame_ms)


# --- conversions ----------------------------------------------------------------------------------


@given(st.binary(max_size=2000), cuts(), formats, formats)
def test_where_a_sound_is_cut_makes_no_difference_to_its_conversion(
    data: bytes, lengths: list[int], source: AudioFormat, target: AudioFormat
) -> None:
    data = data[: len(data) - len(data) % source.sample_width]
    count = len(data) // source.sample_width
    at_once, in_pieces = Converter(source, target), Converter(source, target)
    whole = at_once.feed(data, source) + at_once.flush()
    assert b"".join(map(in_pieces.feed, cut(data, lengths))) + in_pieces.flush() == whole
    wanted = -(-count * target.sample_rate // source.sample_rate)
    assert len(whole) == wanted * target.sample_width


@given(st.binary(max_size=200), formats)
def test_from_a_format_to_itself_nothing_changes(data: bytes, audio: AudioFormat) -> None:
    data = data[: len(data) - len(data) % audio.sample_width]
    converter = Converter(audio, audio)
    assert converter.feed(data) == data
    assert converter.flush() == b""
    converter.reset()


@given(st.binary(max_size=200))
def test_a_conversion_at_one_rate_is_the_two_laws(codes: bytes) -> None:
    linear = decode_mulaw(codes)
    assert Converter(MULAW_8K, PCM_8K).feed(codes) == linear
    assert Converter(PCM_8K, ALAW_8K).feed(linear) == encode_alaw(linear)
    assert Converter(MULAW_8K, ALAW_8K).feed(codes) == encode_alaw(linear)
    assert Converter(ALAW_8K, MULAW_8K).feed(codes) == encode_mulaw(decode_alaw(codes))


def test_a_conversion_of_law_and_rate_is_both_in_their_order() -> None:
    spoken = pcm(*map(round, tone(700, 24000, 2400)))
    resampler = Resampler(24000, 8000)
    converter = Converter(PCM_24K, MULAW_8K)
    sent = converter.feed(spoken) + converter.flush()
    assert sent == audioop.lin2ulaw(resampler.feed(spoken) + resampler.flush(), 2)
    back = Converter(MULAW_8K, PCM_16K)
    heard = back.feed(sent) + back.flush()
    assert len(samples(heard)) == 1600
    resampler = Resampler(8000, 16000)
    assert heard == resampler.feed(decode_mulaw(sent)) + resampler.flush()


def test_a_converter_that_was_reset_begins_a_new_sound() -> None:
    converter = Converter(PCM_16K, PCM_8K)
    first = converter.feed(b"\x22" * 400) + converter.flush()
    converter.feed(b"\x33" * 111)
    converter.reset()
    assert converter.feed(b"\x22" * 400) + converter.flush() == first


def test_a_sound_that_ends_within_a_sample_cannot_be_converted() -> None:
    for target in (PCM_8K, MULAW_8K):
        converter = Converter(PCM_8K, target)
        converter.feed(b"abc")
        with pytest.raises(AudioError, match="expected whole samples"):
            converter.flush()


# --- two sounds -----------------------------------------------------------------------------------


@given(
    st.lists(st.integers(-32768, 32767), max_size=50),
    st.lists(st.integers(-32768, 32767), max_size=50),
)
def test_a_mix_is_the_sum_as_long_as_the_first(first: list[int], second: list[int]) -> None:
    below = pcm(*second)[: 2 * len(first)].ljust(2 * len(first), b"\0")
    assert mix(pcm(*first), pcm(*second)) == audioop.add(pcm(*first), below, 2)


@pytest.mark.parametrize(
    ("gain", "mixed"),
    [
        (1.0, [32767, -32768, 101]),
        (0.5, [32766, -32000, 51]),
        (0.0, [30000, -30000, 0]),
        (-1.0, [24469, -26000, -101]),
        (2.0, [32767, -32768, 202]),
    ],
)
def test_the_second_is_scaled_and_the_sum_saturates(gain: float, mixed: list[int]) -> None:
    assert samples(mix(pcm(30000, -30000, 0), pcm(5531, -4000, 101), gain=gain)) == mixed


@pytest.mark.parametrize("gain", [65537.0, 1e300, sys.float_info.max])
def test_no_finite_gain_is_too_large(gain: float) -> None:
    loud, below = pcm(-32768, 32767, 5, 0), pcm(1, -1, 0, 32767)
    assert samples(mix(loud, below, gain=gain)) == [32767, -32768, 5, 32767]
    assert samples(mix(loud, below, gain=-gain)) == [-32768, 32767, 5, -32768]


@pytest.mark.parametrize("gain", [float("nan"), float("inf"), float("-inf")])
def test_a_gain_is_finite(gain: float) -> None:
    with pytest.raises(AudioError, match=r"gain .*: expected a finite number"):
        mix(b"", b"", gain=gain)


def test_two_channels_alternate_and_the_shorter_is_silent_at_its_end() -> None:
    assert samples(interleave(pcm(1, 2, 3), pcm(-1, -2))) == [1, -1, 2, -2, 3, 0]
    assert samples(interleave(pcm(257), bytearray(pcm(-1, -300)))) == [257, -1, 0, -300]
    assert interleave(b"", b"") == b""


@pytest.mark.parametrize("together", [mix, interleave])
def test_half_a_sample_can_be_neither_mixed_nor_interleaved(together: object) -> None:
    assert callable(together)
    with pytest.raises(AudioError, match="has 1 bytes"):
        together(b"a", b"")
    with pytest.raises(AudioError, match="has 1 bytes"):
        together(b"", b"a")


def test_a_big_endian_machine_swaps_what_it_reads_and_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = "big" if sys.byteorder == "little" else "little"
    monkeypatch.setattr(sys, "byteorder", other)
    # Swapped on this machine, so 255 + 1 with the high byte first.
    assert mix(b"\x00\xff", b"\x00\x01") == b"\x01\x00"
