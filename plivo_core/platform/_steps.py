"""What a scripted call consists of: plain data, read by :class:`PlatformCall`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from plivo_core.commands import Command
from plivo_core.events import (
    AgentEvent,
    AgentToolCompleted,
    AgentToolStarted,
    Dtmf,
    Prompt,
    StreamEvent,
    ToolCall,
    TurnCompleted,
    UnknownEvent,
    VadSpeechStarted,
    VadSpeechStopped,
)

__all__ = [
    "AgentSpeaks",
    "CallerPlays",
    "Emit",
    "Expect",
    "HangUp",
    "Interrupt",
    "Pause",
    "Step",
    "agent_tool",
    "caller_presses",
    "caller_says",
    "model_calls_tool",
]


@dataclass(frozen=True, slots=True)
class Emit:
    """Send this event now."""

    event: AgentEvent | StreamEvent | UnknownEvent


@dataclass(frozen=True, slots=True)
class Pause:
    """Let ``seconds`` pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AgentSpeaks:
    """The platform's model speaks ``text``; ``wait`` for its end before the next step."""

    text: str
    wait: bool = True


@dataclass(frozen=True, slots=True)
class CallerPlays:
    """The caller makes a sound: ``media`` frames in real time, in modes ``stream`` and ``raw``.

    ``audio`` is in the encoding of the stream. One frame leaves every ``frame_ms`` milliseconds,
    the first at once, behind a sound that is still going on. ``wait`` for the end of the sound
    before the next step.
    """

    audio: bytes
    wait: bool = True
    frame_ms: int = 20


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The caller talks over the agent: whatever is being spoken stops (barge-in)."""


@dataclass(frozen=True, slots=True)
class Expect:
    """Wait for a command of class ``kind`` whose attributes equal ``where``, at most ``within`` s.

    Commands that came earlier and were not expected yet count. ``label`` names the step in reports.
    """

    kind: type[Command]
    label: str
    where: Mapping[str, object] = field(default_factory=dict[str, object])
    within: float = 2.0

    def matches(self, command: Command) -> bool:
        return isinstance(command, self.kind) and all(
            getattr(command, name, None) == value for name, value in self.where.items()
        )


@dataclass(frozen=True, slots=True)
class HangUp:
    """The caller hangs up: ``session.ended`` (or ``stop`` on a plain stream) and the end."""

    reason: str = "caller_hangup"


Step: TypeAlias = "Emit | Pause | AgentSpeaks | CallerPlays | Interrupt | Expect | HangUp"


def caller_says(text: str, *, language: str | None = None) -> tuple[Step, ...]:
    """The caller speaks: voice activity and the final transcription."""
    return (
        Emit(VadSpeechStarted()),
        Emit(VadSpeechStopped(duration_ms=60 * len(text))),
        Emit(Prompt(text=text, is_final=True, language=language)),
    )


def caller_presses(digits: str) -> tuple[Step, ...]:
    """One ``user.dtmf`` per key."""
    return tuple(Emit(Dtmf(digit=digit)) for digit in digits)


def model_calls_tool(
    id: str,
    name: str,
    arguments: Mapping[str, object],
    *,
    answer: type[Command],
    within: float = 2.0,
) -> tuple[Step, ...]:
    """The model calls a customer tool; ``answer`` is the command that must come back."""
    return (
        Emit(ToolCall(id=id, name=name, arguments=dict(arguments))),
        Expect(answer, f"answer to tool {name}", {"id": id}, within),
    )


def agent_tool(type: str, id: str, result: Mapping[str, object]) -> tuple[Step, ...]:
    """A collector of the platform takes over, has a turn with the caller and completes."""
    return (
        Emit(AgentToolStarted(agent_tool_type=type, agent_tool_id=id)),
        Emit(TurnCompleted(agent_tool_id=id, turn_id=f"turn-{id}")),
        Emit(AgentToolCompleted(agent_tool_type=type, agent_tool_id=id, result=dict(result))),
    )
