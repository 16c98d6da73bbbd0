"""What the platform does by itself: its reactions to commands, to the model and to silence.

As PROTOCOL.md 10 and 11 say, in the order stated there. Audio plays in real time: a checkpoint
comes back when its audio has been heard. Driven by :class:`~plivo_core.platform.PlatformCall`.
"""

from __future__ import annotations

from plivo_core.commands import (
    Checkpoint,
    ClearAudio,
    Command,
    ExtendWait,
    Hangup,
    Play,
    PlayAudio,
    SendDtmf,
    Speak,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
)
from plivo_core.events import (
    AgentHandoff,
    CallTransferred,
    ClearedAudio,
    Dtmf,
    DtmfSent,
    Error,
    Interruption,
    PlayCompleted,
    PlayedStream,
    StreamDtmf,
    ToolCall,
)
from plivo_core.platform._idle import IdleClock
from plivo_core.platform._outbox import NEVER, Outbox, PlatformEvent
from plivo_core.platform._queue import PlaybackQueue
from plivo_core.platform._settings import AgentSettings, CallMode
from plivo_core.platform._voice import Voice
from plivo_core.playback import audio_duration_ms

__all__ = ["WITHOUT_STREAM", "Reactions"]

WITHOUT_STREAM: tuple[CallMode, ...] = ("agent", "text", "speech")


class Reactions:
    """One call's platform."""

    def __init__(
        self,
        out: Outbox,
        voice: Voice,
        idle: IdleClock,
        settings: AgentSettings,
        *,
        mode: CallMode,
        stream_id: str,
    ) -> None:
        self._out = out
        self._voice = voice
        self._idle = idle
        self._settings = settings
        self._mode = mode
        self._stream_id = stream_id
        self._tokens: list[str] = []
        self._unanswered: dict[str, Error] = {}  # tool calls, and what is said of each in the end
        self._hang_up_at: float | None = None
        self.playback = PlaybackQueue()

    # -- time ----------------------------------------------------------------------------------

    @property
    def hangs_up(self) -> bool:
        """Whether the application has hung up; a farewell may still be spoken."""
        return self._hang_up_at is not None

    @property
    def due(self) -> float:
        """When to :meth:`lose_patience`; infinity: never."""
        if self._hang_up_at is not None:
            return self._hang_up_at
        if self._mode == "stream":
            return NEVER  # nobody there to mind the silence
        return self._idle.due(max(self._voice.busy_until, self.playback.plays_until))

    def lose_patience(self, now: float) -> str | None:
        """Do what is due; the reason to end the call, if there is one."""
        if self._hang_up_at is not None:
            return "agent_hangup"
        event = self._idle.tell(now)
        self._out.say(event, now=now)
        if event.reason == "max_retries_exhausted":
            return "idle_timeout"
        if self._settings.reminder_message:
            self._voice.speak(self._settings.reminder_message, source="reminder", now=now)
        return None

    # -- the script ----------------------------------------------------------------------------

    def emit(self, event: PlatformEvent, *, now: float) -> None:
        """Say it, and mind what follows from it."""
        self._out.say(event, now=now)
        if isinstance(event, (Dtmf, StreamDtmf)):
            self._idle.caller_acts(now)
        elif isinstance(event, ToolCall):
            # What the model is told then is not documented; that the call fails is (5.5).
            timeout = self._settings.tool_call_timeout_s
            failure = Error(
                code="tool_call_timeout",
                message=f"no answer to {event.name} ({event.id}) within {timeout:g} s",
            )
            self._unanswered[event.id] = failure
            self._out.later(now + timeout, failure)

    def interrupt(self, now: float) -> None:
        """The caller talks over whatever is to be heard."""
        self._voice.interrupt(now)
        self._idle.caller_acts(now)
        if self._mode == "raw" and self.playback.lead_ms(now) > 0:
            position = round(self.playback.heard_ms(now) / 1000, 3)
            self._out.say(Interruption(playback_position_s=position), now=now)

    # -- the application -----------------------------------------------------------------------

    def react(self, command: Command, *, now: float) -> None:
        """Do what the command asks for."""
        of_stream = isinstance(command, (PlayAudio, Checkpoint, ClearAudio))
        if self._mode in (WITHOUT_STREAM if of_stream else ("stream",)):
            return  # nobody there to act on it; an Expect still sees it
        if isinstance(command, PlayAudio):
            ms = audio_duration_ms(command.payload, command.content_type, command.sample_rate)
            self.playback.put(ms, now=now)
        elif isinstance(command, Checkpoint):
            if self._any_audio(now):  # it comes only if some was played (PROTOCOL.md 13)
                event = PlayedStream(name=command.name, stream_id=self._stream_id)
                self._out.later(max(now, self.playback.plays_until), event)
        elif isinstance(command, ClearAudio):
            self.playback.clear(now=now)
            # Pending checkpoints are not acknowledged (PROTOCOL.md 13).
            self._out.cancel(lambda event: isinstance(event, PlayedStream))
            self._out.say(ClearedAudio(stream_id=self._stream_id), now=now)
        elif isinstance(command, (ToolResult, ToolError)):
            failure = self._unanswered.pop(command.id, None)
            self._out.cancel(lambda event: event is failure)
        elif isinstance(command, Speak):
            self._voice.speak(command.text, source="say", now=now)
        elif isinstance(command, Text):
            self._tokens.append(command.token)
            if command.last:
                self._voice.speak("".join(self._tokens), source="text", now=now)
                self._tokens.clear()
        elif isinstance(command, SendDtmf):
            self._out.say(DtmfSent(digits=command.digits), now=now)
        elif isinstance(command, Play):
            self._out.later(now + len(command.audio_data) * 0.75 / 32000, PlayCompleted())
        elif isinstance(command, Transfer):
            self._out.say(CallTransferred(destination=list(command.destination)), now=now)
        elif isinstance(command, Update):
            self._voice.opt_in(command.fields.get("events"))
            if "system_prompt" in command.fields and {"tools", "llm"} & set(command.fields):
                self._out.say(AgentHandoff(), now=now)
        elif isinstance(command, ExtendWait):
            self._idle.extend(now)
        elif isinstance(command, Hangup):
            # A farewell that is being spoken is heard to its end.
            self._hang_up_at = max(now, self._voice.speech_ends_at)

    def _any_audio(self, now: float) -> bool:
        return self.playback.lead_ms(now) > 0 or self.playback.heard_ms(now) > 0
