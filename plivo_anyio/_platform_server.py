"""A simulated Plivo on a port: :class:`PlatformApi` served, its calls led, its callbacks sent.

Plain HTTP is the project's own server; what the account asks for runs in tasks beside it. Nothing
about operations, repeats or signatures is decided here.
"""

from __future__ import annotations

import ipaddress
import secrets
import time
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskGroup, TaskStatus

from plivo_anyio._fetch import NoAnswer, fetch
from plivo_anyio._listening import Address, Where
from plivo_anyio._logging import logger
from plivo_anyio._platform import place_call
from plivo_anyio._routes import RoutesAnswer
from plivo_anyio._server import Server
from plivo_anyio._site import Site
from plivo_anyio._stats import Counters
from plivo_core import Limits, Request, Response, Timings
from plivo_core.events import AgentSpeechCompleted, Prompt, TurnCompleted
from plivo_core.platform import (
    CallbackDue,
    CallDropped,
    CallPlaced,
    Effect,
    PlatformApi,
    PlatformCall,
    PlatformEvent,
    TargetsDialed,
)

__all__ = ["random_ids", "scripted_call", "serve_platform"]

_CALLBACKS = 64  # connections to applications at once; the rest waits


def random_ids(kind: str) -> str:
    """Identifiers as the platform's own look: UUIDs, and nonces of 20 digits (PROTOCOL.md 7.1)."""
    if kind == "nonce":
        return f"{secrets.randbelow(10**20):020}"
    return str(uuid.uuid4())


def scripted_call(placed: CallPlaced) -> PlatformCall:
    """A call that says and does nothing by itself: it lasts until the application hangs up.

    Its audio is in the format that the agent, or who started the stream, asked for.
    """
    return PlatformCall(
        mode=placed.mode,
        call_uuid=placed.call_uuid,
        agent_session_id=placed.session_id or "",
        stream_id=placed.stream_id,
        content_type=placed.content_type,
        sample_rate=placed.sample_rate,
    )


async def serve_platform(
    api: PlatformApi,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    make_call: Callable[[CallPlaced], PlatformCall] = scripted_call,
    on_effect: Callable[[Effect], None] = lambda effect: None,
    allow_remote: bool = False,
    task_status: TaskStatus[Address] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; tells host and port once it listens. Raises OSError if it cannot.

    ``make_call`` scripts each call that is placed; by default calls are silent and last until
    somebody hangs up. ``on_effect`` sees all that the account asks for, TargetsDialed included,
    which nobody else does anything about. Exceptions of either end the server. Applications are
    reached on this machine only, so that a test which names a real address does not call the
    world; ``allow_remote`` lifts that.
    """
    limits = Limits()
    listeners = await Where(host=host, port=port).open(limits.backlog)
    async with anyio.create_task_group() as tasks:
        platform = _Platform(api, tasks, make_call, on_effect, allow_remote)
        tasks.start_soon(platform.keep_time)
        counters, timings = Counters(), Timings()
        answers = _ApiAnswers(platform, timings, counters)
        site = Site({}, answers, timings=timings, counters=counters)
        server = Server(site, limits=limits, timings=timings, drain_timeout=0.0)
        await server.serve(listeners, lambda: task_status.started(listeners[0].address))


class _ApiAnswers(RoutesAnswer):
    """Every path is the account's."""

    def __init__(self, platform: _Platform, timings: Timings, counters: Counters) -> None:
        super().__init__({}, timeout=timings.handler, counters=counters)
        self._platform = platform

    async def answer(self, path: str, request: Request, peer: str | None = None) -> Response:
        return self._platform.answer(request)


class _Platform:
    """Passes on what the account wants done and what became of it."""

    def __init__(
        self,
        api: PlatformApi,
        tasks: TaskGroup,
        make_call: Callable[[CallPlaced], PlatformCall],
        on_effect: Callable[[Effect], None],
        allow_remote: bool,
    ) -> None:
        self._allow_remote = allow_remote
        self._api = api
        self._tasks = tasks
        self._make_call = make_call
        self._on_effect = on_effect
        self._changed = anyio.Event()
        self._hang_ups: dict[str, anyio.Event] = {}
        self._slots = anyio.CapacityLimiter(_CALLBACKS)

    def answer(self, request: Request) -> Response:
        response = self._api.handle(request, now=anyio.current_time(), wall_now=time.time())
        self.drain()
        return response

    async def keep_time(self) -> None:
        """What falls due by itself."""
        while True:
            due = self._api.deadline()
            with anyio.CancelScope(deadline=float("inf") if due is None else due):
                await self._changed.wait()
            self._changed = anyio.Event()
            self._api.handle_timeout(anyio.current_time())
            self.drain(wake=False)

    def drain(self, *, wake: bool = True) -> None:
        while (effect := self._api.next_effect()) is not None:
            self._on_effect(effect)
            if isinstance(effect, CallPlaced):
                self._hang_ups[effect.connection_id] = anyio.Event()
                self._tasks.start_soon(self._lead, effect)
            elif isinstance(effect, CallDropped):
                if (hang_up := self._hang_ups.get(effect.connection_id)) is not None:
                    hang_up.set()
            elif not isinstance(effect, TargetsDialed):
                self._tasks.start_soon(self._call_back, effect)
        if wake:
            self._changed.set()

    # -- calls ---------------------------------------------------------------------------------

    async def _lead(self, placed: CallPlaced) -> None:
        """One connection of a call, from the upgrade to its end."""
        notes = _Notes(lambda: self._began(placed.connection_id))
        call = self._make_call(placed)
        cause = None
        try:
            parts = urlsplit(placed.url)
            self._require_reachable(placed.url)
            secure = parts.scheme.lower() == "wss"
            target = placed.url[placed.url.index("//") + 2 + len(parts.netloc) :].partition("#")[0]
            await place_call(
                call,
                parts.hostname or "",
                parts.port or (443 if secure else 80),
                target=target if target.startswith("/") else f"/{target}",
                headers=placed.headers,
                tls=secure,
                hang_up=self._hang_ups[placed.connection_id],
                on_sent=notes.sent,
            )
            if not notes.began:
                cause = "Destination Out Of Service"
        except Exception as error:  # noqa: BLE001 - one call's failure is not the platform's end
            logger.warning("call %s failed: %r", placed.call_uuid, error)
            cause = "Network Error"
        del self._hang_ups[placed.connection_id]
        self._api.call_ended(
            placed.connection_id,
            now=anyio.current_time(),
            cause=cause,
            turn_count=notes.turns,
            transcript=notes.transcript,
        )
        self.drain()

    def _began(self, connection_id: str) -> None:
        self._api.call_began(connection_id, now=anyio.current_time())
        self.drain()

    # -- callbacks -----------------------------------------------------------------------------

    async def _call_back(self, due: CallbackDue) -> None:
        async with self._slots:
            try:
                self._require_reachable(due.url)
                fetched = await fetch(
                    due.method,
                    due.url,
                    headers=due.headers,
                    body=due.body,
                    connect_timeout=due.connect_timeout,
                    read_timeout=due.read_timeout,
                )
            except NoAnswer as error:
                logger.info("callback %s: %s", due.kind, error)
                now = anyio.current_time()
                self._api.callback_lost(due.id, connected=error.connected, now=now)
            else:
                now = anyio.current_time()
                self._api.callback_answered(due.id, fetched.status, fetched.body, now=now)
        self.drain()

    def _require_reachable(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if not self._allow_remote and not _is_loopback(host):
            raise NoAnswer(f"{host} is not on this machine: allow_remote", connected=False)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Notes:
    """What a call's events say about it, for its session: PROTOCOL.md fixes no shape for that."""

    def __init__(self, on_began: Callable[[], None]) -> None:
        self._on_began = on_began
        self.began = False
        self.turns = 0
        self.transcript: list[dict[str, object]] = []

    def sent(self, event: PlatformEvent) -> None:
        if not self.began:
            self.began = True
            self._on_began()
        if isinstance(event, TurnCompleted):
            self.turns += 1
        elif isinstance(event, Prompt) and event.is_final:
            self.transcript.append({"role": "user", "content": event.text})
        elif isinstance(event, AgentSpeechCompleted):
            self.transcript.append({"role": "assistant", "content": event.transcript})
