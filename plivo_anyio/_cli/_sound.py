"""The caller's sound for a call: WAV files, or a tone where there is no file."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

from plivo_core import ConfigError
from plivo_core.audio import MULAW_8K, PCM_8K, PCM_16K, AudioError, AudioFormat, Converter, read_wav
from plivo_core.platform import Scenario

__all__ = ["FORMATS", "read_scenario", "tone", "wav_file"]

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


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file; it may play the WAV files beside it, by their names.

    Raises ScenarioError, which names file and line, ConfigError for a bad WAV, and OSError.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text in UTF-8") from error
    assumed = MULAW_8K
    scenario = Scenario.parse(text, filename=str(path), sounds=_Sounds(path.parent, assumed))
    format = AudioFormat.of(scenario.content_type, scenario.sample_rate)
    if format != assumed:
        sounds = _Sounds(path.parent, format)
        scenario = Scenario.parse(text, filename=str(path), sounds=sounds)
    return scenario


class _Sounds(Mapping[str, bytes]):
    """The WAV files of a folder by their names, each read when it is asked for."""

    def __init__(self, folder: Path, format: AudioFormat) -> None:
        self._paths = {path.name: path for path in sorted(folder.glob("*.wav"))}
        self._format = format

    def __getitem__(self, name: str) -> bytes:
        return wav_file(self._paths[name], self._format)

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


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
