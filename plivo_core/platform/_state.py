"""The account behind :class:`PlatformApi`: shelves, timers, and the callbacks it owes.

Operations change it through these methods; what must happen outside is queued as effects.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlencode

from plivo_core.platform._answering import Refused
from plivo_core.platform._effects import CallbackDue, Effect
from plivo_core.platform._store import (
    Agent,
    Call,
    History,
    Hook,
    Message,
    Number,
    PlatformLimits,
    PlatformTimings,
    Session,
    Shelf,
)
from plivo_core.rest import VERSION
from plivo_core.webhooks import sign_v3
from plivo_core.wire import Headers

__all__ = ["Ids", "State", "Wanted"]

Ids: TypeAlias = Callable[[str], str]
"""A new identifier for a kind of thing: api, agent, call, callback, media, message, nonce, request,
session or stream. A nonce is 1 to 64 digits (Plivo's are 20), everything else any text."""


@dataclass(slots=True)
class Wanted:
    """A callback on its way; ``done`` hears of its last answer."""

    kind: str
    hook: Hook
    account: str
    params: Mapping[str, object]
    attempt: int = 0
    done: Callable[[int | None, bytes], None] | None = None


class State:
    """One simulated account and its subaccounts."""

    def __init__(
        self,
        tokens: Mapping[str, str],
        main: str,
        ids: Ids,
        limits: PlatformLimits,
        timings: PlatformTimings,
    ) -> None:
        self.tokens = tokens
        self.main = main
        self.ids = ids
        self.limits = limits
        self.timings = timings
        self.agents: Shelf[Agent] = Shelf(limits.max_agents, "agents")
        self.numbers: Shelf[Number] = Shelf(limits.max_numbers, "numbers")
        self.calls: History[Call] = History(limits.max_calls, "calls", lambda call: call.over)
        self.sessions: History[Session] = History(
            limits.max_calls, "sessions", lambda session: session.record["state"] == "ended"
        )
        self.messages: History[Message] = History(
            limits.max_messages, "messages", lambda message: True
        )
        self.connections: dict[str, Call] = {}  # of calls that are not over
        self.effects: deque[Effect] = deque()
        self.now = 0.0
        self._wall = 0.0
        self._wall_at = 0.0
        self._waiting: dict[str, Wanted] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = 0

    # -- time ----------------------------------------------------------------------------------

    def at_time(self, now: float, wall_now: float | None = None) -> None:
        """An input came; without ``wall_now`` the time of day follows the last one given."""
        self.now = now
        if wall_now is not None:
            self._wall, self._wall_at = wall_now, now

    @property
    def wall(self) -> float:
        return self._wall + (self.now - self._wall_at)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self._counter += 1
        heapq.heappush(self._timers, (self.now + seconds, self._counter, action))

    def deadline(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    def run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2]()

    # -- effects -------------------------------------------------------------------------------

    def require_room(self) -> None:
        """Refuse while the driver does not keep up."""
        most = max(len(self.effects), len(self._waiting), len(self._timers))
        if most >= self.limits.max_effects:
            raise Refused(503, "the simulator's driver does not drain its effects")

    def call_back(
        self,
        kind: str,
        hook: Hook,
        account: str,
        params: Mapping[str, object],
        done: Callable[[int | None, bytes], None] | None = None,
    ) -> None:
        """Owe somebody a callback."""
        self._attempt(self.ids("callback"), Wanted(kind, hook, account, params, done=done))

    def callback_over(self, id: str, status: int | None, body: bytes, failure: str) -> None:
        """What came of a callback: its status, or ``ct`` or ``rt`` for what was not in time."""
        wanted = self._waiting.pop(id, None)
        if wanted is None:
            return
        options = wanted.hook.options
        repeats = 1 if options.repeats is None else options.repeats
        repeat_on = options.repeat_on or ("ct", "rt")
        if status is not None and status >= 400:
            failure = f"{status // 100}xx"
        failed = failure != ""
        if failed and wanted.attempt <= repeats and (failure in repeat_on or "all" in repeat_on):
            self._attempt(id, wanted)
        elif wanted.done is not None:
            wanted.done(status, body)

    def _attempt(self, id: str, wanted: Wanted) -> None:
        wanted.attempt += 1
        hook = wanted.hook
        url, body, content_type = hook.url, b"", ""
        if hook.method == "GET":
            text = urlencode(wanted.params)
            url += f"{'&' if '?' in url else '?'}{text}"
        elif hook.as_json:
            body, content_type = json.dumps(wanted.params).encode(), "application/json"
        else:
            body = urlencode(wanted.params).encode()
            content_type = "application/x-www-form-urlencoded"
        signed = None if hook.method == "GET" else wanted.params
        headers = self.signatures(hook.method, url, wanted.account, signed)
        if content_type:
            headers += (("content-type", content_type),)
        options = hook.options
        self._waiting[id] = wanted
        self.effects.append(
            CallbackDue(
                id=id,
                kind=wanted.kind,
                method=hook.method,
                url=url,
                headers=(*headers, ("user-agent", f"plivo-sansio-simulator/{VERSION}")),
                body=body,
                params=wanted.params,
                connect_timeout=(options.connect_ms or 2000) / 1000,
                read_timeout=(options.read_ms or 40_000) / 1000,
                attempt=wanted.attempt,
            )
        )

    def signatures(
        self, method: str, url: str, account: str, params: Mapping[str, object] | None
    ) -> Headers:
        """The V3 headers of PROTOCOL.md 7.1: with the account's token and with the main one's."""
        nonce = self.ids("nonce")
        return (
            ("x-plivo-signature-v3", sign_v3(method, url, nonce, self.tokens[account], params)),
            (
                "x-plivo-signature-ma-v3",
                sign_v3(method, url, nonce, self.tokens[self.main], params),
            ),
            ("x-plivo-signature-v3-nonce", nonce),
        )
