"""What a handler gets: the session vocabulary, who is calling, and a place for the app's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivo_core import Command, Ended, MediaFormat, PlaybackLedger, Request, SessionCommands, State
from plivo_core.session import ToolCalls

if TYPE_CHECKING:
    from plivo_anyio._driver import Driver

__all__ = ["CallSession"]


class CallSession(SessionCommands):
    """One call. Every command of :class:`~plivo_core.SessionCommands` queues and returns at once.

    Commands raise SessionClosedError once the call is over: a lost race that handlers may leave
    alone (it is not reported). Commands may be given from any thread: what is wrong with one is
    raised there, and their order is the order of the calls.
    """

    __slots__ = ("_driver", "data", "ended", "request")

    def __init__(self, driver: Driver, request: Request) -> None:
        self._driver = driver
        self.request = request
        """The upgrade request: path, query, headers."""
        self.data: dict[str, Any] = {}
        """Yours, for the length of the call."""
        self.ended: Ended | None = None
        """How the call ended; set before ``on_disconnect`` runs."""

    def __repr__(self) -> str:
        return f"<CallSession {self._driver.conn.session!r}>"

    def send(self, command: Command, *, now: float | None = None) -> None:
        """Queue a command; see :meth:`plivo_core.Session.send` for what it raises."""
        self._driver.send(command, now)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the call from our side: what is queued is flushed, then Close. Idempotent.

        Raises LocalProtocolError for a code that no Close frame may carry. To hang up a managed
        agent's phone call, use :meth:`hangup`.
        """
        self._driver.close(code, reason)

    @property
    def state(self) -> State:
        """NEW, ACTIVE, ENDING or ENDED."""
        return self._driver.conn.session.state

    @property
    def agent_session_id(self) -> str | None:
        """From ``session.started``."""
        return self._driver.conn.session.agent_session_id

    @property
    def call_uuid(self) -> str | None:
        """From ``session.started``, else from ``start``."""
        return self._driver.conn.session.call_uuid

    @property
    def stream_id(self) -> str | None:
        """From ``start``."""
        return self._driver.conn.session.stream_id

    @property
    def account_id(self) -> str | None:
        """From ``start``."""
        return self._driver.conn.session.account_id

    @property
    def media_format(self) -> MediaFormat | None:
        """Content type and rate of the caller's audio, once known."""
        return self._driver.conn.session.media_format

    @property
    def extra_headers(self) -> dict[str, str]:
        """The stream's extra headers, from ``start``."""
        return self._driver.conn.session.extra_headers

    @property
    def tool_calls(self) -> ToolCalls:
        """The tool calls of this call and what became of them."""
        return self._driver.conn.session.tool_calls

    @property
    def playback(self) -> PlaybackLedger:
        """Checkpoints and their fates."""
        return self._driver.conn.session.playback

    @property
    def dropped_media(self) -> int:
        """Caller audio messages dropped because the ``media`` handler was too slow."""
        return self._driver.lanes.dropped_media

    @property
    def abandoned_handlers(self) -> int:
        """Sync handlers that ran for over ``Timings.handler`` and were left to their thread."""
        return self._driver.lanes.abandoned_handlers
