"""Plivo's side of one call, as a pure state machine that plays a script.

It keeps the core's contract at the level of values: commands in, events out, one deadline. It
reacts to commands as PROTOCOL.md 10 and 11 say the platform does, in the order stated there, and
plays audio in real time both ways: checkpoints come back when theirs has been heard, and the
caller's sound leaves frame by frame. What the platform does beyond that (providers, REST, signed
callbacks) is not here.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from plivo_core.audio import MULAW_8K, PCM_8K, PCM_16K, AudioFormat
from plivo_core.commands import (
    Checkpoint,
    ClearAudio,
    Command,
    Hangup,
    Play,
    PlayAudio,
    SendDtmf,
    Speak,
    Text,
    Transfer,
    Update,
)
from plivo_core.errors import ConfigError
from plivo_core.events import (
    AgentEvent,
    AgentHandoff,
    AgentSessionEnded,
    AgentSessionStarted,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechStarted,
    CallTransferred,
    ClearedAudio,
    DtmfSent,
    Interruption,
    InvalidMessage,
    PlayCompleted,
    PlayedStream,
    StreamDtmf,
    StreamEvent,
    StreamMedia,
    StreamStart,
    StreamStop,
    UnknownEvent,
)
from plivo_core.platform._microphone import Microphone
from plivo_core.platform._queue import PlaybackQueue
from plivo_core.platform._steps import (
    AgentSpeaks,
    CallerPlays,
    Emit,
    Expect,
    Interrupt,
    Pause,
    Step,
)
from plivo_core.playback import audio_duration_ms

__all__ = ["Observation", "PlatformCall", "PlatformEvent"]

PlatformEvent = AgentEvent | StreamEvent | UnknownEvent

_BACKLOG = 1000  # commands kept for a later Expect; an application may send any number

_NEVER = float("inf")
_NUMBERED = (StreamStart, StreamMedia, StreamDtmf, PlayedStream, ClearedAudio, StreamStop)
_FORMATS = (MULAW_8K, PCM_8K, PCM_16K)
_RAW_NAMES = {MULAW_8K: "mulaw_8k", PCM_16K: "pcm_16k"}  # an agent's; it has no others


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of an Expect: ``at`` is when it was met or given up."""

    label: str
    met: bool
    at: float


@dataclass(slots=True)
class _Speech:
    text: str
    started_at: float
    ends_at: float


class PlatformCall:
    """One scripted call.

    ``mode`` is ``"agent"`` (managed pipeline or text mode: ``session.started`` opens it),
    ``"stream"`` (a plain ``<Stream>``: ``start`` opens it) or ``"raw"`` (an agent with raw audio:
    both). ``seconds_per_character`` sets how fast simulated speech is. ``content_type`` and
    ``sample_rate`` (Hz) are the format of the stream, if there is one. Raises ConfigError for a
    format the platform does not have, and for a caller's sound where no stream could carry it.

    Inputs: :meth:`start`, :meth:`receive_command`, :meth:`handle_timeout`. After each, send what
    :meth:`next_event` gives until it gives None; close when :attr:`finished`; wait at most until
    :meth:`deadline`. Results are in :attr:`observations`.
    """

    def __init__(
        self,
        script: Iterable[Step] = (),
        *,
        mode: Literal["agent", "stream", "raw"] = "agent",
        call_uuid: str = "call-1",
        agent_session_id: str = "session-1",
        stream_id: str = "stream-1",
        seconds_per_character: float = 0.06,
        content_type: str = "audio/x-mulaw",
        sample_rate: int = 8000,
    ) -> None:
        self._script: deque[Step] = deque(script)
        self._mode = mode
        self._format = _choose_format(mode, content_type, sample_rate)
        self._microphone = Microphone(self._format, stream_id)
        for step in self._script:
            if isinstance(step, CallerPlays):
                if mode == "agent":
                    raise ConfigError(
                        "CallerPlays needs a stream, and a call of mode 'agent' has none",
                        hint="use mode='raw' or 'stream', or caller_says() for words",
                    )
                self._microphone.check(step.audio, step.frame_ms)
        self._call_uuid = call_uuid
        self._agent_session_id = agent_session_id
        self._stream_id = stream_id
        self._seconds_per_character = seconds_per_character
        self._out: deque[PlatformEvent] = deque()
        self._stream_events = 0
        self._due: list[tuple[float, int, PlatformEvent]] = []  # a heap: later reactions
        self._counter = 0
        self._step: Step | None = None  # the one being waited for
        self._step_until = 0.0
        self._commands: deque[Command] = deque(maxlen=_BACKLOG)
        self._speech: _Speech | None = None
        self._tokens: list[str] = []
        self._hang_up_at: float | None = None
        self._finished = False
        self.playback = PlaybackQueue()
        """The audio of the application on its way to the caller's ear."""
        self.observations: list[Observation] = []
        self.invalid: list[InvalidMessage] = []

    @property
    def finished(self) -> bool:
        """Whether the call is over; close the WebSocket once next_event() gives None."""
        return self._finished

    @property
    def missed(self) -> list[str]:
        """Labels of the expectations that were not met, those never reached included."""
        open_steps = [self._step, *self._script]
        return [seen.label for seen in self.observations if not seen.met] + [
            step.label for step in open_steps if isinstance(step, Expect)
        ]

    # -- input ---------------------------------------------------------------------------------

    def start(self, *, now: float) -> None:
        """The WebSocket is open: say the first message and play the script."""
        self._microphone.start(now=now)
        if self._mode != "stream":
            self._out.append(
                AgentSessionStarted(
                    agent_session_id=self._agent_session_id,
                    call_id=self._call_uuid,
                    audio_format=_RAW_NAMES[self._format] if self._mode == "raw" else None,
                )
            )
        if self._mode != "agent":
            self._out.append(
                StreamStart(
                    stream_id=self._stream_id,
                    call_id=self._call_uuid,
                    tracks=["inbound"],
                    content_type=self._format.content_type or "",
                    sample_rate=self._format.sample_rate,
                )
            )
        self._advance(now)

    def receive_command(self, command: Command | InvalidMessage, *, now: float) -> None:
        """A message of the application. After the end it is ignored."""
        self._tick(now)
        self._hang_up_if_due(now)
        if self._finished:
            return
        if isinstance(command, InvalidMessage):
            self.invalid.append(command)
            return
        self._commands.append(command)
        self._react(command, now)
        self._tick(now)
        self._advance(now)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due; harmless if early."""
        self._tick(now)
        self._hang_up_if_due(now)
        self._advance(now)

    # -- output --------------------------------------------------------------------------------

    def next_event(self) -> PlatformEvent | None:
        """The next event to send to the application.

        All stream events share one numbering, from 1 (PROTOCOL.md 9.3); an Emit may bring its own.
        """
        if not self._out:
            return None
        event = self._out.popleft()
        if isinstance(event, _NUMBERED):
            self._stream_events += 1
            if event.sequence_number is None:
                event = replace(event, sequence_number=self._stream_events)
        return event

    def deadline(self) -> float | None:
        """When to call handle_timeout(); None: the script waits for nothing, or is over."""
        if self._finished:
            return None
        waits = [self._due[0][0]] if self._due else []
        if self._microphone.due < _NEVER:
            waits.append(self._microphone.due)
        if self._hang_up_at is not None:
            waits.append(self._hang_up_at)
        if self._step is not None:
            waits.append(self._step_until)
        return min(waits, default=None)

    # -- the script ----------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        while not self._finished and self._pass_step(now) and self._script:
            self._begin_step(self._script.popleft(), now)

    def _begin_step(self, step: Step, now: float) -> None:
        self._step, self._step_until = step, now
        if isinstance(step, Emit):
            self._out.append(step.event)
        elif isinstance(step, AgentSpeaks):
            ends_at = self._speak(step.text, now, source="generate_reply")
            self._step_until = ends_at if step.wait else now
        elif isinstance(step, CallerPlays):
            ends_at = self._microphone.play(step.audio, step.frame_ms, now=now)
            self._step_until = ends_at if step.wait else now
        elif isinstance(step, Pause):
            self._step_until = now + step.seconds
        elif isinstance(step, Expect):
            self._step_until = now + step.within
        elif isinstance(step, Interrupt):
            self._interrupt(now)
        else:
            self._end(step.reason, now)
        self._tick(now)

    def _pass_step(self, now: float) -> bool:
        """Whether the current step is over."""
        step = self._step
        if step is None:
            return True
        if isinstance(step, Expect):
            for command in self._commands:
                if step.matches(command):
                    self._commands.remove(command)
                    self.observations.append(Observation(step.label, met=True, at=now))
                    break
            else:
                if now < self._step_until:
                    return False
                self.observations.append(Observation(step.label, met=False, at=now))
        elif now < self._step_until:
            return False
        self._step = None
        return True

    # -- the platform's reactions --------------------------------------------------------------

    def _react(self, command: Command, now: float) -> None:
        of_stream = isinstance(command, (PlayAudio, Checkpoint, ClearAudio))
        if self._mode == ("agent" if of_stream else "stream"):
            return  # nobody there to act on it; an Expect still sees it
        if isinstance(command, PlayAudio):
            ms = audio_duration_ms(command.payload, command.content_type, command.sample_rate)
            self.playback.put(ms, now=now)
        elif isinstance(command, Checkpoint):
            if self._any_audio(now):  # it comes only if some was played (PROTOCOL.md 13)
                event = PlayedStream(name=command.name, stream_id=self._stream_id)
                self._later(self.playback.plays_until, event)
        elif isinstance(command, ClearAudio):
            self._clear_audio(now)
        elif isinstance(command, Speak):
            self._speak(command.text, now, source="say")
        elif isinstance(command, Text):
            self._tokens.append(command.token)
            if command.last:
                self._speak("".join(self._tokens), now, source="text")
                self._tokens.clear()
        elif isinstance(command, SendDtmf):
            self._out.append(DtmfSent(digits=command.digits))
        elif isinstance(command, Play):
            self._later(now + len(command.audio_data) * 0.75 / 32000, PlayCompleted())
        elif isinstance(command, Transfer):
            self._out.append(CallTransferred(destination=list(command.destination)))
        elif isinstance(command, Update):
            if "system_prompt" in command.fields and {"tools", "llm"} & set(command.fields):
                self._out.append(AgentHandoff())
        elif isinstance(command, Hangup):
            # A farewell that is being spoken is heard to its end.
            self._hang_up_at = max(now, self._speech.ends_at) if self._speech else now
            self._hang_up_if_due(now)

    def _speak(self, text: str, now: float, *, source: str) -> float:
        self._interrupt(now)
        ends_at = now + len(text) * self._seconds_per_character
        self._speech = _Speech(text, now, ends_at)
        self._out.append(AgentSpeechCreated(source=source, user_initiated=source == "say"))
        self._out.append(AgentSpeechStarted())
        done = AgentSpeechCompleted(playback_position_s=round(ends_at - now, 3), transcript=text)
        self._later(ends_at, done)
        return ends_at

    def _interrupt(self, now: float) -> None:
        speech, self._speech = self._speech, None
        if speech is None or now >= speech.ends_at:
            return
        self._cancel(AgentSpeechCompleted)
        share = (now - speech.started_at) / (speech.ends_at - speech.started_at)
        self._out.append(
            Interruption(
                interrupted_text=speech.text[: int(len(speech.text) * share)],
                playback_position_s=round(now - speech.started_at, 3),
            )
        )

    def _any_audio(self, now: float) -> bool:
        return self.playback.lead_ms(now) > 0 or self.playback.heard_ms(now) > 0

    def _clear_audio(self, now: float) -> None:
        self.playback.clear(now=now)
        self._cancel(PlayedStream)  # pending checkpoints are not acknowledged (PROTOCOL.md 13)
        self._out.append(ClearedAudio(stream_id=self._stream_id))

    def _hang_up_if_due(self, now: float) -> None:
        if self._hang_up_at is not None and now >= self._hang_up_at and not self._finished:
            self._end("agent_hangup", now)

    def _end(self, reason: str, now: float) -> None:
        self._tick(now)
        self._due.clear()
        self._microphone.mute()
        self.playback.stop(now=now)
        if self._mode != "agent":
            self._out.append(StreamStop(stream_id=self._stream_id))
        if self._mode != "stream":
            self._out.append(AgentSessionEnded(reason=reason))
        # What came before the end still counts; the rest of the script will not happen.
        rest = [self._step, *self._script]
        self._script.clear()
        self._finished = True
        for step in rest:
            if isinstance(step, Expect):
                self._step, self._step_until = step, now
                self._pass_step(now)
        self._step = None

    def _later(self, due: float, event: PlatformEvent) -> None:
        self._counter += 1
        heapq.heappush(self._due, (due, self._counter, event))

    def _cancel(self, kind: type[PlatformEvent]) -> None:
        self._due = [item for item in self._due if not isinstance(item[2], kind)]
        heapq.heapify(self._due)

    def _tick(self, now: float) -> None:
        """Say what is due, oldest first."""
        while True:
            due = self._due[0][0] if self._due else _NEVER
            if self._microphone.due <= min(due, now):
                self._out.append(self._microphone.next_frame())
            elif due <= now:
                self._out.append(heapq.heappop(self._due)[2])
            else:
                return


def _choose_format(mode: str, content_type: str, sample_rate: int) -> AudioFormat:
    possible = list(_RAW_NAMES) if mode == "raw" else _FORMATS
    for format in possible:
        if (format.content_type, format.sample_rate) == (content_type, sample_rate):
            return format
    names = ", ".join(f"{format.content_type} at {format.sample_rate} Hz" for format in possible)
    raise ConfigError(
        f"a call of mode {mode!r} has no {content_type} at {sample_rate} Hz; possible: {names}"
    )
