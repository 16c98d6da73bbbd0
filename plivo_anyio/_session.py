"""What a handler gets: the session vocabulary, who is calling, and a place for the app's data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from plivo_anyio._stats import CallStats, call_stats
from plivo_core import Command, Ended, MediaFormat, PlaybackLedger, Request, SessionCommands, State
from plivo_core.session import Digits, DigitSource, ToolCalls

if TYPE_CHECKING:
    from plivo_anyio._caller_audio import CallerFrames
    from plivo_anyio._driver import Driver
    from plivo_core.audio import AudioFormat

__all__ = ["CallSession"]

E = TypeVar("E")


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

    @overload
    async def wait_for(
        self,
        event: type[E],
        *,
        timeout: float | None = None,
        match: Callable[[E], object] | None = None,
    ) -> E: ...

    @overload
    async def wait_for(
        self,
        event: str,
        *,
        timeout: float | None = None,
        match: Callable[[Any], object] | None = None,
    ) -> Any: ...

    async def wait_for(
        self,
        event: str | type[Any],
        *,
        timeout: float | None = None,
        match: Callable[[Any], object] | None = None,
    ) -> Any:
        """The next event of a class or wire name that arrives and for which ``match`` is true.

        It is seen when it arrives, whatever waits in the lanes, and its handlers run as ever. Only
        what arrives while this waits counts. Raises TimeoutError after ``timeout`` seconds,
        SessionClosedError when the call ends first, ConfigError as ``app.on`` does, and what
        ``match`` raises.
        """
        return await self._driver.waiters.wait_for(event, timeout=timeout, match=match)

    async def gather_digits(
        self,
        n: int | None = None,
        *,
        finish_on: str = "#",
        timeout: float = 10.0,
        digit_timeout: float = 3.0,
        source: DigitSource | None = None,
    ) -> Digits:
        """The keys the caller presses from now on; ends with ``n`` keys or a key of ``finish_on``.

        ``timeout`` is the wait for the first key, ``digit_timeout`` for each further one, in
        seconds: no error, but the reason ``timeout``. So is the end of the call, ``ended``; begun
        after that it raises SessionClosedError. ``source``: whether ``Dtmf`` or ``StreamDtmf``
        counts; None: whichever comes first in the call. More: :class:`~plivo_core.session.Digits`
        and :class:`~plivo_core.session.DigitGatherer`, which also says what raises ConfigError.
        """
        return await self._driver.waiters.gather_digits(
            n,
            finish_on=finish_on,
            timeout=timeout,
            digit_timeout=digit_timeout,
            source=source,
        )

    def audio(self, format: AudioFormat | None = None) -> CallerFrames:
        """The caller's audio from now on, for ``async for frame in session.audio(PCM_16K)``.

        Each :class:`~plivo_core.audio.AudioFrame` is one packet, decoded and converted to
        ``format`` (None: as it comes). Packets are seen when they arrive, whatever waits in the
        lanes, and ``media`` handlers run as ever. It waits for ``start`` where the format is not
        known yet, and ends when that stream or the call does, or at a second ``start``; what had
        arrived is handed out first. At most ``Limits.media_lane_ms`` wait for the loop, then the
        oldest is dropped, counted in :attr:`stats` and in ``missing`` of the next frame. Several
        at once are allowed; one that is left, by ``break`` say, costs nothing any more, and
        ``aclose()`` ends it from outside.

        Raises SessionClosedError when the call is over already. The iteration raises AudioError
        for a packet of another format than the stream's, and for a stream of none that exists; a
        packet that cannot be read is only counted.
        """
        from plivo_anyio._caller_audio import CallerFrames  # loads plivo_core.audio: on first use

        return CallerFrames(self._driver, format)

    def start_soon(
        self, func: Callable[..., Awaitable[object]], *args: Any, name: object = None
    ) -> None:
        """Run ``await func(*args)`` beside the handlers, for no longer than the call.

        When the call is over it has ``Timings.end_grace`` seconds before it is cancelled. What it
        raises is reported as a handler's exception is, with None for the event. Raises
        SessionClosedError once the call is over, LocalProtocolError while 1,000 run already.
        """
        self._driver.background.start_soon(func, *args, name=name)

    @property
    def stats(self) -> CallStats:
        """What waits, what was dropped, what was heard: a snapshot of now. From any thread."""
        return call_stats(self._driver)

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
        return self._driver.dropped_media

    @property
    def abandoned_handlers(self) -> int:
        """Sync handlers that ran for over ``Timings.handler`` and were left to their thread."""
        return self._driver.abandoned_handlers
