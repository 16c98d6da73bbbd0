"""What a server counts: read as a frozen snapshot, as ``app.stats`` or as JSON on its own path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plivo_anyio._session import CallSession

__all__ = ["Counters", "ServerStats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStats:
    """A snapshot. "Now" may fall again; everything else only grows while the app exists."""

    connections: int = 0
    """Open now, whatever they are: calls, requests, and what has said nothing yet."""
    half_open: int = 0
    """Of these, the ones whose request (or TLS handshake) is not complete yet."""
    calls: int = 0
    """Calls now, until their ``on_disconnect`` has returned."""
    accepted: int = 0
    """Calls accepted."""
    refused: int = 0
    """Connections over a limit, and upgrades answered with anything but 101."""
    requests: int = 0
    """Plain HTTP requests, health checks included."""
    failed_handshakes: int = 0
    """TLS handshakes that broke or took too long."""
    dropped_media: int = 0
    """Caller audio messages dropped because a ``media`` handler was too slow."""
    abandoned_handlers: int = 0
    """Sync handlers that were given up while their thread ran on."""
    stalls: int = 0
    """Times the event loop was found blocked."""
    draining: bool = False
    """Whether a server of the app takes no new requests and waits for its calls to end."""


class Counters:
    """The numbers behind it. Touched on the event loop only, unless it says otherwise."""

    def __init__(self) -> None:
        self.connections = 0
        self.half_open = 0
        self.accepted = 0
        self.refused = 0
        self.requests = 0
        self.failed_handshakes = 0
        self.abandoned_handlers = 0
        self.stalls = 0  # by the watching thread alone
        self.draining = 0  # servers
        self._sessions: set[CallSession] = set()
        self._dropped_media = 0  # in calls that are over

    def began(self, session: CallSession) -> None:
        self.accepted += 1
        self._sessions.add(session)

    def ended(self, session: CallSession) -> None:
        self._sessions.discard(session)
        self._dropped_media += session.dropped_media

    def snapshot(self) -> ServerStats:
        dropped = sum(session.dropped_media for session in self._sessions)
        return ServerStats(
            connections=self.connections,
            half_open=self.half_open,
            calls=len(self._sessions),
            accepted=self.accepted,
            refused=self.refused,
            requests=self.requests,
            failed_handshakes=self.failed_handshakes,
            dropped_media=self._dropped_media + dropped,
            abandoned_handlers=self.abandoned_handlers,
            stalls=self.stalls,
            draining=self.draining > 0,
        )
