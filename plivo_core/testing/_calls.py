"""Hypothesis strategies for whole calls: what the platform says from the first message to the end.

Single messages come from :func:`~plivo_core.testing.events`; here is their order (PROTOCOL.md 10).
Events that only answer a command of the application (``dtmf.sent``, ``playedStream``, ...) are left
to :class:`~plivo_core.platform.PlatformCall`, which :func:`scripts` feeds.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from hypothesis import strategies as st

from plivo_core.commands import Command, ToolError, ToolResult
from plivo_core.events import (
    AgentEvent,
    AgentFalseInterruption,
    AgentSessionEnded,
    AgentSessionStarted,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechStarted,
    AgentStateChanged,
    AgentToolCompleted,
    AgentToolFailed,
    AgentToolStarted,
    Dtmf,
    Error,
    Interruption,
    LlmAvailabilityChanged,
    ParticipantAdded,
    ParticipantRemoved,
    Prompt,
    SessionUsage,
    StreamDtmf,
    StreamEvent,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
    ToolExecuted,
    TurnCompleted,
    TurnDetected,
    TurnMetrics,
    UserBackchannel,
    UserIdle,
    UserStateChanged,
    VadSpeechStarted,
    VadSpeechStopped,
    VoicemailBeep,
    VoicemailDetected,
)
from plivo_core.platform import (
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    CallMode,
    Emit,
    HangUp,
    Interrupt,
    Pause,
    Step,
    agent_tool,
    caller_presses,
    caller_says,
    model_calls_tool,
)

__all__ = ["CallMode", "conversations", "scripts"]

_Events: TypeAlias = "list[AgentEvent | StreamEvent]"

_MODES: tuple[CallMode, ...] = ("agent", "text", "speech", "raw", "stream")
_STREAM_ID = "stream-1"
_FORMATS = {
    "mulaw_8k": ("audio/x-mulaw", 8000, 160),
    "pcm_16k": ("audio/x-l16", 16000, 640),
}  # the agent's name -> content type, Hz, bytes of 20 ms

_words = st.text("abc ä0", max_size=12)
_keys = st.sampled_from("0123456789*#")
_names = st.sampled_from(["check_order", "refund_order", "end_call"])
_arguments = st.dictionaries(
    st.sampled_from(["id", "reason"]), _words | st.integers(0, 9), max_size=2
)


class _Talk:
    """One conversation being drawn; numbers what must be unique or must grow."""

    def __init__(self, draw: st.DrawFn, mode: CallMode) -> None:
        self.draw = draw
        self.mode = mode
        self.format = draw(st.sampled_from(sorted(_FORMATS)))
        self.tool_calls = self.agent_tools = self.turns = self.idles = self.chunks = 0
        self.members = 0

    def opening(self) -> _Events:
        content_type, rate, _ = _FORMATS[self.format]
        started = AgentSessionStarted(
            agent_session_id="session-1",
            call_id="call-1",
            audio_format=self.format if self.mode == "raw" else None,
        )
        start = StreamStart(
            stream_id=_STREAM_ID,
            call_id="call-1",
            account_id="account-1",
            tracks=["inbound"],
            content_type=content_type,
            sample_rate=rate,
        )
        if self.mode == "stream":
            return [start]
        if self.mode != "raw":
            return [started]
        # The order of these two is not documented.
        return [started, start] if self.draw(st.booleans()) else [start, started]

    def caller_speaks(self) -> _Events:
        words = self.draw(_words)
        heard: _Events = [VadSpeechStarted(), VadSpeechStopped(duration_ms=len(words) * 60)]
        partials = self.draw(st.integers(0, 2))
        heard += [Prompt(text=words[:end], is_final=False) for end in range(1, partials + 1)]
        return [*heard, Prompt(text=words, is_final=True)]

    def turn(self) -> _Events:
        self.turns += 1
        turn_id = f"turn-{self.turns}"
        detected = TurnDetected(turn_id=turn_id, trigger="silence")
        # In text mode the agent's speech follows our tokens, not the caller's turn.
        speech = [] if self.mode == "text" else self.agent_speaks()
        completed = TurnCompleted(turn_id=turn_id, turn_number=self.turns)
        metrics = TurnMetrics(turn_number=self.turns)
        return [*self.caller_speaks(), detected, *speech, completed, metrics, SessionUsage()]

    def agent_speaks(self) -> _Events:
        text = self.draw(_words)
        end: AgentEvent = AgentSpeechCompleted(playback_position_s=len(text), transcript=text)
        if self.draw(st.booleans()):
            cut = text[: len(text) // 2]
            end = Interruption(interrupted_text=cut, playback_position_s=len(cut))
        return [AgentSpeechCreated(source="generate_reply"), AgentSpeechStarted(), end]

    def tool_call(self) -> _Events:
        self.tool_calls += 1
        arguments = self.draw(_arguments)
        return [ToolCall(id=f"tool-{self.tool_calls}", name=self.draw(_names), arguments=arguments)]

    def agent_tool(self) -> _Events:
        self.agent_tools += 1
        kind, id = "collect_email", f"agent-tool-{self.agent_tools}"
        turns = [TurnCompleted(agent_tool_id=id) for _ in range(self.draw(st.integers(0, 2)))]
        end: AgentEvent = AgentToolCompleted(
            agent_tool_type=kind, agent_tool_id=id, result={"email_address": "pat@example.com"}
        )
        if self.draw(st.booleans()):
            end = AgentToolFailed(agent_tool_type=kind, agent_tool_id=id, error="gave up")
        return [AgentToolStarted(agent_tool_type=kind, agent_tool_id=id), *turns, end]

    def idle(self) -> _Events:
        self.idles += 1
        return [UserIdle(retry_count=self.idles, reason="no_response")]

    def notice(self) -> _Events:
        notices: list[AgentEvent] = [
            Error(code="tts_failed", message="no answer"),  # does not end the session
            ToolExecuted(tool_name="search_docs"),
            LlmAvailabilityChanged(llm="first", available=self.draw(st.booleans())),
            UserStateChanged(old_state="listening", new_state="away"),
            AgentStateChanged(old_state="idle", new_state="thinking"),
            UserBackchannel(is_interruption=False, probability=0.1),
            AgentFalseInterruption(resumed=True),
        ]
        return [self.draw(st.sampled_from(notices))]

    def voicemail(self) -> _Events:
        if self.draw(st.booleans()):
            return [VoicemailDetected(result="human", method="audio")]
        detected = VoicemailDetected(result="machine", method="llm", transcript=self.draw(_words))
        return [detected, VoicemailBeep(frequency_hz=1000, duration_ms=400)]

    def third_party(self) -> _Events:
        self.members += 1
        member = f"member-{self.members}"
        added = ParticipantAdded(member_id=member, role="user", target="+14155550123")
        return [added, ParticipantRemoved(member_id=member, role="user")]

    def key(self) -> _Events:
        digit = self.draw(_keys)
        told: _Events = [Dtmf(digit=digit)] if self.mode != "stream" else []
        if self.mode in ("raw", "stream"):
            told.append(StreamDtmf(digit=digit, track="inbound", stream_id=_STREAM_ID))
        return told

    def audio(self) -> _Events:
        packets: _Events = []
        for _ in range(self.draw(st.integers(1, 3))):
            self.chunks += 1
            sound = bytes([self.chunks % 256]) * _FORMATS[self.format][2]
            packets.append(
                StreamMedia(
                    payload=base64.b64encode(sound).decode(),
                    track="inbound",
                    timestamp=str(self.chunks * 20),
                    chunk=self.chunks,
                    stream_id=_STREAM_ID,
                )
            )
        return packets

    def end(self) -> _Events:
        ended = AgentSessionEnded(duration_seconds=self.turns, reason="caller_hangup")
        stop = StreamStop(stream_id=_STREAM_ID)
        both: list[_Events] = [[stop, ended], [ended, stop]]
        ends: list[_Events] = [[]]
        if self.mode != "stream":
            ends.append([ended])
        if self.mode in ("raw", "stream"):
            ends.append([stop])
        if self.mode == "raw":
            ends += both
        end = self.draw(st.sampled_from(ends))
        if ended in end and self.idles and self.draw(st.booleans()):
            return [UserIdle(retry_count=self.idles + 1, reason="max_retries_exhausted"), *end]
        return end


_AGENT_PARTS: tuple[Callable[[_Talk], _Events], ...] = (
    _Talk.turn,
    _Talk.key,
    _Talk.tool_call,
    _Talk.agent_speaks,
    _Talk.agent_tool,
    _Talk.idle,
    _Talk.notice,
    _Talk.voicemail,
    _Talk.third_party,
)
_PARTS: dict[CallMode, tuple[Callable[[_Talk], _Events], ...]] = {
    "agent": _AGENT_PARTS,
    "text": _AGENT_PARTS,
    "speech": _AGENT_PARTS,
    "raw": (_Talk.audio, *_AGENT_PARTS),
    "stream": (_Talk.audio, _Talk.key),
}


@st.composite
def _conversation(draw: st.DrawFn, mode: CallMode, max_parts: int) -> _Events:
    talk = _Talk(draw, mode)
    events = talk.opening()
    for part in draw(st.lists(st.sampled_from(_PARTS[mode]), max_size=max_parts)):
        events += part(talk)
    events += talk.end()
    return [
        replace(event, sequence_number=number) if isinstance(event, _NUMBERED) else event
        for number, event in enumerate(events, 1)
    ]


_NUMBERED = (StreamStart, StreamMedia, StreamDtmf, StreamStop)


def conversations(
    mode: CallMode | None = None, *, max_parts: int = 8
) -> st.SearchStrategy[list[AgentEvent | StreamEvent]]:
    """Everything the platform says in one legal call, in order.

    ``mode`` is that of a :class:`~plivo_core.platform.PlatformCall`; None draws one. ``max_parts``
    bounds the turns, tool calls, key presses and so on between opening and end. Tool calls and
    agent tools have unique ids. The end is ``session.ended``, ``stop``, both (in either order) or
    neither, when the connection just closes.
    """
    if mode is not None:
        return _conversation(mode, max_parts)
    return st.sampled_from(_MODES).flatmap(lambda drawn: _conversation(drawn, max_parts))


@st.composite
def _script(draw: st.DrawFn, mode: CallMode) -> list[Step]:
    talk = _Talk(draw, mode)
    script: list[Step] = []
    waits = st.sampled_from([0.0, 0.02, 1.0, 15.0])
    kinds = ["pause"]
    if mode in ("raw", "stream"):
        kinds += ["audio", "plays"]
    if mode != "stream":
        kinds += ["says", "presses", "tool", "agent tool", "speaks", "interrupt"]
    if mode in ("agent", "text", "speech"):
        kinds += ["speaks in time"]
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=8)):
        if kind == "audio":
            script += [Emit(packet) for packet in talk.audio()]
        elif kind == "pause":
            script.append(Pause(draw(waits)))
        elif kind == "plays":
            sound = draw(st.binary(max_size=1000))  # up to 125 ms
            script.append(CallerPlays(sound, draw(st.booleans()), draw(st.integers(1, 60))))
        elif kind == "speaks in time":
            script.append(CallerSays(draw(_words), None, draw(st.integers(0, 2))))
        elif kind == "says":
            script += caller_says(draw(_words))
        elif kind == "presses":
            script += caller_presses(draw(_keys))
        elif kind == "tool":
            talk.tool_calls += 1
            answer: type[Command] = ToolResult if draw(st.booleans()) else ToolError
            arguments = draw(_arguments)
            script += model_calls_tool(
                f"tool-{talk.tool_calls}", draw(_names), arguments, answer=answer
            )
        elif kind == "agent tool":
            talk.agent_tools += 1
            script += agent_tool("collect_email", f"agent-tool-{talk.agent_tools}", {"ok": True})
        elif kind == "speaks":
            script.append(AgentSpeaks(draw(_words), wait=draw(st.booleans())))
        else:
            script.append(Interrupt())
    if draw(st.booleans()):
        script.append(HangUp())
    return script


def scripts(mode: CallMode = "agent") -> st.SearchStrategy[list[Step]]:
    """Scripts for a :class:`~plivo_core.platform.PlatformCall` of that ``mode``, mu-law at 8 kHz.

    Some end with the caller's hang-up; the others leave the end to the application.
    """
    return _script(mode)
