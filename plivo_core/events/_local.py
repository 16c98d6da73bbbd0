"""Events that no known message is: what could not be typed, and what the core itself concludes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from plivo_core._redact import redact, show_size
from plivo_core.codec import InvalidReason
from plivo_core.errors import PlivoError
from plivo_core.events._base import AgentEvent, StreamEvent

__all__ = ["Ended", "Event", "InvalidMessage", "ToolCallExpired", "UnknownEvent"]


class UnknownEvent(dict[str, object]):
    """A message whose name this version does not know: the raw JSON object itself."""

    __slots__ = ()

    @property
    def type(self) -> str | None:
        """Its name: ``type`` when truthy, else ``event``; ``None`` when that is not text."""
        name = self.get("type") or self.get("event")
        return name if isinstance(name, str) else None

    def __repr__(self) -> str:
        return f"UnknownEvent({redact(self)!r})"


@dataclass(frozen=True, slots=True, repr=False)
class InvalidMessage:
    """Text that is not a JSON object, as it came. The call goes on, unless many follow."""

    raw: str | bytes
    reason: InvalidReason

    def __repr__(self) -> str:
        return f"InvalidMessage(reason={self.reason!r}, raw={show_size(self.raw)!r})"


@dataclass(frozen=True, slots=True)
class ToolCallExpired:
    """A ``tool.called`` stayed unanswered for ``Timings.tool_call``; one late answer still goes."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of every call, exactly once.

    ``initiator`` is whose side ended it, ``code`` and ``reason`` are those of the WebSocket close,
    ``error`` is set only with cause ``error``.
    """

    initiator: Literal["local", "remote"]
    code: int
    reason: str
    cause: Literal["session.ended", "stop", "close", "error"]
    error: PlivoError | None = field(default=None)


Event: TypeAlias = (
    AgentEvent | StreamEvent | UnknownEvent | InvalidMessage | ToolCallExpired | Ended
)
"""Everything a session hands out."""
