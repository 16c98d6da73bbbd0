"""The messages of a voice agent, in the order of PROTOCOL.md 9.1; no. 8 is in ``_metrics``.

Names, types and defaults are the platform's. Times without a unit are ISO 8601 text of its wall
clock. Any of these may be missing from a call, and fields that no source documents for a mode of
operation stay ``None``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from plivo_core.events._base import AUDIO, NUMBER, SECRET, AgentEvent, agent_event
from plivo_core.events._readers import Number

__all__ = [
    "AgentFalseInterruption",
    "AgentHandoff",
    "AgentSessionEnded",
    "AgentSessionStarted",
    "AgentSpeechCompleted",
    "AgentSpeechCreated",
    "AgentSpeechStarted",
    "AgentStateChanged",
    "AgentToolCompleted",
    "AgentToolFailed",
    "AgentToolStarted",
    "CallTransferred",
    "Dtmf",
    "DtmfSent",
    "Error",
    "Interruption",
    "LlmAvailabilityChanged",
    "ParticipantAdded",
    "ParticipantRemoved",
    "PlayCompleted",
    "Prompt",
    "SessionUsage",
    "ToolCall",
    "ToolExecuted",
    "TurnCompleted",
    "TurnDetected",
    "UserBackchannel",
    "UserIdle",
    "UserStateChanged",
    "VadSpeechStarted",
    "VadSpeechStopped",
    "VoicemailBeep",
    "VoicemailDetected",
]


@agent_event("session.started")
class AgentSessionStarted(AgentEvent):
    """First message on every agent connection. ``audio_format`` is for raw-audio agents, such as
    ``pcm_16k`` or ``mulaw_8k``; ``sample_rate`` in Hz."""

    agent_session_id: str = ""
    call_id: str = ""
    caller: str | None = field(default=None, metadata=NUMBER)
    callee: str | None = field(default=None, metadata=NUMBER)
    agent_id: str | None = None
    audio_format: str | None = None
    sample_rate: Number | None = None
    channels: Number | None = None
    frame_size_ms: Number | None = None
    plc_enabled: bool | None = None


@agent_event("session.ended")
class AgentSessionEnded(AgentEvent):
    """Last agent message; ends the session. ``duration_seconds`` is the call's length, the other
    durations have no documented unit; ``transcript`` is whatever JSON the platform sends."""

    duration_seconds: Number = 0
    turn_count: Number | None = None
    reason: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    error: str | None = None
    transcript: object = None
    stt_duration: Number | None = None
    llm_duration: Number | None = None
    tts_duration: Number | None = None


@agent_event("session.error")
class Error(AgentEvent):
    """Something failed on the platform's side, at any time. The session goes on."""

    code: str = ""
    message: str = ""


@agent_event("session.usage")
class SessionUsage(AgentEvent):
    """Cumulative usage so far: one record per model, told apart by its ``type`` member."""

    models: Sequence[Mapping[str, object]] = field(default_factory=list[Mapping[str, object]])


@agent_event("tool.called")
class ToolCall(AgentEvent):
    """The model called one of our tools. Answer once, with the same ``id``: result or error."""

    id: str = ""
    name: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])


@agent_event("tool.executed")
class ToolExecuted(AgentEvent):
    """The platform ran a tool of its own (MCP); nothing to answer. Each of ``calls`` holds
    ``name``, ``arguments``, ``output`` and ``is_error``."""

    tool_name: str | None = None
    calls: Sequence[Mapping[str, object]] = field(default_factory=list[Mapping[str, object]])
    timestamp: str | None = None


@agent_event("turn.completed")
class TurnCompleted(AgentEvent):
    """After each turn of the conversation. ``_s`` are seconds; ``_at`` is ISO 8601 text;
    ``agent_tool_id`` is set while a collector of the platform runs."""

    user_text: str = ""
    agent_text: str = ""
    turn_id: str = ""
    turn_number: Number | None = None
    agent_first: bool | None = None
    agent_tool_id: str | None = None
    turn_decision_s: Number | None = None
    transcription_delay_s: Number | None = None
    llm_ttft_s: Number | None = None
    tts_ttfb_s: Number | None = None
    realtime_ttft_s: Number | None = None
    user_started_speaking_at: str | None = None
    user_stopped_speaking_at: str | None = None
    agent_started_speaking_at: str | None = None


@agent_event("user.transcription")
class Prompt(AgentEvent):
    """A transcript of what the caller says: partial ones first, then one with ``is_final``."""

    text: str = ""
    is_final: bool = False
    language: str | None = None
    speaker_id: str | None = None


@agent_event("user.dtmf")
class Dtmf(AgentEvent):
    """Caller pressed a key: one of ``0-9 * # A-D``."""

    digit: str = field(default="", metadata=SECRET)


@agent_event("user.idle")
class UserIdle(AgentEvent):
    """Caller silent past the idle time-out; ``reason`` is ``no_response``, and once
    ``max_retries_exhausted`` before the platform hangs up."""

    retry_count: Number = 0
    reason: str = ""


@agent_event("user.speech_started")
class VadSpeechStarted(AgentEvent):
    """Caller began to speak; only when ``vad_events`` is on. ``timestamp_ms`` in milliseconds."""

    timestamp_ms: Number = 0
    timestamp: str | None = None
    vad_idle_time_s: Number | None = None
    vad_inference_count: Number | None = None
    vad_inference_duration_total_ms: Number | None = None


@agent_event("user.speech_stopped")
class VadSpeechStopped(AgentEvent):
    """Caller fell silent; only when ``vad_events`` is on. ``duration_ms`` is how long."""

    timestamp_ms: Number = 0
    duration_ms: Number = 0
    timestamp: str | None = None
    vad_idle_time_s: Number | None = None
    vad_inference_count: Number | None = None
    vad_inference_duration_total_ms: Number | None = None


@agent_event("user.turn_completed")
class TurnDetected(AgentEvent):
    """The caller's turn is over; only when ``turn_events`` is on. ``trigger`` is ``silence``,
    ``max_duration`` or ``text``; ``turn_probability`` runs from 0 to 1."""

    turn_id: str = ""
    trigger: str = ""
    duration_ms: Number = 0
    timestamp: str | None = None
    turn_method: str | None = None
    turn_probability: Number | None = None


@agent_event("user.state_changed")
class UserStateChanged(AgentEvent):
    """Caller went from one of ``listening``, ``speaking`` and ``away`` to another."""

    old_state: str | None = None
    new_state: str | None = None
    timestamp: str | None = None


@agent_event("user.backchannel")
class UserBackchannel(AgentEvent):
    """Overlapping speech was judged: a barge-in, or just a "mm-hm". ``probability`` from 0 to 1."""

    is_interruption: bool = False
    probability: Number | None = None
    detection_delay_ms: Number | None = None
    total_duration_ms: Number | None = None
    prediction_duration_ms: Number | None = None
    overlap_started_at: str | None = None
    num_requests: Number | None = None
    timestamp: str | None = None
    speech_input_b64: str | None = field(default=None, metadata=AUDIO)
    probabilities: Sequence[object] | None = None


@agent_event("agent.handoff")
class AgentHandoff(AgentEvent):
    """An update changed the persona (prompt together with tools or model)."""

    new_agent: str | None = None


@agent_event("agent.speech_interrupted")
class Interruption(AgentEvent):
    """The caller barged in. ``interrupted_text`` is what was cut off, absent in text mode;
    ``playback_position_s`` is how many seconds had been heard."""

    interrupted_text: str | None = None
    turn_id: str | None = None
    playback_position_s: Number | None = None
    timestamp: str | None = None


@agent_event("agent.speech_created")
class AgentSpeechCreated(AgentEvent):
    """A reply was scheduled; ``source`` is what caused it, e.g. ``generate_reply``."""

    source: str | None = None
    user_initiated: bool | None = None
    timestamp: str | None = None


@agent_event("agent.speech_started")
class AgentSpeechStarted(AgentEvent):
    """The audio of a reply begins."""

    timestamp: str | None = None


@agent_event("agent.speech_completed")
class AgentSpeechCompleted(AgentEvent):
    """The audio of a reply ended undisturbed, ``playback_position_s`` seconds in."""

    playback_position_s: Number | None = None
    timestamp: str | None = None
    transcript: str | None = None


@agent_event("agent.false_interruption")
class AgentFalseInterruption(AgentEvent):
    """A barge-in turned out to be none; ``resumed`` says whether the agent went on speaking."""

    resumed: bool | None = None
    timestamp: str | None = None


@agent_event("agent.state_changed")
class AgentStateChanged(AgentEvent):
    """Agent went from one of ``idle``, ``listening``, ``thinking`` and ``speaking`` to another."""

    old_state: str | None = None
    new_state: str | None = None
    timestamp: str | None = None


@agent_event("agent_tool.started")
class AgentToolStarted(AgentEvent):
    """A collector of the platform, such as ``collect_email``, took over the conversation."""

    agent_tool_type: str = ""
    agent_tool_id: str = ""


@agent_event("agent_tool.completed")
class AgentToolCompleted(AgentEvent):
    """A collector finished; ``result`` is what it collected (or ``timed_out``, ``declined``)."""

    agent_tool_type: str = ""
    agent_tool_id: str = ""
    result: Mapping[str, object] = field(default_factory=dict[str, object], metadata=SECRET)


@agent_event("agent_tool.failed")
class AgentToolFailed(AgentEvent):
    """A collector gave up; ``error`` says why, in prose."""

    agent_tool_type: str = ""
    agent_tool_id: str = ""
    error: str = ""


@agent_event("llm.availability_changed")
class LlmAvailabilityChanged(AgentEvent):
    """The fallback chain moved: ``llm`` became reachable or unreachable."""

    llm: str | None = None
    available: bool | None = None
    timestamp: str | None = None


@agent_event("voicemail.detected")
class VoicemailDetected(AgentEvent):
    """Who answered: ``result`` is ``machine`` or ``human``; ``method`` is ``audio`` or ``llm``."""

    result: str = ""
    method: str = ""
    transcript: str | None = None


@agent_event("voicemail.beep")
class VoicemailBeep(AgentEvent):
    """The beep of an answering machine: the moment to leave the message."""

    frequency_hz: Number = 0.0
    duration_ms: Number = 0


@agent_event("participant.added")
class ParticipantAdded(AgentEvent):
    """Someone joined a multi-party call; ``target`` is their number or URI."""

    member_id: str = ""
    role: str = ""
    target: str = field(default="", metadata=NUMBER)


@agent_event("participant.removed")
class ParticipantRemoved(AgentEvent):
    """Someone left a multi-party call."""

    member_id: str = ""
    role: str = ""


@agent_event("call.transferred")
class CallTransferred(AgentEvent):
    """Our ``agent_session.transfer`` was carried out, to these numbers or URIs."""

    destination: Sequence[str] = field(default_factory=list[str], metadata=NUMBER)


@agent_event("play.completed")
class PlayCompleted(AgentEvent):
    """The audio of our ``play`` command has been played."""


@agent_event("dtmf.sent")
class DtmfSent(AgentEvent):
    """Our ``send_dtmf`` was carried out."""

    digits: str = field(default="", metadata=SECRET)
