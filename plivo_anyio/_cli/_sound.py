"""The caller's sound for a call: of a WAV file, or a tone where there is no file."""

from __future__ import annotations

import math
import random
from array import array
from pathlib import Path

from plivo_core import ConfigError
from plivo_core.audio import MULAW_8K, PCM_8K, PCM_16K, AudioError, AudioFormat, Converter, read_wav

__all__ = ["FORMATS", "tone", "wav_file"]

FORMATS = {"mulaw-8000": MULAW_8K, "l16-8000": PCM_8K, "l16-16000": PCM_16K}

_HERTZ = 440
_LOUD = 8000  # of 32767
_HISS = 200  # so that no two frames are the same, and each is known by its sound when it is back


def wav_file(path: Path, format: AudioFormat) -> bytes:
    """The file as one channel of ``format``. Raises ConfigError for what is no WAV, and OSError."""
    try:
        wav = read_wav(path.read_bytes())
        converter = Converter(wav.format, format)
        audio = converter.feed(wav.mono()) + converter.flush()
    except AudioError as error:
        raise ConfigError(f"{path}: {error.message}", hint=error.hint) from error
    if not audio:
        raise ConfigError(f"{path} holds no sound")
    return audio


def tone(seconds: float, format: AudioFormat) -> bytes:
    """A tone with a little noise, the same each time."""
    noise = random.Random(_HERTZ)
    rate = format.sample_rate
    turn = 2 * math.pi * _HERTZ / rate
    samples = array(
        "h",
        (
            round(_LOUD * math.sin(turn * at)) + noise.randint(-_HISS, _HISS)
            for at in range(int(seconds * rate))
        ),
    )
    linear = AudioFormat("pcm16", rate)
    return Converter(linear, format).feed(samples.tobytes())
