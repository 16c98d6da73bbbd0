"""Where guards and tokens keep what they have seen, so that several workers can share it."""

from __future__ import annotations

from typing import Protocol

from plivo_core.errors import ConfigError

__all__ = ["LatestTime", "MemoryStore", "Store"]


class Store(Protocol):
    """A shared, expiring map; what every worker that serves one port must have in common.

    Any database with a set-if-absent fits, Redis' ``SET NX EXAT`` for one. Times are Unix seconds.
    Methods may block and may raise: the caller sees the exception and must then refuse the request.
    """

    def add(self, key: str, value: bytes, *, expires_at: float, wall_now: float) -> bytes | None:
        """Keep ``value`` and return None; if ``key`` is there and not expired, change nothing and
        return its value. Atomic: of two callers one gets None."""
        ...

    def replace(self, key: str, value: bytes, *, expires_at: float, wall_now: float) -> None:
        """Keep ``value``, whatever was there."""
        ...

    def discard(self, key: str, value: bytes) -> None:
        """Forget ``key`` if ``value`` is what it has. Atomic: the value of another stays."""
        ...


class LatestTime:
    """Wall time that never goes back: the latest that was ever told.

    A clock that is set back must not revive what has expired, and been forgotten, before.
    """

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest = float("-inf")

    def __call__(self, wall_now: float) -> float:
        self._latest = max(self._latest, wall_now)
        return self._latest


class MemoryStore:
    """The store of a single process: at most ``capacity`` entries, then the oldest gives way.

    Give each guard and each set of tokens one of its own, so that the traffic of one cannot push
    out what the other remembers. Methods must not be called from two threads at once.
    """

    __slots__ = ("_entries", "_latest", "capacity")

    def __init__(self, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ConfigError("capacity must be at least 1")
        self.capacity = capacity
        self._latest = LatestTime()
        self._entries: dict[str, tuple[float, bytes]] = {}  # in the order of their recording

    def add(self, key: str, value: bytes, *, expires_at: float, wall_now: float) -> bytes | None:
        """See :meth:`Store.add`."""
        known = self._entries.get(key)
        if known is not None and known[0] > self._latest(wall_now):
            return known[1]
        self.replace(key, value, expires_at=expires_at, wall_now=wall_now)
        return None

    def replace(self, key: str, value: bytes, *, expires_at: float, wall_now: float) -> None:
        """See :meth:`Store.replace`."""
        now = self._latest(wall_now)
        entries = self._entries
        entries.pop(key, None)
        while entries:
            oldest = next(iter(entries))
            if entries[oldest][0] > now and len(entries) < self.capacity:
                break
            del entries[oldest]
        entries[key] = (now + expires_at - wall_now, value)

    def discard(self, key: str, value: bytes) -> None:
        """See :meth:`Store.discard`."""
        known = self._entries.get(key)
        if known is not None and known[1] == value:
            del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._entries)} of {self.capacity}>"
