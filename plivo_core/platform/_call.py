"""Plivo's side of one call, as a pure state machine that plays a script.

It keeps the core's contract at the level of values: commands in, events out, one deadline. It
reacts to commands as PROTOCOL.md 10 and 11 say the platform does, in the order stated there, and
plays audio in real time both ways: checkpoints come back when theirs has been heard, and the
caller's sound leaves frame by frame. Words are the :class:`~plivo_core.platform._voice.Voice`'s
business. What the platform does beyond a call (REST, signed callbacks) is not here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

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
from plivo_core.errors import ConfigError, LocalProtocolError
from plivo_core.events import (
    AgentHandoff,
    AgentSessionEnded,
    CallTransferred,
    ClearedAudio,
    Dtmf,
    DtmfSent,
    Error,
    Interruption,
    InvalidMessage,
    PlayCompleted,
    PlayedStream,
    StreamDtmf,
    StreamStop,
    ToolCall,
)
from plivo_core.platform._idle import IdleClock
from plivo_core.platform._microphone import Microphone
from plivo_core.platform._observer import Observation, Observer
from plivo_core.platform._opening import choose_format, opening
from plivo_core.platform._outbox import NEVER, Outbox, PlatformEvent
from plivo_core.platform._queue import PlaybackQueue
from plivo_core.platform._settings import AgentSettings, CallMode
from plivo_core.platform._steps import (
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    Closes,
    Emit,
    Expect,
    Fault,
    Interrupt,
    Never,
    Pause,
    Step,
    Until,
)
from plivo_core.platform._voice import Voice
from plivo_core.playback import audio_duration_ms

__all__ = ["PlatformCall"]

_WITHOUT_STREAM = ("agent", "text", "speech")


class PlatformCall:
    """One scripted call.

    ``mode`` is ``"agent"`` (managed pipeline), ``"text"`` (bring your own model) or ``"speech"``
    (speech to speech), which ``session.started`` opens; ``"stream"`` (a plain ``<Stream>``:
    ``start`` opens it) or ``"raw"`` (an agent with raw audio: both). ``settings`` say who calls and
    how patient Plivo's side is, ``seconds_per_character`` how fast everybody speaks;
    ``content_type`` and ``sample_rate`` (Hz) are the format of the stream, if there is one. Raises
    ConfigError for a format the platform does not have, for a caller's sound where no stream could
    carry it and for a caller's words that nobody would transcribe.

    Inputs: :meth:`start`, :meth:`receive_command`, :meth:`receive_close`, :meth:`handle_timeout`.
    After each, send what :meth:`next_event` gives until it gives None; close when
    :attr:`finished`; wait at most until :meth:`deadline`. Results are in :attr:`observations`.
    """

    def __init__(
        self,
        script: Iterable[Step] = (),
        *,
        mode: CallMode = "agent",
        settings: AgentSettings | None = None,
        call_uuid: str = "call-1",
        agent_session_id: str = "session-1",
        stream_id: str = "stream-1",
        seconds_per_character: float = 0.06,
        content_type: str = "audio/x-mulaw",
        sample_rate: int = 8000,
    ) -> None:
        self._script: deque[Step] = deque(script)
        self._mode: CallMode = mode
        self._settings = settings or AgentSettings()
        self._format = choose_format(mode, content_type, sample_rate)
        self._microphone = Microphone(self._format, stream_id)
        self._check_script()
        self._call_uuid = call_uuid
        self._agent_session_id = agent_session_id
        self._stream_id = stream_id
        self._out = Outbox(self._microphone)
        self._voice = Voice(
            self._out, self._settings, mode=mode, per_character=seconds_per_character
        )
        self._idle = IdleClock(self._settings)
        self._observer = Observer()
        self._step: Step | None = None  # the one being waited for
        self._step_until = 0.0
        self._unanswered: dict[str, Error] = {}  # tool calls, and what is said of each in the end
        self._tokens: list[str] = []
        self._started_at = 0.0
        self._hang_up_at: float | None = None
        self._finished = False
        self._closed: int | None = None
        self.playback = PlaybackQueue()
        """The audio of the application on its way to the caller's ear."""
        self.invalid: list[InvalidMessage] = []

    def _check_script(self) -> None:
        for step in self._script:
            if isinstance(step, CallerPlays):
                if self._mode in _WITHOUT_STREAM:
                    raise ConfigError(
                        f"CallerPlays needs a stream, and a call of mode {self._mode!r} has none",
                        hint="use mode='raw' or 'stream', or caller_says() for words",
                    )
                self._microphone.check(step.audio, step.frame_ms)
            elif isinstance(step, CallerSays) and self._mode not in _WITHOUT_STREAM:
                raise ConfigError(
                    f"CallerSays has words, and in mode {self._mode!r} nobody transcribes them",
                    hint="use CallerPlays for sound",
                )

    @property
    def finished(self) -> bool:
        """Whether the call is over; close the WebSocket once next_event() gives None."""
        return self._finished

    @property
    def observations(self) -> list[Observation]:
        """What came of the steps so far that wait for something, in order."""
        return self._observer.observations

    @property
    def missed(self) -> list[str]:
        """Labels of the steps that were not met, those never reached included."""
        return self._observer.missed([self._step, *self._script])

    @property
    def unexpected(self) -> list[Command]:
        """Commands that no step expected, the newest 1,000."""
        return self._observer.unexpected

    # -- input ---------------------------------------------------------------------------------

    def start(self, *, now: float) -> None:
        """The WebSocket is open: say the first message and play the script."""
        self._started_at = now
        self._microphone.start(now=now)
        self._idle.caller_acts(now)
        for event in opening(
            self._mode,
            self._format,
            self._settings,
            call_uuid=self._call_uuid,
            agent_session_id=self._agent_session_id,
            stream_id=self._stream_id,
        ):
            self._out.say(event, now=now)
        if self._settings.welcome_greeting and self._mode in _WITHOUT_STREAM:
            self._voice.speak(self._settings.welcome_greeting, source="greeting", now=now)
        self._advance(now)

    def receive_command(self, command: Command | InvalidMessage, *, now: float) -> None:
        """A message of the application. After the end it is ignored."""
        self._tick(now)
        if self._finished:
            self._advance(now)
            return
        if isinstance(command, InvalidMessage):
            self.invalid.append(command)
            return
        said_at = self._out.said_at
        if isinstance(command, PlayAudio) and self._out.sounded_at is not None:
            said_at = self._out.sounded_at  # an echo answers the sound, not the opening
        latency = None if said_at is None else now - said_at
        self._observer.receive(command, latency=latency, now=now)
        self._react(command, now)
        self._tick(now)
        self._advance(now)

    def receive_close(self, code: int = 1006, *, now: float) -> None:
        """The WebSocket is gone, whoever closed it: nothing more is said."""
        self._tick(now)
        self._closed = code
        self._finish(now)
        self._advance(now)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due; harmless if early."""
        self._tick(now)
        self._advance(now)

    # -- output --------------------------------------------------------------------------------

    def next_event(self) -> PlatformEvent | None:
        """The next event to send to the application.

        All stream events share one numbering, from 1 (PROTOCOL.md 9.3); an Emit may bring its own.
        Raises LocalProtocolError for a Fault, which is no event: see :meth:`next_item`.
        """
        item = self._out.next()
        if isinstance(item, Fault):
            raise LocalProtocolError(
                f"the fault {item.kind!r} is no event", hint="play the script by a ScenarioRun"
            )
        return item

    def next_item(self) -> PlatformEvent | Fault | None:
        """The next event to send, or the next fault to do, in the order of the script."""
        return self._out.next()

    def deadline(self) -> float | None:
        """When to call handle_timeout(); None: the script waits for nothing, or is over."""
        waits = [] if self._finished else [self._out.due, self._idle_due]
        if self._hang_up_at is not None and not self._finished:
            waits.append(self._hang_up_at)
        if self._step is not None:
            waits.append(self._step_until)
        due = min(waits, default=NEVER)
        return None if due == NEVER else due

    # -- the script ----------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        while self._pass_step(now) and self._script:
            self._begin_step(self._script.popleft(), now)

    def _begin_step(self, step: Step, now: float) -> None:
        self._step, self._step_until = step, now
        if isinstance(step, Expect | Until | Closes):
            self._step_until = now + step.within
        elif self._finished:
            pass  # what could still be seen is; what was to be done is not
        elif isinstance(step, Emit):
            self._emit(step.event, now)
        elif isinstance(step, AgentSpeaks):
            ends_at = self._voice.speak(step.text, source="generate_reply", now=now)
            self._step_until = ends_at if step.wait else now
        elif isinstance(step, CallerSays):
            self._step_until = self._voice.hear(step.text, step.language, step.partials, now=now)
            self._idle.caller_acts(self._step_until)
        elif isinstance(step, CallerPlays):
            ends_at = self._microphone.play(step.audio, step.frame_ms, now=now)
            self._idle.caller_acts(ends_at)
            self._step_until = ends_at if step.wait else now
        elif isinstance(step, Pause):
            self._step_until = now + step.seconds
        elif isinstance(step, Never):
            self._observer.watch(step)
            self._step_until = now + (step.during or 0.0)
        elif isinstance(step, Interrupt):
            self._interrupt(now)
        elif isinstance(step, Fault):
            self._out.do(step)
            self._observer.note(step.label, met=True, now=now)
        elif self._hang_up_at is None:
            self._end(step.reason, now)
        self._tick(now)

    def _pass_step(self, now: float) -> bool:
        """Whether the current step is over."""
        step = self._step
        if isinstance(step, Expect | Until | Closes):
            if not self._seen(step, now):
                # After the end nothing more is said or heard, after the close nothing at all.
                over = self._finished
                if isinstance(step, Closes):
                    over = self._closed is not None
                if not over and now < self._step_until:
                    return False
                self._observer.note(step.label, met=False, now=now)
        elif step is not None and not self._finished and now < self._step_until:
            return False
        elif isinstance(step, Never) and step.during is not None:
            self._observer.unwatch(step, now=now)
        self._step = None
        return True

    def _seen(self, step: Expect | Until | Closes, now: float) -> bool:
        """Whether what the step waits for is there; if so it is noted."""
        if isinstance(step, Expect):
            return self._observer.find(step, now=now)
        if isinstance(step, Until):
            seen = self._out.has_said(step)
        else:
            seen = self._closed is not None and step.code in (None, self._closed)
        if seen:
            self._observer.note(step.label, met=True, now=now)
        return seen

    def _emit(self, event: PlatformEvent, now: float) -> None:
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

    # -- the platform's reactions --------------------------------------------------------------

    def _react(self, command: Command, now: float) -> None:
        of_stream = isinstance(command, (PlayAudio, Checkpoint, ClearAudio))
        if self._mode in (_WITHOUT_STREAM if of_stream else ("stream",)):
            return  # nobody there to act on it; an Expect still sees it
        if isinstance(command, PlayAudio):
            ms = audio_duration_ms(command.payload, command.content_type, command.sample_rate)
            self.playback.put(ms, now=now)
        elif isinstance(command, Checkpoint):
            if self._any_audio(now):  # it comes only if some was played (PROTOCOL.md 13)
                event = PlayedStream(name=command.name, stream_id=self._stream_id)
                self._out.later(self.playback.plays_until, event)
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

    def _interrupt(self, now: float) -> None:
        self._voice.interrupt(now)
        self._idle.caller_acts(now)
        if self._mode == "raw" and self.playback.lead_ms(now) > 0:
            position = round(self.playback.heard_ms(now) / 1000, 3)
            self._out.say(Interruption(playback_position_s=position), now=now)

    def _any_audio(self, now: float) -> bool:
        return self.playback.lead_ms(now) > 0 or self.playback.heard_ms(now) > 0

    # -- the end -------------------------------------------------------------------------------

    @property
    def _idle_due(self) -> float:
        if self._mode == "stream" or self._hang_up_at is not None:
            return NEVER  # nobody there to mind the silence, or not for long
        return self._idle.due(max(self._voice.busy_until, self.playback.plays_until))

    def _tick(self, now: float) -> None:
        """Do everything that is due by itself."""
        while not self._finished:
            idle, hang_up = self._idle_due, self._hang_up_at
            due = idle if hang_up is None else hang_up
            if due > now:
                break
            self._out.tick(due)
            if hang_up is None:
                self._mind_the_silence(due)
            else:
                self._end("agent_hangup", now)
        self._out.tick(now)

    def _mind_the_silence(self, now: float) -> None:
        event = self._idle.tell(now)
        self._out.say(event, now=now)
        if event.reason == "max_retries_exhausted":
            self._end("idle_timeout", now)
        elif self._settings.reminder_message:
            self._voice.speak(self._settings.reminder_message, source="reminder", now=now)

    def _end(self, reason: str, now: float) -> None:
        self._out.tick(now)
        if self._mode in ("raw", "stream"):
            self._out.say(StreamStop(stream_id=self._stream_id), now=now)
        if self._mode != "stream":
            self._out.say(
                AgentSessionEnded(
                    reason=reason,
                    duration_seconds=int(now - self._started_at),
                    turn_count=self._voice.turns,
                    transcript=list(self._voice.transcript),
                ),
                now=now,
            )
        self._finish(now)

    def _finish(self, now: float) -> None:
        """Nothing more is said. What came before still counts; the rest of the script is judged."""
        if not self._finished:
            self._finished = True
            self._out.silence()
            self.playback.stop(now=now)
            self._observer.settle(now)
