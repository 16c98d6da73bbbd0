"""What the simulated account remembers, every shelf with a bound.

Things that only a client makes (agents, numbers) are refused when there is no room; things that
happen (calls, sessions, messages) push the oldest out, as a history does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from plivo_core.platform._answering import Refused
from plivo_core.platform._effects import CallPlaced, ConnectionKind
from plivo_core.webhooks import FetchOptions

__all__ = [
    "Agent",
    "Call",
    "Connection",
    "History",
    "Hook",
    "Message",
    "Number",
    "PlatformLimits",
    "PlatformTimings",
    "Session",
    "Shelf",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLimits:
    """What a client of the simulator can make it hold."""

    max_body: int = 256 * 1024
    """Bytes of a request; over it: 413. An agent with long prompts and tools is under 100 KiB."""
    max_query: int = 8 * 1024
    """Characters of a query; over it: 400. All filters together are under 2,000."""
    max_agents: int = 200
    """Stored agents, each up to ``max_body``; one more: 403."""
    max_numbers: int = 1000
    """Rented numbers; one more: 403."""
    max_calls: int = 2000
    """Calls remembered. The oldest that is over is forgotten; if all are live: 403."""
    max_streams: int = 16
    """Streams and agents that were ever attached to one call; one more: 403."""
    max_messages: int = 10_000
    """Messages remembered; the oldest is forgotten."""
    max_destinations: int = 100
    """Numbers in one message, call or dial; more: 400. Each becomes a record."""
    max_transcript: int = 256 * 1024
    """Characters of transcript kept with a session, as JSON; a longer one is left out."""
    max_effects: int = 10_000
    """Effects that wait for the driver, callbacks without an answer, steps of messages that are due
    later; over it what changes anything gets 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformTimings:
    """How fast the simulated network is, in seconds."""

    sent_after: float = 0.05
    """From queued to sent, for a message."""
    delivered_after: float = 0.15
    """From queued to delivered."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A callback that somebody wants."""

    url: str
    method: str
    options: FetchOptions
    as_json: bool = False


@dataclass(slots=True)
class Agent:
    uuid: str
    account: str
    config: dict[str, object]
    created_at: str
    numbers: dict[str, str] = field(default_factory=dict[str, str])
    """By their digits, as they were assigned."""


@dataclass(slots=True)
class Number:
    record: dict[str, object]


@dataclass(slots=True)
class Connection:
    """One WebSocket of a call: its agent's, another agent's, or a stream's."""

    id: str
    stream_id: str
    mode: ConnectionKind
    session_id: str | None
    hooks: Mapping[str, Hook]
    record: dict[str, object] = field(default_factory=dict[str, object])
    """Of a stream that a client may ask for."""
    placed: CallPlaced | None = None
    """The last that was asked of the driver."""
    began_at: float | None = None
    dropped: bool = False
    over: bool = False


@dataclass(slots=True)
class Call:
    uuid: str
    account: str
    from_: str
    to: tuple[str, ...]
    direction: Literal["inbound", "outbound"]
    hooks: Mapping[str, Hook]
    started_wall: float
    request_uuid: str = ""
    agent_uuid: str | None = None
    connections: dict[str, Connection] = field(default_factory=dict[str, Connection])
    primary: str | None = None
    """The connection whose end is the call's."""
    began_at: float | None = None
    began_wall: float | None = None
    dropped: bool = False
    """The client asked for the end; the driver has not told of it yet."""
    over: bool = False

    @property
    def is_live(self) -> bool:
        return not (self.over or self.dropped)


@dataclass(slots=True)
class Session:
    account: str
    record: dict[str, object]


@dataclass(slots=True)
class Message:
    account: str
    record: dict[str, object]
    media: list[dict[str, object]]
    hook: Hook | None
    queued_wall: float


class Shelf(Generic[T]):
    """Things by key, at most ``most``; one more is refused, naming ``what``."""

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._things: dict[str, T] = {}

    def require_room(self, more: int = 1) -> None:
        """Raises Refused (403)."""
        if len(self._things) + more > self._most:
            raise Refused(403, f"this account has {self._most} {self._what}, its limit")

    def add(self, key: str, thing: T) -> None:
        """Call require_room() first, before anything changes."""
        self._things[key] = thing

    def find(self, key: str) -> T:
        """Raises Refused (404)."""
        found = self._things.get(key)
        if found is None:
            raise Refused(404, f"{self._what[:-1]} not found")
        return found

    def get(self, key: str) -> T | None:
        return self._things.get(key)

    def take(self, key: str) -> T:
        """Find and remove. Raises Refused (404)."""
        self.find(key)
        return self._things.pop(key)

    def __iter__(self) -> Iterator[T]:
        return iter(self._things.values())


class History(Shelf[T]):
    """A shelf that forgets its oldest thing that is ``over`` to make room."""

    def __init__(self, most: int, what: str, over: Callable[[T], bool]) -> None:
        super().__init__(most, what)
        self._over = over

    def require_room(self, more: int = 1) -> None:
        """For so many at once."""
        missing = len(self._things) + more - self._most
        if missing > 0:
            over = (key for key, thing in self._things.items() if self._over(thing))
            oldest = list(itertools.islice(over, missing))
            if len(oldest) == missing:
                for key in oldest:
                    del self._things[key]
        super().require_room(more)
