"""WAV files that are in memory whole, and the heads of those that are being written."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass

from plivo_core.audio._convert import Converter
from plivo_core.audio._format import AudioFormat, BytesLike
from plivo_core.audio._pcm import bytes_of, samples_of
from plivo_core.audio._wav import ENCODING_TAGS, UNKNOWN_SIZE, WavReader
from plivo_core.errors import AudioError

__all__ = ["Wav", "read_wav", "wav_bytes", "wav_header"]

_TAGS = {encoding: tag for tag, encoding in ENCODING_TAGS.items()}


@dataclass(frozen=True, slots=True)
class Wav:
    """What :func:`read_wav` read.

    ``format`` is of each channel; with two ``channels`` their samples alternate in ``audio``.
    ``truncated``: the file was shorter than it announced.
    """

    format: AudioFormat
    channels: int
    audio: bytes
    truncated: bool = False

    def mono(self) -> bytes:
        """The audio in one channel, in ``format``: of two channels the mean, rounded down.

        The mean and not the first: in a recorded call each party has a channel of its own.
        """
        if self.channels == 1:
            return self.audio
        linear = AudioFormat("pcm16", self.format.sample_rate)
        both = Converter(self.format, linear).feed(self.audio)
        return Converter(linear, self.format).feed(_mean(both))


def _mean(stereo: bytes) -> bytes:
    samples = samples_of(stereo)
    pairs = zip(samples[0::2], samples[1::2], strict=True)
    return bytes_of(array("h", [(left + right) >> 1 for left, right in pairs]))


def read_wav(data: BytesLike) -> Wav:
    """A whole WAV file. Raises AudioError for what :class:`WavReader` does not read.

    A file that was cut off within its audio is read as far as it goes; ``truncated`` tells.
    """
    reader = WavReader()
    audio = reader.feed(data)
    reader.end()
    assert reader.format is not None
    return Wav(reader.format, reader.channels, audio, reader.truncated)


def wav_header(format: AudioFormat, channels: int, size: int | None) -> bytes:
    """What goes in front of ``size`` bytes of audio: 44 bytes for PCM, 58 for G.711.

    ``size`` None is for a file whose end is not known: readers then read to its end. The head with
    the size has the same length, to be written over it afterwards. When ``size`` is odd, a zero
    byte must follow the audio. Raises AudioError unless ``channels`` is 1 or 2 and ``size`` whole
    samples of less than 4 GiB.
    """
    if channels not in (1, 2):
        raise AudioError(f"WAV with {channels} channels: expected 1 or 2")
    tag, width = _TAGS[format.encoding], format.sample_width
    block = channels * width
    rate = format.sample_rate
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, 8 * width)
    if width == 1:
        fmt += b"\0\0"  # all but PCM say the size of their extension, and have a `fact` chunk
    before = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt
    if size is None:
        whole = size = samples = UNKNOWN_SIZE
    else:
        if size < 0 or size % block:
            raise AudioError(f"{size} bytes of audio: expected a multiple of {block}")
        samples = size // block
        whole = len(before) + 12 * (width == 1) + 8 + size + size % 2
        if whole >= UNKNOWN_SIZE:
            raise AudioError(f"{size} bytes of audio: expected less than 4 GiB, the most of a WAV")
    if width == 1:
        before += b"fact" + struct.pack("<II", 4, samples)
    return b"RIFF" + struct.pack("<I", whole) + before + b"data" + struct.pack("<I", size)


def wav_bytes(audio: BytesLike, format: AudioFormat, channels: int = 1) -> bytes:
    """A WAV file of ``audio``, raw in ``format``; with two ``channels`` their samples alternate.

    Raises AudioError like :func:`wav_header`.
    """
    audio = bytes(audio)
    pad = b"\0" * (len(audio) % 2)
    return wav_header(format, channels, len(audio)) + audio + pad
