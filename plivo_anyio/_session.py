"""What a handler gets: the session vocabulary, who is calling, and a place for the app's data."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from plivo_anyio._playback import Player, Spoken
from plivo_anyio._sources import AudioSource, BytesLike
from plivo_anyio._stats import CallStats, call_stats
from plivo_core import (
    Command,
    Ended,
    Fate,
    Interrupted,
    MediaFormat,
    PlaybackLedger,
    Request,
    SessionCommands,
    State,
)
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

    __slots__ = ("_driver", "_speaks", "data", "ended", "request")

    def __init__(self, driver: Driver, request: Request) -> None:
        self._driver = driver
        self._speaks: Player | None = None
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

    # -- audio to the caller --------------------------------------------------------------------

    @property
    def _player(self) -> Player:
        if self._speaks is None:
            self._speaks = Player(self._driver)
        return self._speaks

    def interrupt(self) -> Interrupted:
        """Silence our audio, at once and from any thread; what the caller had heard by then.

        Drops what is unsent and has the platform clear what it holds. Every ``send_audio`` and
        ``say_audio`` of the call ends. Raises SessionClosedError once the call is over. See
        :meth:`plivo_core.Session.interrupt`.
        """
        return self._driver.interrupt()

    async def send_audio(self, chunk: BytesLike, format: AudioFormat | None = None) -> bool:
        """Queue audio in the stream's own encoding as soon as there is room; True: all of it.

        ``chunk`` is bytes-like, whole samples of any number: sent in messages of at most 12 KiB.
        There is room within ``Limits.audio_buffer`` and ``Limits.audio_buffer_ms``, and no further
        than ``Limits.playback_ahead_ms`` ahead of the caller's ear. False: an interruption came
        first, and the rest was dropped. Senders take turns, in order of their calls. Cancelled,
        what was queued stays.

        Raises AudioError for half a sample, for a ``format`` (:mod:`plivo_core.audio`) that is not
        the stream's, and for a stream of unknown format; TypeError for what is not bytes-like;
        LocalProtocolError before ``start``; SessionClosedError when the call ends. All of these
        but the last: nothing was sent. For the loop's own thread; handlers in threads use
        :meth:`send_media`.
        """
        return await self._player.send_audio(chunk, format)

    async def say_audio(
        self, source: AudioSource, format: AudioFormat | None = None, *, lead_ms: float = 200
    ) -> Spoken:
        """Say audio at the pace it is heard, and wait until it was: what the caller heard of it.

        ``source`` is bytes-like, or a plain or async iterable of bytes-like chunks of any size, in
        ``format`` (None: the stream's), which is converted to the stream's. It leaves in frames
        of 20 ms, the last one padded, so that at most ``lead_ms`` milliseconds are unheard: what
        an interruption has to clear. Then a checkpoint of a name like ``say-1`` follows, and its
        fate is awaited until 5 s after all should have been heard.

        An interruption by anybody ends it: :meth:`interrupt`, ``clear_audio``, ``clearedAudio``,
        a second ``start``. So does cancelling, which interrupts if some of this is unheard. Who
        speaks meanwhile waits for its turn. The source is closed (``aclose`` or ``close``) however
        it ends, within a second; what it raises is raised here, and what was sent plays on. A
        plain iterable must not block: it runs on the event loop, between two frames.

        Raises what :meth:`send_audio` does, also for half a sample at the end; TypeError for a
        source or chunk of another type; ConfigError for a ``lead_ms`` that is negative.
        """
        return await self._player.say_audio(source, format, lead_ms)

    async def play_file(self, path: str | os.PathLike[str], *, lead_ms: float = 200) -> Spoken:
        """Say a WAV file as :meth:`say_audio` does; read and converted in threads, a second a time.

        16-bit PCM at 8, 16 or 24 kHz, or mu-law or A-law at 8 kHz, in one channel or in two, of
        which the mean is said. Raises OSError (FileNotFoundError, ...) for the file, AudioError
        for what is no such WAV: before anything is sent, unless the damage is further behind.
        """
        return await self._player.play_file(path, lead_ms)

    async def wait_played(self, name: str) -> Fate:
        """Wait for a checkpoint: PLAYED, CLEARED, or LOST when the stream or the call ends first.

        Raises LocalProtocolError if no checkpoint of this ``name`` was sent (or so long ago that it
        is forgotten). Cancelled, it changes nothing. The bound, if one is wanted, is yours.
        """
        return await self._player.wait_played(name)

    async def hangup_after_playback(self, timeout: float | None = None) -> Fate | None:
        """Let the caller hear what is queued, then hang up, once: what became of that audio.

        Waits for whoever speaks or waits to, then for a checkpoint behind it all: at most
        ``timeout`` seconds altogether, or (None) until 5 s after all should have been heard. An
        agent's call gets ``hangup``, a plain stream is closed.

        Gives PLAYED; CLEARED after an interruption; LOST when the caller hung up first, or before;
        PENDING when the time was up, which for a ``timeout`` of 0 it is at once; None when this
        stream had no audio at all, without waiting. Cancelled, it does not hang up. Raises
        ConfigError for a negative ``timeout``.
        """
        return await self._player.hangup_after_playback(timeout)

    # -- waiting -------------------------------------------------------------------------------

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
