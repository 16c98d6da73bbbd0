"""A simulated account asked by hand, on a clock made of numbers."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from plivo_core import Request, Response
from plivo_core.platform import (
    ApiFault as Fault,
)
from plivo_core.platform import (
    CallbackDue,
    CallPlaced,
    Effect,
    PlatformApi,
    PlatformLimits,
    RestFault,
    counting_ids,
)

AUTH_ID = "MAEXAMPLE0000000000A"
SUB_ID = "SAEXAMPLE0000000000A"
TOKENS = {AUTH_ID: "secret-token", SUB_ID: "sub-token"}
NUMBER = "+14155550199"
WALL = 1_790_000_000.0  # 2026-09-21T14:13:20Z

E = TypeVar("E", bound=Effect)


@dataclass
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> str:
        return str(self.body["error"])


def basic(user: str = AUTH_ID, token: str | None = None) -> tuple[tuple[str, str], ...]:
    given = TOKENS.get(user, "") if token is None else token
    return (("authorization", "Basic " + b64encode(f"{user}:{given}".encode()).decode()),)


@dataclass
class Account:
    """``ask`` takes paths behind ``/v1/Account/{auth_id}/``; each answer has an api_id."""

    faults: tuple[Fault | RestFault, ...] = ()
    limits: PlatformLimits = field(default_factory=PlatformLimits)
    ids: Any = None
    now: float = 100.0

    def __post_init__(self) -> None:
        self.ids = self.ids or counting_ids()
        self.api = PlatformApi(
            AUTH_ID,
            TOKENS[AUTH_ID],
            ids=self.ids,
            subaccounts={SUB_ID: TOKENS[SUB_ID]},
            limits=self.limits,
            faults=self.faults,
        )

    def raw(self, method: str, target: str, body: bytes = b"", headers: Any = None) -> Response:
        chosen = basic() if headers is None else headers
        request = Request(method=method, target=target, headers=chosen, body=body)
        return self.api.handle(request, now=self.now, wall_now=WALL + self.now)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = AUTH_ID,
        account: str | None = None,
        **query: object,
    ) -> Answer:
        target = f"/v1/Account/{account or user}/{path}"
        if query:
            target += "?" + urlencode(query)
        raw = b"" if body is None else json.dumps(body).encode()
        response = self.raw(method, target, raw, basic(user))
        parsed = json.loads(response.body) if response.body else None
        if parsed is not None and response.status < 400:
            assert parsed["api_id"]
        return Answer(response.status, parsed, dict(response.headers))

    def get(self, path: str, **query: object) -> Answer:
        return self.ask("GET", path, **query)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.ask("POST", path, body)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path)

    # -- arrangements --------------------------------------------------------------------------

    def an_agent(self, **fields: Any) -> str:
        body = {"agent_name": "Support", "websocket_url": "wss://agent.example.com/ws", **fields}
        answer = self.post("Agent", body)
        assert answer.status == 201, answer
        return str(answer.body["agent_uuid"])

    def a_number(self, number: str = NUMBER) -> str:
        assert self.post(f"PhoneNumber/{number}/").status == 201
        return number

    def a_call(self, agent: str | None = None, **fields: Any) -> str:
        body = {"agent_id": agent or self.an_agent(), "from": "+1", "to": ["+2"], **fields}
        answer = self.post("AgentCall", body)
        assert answer.status == 201, answer
        return str(answer.body["call_uuid"])

    def a_message(self, **fields: Any) -> str:
        body = {"dst": "+14155550101", "src": "+14155550100", "text": "hi", **fields}
        answer = self.post("Message/", body)
        assert answer.status == 202, answer
        return str(answer.body["message_uuid"][0])

    # -- effects -------------------------------------------------------------------------------

    def effects(self) -> list[Effect]:
        found: list[Effect] = []
        while (effect := self.api.next_effect()) is not None:
            found.append(effect)
        return found

    def of(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects() if isinstance(effect, kind)]

    def placed(self) -> CallPlaced:
        (found,) = self.of(CallPlaced)
        return found

    def callbacks(self) -> list[CallbackDue]:
        return self.of(CallbackDue)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.api.handle_timeout(self.now)

    def began(self, placed: CallPlaced) -> None:
        self.api.call_began(placed.connection_id, now=self.now)

    def ended(self, placed: CallPlaced, **told: Any) -> None:
        """One that came up."""
        self.began(placed)
        self.unreached(placed, **told)

    def unreached(self, placed: CallPlaced, **told: Any) -> None:
        """One that did not."""
        self.api.call_ended(placed.connection_id, now=self.now, **told)
