"""The caller's patience, seen from Plivo: silence, reminders, and the end (PROTOCOL.md 10)."""

from __future__ import annotations

from plivo_core.events import UserIdle
from plivo_core.platform._settings import AgentSettings

__all__ = ["IdleClock"]


class IdleClock:
    """When ``user.idle`` is due."""

    def __init__(self, settings: AgentSettings) -> None:
        self._timeout = settings.no_response_timeout_s
        self._retries = settings.max_retries
        self._extension = settings.extended_wait_time_s
        self._quiet_since = 0.0
        self._not_before = float("-inf")
        self._told = 0

    def caller_acts(self, until: float) -> None:
        """The caller says or does something, which is over at ``until``: counting begins anew."""
        self._quiet_since = until
        self._not_before = float("-inf")
        self._told = 0

    def extend(self, now: float) -> None:
        """The application asked for more patience."""
        self._not_before = now + self._extension

    def due(self, busy_until: float) -> float:
        """When the silence is too long; infinity: never. The agent was heard to ``busy_until``."""
        if self._timeout is None:
            return float("inf")
        return max(max(self._quiet_since, busy_until) + self._timeout, self._not_before)

    def tell(self, now: float) -> UserIdle:
        """What to say about it; the next silence begins ``now``."""
        self._told += 1
        self._quiet_since = now
        exhausted = self._told > self._retries
        reason = "max_retries_exhausted" if exhausted else "no_response"
        return UserIdle(retry_count=self._told, reason=reason)
