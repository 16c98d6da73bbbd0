"""What one listening port serves: voice apps by path, plain HTTP routes, health and statistics.

The one question a driver asks is :meth:`Site.answer`; it knows neither paths nor draining. A site
knows neither sockets nor drivers, so it serves behind any server.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import anyio

from plivo_anyio._barrier import stopped
from plivo_anyio._logging import logger
from plivo_anyio._registry import Registry
from plivo_anyio._routes import RoutesAnswer, plain, show_path
from plivo_anyio._stats import Counters
from plivo_core import Request, RequestReceived, Response, Timings
from plivo_core.wire import Headers

if TYPE_CHECKING:
    from plivo_anyio._session import CallSession

__all__ = ["Accept", "Answers", "Authorize", "Site", "Voice"]

Authorize = Callable[[Request], Awaitable[bool]]
Admit = Callable[[Request, "str | None"], Awaitable[bool]]
"""Whether to answer 101 to this upgrade, from the peer of that address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """Take the call: 101 with ``headers``, its events to the handlers of ``registry``."""

    registry: Registry
    headers: Headers = ()


Answers = Callable[[RequestReceived, "str | None"], Awaitable["Response | Accept"]]


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice app as a site sees it."""

    registry: Registry
    admit: Admit


class Site:
    """Answers every request of a server, and knows which of them are not over yet.

    ``voices`` are the apps by path; the one under None takes every path that no other takes.
    """

    def __init__(
        self,
        voices: Mapping[str | None, Voice],
        routes: RoutesAnswer,
        *,
        timings: Timings,
        counters: Counters,
        health: str | None = None,
        stats: str | None = None,
    ) -> None:
        self._voices = voices
        self._routes = routes
        self._timings = timings
        self._health = health
        self._stats = stats
        self.counters = counters
        self.draining = False
        self._unfinished = 0  # requests being answered, and calls
        self._idle: anyio.Event | None = None

    async def answer(self, event: RequestReceived, peer: str | None = None) -> Response | Accept:
        """What to do with a request. Raises nothing but cancellation; takes a bounded time.

        ``peer`` is the address at the other end of the socket, if it has one.
        """
        return await self.answer_at(event.request.path, event, peer)

    async def answer_at(
        self, path: str, event: RequestReceived, peer: str | None
    ) -> Response | Accept:
        """The same where ``path`` is what is compared: a site mounted below another path."""
        if event.upgrade:
            voice = self._voices.get(path) or self._voices.get(None)
            return await self.answer_call(voice, event, peer)
        self.counters.requests += 1
        return await self._counted(self._answer_plain(path, event.request, peer))

    async def answer_call(
        self, voice: Voice | None, event: RequestReceived, peer: str | None
    ) -> Response | Accept:
        """Answer an upgrade that is for ``voice``, whatever its path."""
        verdict = await self._counted(self._answer_upgrade(voice, event.request, peer))
        if isinstance(verdict, Response):
            self.counters.refused += 1
        return verdict

    def began(self, session: CallSession) -> None:
        """A call was accepted. Every driver says so, and, once, when the call has :meth:`ended`."""
        self._unfinished += 1
        self.counters.began(session)

    def ended(self, session: CallSession) -> None:
        """The call is over, its ``on_disconnect`` included."""
        self.counters.ended(session)
        self._finished()

    async def wait_idle(self) -> None:
        """Return when no call and no answer is under way."""
        while self._unfinished:
            self._idle = anyio.Event()
            await self._idle.wait()

    # -- inside --------------------------------------------------------------------------------

    async def _counted(self, answer: Awaitable[Response | Accept]) -> Response | Accept:
        self._unfinished += 1
        try:
            return await answer
        finally:
            self._finished()

    def _finished(self) -> None:
        self._unfinished -= 1
        if not self._unfinished and self._idle is not None:
            self._idle.set()

    async def _answer_upgrade(
        self, voice: Voice | None, request: Request, peer: str | None
    ) -> Response | Accept:
        if (refusal := self._refusal()) is not None:
            return refusal
        if voice is None:
            return plain(404, "no voice app serves this path")
        allowed = False
        with anyio.move_on_after(self._timings.handshake):
            allowed = await _allows(voice.admit, request, peer)
        if not allowed:
            return Response(status=403)
        # A drain may have begun while authorize ran.
        return self._refusal() or Accept(registry=voice.registry)

    async def _answer_plain(self, path: str, request: Request, peer: str | None) -> Response:
        if path in (self._health, self._stats):
            return self._report(path, request)
        if (refusal := self._refusal()) is not None:
            return refusal
        answer = await self._routes.answer(path, request, peer)
        if answer is not None:
            return answer
        if path in self._voices or None in self._voices:
            return plain(426, "this address speaks WebSocket", ("upgrade", "websocket"))
        return plain(404, "not found")

    def _report(self, path: str, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return plain(405, "method not allowed", ("allow", "GET, HEAD"))
        if path == self._health:
            facts: dict[str, object] = {"status": "draining" if self.draining else "ok"}
        else:
            facts = asdict(self.counters.snapshot())
        return Response(
            status=503 if self.draining else 200,
            headers=(("content-type", "application/json"), ("cache-control", "no-store")),
            body=json.dumps(facts, separators=(",", ":")).encode(),
        )

    def _refusal(self) -> Response | None:
        return plain(503, "shutting down") if self.draining else None


async def _allows(admit: Admit, request: Request, peer: str | None) -> bool:
    try:
        return await admit(request, peer)
    except BaseException as error:
        if (told := stopped(error)) is None:
            raise
        logger.error(
            "authorize failed; the upgrade of %s is refused", show_path(request), exc_info=told
        )
        return False
