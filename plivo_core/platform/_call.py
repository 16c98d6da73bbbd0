"""Plivo's side of one call, as a pure state machine that plays a script.

It keeps the core's contract at the level of values: commands in, events out, one deadline. Here are
the script and the end of the call; what the platform does by itself is in ``_reactions``, who
speaks in ``_voice``. What it does beyond a call (REST, signed callbacks) is elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from plivo_core.commands import Command, PlayAudio
from plivo_core.errors import ConfigError, LocalProtocolError
from plivo_core.events import AgentSessionEnded, InvalidMessage, StreamStop
from plivo_core.platform._idle import IdleClock
from plivo_core.platform._microphone import Microphone
from plivo_core.platform._observer import Observation, Observer
from plivo_core.platform._opening import choose_format, opening
from plivo_core.platform._outbox import NEVER, Outbox, PlatformEvent
from plivo_core.platform._reactions import WITHOUT_STREAM, Reactions
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

__all__ = ["PlatformCall"]

_INVALID = 1000  # kept; an application may send any number


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
        self._check(self._script)
        self._call_uuid = call_uuid
        self._agent_session_id = agent_session_id
        self._stream_id = stream_id
        self._out = Outbox(self._microphone)
        self._voice = Voice(
            self._out, self._settings, mode=mode, per_character=seconds_per_character
        )
        self._idle = IdleClock(self._settings)
        self._platform = Reactions(
            self._out, self._voice, self._idle, self._settings, mode=mode, stream_id=stream_id
        )
        self._observer = Observer()
        self._step: Step | None = None  # the one being waited for
        self._step_until = 0.0
        self._started_at = 0.0
        self._is_open = False
        self._finished = False
        self._closed: int | None = None
        self.playback = self._platform.playback
        """The audio of the application on its way to the caller's ear."""
        self.invalid: list[InvalidMessage] = []
        """What the application sent that was no command, the first 1,000."""

    def _check(self, steps: Iterable[Step]) -> None:
        """Raise ConfigError for what a call of this mode cannot play."""
        for step in steps:
            if isinstance(step, CallerPlays):
                if self._mode in WITHOUT_STREAM:
                    raise ConfigError(
                        f"CallerPlays needs a stream, and a call of mode {self._mode!r} has none",
                        hint="use mode='raw' or 'stream', or caller_says() for words",
                    )
                self._microphone.check(step.audio, step.frame_ms)
            elif isinstance(step, CallerSays) and self._mode not in WITHOUT_STREAM:
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
        if self._finished:
            return
        self._started_at, self._is_open = now, True
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
        if self._settings.welcome_greeting and self._mode in WITHOUT_STREAM:
            self._voice.speak(self._settings.welcome_greeting, source="greeting", now=now)
        self._advance(now)

    def receive_command(self, command: Command | InvalidMessage, *, now: float) -> None:
        """A message of the application. After the end it is ignored."""
        self._tick(now)
        if self._finished:
            self._advance(now)
            return
        if isinstance(command, InvalidMessage):
            if len(self.invalid) < _INVALID:
                self.invalid.append(command)
            return
        said_at = self._out.said_at
        if isinstance(command, PlayAudio) and self._out.sounded_at is not None:
            said_at = self._out.sounded_at  # an echo answers the sound, not the opening
        latency = None if said_at is None else now - said_at
        self._observer.receive(command, latency=latency, now=now)
        self._platform.react(command, now=now)
        self._tick(now)
        self._advance(now)

    def receive_close(self, code: int = 1006, *, now: float) -> None:
        """The WebSocket is gone, whoever closed it: nothing more is said."""
        self._tick(now)
        self._closed = code
        self._finish(now)
        self._advance(now)

    def hang_up(self, reason: str = "api_hangup", *, now: float) -> None:
        """Somebody else ends the call, over REST perhaps; the rest of the script is not played.

        Says what ends a call of that mode; before :meth:`start` there is nobody to hear it. After
        the end nothing happens.
        """
        self._tick(now)
        if not self._finished:
            if self._is_open:
                self._end(reason, now)
            else:
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
        waits = [] if self._finished else [self._out.due, self._platform.due]
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
            self._platform.emit(step.event, now=now)
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
            self._platform.interrupt(now)
        elif isinstance(step, Fault):
            self._out.do(step)
            self._observer.note(step.label, met=True, now=now)
        elif not self._platform.hangs_up:
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

    # -- the end -------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        """Do everything that is due by itself."""
        while not self._finished and (due := self._platform.due) <= now:
            self._out.tick(due)
            if (reason := self._platform.lose_patience(due)) is not None:
                self._end(reason, now)
        self._out.tick(now)

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
