"""The verbs of a scenario: from one ``[[steps]]`` table to steps of a script.

Each table holds one verb and the verb's options. The wire's names are used throughout: events and
commands are called as PROTOCOL.md calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from plivo_core.audio import AudioFormat
from plivo_core.commands import Command, ToolError, ToolResult, Update
from plivo_core.events import (
    AGENT_EVENTS,
    STREAM_EVENTS,
    AgentEvent,
    Dtmf,
    ParticipantAdded,
    ParticipantRemoved,
    StreamDtmf,
    ToolCall,
    VoicemailBeep,
    VoicemailDetected,
    parse_event,
    serialize_event,
)
from plivo_core.platform._scenario_text import Table
from plivo_core.platform._settings import CallMode
from plivo_core.platform._sound import silence, tone
from plivo_core.platform._steps import (
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    Closes,
    Emit,
    Expect,
    Fault,
    FaultKind,
    HangUp,
    Interrupt,
    Never,
    Pause,
    Step,
    Until,
    agent_tool,
)

__all__ = ["StepReader"]

_COMMANDS: dict[str, type[Command]] = {cls.type: cls for cls in get_args(Command) if cls.type}
_EVENTS = {**AGENT_EVENTS, **STREAM_EVENTS}
_KEYS = "0123456789*#ABCD"
_FAULT_OPTIONS: dict[FaultKind, str] = {
    "drop": "",
    "half_close": "",
    "stall": "seconds",
    "reorder": "",
    "duplicate": "",
    "garbage": "text",
    "binary": "size",
    "oversized": "size",
    "bad_frame": "",
    "split": "size",
}
# What a fault's size is unless the step says so: anything; over the core's 1 MiB; the least.
_FAULT_SIZES = {"binary": 64, "oversized": 1024 * 1024 + 1, "split": 1}
_MOST_SIZE = 16 * 1024 * 1024  # far over what any server should take; it is held in memory
_MOST_SOUND = 600.0  # seconds: 19 MB of it at 16 kHz


@dataclass(frozen=True, slots=True)
class _Verb:
    read: Callable[[StepReader, Table], tuple[Step, ...]]
    options: str
    modes: str = "agent text speech raw stream"
    late: bool = False  # makes sense when the call is over


class StepReader:
    """Reads the steps of one scenario, in order."""

    def __init__(self, mode: CallMode, format: AudioFormat, sounds: Mapping[str, bytes]) -> None:
        self._mode = mode
        self._format = format
        self._sounds = sounds
        self._tools = 0
        self._over = ""  # the step that ended the call

    def read(self, table: Table) -> tuple[Step, ...]:
        """The steps of one table."""
        verbs = [key for key in table.values if key in _VERBS]
        if not verbs:
            for key in table.values:
                table.unknown("verb", key, _VERBS, key=key)
            table.fail(f"{table.name} is empty", "no verb", f"one of {', '.join(sorted(_VERBS))}")
        if len(verbs) > 1:
            table.fail(
                f"{table.name} has two verbs", " and ".join(verbs), "one per step", key=verbs[1]
            )
        name = verbs[0]
        verb = _VERBS[name]
        table.only([name, "label", *verb.options.split()])
        if self._mode not in verb.modes.split():
            table.fail(
                f"{table.name} is impossible",
                f"{name!r} in a call of mode {self._mode!r}",
                f"a call of mode {' or '.join(verb.modes.split())}",
                key=name,
            )
        if self._over and not verb.late:
            table.fail(
                f"{table.name} is impossible",
                f"{name!r} after {self._over}, which ends the call",
                f"one of {', '.join(sorted(key for key in _VERBS if _VERBS[key].late))}",
                key=name,
            )
        table.text("label", "")
        steps = verb.read(self, table)
        if any(isinstance(s, HangUp) or (isinstance(s, Fault) and s.kind == "drop") for s in steps):
            self._over = table.name
        return steps

    # -- the caller ----------------------------------------------------------------------------

    def say(self, table: Table) -> tuple[Step, ...]:
        language = table.text("language", "") or None
        return (CallerSays(table.text("say"), language, table.count("partials", 0)),)

    def press(self, table: Table) -> tuple[Step, ...]:
        digits = table.text("press")
        if not digits or set(digits) - set(_KEYS):
            table.fail("no such keys", repr(digits), f"some of {_KEYS}", key="press")
        steps: list[Step] = []
        for digit in digits:
            if self._mode != "stream":
                steps.append(Emit(Dtmf(digit=digit)))
            if self._mode in ("raw", "stream"):
                steps.append(Emit(StreamDtmf(digit=digit, track="inbound")))
        return tuple(steps)

    def play(self, table: Table) -> tuple[Step, ...]:
        name = table.choice("play", ["tone", "silence", *self._sounds])
        wait, frame_ms = table.flag("wait", True), table.count("frame_ms", 20, least=1)
        seconds = table.number("seconds", 1.0, most=_MOST_SOUND)
        if name in self._sounds:
            table.only(["play", "wait", "frame_ms", "label"])
            audio = self._sounds[name]
            if len(audio) % self._format.sample_width:
                found = f"{len(audio)} bytes"
                table.fail(f"{name!r} has half a sample", found, "whole samples", key="play")
        elif name == "silence":
            table.only(["play", "wait", "frame_ms", "label", "seconds"])
            audio = silence(self._format, seconds)
        else:
            hz = table.number("hz", 440.0, least=1, most=1e12)
            audio = tone(self._format, seconds, hz)
        return (CallerPlays(audio, wait, frame_ms),)

    def interrupt(self, table: Table) -> tuple[Step, ...]:
        if not table.flag("interrupt"):
            table.fail("an interruption that is none", "false", "true", key="interrupt")
        return (Interrupt(),)

    def hang_up(self, table: Table) -> tuple[Step, ...]:
        return (HangUp(table.text("hang_up")),)

    def voicemail(self, table: Table) -> tuple[Step, ...]:
        event = VoicemailDetected(
            result=table.choice("voicemail", ["machine", "human"]),
            method=table.choice("method", ["audio", "llm"], "audio"),
            transcript=table.text("transcript", "") or None,
        )
        return (Emit(event),)

    def beep(self, table: Table) -> tuple[Step, ...]:
        hz, ms = table.number("beep", least=1), table.count("duration_ms", 400, most=86_400_000)
        return (Emit(VoicemailBeep(frequency_hz=hz, duration_ms=ms)),)

    def joins(self, table: Table) -> tuple[Step, ...]:
        member, role = table.text("member", "m-1"), table.text("role", "user")
        target = table.text("joins")
        return (Emit(ParticipantAdded(member_id=member, role=role, target=target)),)

    def leaves(self, table: Table) -> tuple[Step, ...]:
        role = table.text("role", "user")
        return (Emit(ParticipantRemoved(member_id=table.text("leaves"), role=role)),)

    # -- the model -----------------------------------------------------------------------------

    def speak(self, table: Table) -> tuple[Step, ...]:
        return (AgentSpeaks(table.text("speak"), table.flag("wait", True)),)

    def tool(self, table: Table) -> tuple[Step, ...]:
        self._tools += 1
        name, id = table.text("tool"), table.text("id", f"tool-{self._tools}")
        call = Emit(ToolCall(id=id, name=name, arguments=dict(table.table("arguments").values)))
        answer = table.choice("answer", ["tool.result", "tool.error", "none"], "tool.result")
        if answer == "none":
            table.only(["tool", "id", "arguments", "answer", "label"])
            return (call,)
        kind: type[Command] = ToolResult if answer == "tool.result" else ToolError
        where = {**self._where(table, kind), "id": id}
        label = table.text("label", f"{table.name}: {answer} of {name}")
        return (call, Expect(kind, label, where, table.number("within", 2.0)))

    def collect(self, table: Table) -> tuple[Step, ...]:
        self._tools += 1
        kind, id = table.text("collect"), table.text("id", f"agent-tool-{self._tools}")
        error = table.text("error", "")
        if error and "result" in table.values:
            table.fail(
                f"{table.name} is impossible", "result and error", "one of them", key="error"
            )
        return agent_tool(kind, id, None if error else table.table("result").values, error=error)

    def emit(self, table: Table) -> tuple[Step, ...]:
        kind = self._event(table, "emit")
        values = table.table("fields")
        values.only(_names_of(kind))
        event = kind(**values.values)
        if parse_event(serialize_event(event)) != event:  # a field of the wrong kind is no field
            found = repr(dict(values.values))
            problem = f"'fields' of {table.name} are of the wrong type"
            table.fail(problem, found, f"those of {kind.type}", key="fields")
        return (Emit(event),)

    # -- time, and what must be seen -----------------------------------------------------------

    def pause(self, table: Table) -> tuple[Step, ...]:
        return (Pause(table.number("pause")),)

    def expect(self, table: Table) -> tuple[Step, ...]:
        kind = self._command(table, "expect")
        label = table.text("label", f"{table.name}: {kind.type}")
        return (Expect(kind, label, self._where(table, kind), table.number("within", 2.0)),)

    def never(self, table: Table) -> tuple[Step, ...]:
        kind = self._command(table, "never")
        label = table.text("label", f"{table.name}: no {kind.type}")
        return (Never(kind, label, self._where(table, kind), table.number("during", None)),)

    def until(self, table: Table) -> tuple[Step, ...]:
        kind = self._event(table, "until")
        label = table.text("label", f"{table.name}: {kind.type}")
        return (Until(kind, label, self._where(table, kind), table.number("within", 2.0)),)

    def closes(self, table: Table) -> tuple[Step, ...]:
        code = table.count("closes", least=1000, most=4999)
        label = table.text("label", f"{table.name}: close {code}")
        return (Closes(label, code, table.number("within", 2.0)),)

    def fault(self, table: Table) -> tuple[Step, ...]:
        kind: Any = table.choice("fault", _FAULT_OPTIONS)
        table.only(["fault", "label", *_FAULT_OPTIONS[kind].split()])
        fault = Fault(
            kind,
            table.text("label", f"{table.name}: {kind}"),
            seconds=table.number("seconds") if kind == "stall" else 0.0,
            size=table.count(
                "size",
                _FAULT_SIZES.get(kind, 0),
                least=1 if kind == "split" else 0,
                most=_MOST_SIZE,
            ),
            text=table.text("text", "{ no JSON" if kind == "garbage" else ""),
        )
        return (fault,)

    # -- names ---------------------------------------------------------------------------------

    def _command(self, table: Table, key: str) -> type[Command]:
        name = table.text(key)
        if name not in _COMMANDS:
            table.unknown("command", name, _COMMANDS, key=key)
        return _COMMANDS[name]

    def _event(self, table: Table, key: str) -> Any:
        name = table.text(key)
        if name not in _EVENTS:
            table.unknown("event", name, _EVENTS, key=key)
        kind = _EVENTS[name]
        of_agent = issubclass(kind, AgentEvent)
        if self._mode in ({"stream"} if of_agent else {"agent", "text", "speech"}):
            table.fail(
                f"{table.name} is impossible",
                f"{name!r} in a call of mode {self._mode!r}",
                f"an event of {'a stream' if of_agent else 'an agent'}",
                key=key,
            )
        return kind

    def _where(self, table: Table, kind: type[Any]) -> dict[str, Any]:
        where = table.table("where")
        if kind is not Update:  # whose fields are open
            where.only(_names_of(kind))
        return dict(where.values)


def _names_of(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind) if field.name != "extra"]


_TALK = "agent text speech"
_MODEL = "agent speech"
_AGENT = "agent text speech raw"
_VERBS: dict[str, _Verb] = {
    "say": _Verb(StepReader.say, "language partials", _TALK),
    "press": _Verb(StepReader.press, ""),
    "play": _Verb(StepReader.play, "seconds hz wait frame_ms", "raw stream"),
    "interrupt": _Verb(StepReader.interrupt, "", _AGENT),
    "hang_up": _Verb(StepReader.hang_up, ""),
    "voicemail": _Verb(StepReader.voicemail, "method transcript", _AGENT),
    "beep": _Verb(StepReader.beep, "duration_ms", _AGENT),
    "joins": _Verb(StepReader.joins, "member role", _AGENT),
    "leaves": _Verb(StepReader.leaves, "role", _AGENT),
    "speak": _Verb(StepReader.speak, "wait", _MODEL),
    "tool": _Verb(StepReader.tool, "id arguments answer where within", _MODEL),
    "collect": _Verb(StepReader.collect, "id result error", _MODEL),
    "emit": _Verb(StepReader.emit, "fields"),
    "pause": _Verb(StepReader.pause, ""),
    "expect": _Verb(StepReader.expect, "where within", late=True),
    "never": _Verb(StepReader.never, "where during"),
    "until": _Verb(StepReader.until, "where within", late=True),
    "closes": _Verb(StepReader.closes, "within", late=True),
    "fault": _Verb(StepReader.fault, "seconds size text"),
}
