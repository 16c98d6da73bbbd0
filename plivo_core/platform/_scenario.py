"""A call as data: TOML text in, a script and its setting out. No file is read here.

docs/scenarios.md is the format. What cannot be played raises ScenarioError when it is read, with
the line and the nearest valid word, and not in the middle of a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plivo_core.platform._call import PlatformCall
from plivo_core.platform._opening import FORMAT_NAMES
from plivo_core.platform._scenario_steps import StepReader
from plivo_core.platform._scenario_text import Source, Table
from plivo_core.platform._settings import AgentSettings, CallMode
from plivo_core.platform._steps import HangUp, Step

__all__ = ["RestFault", "Scenario"]

_MODES: dict[str, CallMode] = {
    "agent": "agent",
    "text": "text",
    "speech": "speech",
    "raw": "raw",
    "stream": "stream",
}
_CALL_KEYS = (
    *("mode", "from", "to", "agent_id", "headers", "format", "seconds_per_character"),
    *("welcome_greeting", "idle_timeout", "tool_call_timeout_s", "events"),
)
_IDLE_KEYS = (
    *("no_response_timeout_s", "max_retries"),
    *("reminder_message", "extended_wait_time_s"),
)
_OPT_INS = ("vad_events", "turn_events", "metrics_events")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestFault:
    """The REST simulator answers ``times`` matching requests with ``status``.

    An empty ``method`` or ``path`` matches all; a path matches where it occurs. ``retry_after`` is
    the header, in seconds.
    """

    status: int
    times: int = 1
    method: str = ""
    path: str = ""
    retry_after: float | None = None

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("", method.upper()) and self.path in path


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One call that can be placed any number of times, always the same."""

    title: str
    filename: str
    mode: CallMode
    settings: AgentSettings
    content_type: str
    sample_rate: int
    seconds_per_character: float
    steps: tuple[Step, ...]
    rest: tuple[RestFault, ...]

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        filename: str = "<scenario>",
        sounds: Mapping[str, bytes] | None = None,
    ) -> Scenario:
        """The scenario in TOML ``text``.

        ``filename`` is for messages. ``sounds`` are what ``play`` may name, in the encoding of the
        scenario's stream. Raises ScenarioError for what cannot be played.
        """
        source = Source(text, filename)
        whole = Table(source, source.values, "")
        whole.name = "a scenario"
        whole.only(["title", "call", "steps", "rest"])
        call = Table(source, source.values.get("call", {}), "call")
        call.only(_CALL_KEYS)
        mode = _MODES[call.choice("mode", _MODES, "agent")]
        formats = [name for name in FORMAT_NAMES if mode != "raw" or name != "pcm_8k"]
        format = FORMAT_NAMES[call.choice("format", formats, "mulaw_8k")]
        reader = StepReader(mode, format, sounds or {})
        tables = whole.tables("steps")
        if not tables:
            whole.fail("nothing happens", "no steps", "at least one [[steps]] table")
        steps = [step for table in tables for step in reader.read(table)]
        return cls(
            title=whole.text("title", filename),
            filename=filename,
            mode=mode,
            settings=_settings(call),
            content_type=format.content_type or "",
            sample_rate=format.sample_rate,
            seconds_per_character=call.number("seconds_per_character", 0.06),
            steps=(*steps, HangUp()),
            rest=tuple(_rest_fault(table) for table in whole.tables("rest")),
        )

    def call(self) -> PlatformCall:
        """A new call that plays it."""
        return PlatformCall(
            self.steps,
            mode=self.mode,
            settings=self.settings,
            seconds_per_character=self.seconds_per_character,
            content_type=self.content_type,
            sample_rate=self.sample_rate,
        )


def _settings(call: Table) -> AgentSettings:
    headers, idle = call.table("headers"), call.table("idle_timeout")
    idle.only(_IDLE_KEYS)
    events = call.texts("events")
    for name in events:
        if name not in _OPT_INS:
            call.unknown("event group", name, _OPT_INS, key="events")
    return AgentSettings(
        caller=call.text("from", None),
        callee=call.text("to", None),
        agent_id=call.text("agent_id", None),
        extra_headers={name: headers.text(name) for name in headers.values},
        welcome_greeting=call.text("welcome_greeting", ""),
        # 15 s and 3 are the platform's, where there is an idle_timeout at all (5.5).
        no_response_timeout_s=idle.number("no_response_timeout_s", 15.0) if idle.values else None,
        max_retries=idle.count("max_retries", 3),
        reminder_message=idle.text("reminder_message", ""),
        extended_wait_time_s=idle.number("extended_wait_time_s", 30.0),
        tool_call_timeout_s=call.number("tool_call_timeout_s", 30.0),
        events=events,
    )


def _rest_fault(table: Table) -> RestFault:
    table.only(["status", "times", "method", "path", "retry_after"])
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return RestFault(
        status=table.count("status", least=400, most=599),
        times=table.count("times", 1, least=1),
        method=table.choice("method", methods, ""),
        path=table.text("path", ""),
        retry_after=table.number("retry_after", None),
    )
