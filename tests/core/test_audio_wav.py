"""WAV: what others wrote is read, what we write others read, and nothing else gets through."""

from __future__ import annotations

import io
import re
import struct
import wave

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plivo_core import AudioError
from plivo_core.audio import (
    ALAW_8K,
    MULAW_8K,
    PCM_8K,
    PCM_16K,
    PCM_24K,
    AudioFormat,
    Wav,
    WavReader,
    interleave,
    read_wav,
    wav_bytes,
    wav_header,
)
from tests.core._audio import cut, cuts, pcm

SOUND = pcm(0, 1, -1, 32767, -32768, 300, -300, 12)
ALL = [MULAW_8K, ALAW_8K, PCM_8K, PCM_16K, PCM_24K]

# Written by hand from the specification: mu-law, two bytes of audio and no extension.
MULAW_FMT = bytes.fromhex("0700 0100 401f0000 401f0000 0100 0800")
MULAW_FILE = b"RIFF&\0\0\0WAVEfmt \x10\0\0\0" + MULAW_FMT + b"data\x02\0\0\0\xff\x7f"
# And WAVE_FORMAT_EXTENSIBLE: A-law, one channel, front centre.
ALAW_GUID = bytes.fromhex("06000000 0000 1000 8000 00aa00389b71")
EXTENSIBLE_FMT = (
    bytes.fromhex("feff 0100 401f0000 401f0000 0100 0800 1600 0800 04000000") + ALAW_GUID
)


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks))


def fmt(tag: int = 1, channels: int = 1, rate: int = 8000, block: int = 2, bits: int = 16) -> bytes:
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)


def a_file(content: bytes = SOUND, **fields: int) -> bytes:
    return riff(chunk(b"fmt ", fmt(**fields)), chunk(b"data", content))


def data_of_unknown_size(size: int, content: bytes = SOUND) -> bytes:
    return (
        b"RIFF"
        + b"\xff" * 4
        + b"WAVE"
        + chunk(b"fmt ", fmt())
        + b"data"
        + struct.pack("<I", size)
        + content
    )


def by_the_standard_library(sound: bytes, rate: int, channels: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setframerate(rate)
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.writeframes(sound)
    return file.getvalue()


# --- files of others ------------------------------------------------------------------------------


@pytest.mark.parametrize("audio", [PCM_8K, PCM_16K, PCM_24K])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_pcm_file_is_that_of_the_standard_library(audio: AudioFormat, channels: int) -> None:
    theirs = by_the_standard_library(SOUND, audio.sample_rate, channels)
    assert read_wav(theirs) == Wav(audio, channels, SOUND)
    assert wav_bytes(SOUND, audio, channels) == theirs


def test_mulaw_is_read_as_the_specification_lays_it_out() -> None:
    assert read_wav(MULAW_FILE) == Wav(MULAW_8K, 1, b"\xff\x7f")


def test_an_extensible_file_says_its_format_in_the_subformat() -> None:
    file = riff(chunk(b"fmt ", EXTENSIBLE_FMT), chunk(b"fact", bytes(4)), chunk(b"data", b"\xd5"))
    assert read_wav(file) == Wav(ALAW_8K, 1, b"\xd5")


def test_other_chunks_are_skipped_with_their_pad_byte_and_what_follows_is_ignored() -> None:
    file = riff(
        chunk(b"LIST", b"odd"),
        chunk(b"fmt ", fmt() + b"\0"),
        chunk(b"junk", b""),
        chunk(b"JUNK", bytes(5000)),
        chunk(b"data", SOUND),
        chunk(b"data", b"a second one"),
    )
    assert read_wav(file) == Wav(PCM_8K, 1, SOUND)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_streamed_file_goes_to_its_end(size: int) -> None:
    reader = WavReader()
    assert reader.feed(data_of_unknown_size(size)) == SOUND
    assert reader.feed(SOUND) == SOUND
    assert not reader.finished
    reader.end()
    assert (reader.finished, reader.truncated) == (True, False)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_streamed_file_that_ends_within_a_sample_is_truncated(size: int) -> None:
    assert read_wav(data_of_unknown_size(size, b"\1\2\3")) == Wav(PCM_8K, 1, b"\1\2", True)


@pytest.mark.parametrize("size", [0, 6, 0xFFFFFFFF])
def test_a_second_end_changes_nothing(size: int) -> None:
    reader = WavReader()
    reader.feed(wav_header(MULAW_8K, 2, None)[:-4] + size.to_bytes(4, "little") + b"\1\2\3")
    reader.end()
    reader.end()
    assert reader.truncated


@pytest.mark.parametrize("missing", range(1, len(SOUND) + 1))
@pytest.mark.parametrize("channels", [1, 2])
def test_of_a_truncated_file_what_is_there_is_given(missing: int, channels: int) -> None:
    there = (len(SOUND) - missing) // (2 * channels) * 2 * channels
    file = wav_bytes(SOUND, PCM_8K, channels)[:-missing]
    assert read_wav(file) == Wav(PCM_8K, channels, SOUND[:there], truncated=True)


# --- pushing --------------------------------------------------------------------------------------


def test_a_reader_tells_the_format_as_soon_as_it_was_read() -> None:
    reader = WavReader()
    file = wav_bytes(SOUND, PCM_16K, 2)
    assert reader.feed(file[:35]) == b""
    assert (reader.format, reader.channels) == (None, 0)
    assert reader.feed(file[35:36]) == b""
    assert (reader.format, reader.channels, reader.finished) == (PCM_16K, 2, False)
    assert reader.feed(bytearray(file[36:47])) == b""
    assert reader.feed(memoryview(file)[47:49]) == SOUND[:4]
    assert reader.feed(file[49:]) == SOUND[4:]
    assert (reader.finished, reader.truncated) == (True, False)
    assert reader.feed(b"more") == b""
    reader.end()
    reader.end()
    assert (reader.finished, reader.truncated) == (True, False)


def test_after_its_end_a_reader_takes_no_more() -> None:
    reader = WavReader()
    reader.feed(data_of_unknown_size(0))
    reader.end()
    with pytest.raises(AudioError, match="after its end"):
        reader.feed(b"more")


def test_a_reader_that_failed_goes_on_failing() -> None:
    reader = WavReader()
    for call in (lambda: reader.feed(b"OggS" + bytes(60)), lambda: reader.feed(a_file())):
        with pytest.raises(AudioError, match="begins with b'OggS'"):
            call()
    with pytest.raises(AudioError, match="begins with b'OggS'"):
        reader.end()


@pytest.mark.parametrize("length", [0, 3, 11, 12, 30, 43])
def test_a_file_that_ends_before_its_audio_is_an_error(length: int) -> None:
    reader = WavReader()
    assert reader.feed(a_file()[:length]) == b""
    for _ in range(2):
        with pytest.raises(AudioError, match="ended before its audio began"):
            reader.end()
    with pytest.raises(AudioError, match="ended before its audio began"):
        reader.feed(a_file()[length:])


def pushed(pieces: list[bytes]) -> Wav | str:
    reader = WavReader()
    try:
        audio = b"".join(map(reader.feed, pieces))
        reader.end()
    except AudioError as error:
        return str(error)
    assert reader.format is not None
    assert len(audio) % (reader.format.sample_width * reader.channels) == 0
    return Wav(reader.format, reader.channels, audio, reader.truncated)


words = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b"RIFF", b"WAVE", b"fmt ", b"data", b"LIST", b"\0\0\0\0", b"\xff" * 4]),
    st.builds(chunk, st.sampled_from([b"fmt ", b"data", b"fact"]), st.binary(max_size=70)),
    st.just(chunk(b"fmt ", fmt())),
    st.just(chunk(b"fmt ", fmt(channels=2, block=4))),
    st.just(chunk(b"fmt ", EXTENSIBLE_FMT)),
    st.just(chunk(b"data", SOUND)),
)
hostile = st.builds(
    lambda head, parts: head + b"".join(parts),
    st.sampled_from([b"", b"RIFF\0\0\0\0WAVE", a_file()[:36], MULAW_FILE]),
    st.lists(words, max_size=6),
)


@given(hostile, cuts())
@example(a_file(), [1] * 60)
@example(a_file() + b"after it", [44 + len(SOUND) - 1])
@example(riff(chunk(b"fmt ", fmt() + b"\0")), [37, 1])
def test_any_bytes_are_audio_or_an_error_wherever_they_are_cut(
    data: bytes, lengths: list[int]
) -> None:
    assert pushed(cut(data, lengths)) == pushed([data]) == pushed([bytes((b,)) for b in data])


@given(st.binary(max_size=300))
def test_a_damaged_head_gives_audio_or_an_error(damage: bytes) -> None:
    file = a_file()
    for place in range(0, 44, 3):
        pushed([file[:place] + damage[place : place + 2] + file[place + 2 :]])


# --- refused --------------------------------------------------------------------------------------

REFUSED = {
    "no WAV file: it begins with b'RIFX'": b"RIFX" + a_file()[4:],
    "no WAV file: it begins with b'RF64'": b"RF64" + a_file()[4:],
    "b'AVI ', expected b'RIFF' ... b'WAVE'": b"RIFF\0\0\0\0AVI LIST",
    "no fmt chunk in front of its audio": riff(chunk(b"data", SOUND)),
    "a second fmt chunk: expected one": riff(chunk(b"fmt ", fmt()), chunk(b"fmt ", fmt())),
    "a fmt chunk of 14 bytes: expected 16 to 64": riff(chunk(b"fmt ", bytes(14))),
    "a fmt chunk of 65 bytes: expected 16 to 64": riff(chunk(b"fmt ", bytes(65))),
    "WAV with format tag 1 and 8 bits": a_file(bits=8, block=1),
    "WAV with format tag 1 and 24 bits": a_file(bits=24, block=3),
    "WAV with format tag 7 and 16 bits": a_file(tag=7),
    "WAV with format tag 85 and 0 bits per sample: expected 16 bit PCM": a_file(tag=85, bits=0),
    "WAV with format tag 3 and 32 bits": riff(
        chunk(
            b"fmt ",
            EXTENSIBLE_FMT[:14] + b"\x20\0" + EXTENSIBLE_FMT[16:24] + b"\3\0" + ALAW_GUID[2:],
        )
    ),
    "WAV subformat 06000000000010008000000000000000": riff(
        chunk(b"fmt ", EXTENSIBLE_FMT[:34] + bytes(6))
    ),
    "WAV subformat missing": a_file(tag=0xFFFE),
    "WAV with 0 channels: expected 1 or 2": a_file(channels=0),
    "WAV with 6 channels: expected 1 or 2": a_file(channels=6, block=12),
    "WAV with blocks of 4 bytes: expected 2, for 1 of 16 bits": a_file(block=4),
    "sample rate 44100: expected 8000": a_file(rate=44100),
    "mu-law at 16000 Hz: expected 8000 Hz": a_file(tag=7, rate=16000, block=1, bits=8),
    "has 3 bytes of audio: expected a multiple of 2": a_file(b"abc"),
    "has 2 bytes of audio: expected a multiple of 4": a_file(b"ab", channels=2, block=4),
    "chunk b'LIST' of 65517 bytes puts more than 64 KiB": riff(chunk(b"LIST", bytes(65517))),
    "chunk b'id3 ' of 4294967295 bytes puts more": riff(b"id3 " + b"\xff" * 4),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_such_file_is_refused_by_name(message: str) -> None:
    with pytest.raises(AudioError, match=re.escape(message)):
        read_wav(REFUSED[message])


def test_64_kib_in_front_of_the_audio_are_borne_and_not_held() -> None:
    filler = 65536 - 12 - (8 + 16) - 8
    file = riff(chunk(b"fmt ", fmt()), chunk(b"LIST", bytes(filler)), chunk(b"data", SOUND))
    reader = WavReader()
    for place in range(0, 65536, 100):
        assert reader.feed(file[place : min(place + 100, 65536)]) == b""
        assert len(reader._held) < 80
    assert reader.feed(file[65536:]) == SOUND
    again = riff(chunk(b"fmt ", fmt()), chunk(b"LIST", bytes(filler)), chunk(b"junk", b""))
    with pytest.raises(AudioError, match="chunk b'junk' of 0 bytes puts more than 64 KiB"):
        read_wav(again)


# --- writing --------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.sampled_from(ALL), st.sampled_from([1, 2]))
def test_what_was_written_is_read(data: bytes, audio: AudioFormat, channels: int) -> None:
    data = data[: len(data) - len(data) % (audio.sample_width * channels)]
    file = wav_bytes(data, audio, channels)
    assert read_wav(file) == Wav(audio, channels, data)
    assert struct.unpack_from("<I", file, 4) == (len(file) - 8,)
    assert len(file) % 2 == 0


def test_a_g711_file_has_an_extension_size_and_a_fact_chunk() -> None:
    head = b"RIFF\x36\0\0\0WAVEfmt \x12\0\0\0" + MULAW_FMT + b"\0\0"
    wanted = head + b"fact\x04\0\0\0\x03\0\0\0data\x03\0\0\0abc\0"
    assert wav_bytes(bytearray(b"abc"), MULAW_8K) == wanted
    assert wav_header(ALAW_8K, 2, 6)[20:24] == b"\6\0\2\0"
    assert wav_header(ALAW_8K, 2, 6)[38:50] == b"fact\4\0\0\0\3\0\0\0"


@pytest.mark.parametrize(("audio", "length"), [(PCM_16K, 44), (MULAW_8K, 58)])
def test_a_streamed_head_has_the_length_of_the_final_one(audio: AudioFormat, length: int) -> None:
    head = wav_header(audio, 1, None)
    assert len(head) == len(wav_header(audio, 1, 1000)) == length
    assert read_wav(head + SOUND) == Wav(audio, 1, SOUND)
    assert head[4:8] == head[-4:] == b"\xff" * 4


@pytest.mark.parametrize(
    ("audio", "channels", "size", "message"),
    [
        (PCM_8K, 3, 6, "WAV with 3 channels: expected 1 or 2"),
        (PCM_8K, 1, 3, "3 bytes of audio: expected a multiple of 2"),
        (PCM_8K, 2, 6, "6 bytes of audio: expected a multiple of 4"),
        (PCM_8K, 1, -2, "-2 bytes of audio: expected a multiple of 2"),
        (PCM_8K, 1, 2**32 - 36, "4294967260 bytes of audio: expected less than 4 GiB"),
        (MULAW_8K, 1, 2**32 - 51, "4294967245 bytes of audio: expected less than 4 GiB"),
    ],
)
def test_what_no_wav_can_hold_is_not_written(
    audio: AudioFormat, channels: int, size: int, message: str
) -> None:
    with pytest.raises(AudioError, match=re.escape(message)):
        wav_header(audio, channels, size)


@pytest.mark.parametrize(("audio", "most"), [(PCM_8K, 2**32 - 38), (MULAW_8K, 2**32 - 52)])
def test_the_longest_wav_says_its_size(audio: AudioFormat, most: int) -> None:
    head = wav_header(audio, 1, most)
    assert struct.unpack_from("<I", head, 4) == (most + len(head) - 8,)
    assert struct.unpack_from("<I", head, 4) < (0xFFFFFFFF,)


# --- one channel of two ---------------------------------------------------------------------------


def test_the_mono_of_one_channel_is_itself() -> None:
    assert read_wav(wav_bytes(SOUND, PCM_8K)).mono() == SOUND


def test_the_mono_of_two_channels_is_their_mean() -> None:
    left, right = pcm(100, 32767, -32768, 3, 0), pcm(-300, 32767, -32768, 0, -3)
    wav = read_wav(wav_bytes(interleave(left, right), PCM_16K, 2))
    assert wav.mono() == pcm(-100, 32767, -32768, 1, -2)


def test_the_mono_of_g711_is_the_mean_of_what_is_heard() -> None:
    # 0 and 32124, -32124 and -32124, 0 and 0: halves at mu-law's steps.
    assert Wav(MULAW_8K, 2, b"\xff\x80\0\0\xff\x7f").mono() == b"\x90\0\xff"
    assert Wav(ALAW_8K, 2, b"\xd5\xd5\x2a\x2a\xd5\x55").mono() == b"\xd5\x2a\xd5"
