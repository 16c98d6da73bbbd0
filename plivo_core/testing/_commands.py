"""Hypothesis strategies for what an application may send."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from hypothesis import strategies as st

from plivo_core.commands import (
    Checkpoint,
    ClearAudio,
    Command,
    DialMode,
    ExtendWait,
    Hangup,
    Inject,
    Play,
    PlayAudio,
    PlayBackground,
    RawCommand,
    SendDtmf,
    SendStreamDtmf,
    Speak,
    StopBackground,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
)

__all__ = ["commands"]


def commands() -> st.SearchStrategy[Command]:
    """Every valid command.

    Values are what JSON carries unchanged, so each command equals itself after a trip through
    text. The exception is a RawCommand whose message happens to spell a command that is known.
    """
    text = st.text(max_size=50)
    base64_text = st.binary(max_size=400).map(lambda data: b64encode(data).decode())
    tones = st.text("0123456789*#ABCDwW", min_size=1, max_size=20)
    stream_id = st.none() | st.text(min_size=1, max_size=20)
    members = _json_objects()
    update_names = st.sampled_from(["events", "system_prompt", "tools", "llm", "tts", "stt"])
    update_fields = st.dictionaries(
        update_names | text.filter(lambda name: name != "type"), _json_values(), max_size=5
    )
    dial_modes: st.SearchStrategy[DialMode] = st.sampled_from(["parallel", "sequential"])
    return st.one_of(
        st.builds(ToolResult, text, _json_values()),
        st.builds(ToolError, text, text),
        st.builds(Text, text, last=st.booleans()),
        st.builds(ExtendWait),
        st.builds(Update, update_fields),
        st.builds(Inject, text),
        st.builds(Speak, text),
        st.builds(Play, base64_text, allow_interruption=st.booleans()),
        st.builds(
            Transfer,
            st.lists(_destinations(), min_size=1, max_size=4),
            dial_mode=dial_modes,
            timeout=st.integers(1, 3600) | st.floats(0, 3600, exclude_min=True),
            caller_id=st.none() | text,
        ),
        st.builds(SendDtmf, tones),
        st.builds(Hangup),
        st.builds(PlayBackground, text, volume=st.floats(0, 1), loop=st.booleans()),
        st.builds(StopBackground),
        st.builds(
            PlayAudio,
            base64_text,
            content_type=st.sampled_from(["audio/x-mulaw", "audio/x-l16"]),
            sample_rate=st.sampled_from([8000, 16000]),
        ),
        st.builds(Checkpoint, text, stream_id=stream_id),
        st.builds(ClearAudio, stream_id=stream_id),
        st.builds(SendStreamDtmf, tones),
        st.builds(RawCommand, members),
    )


def _destinations() -> st.SearchStrategy[str]:
    numbers = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
    return numbers | st.sampled_from(["sip:desk@example.com", "+1"])


def _json_values() -> st.SearchStrategy[Any]:
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20)
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
        ),
        max_leaves=10,
    )


def _json_objects() -> st.SearchStrategy[dict[str, Any]]:
    # "type" and "event" often: they decide how the message is read.
    names = st.sampled_from(["type", "event"]) | st.text(max_size=10)
    return st.dictionaries(names, _json_values(), max_size=5)
