"""Telephone audio, pure: G.711, sample rates, frames, mixing, WAV. Bytes in, bytes out.

An :class:`AudioFormat` says what bytes mean. :class:`Converter` goes from one to another, in
packets of any length; :class:`Resampler` and the G.711 functions are its parts. :class:`Framer`
cuts what a synthesizer gives into whole frames, :class:`CallerAudio` reads the packets of a stream.
:class:`WavReader` and :func:`wav_bytes` are for recordings, :class:`Recorder` for making them.

All is mono and in order unless a name says otherwise. Every ``feed`` takes the packet's format too
and refuses one that is not what the helper was made for. What cannot be audio raises
:class:`~plivo_core.errors.AudioError`, and the helper is as it was before the call. Nothing here
reads a clock or a file. Tables are computed at first use, in a few milliseconds.
"""

from plivo_core.audio._caller import AudioFrame, CallerAudio
from plivo_core.audio._convert import Converter
from plivo_core.audio._format import (
    ALAW_8K,
    MULAW_8K,
    PCM_8K,
    PCM_16K,
    PCM_24K,
    AudioFormat,
    BytesLike,
    Encoding,
)
from plivo_core.audio._frames import Framer
from plivo_core.audio._g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from plivo_core.audio._pcm import interleave, mix
from plivo_core.audio._recorder import Recorder
from plivo_core.audio._resample import Resampler
from plivo_core.audio._wav import WavReader
from plivo_core.audio._wav_bytes import Wav, read_wav, wav_bytes, wav_header
from plivo_core.errors import AudioError

__all__ = [
    "ALAW_8K",
    "MULAW_8K",
    "PCM_8K",
    "PCM_16K",
    "PCM_24K",
    "AudioError",
    "AudioFormat",
    "AudioFrame",
    "BytesLike",
    "CallerAudio",
    "Converter",
    "Encoding",
    "Framer",
    "Recorder",
    "Resampler",
    "Wav",
    "WavReader",
    "decode_alaw",
    "decode_mulaw",
    "encode_alaw",
    "encode_mulaw",
    "interleave",
    "mix",
    "read_wav",
    "wav_bytes",
    "wav_header",
]
