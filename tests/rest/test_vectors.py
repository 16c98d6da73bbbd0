"""Every vector of rest.json and errors.json over a real socket: the core by hand, each client."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from plivo_core import ConfigError, errors
from plivo_core.rest import Answer as RestAnswer
from plivo_core.rest import Page, RetryPolicy
from plivo_httpx_adapter import AsyncClient, Client
from tests.rest._drivers import AsyncDriver, CoreDriver, SyncDriver
from tests.rest._server import Answer, Server

AnyDriver = CoreDriver | SyncDriver | AsyncDriver

VECTORS = Path(__file__).parents[1] / "vectors"
REST = json.loads((VECTORS / "rest.json").read_text("utf-8"))
ERRORS = json.loads((VECTORS / "errors.json").read_text("utf-8"))

RESOURCES = {
    "agents": "agent.agents",
    "calls": "agent.calls",
    "agent_numbers": "agent.numbers",
    "sessions": "agent.sessions",
    "account_sessions": "agent.sessions",
    "messages": "messages",
    "numbers": "numbers",
    "lookup": "numbers.lookup",
}
ONCE = RetryPolicy(max_retries=0)
EMPTY = Answer(200, {})


def each(vectors: list[dict[str, Any]]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("vector", vectors, ids=[v["id"] for v in vectors])


def method(client: Any, op: str) -> Callable[..., Any]:
    """``messages.create`` on a client or account, by the vectors' names."""
    resource, name = op.split(".")
    path = f"{RESOURCES[resource]}.{name}"
    found: Callable[..., Any] = reduce(getattr, path.split("."), client)
    return found


def raw(value: Any) -> Any:
    if value is None or isinstance(value, Mapping):
        return value
    assert isinstance(value, (RestAnswer, Page))
    return value.raw


@each(REST["vectors"])
def test_a_call_sends_the_request_and_returns_the_answer(
    any_driver: AnyDriver, vector: dict[str, Any]
) -> None:
    with Server() as server, Server() as lookup:
        options = {"auth_id": vector["auth_id"], "lookup_url": lookup.url}
        client = any_driver.client(server.url, retry=ONCE, **options)
        call = method(client, vector["op"])
        if "expect_error" in vector:
            error = {"ValueError": ValueError, "TypeError": TypeError}[vector["expect_error"]]
            with pytest.raises(error):
                any_driver.run(lambda: call(**vector["args"]))
            assert server.requests == lookup.requests == []
            return
        answer = vector.get("response", {"status": 200, "body": {}})
        for service in (server, lookup):
            service.will(Answer(answer["status"], answer.get("text", answer.get("body"))))
        result = any_driver.run(lambda: call(**vector["args"]))
        expected = vector["request"]
        asked, other = (server, lookup) if expected["service"] == "api" else (lookup, server)
        assert other.requests == []
        (request,) = asked.requests
        assert (request.method, request.path) == (expected["method"], expected["path"])
        assert request.query == expected["query"]
        assert request.json == expected["body"]
        if "result" in vector:
            # Where the vectors have null for an empty body, an operation that is typed gives {}.
            assert raw(result) == vector["result"] or (vector["result"] is None and not raw(result))


@each(REST["headers"])
def test_headers_and_addresses(any_driver: AnyDriver, vector: dict[str, Any]) -> None:
    with Server(EMPTY) as server:
        options = {"auth_id": vector.get("auth_id", "MAEXAMPLE0000000000A")}
        if "auth_token" in vector:
            options["auth_token"] = vector["auth_token"]
        given = vector.get("base_url", server.url)
        _, _, host_and_path = given.partition("://")
        base_url = server.url + host_and_path[host_and_path.find("/") :] * ("/" in host_and_path)
        client = any_driver.client(base_url, **options)
        any_driver.run(lambda: method(client, vector["op"])(**vector["args"]))
        for name, value in vector.get("expect_headers", {}).items():
            assert server.last.headers[name] == value
        name, _, version = server.last.headers["user-agent"].partition("/")
        assert name == "plivo-sansio"
        assert version
        if "expect_url" in vector:
            expected = vector["expect_url"].partition("://")[2]
            assert server.last.target == expected[expected.index("/") :]


@each(REST["credentials"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_credentials(
    kind: type[Any], vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from plivo_core.rest import Account

    for name, value in vector["env"].items():
        monkeypatch.setenv(name, value)
    if "expect_error" in vector:
        with pytest.raises(ConfigError) as caught:
            kind(**vector["args"])
        assert isinstance(caught.value, ValueError)
        missing = "auth_token" if vector["args"].get("auth_id") else "auth_id"
        assert missing in str(caught.value)
        assert f"PLIVO_{missing.upper()}" in str(caught.value)
        return
    client = kind(**vector["args"])
    expected = Account(**vector["expect"])
    assert client.account.messages.get("m").request == expected.messages.get("m").request


@each(REST["pagination"])
def test_pages_are_walked(any_driver: AnyDriver, vector: dict[str, Any]) -> None:
    with Server(*(Answer(200, page) for page in vector["pages"])) as server:
        client = any_driver.client(server.url)
        account = client if isinstance(any_driver, CoreDriver) else client.account

        def walk() -> Any:
            op = method(account, vector["op"])(**vector["args"])
            return op if isinstance(any_driver, CoreDriver) else client.iterate(op)

        items = any_driver.collect(walk)
        assert [raw(item) for item in items] == vector["expect_items"]
        assert [request.query for request in server.requests] == vector["expect_queries"]


@each(ERRORS["vectors"])
def test_an_answer_becomes_its_error(
    any_driver: AnyDriver, vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "now" in vector:
        now = datetime.fromisoformat(vector["now"].replace("Z", "+00:00"))
        any_driver.at_wall_time(monkeypatch, now.timestamp())
    with Server(Answer(vector["status"], vector["body_text"], vector["headers"])) as server:
        client = any_driver.client(server.url, retry=ONCE)
        with pytest.raises(errors.PlivoError) as caught:
            any_driver.run(lambda: client.messages.get("m"))
    error, expected = caught.value, dict(vector["expect"])
    name = expected.pop("class")
    assert type(error) is (errors.ApiError if name == "PlivoError" else getattr(errors, name))
    assert expected.pop("message_contains", "") in error.message
    for attribute, value in expected.items():
        assert getattr(error, attribute) == value, attribute


CALLS: dict[str, Callable[[Any], Any]] = {
    "GET": lambda c: c.messages.get("m"),
    "POST": lambda c: c.messages.create(dst="+1", src="+2", text="x"),
    "PATCH": lambda c: c.agent.agents.update("a", agent_name="b"),
    "DELETE": lambda c: c.numbers.delete("1"),
}


@each(ERRORS["retry"])
def test_a_call_is_repeated_by_the_table(
    any_driver: AnyDriver, vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps = any_driver.without_waiting(monkeypatch)
    policy = {name: value for name, value in vector["config"].items() if name != "jitter"}
    answers = [
        Answer(step["status"], None if step["status"] == 204 else {}, step.get("headers", {}))
        for step in vector["responses"]
    ]
    with Server(*answers) as server:
        client = any_driver.client(server.url, retry=RetryPolicy(**policy))
        outcome = "ok"
        try:
            any_driver.run(lambda: CALLS[vector["method"]](client))
        except errors.ApiError as error:
            outcome = type(error).__name__
        assert {request.method for request in server.requests} == {vector["method"]}
        assert {
            "attempts": len(server.requests),
            "sleeps": pytest.approx(sleeps),
            "outcome": outcome,
        } == vector["expect"]
