"""Who speaks, and the turns of the conversation (PROTOCOL.md 10): words in, events out.

Speech takes time. A turn begins when the caller has spoken, and the end of the agent's next speech
completes it; then come the metrics, where they are switched on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from plivo_core.events import (
    AgentEvent,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechStarted,
    Interruption,
    Prompt,
    SessionUsage,
    TurnCompleted,
    TurnDetected,
    TurnMetrics,
    VadSpeechStarted,
    VadSpeechStopped,
)
from plivo_core.platform._outbox import Outbox
from plivo_core.platform._settings import AgentSettings, CallMode

__all__ = ["Voice"]

_LINES = 1000  # of the transcript; a call may last for days
_AT_THE_END = (AgentSpeechCompleted, TurnCompleted, TurnMetrics, SessionUsage)


@dataclass(frozen=True, slots=True)
class _Speech:
    text: str
    started_at: float
    ends_at: float
    turn: _Turn | None


@dataclass(frozen=True, slots=True)
class _Turn:
    number: int
    user_text: str
    ended_at: float

    @property
    def id(self) -> str:
        return f"turn-{self.number}"


class Voice:
    """Both voices of one agent's call."""

    def __init__(
        self, outbox: Outbox, settings: AgentSettings, *, mode: CallMode, per_character: float
    ) -> None:
        self._outbox = outbox
        self._mode = mode
        self._per_character = per_character
        self._events = set(settings.events)
        self._speech: _Speech | None = None
        self._turn: _Turn | None = None  # the caller's, not answered yet
        self._spoken = _Tally()
        self._heard = _Tally()
        self.busy_until = float("-inf")
        """When the last words of either are or were over."""
        self.turns = 0
        self.transcript: deque[dict[str, str]] = deque(maxlen=_LINES)

    def opt_in(self, events: object) -> None:
        """Switch ``vad_events``, ``turn_events`` and ``metrics_events`` on and off."""
        if isinstance(events, Mapping):
            for name, on in cast("Mapping[str, object]", events).items():
                (self._events.add if on else self._events.discard)(name)

    # -- the caller ----------------------------------------------------------------------------

    def hear(self, text: str, language: str | None, partials: int, *, now: float) -> float:
        """The caller says ``text``, over whatever is being spoken; when that is over."""
        self.interrupt(now)
        ends_at = now + len(text) * self._per_character
        duration_ms = round((ends_at - now) * 1000)
        self.turns += 1
        self._turn = turn = _Turn(self.turns, text, ends_at)
        self.transcript.append({"role": "user", "content": text})
        self._heard.add(text, ends_at - now)
        say = self._outbox.later
        if "vad_events" in self._events:
            say(now, VadSpeechStarted())
            say(ends_at, VadSpeechStopped(duration_ms=duration_ms))
        if self._mode == "text":  # "modes without platform LLM"
            words = text.split(" ")
            for part in range(1, partials + 1):
                known = " ".join(words[: len(words) * part // (partials + 1)])
                at = now + (ends_at - now) * part / (partials + 1)
                say(at, Prompt(text=known, is_final=False, language=language))
            say(ends_at, Prompt(text=text, is_final=True, language=language))
        if "turn_events" in self._events:
            say(ends_at, TurnDetected(turn_id=turn.id, trigger="silence", duration_ms=duration_ms))
        self.busy_until = max(self.busy_until, ends_at)
        return ends_at

    # -- the agent -----------------------------------------------------------------------------

    @property
    def speech_ends_at(self) -> float:
        """When what is being spoken is over; minus infinity: nothing was."""
        return self._speech.ends_at if self._speech else float("-inf")

    def speak(self, text: str, *, source: str, now: float) -> float:
        """Speak ``text`` in place of whatever is being spoken; when that is over."""
        self.interrupt(now)
        ends_at = now + len(text) * self._per_character
        turn, self._turn = self._turn, None
        self._speech = speech = _Speech(text, now, ends_at, turn)
        self.transcript.append({"role": "assistant", "content": text})
        self._outbox.say(AgentSpeechCreated(source=source, user_initiated=source == "say"), now=now)
        self._outbox.say(AgentSpeechStarted(), now=now)
        position = round(ends_at - now, 3)
        self._outbox.later(
            ends_at, AgentSpeechCompleted(playback_position_s=position, transcript=text)
        )
        for event in self._end_of_turn(speech, text, ends_at):
            self._outbox.later(ends_at, event)
        self.busy_until = max(self.busy_until, ends_at)
        return ends_at

    def interrupt(self, now: float) -> None:
        """Whatever is being spoken stops."""
        self._outbox.tick(now)  # what is over is said to be before anything else begins
        speech, self._speech = self._speech, None
        if speech is None or now >= speech.ends_at:
            return
        self._outbox.cancel(lambda event: isinstance(event, _AT_THE_END))
        self.busy_until = now
        share = (now - speech.started_at) / (speech.ends_at - speech.started_at)
        text = speech.text[: int(len(speech.text) * share)]
        self._outbox.say(
            Interruption(
                interrupted_text=None if self._mode == "text" else text,
                turn_id=speech.turn.id if speech.turn else None,
                playback_position_s=round(now - speech.started_at, 3),
            ),
            now=now,
        )
        for event in self._end_of_turn(speech, text, now, interrupted=True):
            self._outbox.say(event, now=now)

    # -- the turn ------------------------------------------------------------------------------

    def _end_of_turn(
        self, speech: _Speech, text: str, until: float, *, interrupted: bool = False
    ) -> list[AgentEvent]:
        turn, seconds = speech.turn, until - speech.started_at
        if interrupted:
            self._spoken.take_back()
        self._spoken.add(text, seconds)
        if turn is None:
            return []
        events: list[AgentEvent] = [
            TurnCompleted(
                user_text=turn.user_text,
                agent_text=text,
                turn_id=turn.id,
                turn_number=turn.number,
                agent_first=False,
            )
        ]
        if "metrics_events" in self._events:
            metrics = TurnMetrics(
                turn_number=turn.number,
                interrupted=interrupted,
                user_perceived_ms=max(0, round((speech.started_at - turn.ended_at) * 1000)),
                tts_audio_duration_ms=round(seconds * 1000),
            )
            events += [metrics, SessionUsage(models=self._usage())]
        return events

    def _usage(self) -> list[dict[str, object]]:
        """Cumulative; a simulated model counts words as tokens."""
        simulated = {"provider": "simulated", "model": "script"}
        heard, spoken = self._heard, self._spoken
        llm: dict[str, object] = {
            "type": "llm_usage",
            **simulated,
            "input_tokens": heard.words,
            "output_tokens": spoken.words,
            "input_cached_tokens": 0,
        }
        tts: dict[str, object] = {
            "type": "tts_usage",
            **simulated,
            "characters_count": spoken.characters,
            "audio_duration": round(spoken.seconds, 3),
        }
        stt: dict[str, object] = {
            "type": "stt_usage",
            **simulated,
            "audio_duration": round(heard.seconds, 3),
        }
        if self._mode == "text":
            return [tts, stt]
        return [llm] if self._mode == "speech" else [llm, tts, stt]


class _Tally:
    """Of one voice, over the call."""

    def __init__(self) -> None:
        self.words = self.characters = 0
        self.seconds = 0.0
        self._last: tuple[int, int, float] = (0, 0, 0.0)

    def add(self, text: str, seconds: float) -> None:
        self._last = self.words, self.characters, self.seconds
        self.words += len(text.split())
        self.characters += len(text)
        self.seconds += seconds

    def take_back(self) -> None:
        """The last words were cut: another count of them follows."""
        self.words, self.characters, self.seconds = self._last
