"""What is counted: of a server (``app.stats``, or JSON on its own path), of a call.

Read as frozen snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivo_core import Pending

if TYPE_CHECKING:
    from plivo_anyio._driver import Driver
    from plivo_anyio._session import CallSession

__all__ = [
    "NOTHING_HEARD",
    "CallStats",
    "CallerAudioStats",
    "Counters",
    "LaneStats",
    "PlaybackStats",
    "ServerStats",
    "call_stats",
]


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


# --- of one call ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStats:
    """What waits for handlers now."""

    control_events: int = 0
    control_bytes: int = 0
    """Of their messages, as they came."""
    media_ms: float = 0.0
    """Caller audio that waits for the ``media`` handler."""
    tools_running: int = 0
    """Tasks of ``tool.called``, those that wait for ``on_connect`` included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerAudioStats:
    """Packets of the caller, counted by the iterations over ``session.audio()``, all together."""

    missing: int = 0
    """Never came."""
    repeated: int = 0
    """Came again, or after a later one."""
    invalid: int = 0
    """Could not be read, or came before their format was known."""
    dropped: int = 0
    """Came, and were dropped because their reader was too slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStats:
    """The stream's ledger in milliseconds, as :class:`~plivo_core.PlaybackLedger` explains it."""

    queued_ms: float
    sent_ms: float
    heard_ms: float
    proven_ms: float
    buffered_ms: float
    clearing_ms: float
    cleared_ms: float
    lost_ms: float
    dropped_ms: float
    checkpoints: int
    """Whose fate is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStats:
    """A snapshot of one call."""

    lanes: LaneStats
    dropped_media: int
    """Caller audio messages dropped because the ``media`` handler was too slow."""
    abandoned_handlers: int
    """Sync handlers that were left to their thread."""
    caller_audio: CallerAudioStats
    pending: Pending
    """What waits to be sent."""
    dropped_audio: int
    """Audio messages of ours that never left."""
    playback: PlaybackStats


NOTHING_HEARD = CallerAudioStats()  # one for all calls that iterate over no audio


def call_stats(driver: Driver) -> CallStats:
    """A snapshot at the clock's now. From any thread."""
    with driver.lock:
        now = driver.clock()
        session = driver.conn.session
        ledger = session.playback
        return CallStats(
            lanes=driver.lane_stats,
            dropped_media=driver.dropped_media,
            abandoned_handlers=driver.abandoned_handlers,
            caller_audio=driver.waiters.caller_audio,
            pending=session.pending,
            dropped_audio=session.output.dropped_messages,
            playback=PlaybackStats(
                queued_ms=ledger.queued_ms,
                sent_ms=ledger.sent_ms,
                heard_ms=ledger.heard_ms(now),
                proven_ms=ledger.proven_ms,
                buffered_ms=ledger.buffered_ms(now),
                clearing_ms=ledger.clearing_ms,
                cleared_ms=ledger.cleared_ms,
                lost_ms=ledger.lost_ms,
                dropped_ms=ledger.dropped_ms,
                checkpoints=len(ledger.pending),
            ),
        )
