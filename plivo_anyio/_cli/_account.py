"""The simulated account as commands use it: what it does is told, its calls are shown."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from plivo_anyio._cli._output import Output
from plivo_anyio._cli._transcript import Transcript
from plivo_anyio._platform_server import random_ids
from plivo_core import Command, InvalidMessage, Request, Response
from plivo_core.errors import mask_path
from plivo_core.platform import (
    CallbackDue,
    CallDropped,
    CallPlaced,
    Effect,
    PlatformApi,
    PlatformCall,
    PlatformEvent,
    RestFault,
    Scenario,
)

__all__ = ["ShownCall", "ToldAccount", "play_scenario_at", "random_credentials"]


def random_credentials() -> tuple[str, str]:
    """An auth id and a token that look like Plivo's, and open nothing."""
    return f"MA{secrets.token_hex(9).upper()}", secrets.token_hex(20)


class ToldAccount(PlatformApi):
    """A simulated account that prints a line for each request, call and callback."""

    def __init__(
        self, auth_id: str, auth_token: str, output: Output, *, faults: Iterable[RestFault] = ()
    ) -> None:
        super().__init__(auth_id, auth_token, ids=random_ids, faults=faults)
        self._output = output
        self._due: dict[str, CallbackDue] = {}
        self.requests = 0
        self.failed = 0
        """Callbacks without an answer, or with another than 2xx."""
        self.callbacks = 0
        self._placed: dict[str, str] = {}  # calls, by connection
        self._unanswered: set[str] = set()  # connections

    @property
    def calls(self) -> int:
        """How many were placed, each once however often it was tried."""
        return len(set(self._placed.values()))

    @property
    def unanswered(self) -> int:
        """How many of them some agent did not take, unless they were hung up before."""
        return len({self._placed[connection] for connection in self._unanswered})

    def told(self, effect: Effect) -> None:
        """``on_effect`` of serve_platform."""
        if isinstance(effect, CallPlaced):
            self._placed[effect.connection_id] = effect.call_uuid
            self._unanswered.add(effect.connection_id)
            again = {"attempt": effect.attempt} if effect.attempt > 1 else {}
            self._line("call", "placed", call_uuid=effect.call_uuid, mode=effect.mode, **again)
        elif isinstance(effect, CallDropped):
            self._unanswered.discard(effect.connection_id)
            self._line("call", "dropped", call_uuid=effect.call_uuid)
        elif isinstance(effect, CallbackDue):
            self._due[effect.id] = effect

    def handle(self, request: Request, *, now: float, wall_now: float) -> Response:
        response = super().handle(request, now=now, wall_now=wall_now)
        self.requests += 1
        path = mask_path(request.path).removeprefix("/v1/Account/").partition("/")
        self._line("rest", f"{request.method} /{path[2] or path[0]}", status=response.status)
        return response

    def call_began(self, connection_id: str, *, now: float) -> None:
        self._unanswered.discard(connection_id)
        self._line("call", "answered")
        super().call_began(connection_id, now=now)

    def call_ended(self, connection_id: str, *, now: float, **facts: Any) -> None:
        self._line("call", "ended", cause=facts.get("cause") or "Normal Hangup")
        super().call_ended(connection_id, now=now, **facts)

    def callback_answered(self, id: str, status: int, body: bytes = b"", *, now: float) -> None:
        self._callback(id, status=status)
        self.failed += not 200 <= status < 300
        super().callback_answered(id, status, body, now=now)

    def callback_lost(self, id: str, *, connected: bool = True, now: float) -> None:
        self._callback(id, lost="no answer" if connected else "no connection")
        self.failed += 1
        super().callback_lost(id, connected=connected, now=now)

    def _callback(self, id: str, **facts: object) -> None:
        self.callbacks += 1
        due = self._due.pop(id, None)
        if due is not None:
            path = mask_path(due.url.partition("?")[0])
            self._line("callback", f"{due.kind} {due.method} {path}", **facts)

    def _line(self, kind: str, what: str, **facts: object) -> None:
        self._output.json({kind: {"what": what, **facts}})
        more = " ".join(f"{name}={value}" for name, value in facts.items())
        self._output.message(f"{kind:9} {what}  {more}".rstrip())


class ShownCall(PlatformCall):
    """A call whose messages a transcript shows as they pass."""

    transcript: Transcript | None = None

    def next_event(self) -> PlatformEvent | None:
        event = super().next_event()
        if event is not None and self.transcript is not None:
            self.transcript.sent(event)
        return event

    def receive_command(self, command: Command | InvalidMessage, *, now: float) -> None:
        if self.transcript is not None:
            self.transcript.received(command)
        super().receive_command(command, now=now)


def play_scenario_at(
    scenario: Scenario | None, transcript: Transcript, calls: dict[str, PlatformCall]
) -> Callable[[CallPlaced], PlatformCall]:
    """``make_call`` of serve_platform; keeps in ``calls`` the last attempt for each connection.

    The audio is in the format that was asked for, with a scenario in its own.
    """

    def make(placed: CallPlaced) -> PlatformCall:
        format = placed if scenario is None else scenario
        call = ShownCall(
            () if scenario is None else scenario.steps,
            mode=placed.mode,
            settings=None if scenario is None else scenario.settings,
            call_uuid=placed.call_uuid,
            agent_session_id=placed.session_id or "",
            stream_id=placed.stream_id,
            content_type=format.content_type,
            sample_rate=format.sample_rate,
            seconds_per_character=0.06 if scenario is None else scenario.seconds_per_character,
        )
        call.transcript = transcript
        calls[placed.connection_id] = call
        return call

    return make
