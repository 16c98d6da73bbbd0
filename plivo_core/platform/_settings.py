"""How the simulated platform treats one call, in the words of an agent's configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["AgentSettings", "CallMode"]

CallMode: TypeAlias = Literal["agent", "text", "speech", "raw", "stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Who calls, and the fields of PROTOCOL.md 5.5 that a call can feel.

    No range is enforced: a simulated caller may lose patience in a tenth of a second.
    """

    caller: str | None = None
    callee: str | None = None
    agent_id: str | None = None
    extra_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the stream; in modes ``raw`` and ``stream``."""
    welcome_greeting: str = ""
    """What the agent says first."""
    no_response_timeout_s: float | None = None
    """Seconds of silence before ``user.idle``; None: silence is never minded."""
    max_retries: int = 3
    """How many times ``user.idle`` says ``no_response`` before retries are exhausted."""
    reminder_message: str = ""
    """What the agent says at each of those."""
    extended_wait_time_s: float = 30.0
    """Seconds that ``extend_wait`` grants."""
    tool_call_timeout_s: float = 30.0
    events: Collection[str] = ()
    """Switched on from the start: ``vad_events``, ``turn_events``, ``metrics_events``."""
