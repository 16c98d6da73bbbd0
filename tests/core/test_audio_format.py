"""Formats are values, and what is no format is refused by name."""

from __future__ import annotations

import re

import pytest

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
)

ALL = [MULAW_8K, ALAW_8K, PCM_8K, PCM_16K, PCM_24K]


def test_formats_are_values() -> None:
    assert AudioFormat("pcm16", 16000) == PCM_16K != PCM_8K
    assert len({*ALL, *(AudioFormat(f.encoding, f.sample_rate) for f in ALL)}) == 5


@pytest.mark.parametrize(
    ("encoding", "rate", "message"),
    [
        ("opus", 8000, "encoding 'opus': expected 'mulaw', 'alaw' or 'pcm16'"),
        ("pcm16", 44100, "sample rate 44100: expected 8000, 16000 or 24000 Hz"),
        ("pcm16", 8000.0, "sample rate 8000.0: expected 8000, 16000 or 24000 Hz"),
        ("mulaw", 16000, "mu-law at 16000 Hz: expected 8000 Hz"),
        ("alaw", 24000, "A-law at 24000 Hz: expected 8000 Hz"),
    ],
)
def test_what_is_no_format_is_refused_by_name(encoding: str, rate: int, message: str) -> None:
    with pytest.raises(AudioError, match=re.escape(message)):
        AudioFormat(encoding, rate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("audio", "width", "content_type", "frame", "text"),
    [
        # The table of PROTOCOL.md 13, and the two formats that are not in it.
        (MULAW_8K, 1, "audio/x-mulaw", 160, "mu-law at 8000 Hz"),
        (PCM_8K, 2, "audio/x-l16", 320, "16 bit PCM at 8000 Hz"),
        (PCM_16K, 2, "audio/x-l16", 640, "16 bit PCM at 16000 Hz"),
        (ALAW_8K, 1, None, 160, "A-law at 8000 Hz"),
        (PCM_24K, 2, None, 960, "16 bit PCM at 24000 Hz"),
    ],
)
def test_a_format_knows_its_sizes_and_names(
    audio: AudioFormat, width: int, content_type: str | None, frame: int, text: str
) -> None:
    assert (audio.sample_width, audio.content_type) == (width, content_type)
    assert (audio.frame_bytes(), audio.frame_bytes(60)) == (frame, 3 * frame)
    assert audio.duration_ms(frame) == 20.0
    assert audio.duration_ms(width) == 1000 / audio.sample_rate
    assert len(audio.silence(20)) == frame
    assert str(audio) == text


def test_silence_is_the_zero_of_each_law() -> None:
    assert MULAW_8K.silence(1) == b"\xff" * 8
    assert ALAW_8K.silence(1) == b"\xd5" * 8
    assert PCM_16K.silence(1) == b"\0" * 32


# --- the wire's pair ------------------------------------------------------------------------------


@pytest.mark.parametrize("audio", [MULAW_8K, PCM_8K, PCM_16K])
def test_the_pair_of_a_stream_is_its_format(audio: AudioFormat) -> None:
    assert audio.content_type is not None
    assert AudioFormat.of(audio.content_type, float(audio.sample_rate)) == audio
    assert type(AudioFormat.of(audio.content_type, 8000.0).sample_rate) is int


@pytest.mark.parametrize(
    "content_type",
    [
        "Audio/X-L16",
        " audio/x-l16 ",
        "audio/x-l16;rate=16000",
        "audio/x-l16 ; Rate = 16000; channels=1",
        "audio/x-l16;",
        "audio/x-l16;ptime=20",
    ],
)
def test_case_and_parameters_that_agree_make_no_difference(content_type: str) -> None:
    assert AudioFormat.of(content_type, 16000) == PCM_16K


@pytest.mark.parametrize(
    ("content_type", "rate", "message"),
    [
        ("audio/x-mulaw", 16000, "'audio/x-mulaw' at 16000 Hz: expected"),
        ("audio/x-l16", 24000, "or 'audio/x-l16' at 8000 or 16000 Hz"),
        ("audio/x-l16", 8000.5, "at 8000.5 Hz: expected"),
        ("audio/x-l16", float("nan"), "at nan Hz: expected"),
        ("audio/l16", 8000, "'audio/l16' at 8000 Hz: expected"),  # RFC 2586: big-endian
        ("", 8000, "'' at 8000 Hz: expected"),
        ("audio/x-l16;rate=8000", 16000, "sample rate of 16000 Hz: expected rate=16000"),
        ("audio/x-mulaw;channels=2", 8000, "expected channels=1"),
        ("audio/x-mulaw;rate", 8000, "expected rate=8000"),
    ],
)
def test_a_pair_that_no_stream_carries_is_refused(
    content_type: str, rate: float, message: str
) -> None:
    with pytest.raises(AudioError, match=re.escape(message)):
        AudioFormat.of(content_type, rate)


@pytest.mark.parametrize("content_type", ["x" * 257, "audio/x-mulaw" + ";" * 244])
def test_a_name_that_is_too_long_is_not_read(content_type: str) -> None:
    with pytest.raises(AudioError, match="content type of 257 characters: expected 256"):
        AudioFormat.of(content_type, 8000)


def test_the_longest_name_is_read() -> None:
    assert AudioFormat.of("audio/x-mulaw".ljust(256, ";"), 8000) == MULAW_8K


# --- packets of another format --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("helper", "expected"),
    [
        (Converter(PCM_8K, MULAW_8K), PCM_8K),
        (Resampler(8000, 16000), PCM_8K),
        (Framer(PCM_8K), PCM_8K),
    ],
)
@pytest.mark.parametrize("other", [PCM_16K, MULAW_8K])
def test_a_helper_refuses_a_packet_of_another_format_and_is_unchanged(
    helper: Converter | Resampler | Framer, expected: AudioFormat, other: AudioFormat
) -> None:
    helper.reset()
    helper.feed(bytes(101), format=expected)
    message = f"a packet of {other} came to a {type(helper).__name__} for {expected}"
    with pytest.raises(AudioError, match=message):
        helper.feed(b"\x55" * 3, format=other)
    helper.feed(bytes(1))
    rest = helper.flush()
    assert rest is not None
    assert rest.strip(b"\0\xff") == b"", "nothing of the refused packet"
