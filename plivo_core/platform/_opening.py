"""The first messages of a call, and the formats that its audio may have (PROTOCOL.md 10, 13)."""

from __future__ import annotations

from collections.abc import Mapping

from plivo_core.audio import MULAW_8K, PCM_8K, PCM_16K, AudioFormat
from plivo_core.errors import AudioError, ConfigError
from plivo_core.events import AgentSessionStarted, StreamStart
from plivo_core.platform._settings import AgentSettings, CallMode

__all__ = ["FORMAT_NAMES", "choose_format", "format_asked_for", "opening"]

_FORMATS = (MULAW_8K, PCM_8K, PCM_16K)
_RAW_NAMES = {_FORMATS[0]: "mulaw_8k", _FORMATS[2]: "pcm_16k"}  # an agent's; it has no others
FORMAT_NAMES = {"mulaw_8k": _FORMATS[0], "pcm_8k": _FORMATS[1], "pcm_16k": _FORMATS[2]}
"""By the agent's name; that of the second is ours."""


def choose_format(mode: CallMode, content_type: str, sample_rate: int) -> AudioFormat:
    """The format of that name in a call of that mode; raises ConfigError where there is none."""
    possible = list(_RAW_NAMES) if mode == "raw" else _FORMATS
    for format in possible:
        if (format.content_type, format.sample_rate) == (content_type, sample_rate):
            return format
    names = ", ".join(f"{format.content_type} at {format.sample_rate} Hz" for format in possible)
    raise ConfigError(
        f"a call of mode {mode!r} has no {content_type} at {sample_rate} Hz; possible: {names}"
    )


def format_asked_for(
    mode: CallMode, agent: Mapping[str, object] | None, request: Mapping[str, object]
) -> AudioFormat:
    """What the audio of a call that was placed so is in.

    A raw agent's ``audio_format`` names it, pcm_16k by default (PROTOCOL.md 5.5); a plain stream's
    ``content_type`` does, ``audio/x-l16;rate=16000`` say. That is any text: where it names no
    format of a stream, mu-law.
    """
    if mode == "raw":
        name = (agent or {}).get("audio_format")
        return MULAW_8K if name == _RAW_NAMES[MULAW_8K] else PCM_16K
    content_type = request.get("content_type")
    if mode == "stream" and isinstance(content_type, str):
        for format in _FORMATS:
            try:
                return AudioFormat.of(content_type, format.sample_rate)
            except AudioError:  # of another rate
                pass
    return MULAW_8K


def opening(
    mode: CallMode,
    format: AudioFormat,
    settings: AgentSettings,
    *,
    call_uuid: str,
    agent_session_id: str,
    stream_id: str,
) -> list[AgentSessionStarted | StreamStart]:
    """What opens a call of that mode."""
    started = AgentSessionStarted(
        agent_session_id=agent_session_id,
        call_id=call_uuid,
        caller=settings.caller,
        callee=settings.callee,
        agent_id=settings.agent_id,
        audio_format=_RAW_NAMES[format] if mode == "raw" else None,
    )
    start = StreamStart(
        stream_id=stream_id,
        call_id=call_uuid,
        tracks=["inbound"],
        content_type=format.content_type or "",
        sample_rate=format.sample_rate,
        extra_headers=dict(settings.extra_headers),
    )
    if mode == "stream":
        return [start]
    return [started, start] if mode == "raw" else [started]
