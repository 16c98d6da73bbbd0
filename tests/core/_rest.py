"""Run operations of the core against scripted answers, with a clock made of numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from plivo_core.rest import (
    Account,
    Cause,
    Done,
    Failed,
    Operation,
    Response,
    RetryPolicy,
    Send,
    Sent,
    SleepUntil,
    Step,
)

AUTH_ID = "MAEXAMPLE0000000000A"
AUTH_TOKEN = "secret-token"
VECTORS = Path(__file__).parents[1] / "vectors"
T = TypeVar("T")

# Vector names of operations, where ours differ.
RESOURCES = {
    "agents": "agent.agents",
    "calls": "agent.calls",
    "agent_numbers": "agent.numbers",
    "sessions": "agent.sessions",
    "account_sessions": "agent.sessions",
    "lookup": "numbers.lookup",
}


def vectors(file: str, group: str = "vectors") -> list[dict[str, Any]]:
    chosen: list[dict[str, Any]] = json.loads((VECTORS / file).read_text(encoding="utf-8"))[group]
    return chosen


def an_account(**options: Any) -> Account:
    return Account(**{"auth_id": AUTH_ID, "auth_token": AUTH_TOKEN, **options})


def call(account: Account, op: str, args: dict[str, Any]) -> Operation[Any]:
    """The operation that a vector names."""
    resource, _, method = op.partition(".")
    node: Any = account
    for name in RESOURCES.get(resource, resource).split("."):
        node = getattr(node, name)
    operation: Operation[Any] = getattr(node, method)(**args)
    return operation


def an_operation(method: str = "GET", **options: Any) -> Operation[Any]:
    """Some operation with this HTTP method; HEAD, OPTIONS and PUT are built by hand."""
    account = an_account(**options)
    if method == "GET":
        return account.messages.get("m1")
    if method == "POST":
        return account.messages.create(dst="+14155550101", src="+14155550100", text="hi")
    if method == "PATCH":
        return account.agent.agents.update("a1", agent_name="x")
    if method == "DELETE":
        return account.numbers.delete("+14155550199")
    return by_hand(method, account)


def by_hand(method: str, account: Account) -> Operation[Any]:
    """What no resource builds."""
    api = account.messages._api  # pyright: ignore[reportPrivateUsage]
    return api.operation(method, "/Thing", lambda raw: raw)


def answers(status: int, body: object = None, **headers: str) -> Response:
    text = b"" if body is None else json.dumps(body).encode()
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(status, pairs, text)


Lost = tuple[Cause, Sent]


class Run:
    """What happened: requests sent, waits taken, and the last step."""

    def __init__(self) -> None:
        self.sends = 0
        self.waits: list[float] = []
        self.last: Any = None

    @property
    def error(self) -> Any:
        assert isinstance(self.last, Failed), self.last
        return self.last.error

    @property
    def value(self) -> Any:
        assert isinstance(self.last, Done), self.last
        return self.last.value


def run(
    op: Operation[T],
    script: Iterable[Response | Lost],
    *,
    retry: RetryPolicy | None = None,
    jitter: Any = None,
    wall_now: float = 0.0,
) -> Run:
    """Drive ``op``; the n-th request gets the n-th answer. Whole seconds keep the waits exact."""
    result, now, replies = Run(), 0.0, iter(script)
    step: Step[T] = op.begin(now=now, retry=retry, jitter=jitter)
    while not isinstance(step, (Done, Failed)):
        if isinstance(step, Send):
            result.sends += 1
            assert step.request is op.request
            reply = next(replies)
            if isinstance(reply, Response):
                step = op.responded(reply, now=now, wall_now=wall_now)
            else:
                step = op.lost(*reply, now=now)
        else:
            assert isinstance(step, SleepUntil)
            result.waits.append(step.at - now)
            now = step.at
            step = op.wake(now=now)
    assert result.sends == op.attempts
    result.last = step
    return result
