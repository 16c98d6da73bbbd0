"""What a scripted call consists of: plain data, read by :class:`PlatformCall`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from plivo_core.commands import Command, RawCommand, Update
from plivo_core.events import (
    AgentEvent,
    AgentToolCompleted,
    AgentToolFailed,
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
    "CallerSays",
    "Closes",
    "Emit",
    "Expect",
    "Fault",
    "FaultKind",
    "HangUp",
    "Interrupt",
    "Never",
    "Pause",
    "Step",
    "Until",
    "agent_tool",
    "caller_presses",
    "caller_says",
    "model_calls_tool",
]

_MISSING = object()


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
class CallerSays:
    """The caller speaks, for as long as the words take, over the agent if need be (barge-in).

    What the application sees of it depends on the mode and on what it opted in to: voice activity,
    transcriptions (``partials`` unfinished ones first), the end of the turn. The agent's next
    speech completes the turn. Not in modes ``raw`` and ``stream``, which transcribe nothing.
    """

    text: str
    language: str | None = None
    partials: int = 0


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
    """The caller talks over the agent: whatever is being spoken stops (barge-in).

    An agent with raw audio is told, too, while its audio plays; clearing it is its own business.
    """


@dataclass(frozen=True, slots=True)
class Expect:
    """Wait for a command of class ``kind`` that holds ``where``, at most ``within`` s.

    ``where`` names attributes, of an Update also its fields; a mapping in it must be part of the
    value, anything else equal to it.
    Commands that came earlier and were not expected yet count. ``label`` names the step in reports.
    """

    kind: type[Command]
    label: str
    where: Mapping[str, object] = field(default_factory=dict[str, object])
    within: float = 2.0

    def matches(self, command: Command) -> bool:
        return isinstance(command, self.kind) and _holds(command, self.where)


@dataclass(frozen=True, slots=True)
class Never:
    """No such command may come: for ``during`` seconds, which are waited, or until the end."""

    kind: type[Command]
    label: str
    where: Mapping[str, object] = field(default_factory=dict[str, object])
    during: float | None = None

    def matches(self, command: Command) -> bool:
        return isinstance(command, self.kind) and _holds(command, self.where)


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until Plivo's side has said such an event, at most ``within`` s.

    What was said since the last Until, or the start, counts; the caller's sound never does.
    """

    kind: type[AgentEvent] | type[StreamEvent]
    label: str
    where: Mapping[str, object] = field(default_factory=dict[str, object])
    within: float = 2.0

    def matches(self, event: AgentEvent | StreamEvent | UnknownEvent) -> bool:
        return isinstance(event, self.kind) and _holds(event, self.where)


@dataclass(frozen=True, slots=True)
class Closes:
    """The application closes the WebSocket with ``code`` (any: None), at most ``within`` s on.

    1006 stands for a connection that broke off.
    """

    label: str
    code: int | None = None
    within: float = 2.0


FaultKind: TypeAlias = Literal[
    "drop",
    "half_close",
    "stall",
    "reorder",
    "duplicate",
    "garbage",
    "binary",
    "oversized",
    "bad_frame",
    "split",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """The network or Plivo's side fails; done by a :class:`~plivo_core.platform.ScenarioRun`.

    ``seconds`` is how long a stall lasts, ``size`` the bytes of what is oversized, of binary
    garbage or of each piece of a split, ``text`` the garbage.
    """

    kind: FaultKind
    label: str
    seconds: float = 0.0
    size: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The caller hangs up: ``session.ended`` (or ``stop`` on a plain stream) and the end.

    Nothing happens where the application has hung up and only its farewell is still spoken.
    """

    reason: str = "caller_hangup"


Step: TypeAlias = (
    Emit
    | Pause
    | AgentSpeaks
    | CallerSays
    | CallerPlays
    | Interrupt
    | Expect
    | Never
    | Until
    | Closes
    | Fault
    | HangUp
)


def _holds(value: object, where: Mapping[str, object]) -> bool:
    if isinstance(value, Update):
        value = {"fields": value.fields, **value.fields}
    elif isinstance(value, RawCommand):
        value = {"message": value.message, **value.message}
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return all(_fits(wanted, members.get(name, _MISSING)) for name, wanted in where.items())
    return all(_fits(wanted, getattr(value, name, _MISSING)) for name, wanted in where.items())


def _fits(wanted: object, value: object) -> bool:
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        return _holds(cast("object", value), cast("Mapping[str, object]", wanted))
    if isinstance(wanted, list) and isinstance(value, tuple):
        return tuple(cast("list[object]", wanted)) == value
    return wanted == value


def caller_says(text: str, *, language: str | None = None) -> tuple[Step, ...]:
    """The caller spoke: voice activity and the final transcription, at once and in any mode.

    :class:`CallerSays` takes its time and keeps to the mode.
    """
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


def agent_tool(
    type: str, id: str, result: Mapping[str, object] | None = None, *, error: str = ""
) -> tuple[Step, ...]:
    """A collector of the platform takes over, has a turn with the caller and completes.

    With ``error`` in place of ``result`` it fails.
    """
    end: AgentEvent = AgentToolFailed(agent_tool_type=type, agent_tool_id=id, error=error)
    if result is not None:
        end = AgentToolCompleted(agent_tool_type=type, agent_tool_id=id, result=dict(result))
    return (
        Emit(AgentToolStarted(agent_tool_type=type, agent_tool_id=id)),
        Emit(TurnCompleted(agent_tool_id=id, turn_id=f"turn-{id}")),
        Emit(end),
    )
