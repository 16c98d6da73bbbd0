"""Tool calls of one session: each tracked id ends exactly once."""

from __future__ import annotations

from enum import Enum

from plivo_core.errors import LocalProtocolError
from plivo_core.limits import Limits

__all__ = ["ToolCallState", "ToolCalls"]


class ToolCallState(Enum):
    """Where a tool call stands."""

    PENDING = "pending"
    RESULT = "result"
    ERROR = "error"
    EXPIRED = "expired"
    """Past its deadline; one late answer may still be sent, the platform decides."""
    CANCELLED = "cancelled"
    """The call ended first."""


class ToolCalls:
    """Ids that ``tool.called`` named, in order; since all have the same patience, also of deadline.

    An id that is called again is the same call, told twice: it is neither run nor answered again,
    for as long as it is remembered (``Limits.max_tool_calls``). Ids that are empty or longer than
    ``Limits.max_tool_call_id`` are not tracked.
    """

    __slots__ = ("_ended", "_limits", "_patience", "_pending", "repeated")

    def __init__(self, limits: Limits, patience: float) -> None:
        self._limits = limits
        self._patience = patience
        self._pending: dict[str, tuple[str, float]] = {}  # id -> tool name, deadline
        self._ended: dict[str, ToolCallState] = {}  # the newest, bounded
        self.repeated = 0
        """Calls that were told again, and not handed out for that."""

    @property
    def pending(self) -> tuple[str, ...]:
        """Ids that await an answer, oldest first."""
        return tuple(self._pending)

    def state(self, id: str) -> ToolCallState | None:
        """None: never called, not tracked, or forgotten (``Limits.max_tool_calls``)."""
        return ToolCallState.PENDING if id in self._pending else self._ended.get(id)

    def repeats(self, id: str) -> bool:
        """Whether a call is one that was told before; it is counted then, and nothing changes."""
        if self.state(id) is None:
            return False
        self.repeated += 1
        return True

    def called(self, id: str, name: str, now: float) -> tuple[str, str] | None:
        """Track a new call; gives the (id, name) that had to expire to make room, if any."""
        limits = self._limits
        if not id or len(id) > limits.max_tool_call_id or limits.max_tool_calls < 1:
            return None
        expired = self._expire_oldest() if self._full else None
        self._pending[id] = (name, now + self._patience)
        return expired

    def check_answer(self, id: str) -> None:
        """Raise LocalProtocolError if ``id`` was answered already."""
        state = self._ended.get(id)
        if state in (ToolCallState.RESULT, ToolCallState.ERROR):
            raise LocalProtocolError(
                f"tool call {id!r} was already answered with tool.{state.value}",
                hint="answer each tool.called once",
            )

    def answered(self, id: str, state: ToolCallState) -> None:
        """An answer was queued: RESULT or ERROR. Ids that were never called are not tracked."""
        if self._pending.pop(id, None) is not None or id in self._ended:
            self._end(id, state)

    def deadline(self) -> float | None:
        if not self._pending:
            return None
        _, deadline = next(iter(self._pending.values()))
        return deadline

    def expire(self, now: float) -> list[tuple[str, str]]:
        """(id, name) of every call whose deadline passed."""
        expired: list[tuple[str, str]] = []
        while (deadline := self.deadline()) is not None and now >= deadline:
            expired.append(self._expire_oldest())
        return expired

    def cancel(self) -> None:
        """The call is over."""
        for id in self.pending:
            del self._pending[id]
            self._end(id, ToolCallState.CANCELLED)

    @property
    def _full(self) -> bool:
        return len(self._pending) >= self._limits.max_tool_calls

    def _expire_oldest(self) -> tuple[str, str]:
        id = next(iter(self._pending))
        name, _ = self._pending.pop(id)
        self._end(id, ToolCallState.EXPIRED)
        return id, name

    def _end(self, id: str, state: ToolCallState) -> None:
        self._ended.pop(id, None)
        self._ended[id] = state
        if len(self._ended) > self._limits.max_tool_calls:
            del self._ended[next(iter(self._ended))]
