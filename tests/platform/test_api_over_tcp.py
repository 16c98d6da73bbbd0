"""Every request of rest.json against the simulated account over TCP, by hand and by each client."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from plivo_core import NotFoundError, RateLimitError, ServerError, ValidationError, rest
from plivo_core.platform import ApiFault as Fault
from plivo_core.platform import PlatformApi, counting_ids
from plivo_core.rest import Page, RetryPolicy
from tests.platform._account import AUTH_ID, TOKENS, Account, basic
from tests.platform._served import BACKENDS, served
from tests.rest._drivers import AsyncDriver, CoreDriver, SyncDriver
from tests.rest.test_vectors import method

ROOT = Path(__file__).parents[2]
REST = json.loads((ROOT / "tests" / "vectors" / "rest.json").read_text("utf-8"))
VECTORS = [vector for vector in REST["vectors"] if "request" in vector]
IDS = [vector["id"] for vector in VECTORS]

# What breaks a documented rule, and the field that the 400 names. All other vectors keep them all.
REFUSED = {
    "rest-013": "plivo_auth_id",  # participant_mode multi without its credentials (5.5)
    "rest-052": "src",  # neither src nor powerpack_uuid (3.6)
}

# PROTOCOL.md 3.1: the status of a success, and what our clients make of it.
OPERATIONS: dict[str, tuple[int, Any]] = {
    "agents.create": (201, rest.Agent),
    "agents.get": (200, rest.Agent),
    "agents.list": (200, Page),
    "agents.update": (200, rest.Agent),
    "agents.delete": (204, type(None)),
    "calls.initiate": (201, rest.CallInitiated),
    "calls.connect": (201, rest.CallConnected),
    "calls.dial": (200, rest.CallDialed),
    "agent_numbers.assign": (201, rest.AgentNumber),
    "agent_numbers.list": (200, rest.AgentNumbers),
    "agent_numbers.unassign": (204, type(None)),
    "sessions.list": (200, Page),
    "sessions.get": (200, rest.AgentSession),
    "account_sessions.list": (200, Page),
    "account_sessions.get": (200, rest.AgentSession),
    "messages.create": (202, rest.MessageCreated),
    "messages.get": (200, rest.Message),
    "messages.list": (200, Page),
    "messages.list_media": (200, Page),
    "numbers.list": (200, Page),
    "numbers.get": (200, rest.RentedNumber),
    "numbers.buy": (201, rest.NumberBought),
    "numbers.update": (202, rest.NumberUpdated),
    "numbers.delete": (204, type(None)),
    "numbers.search": (200, Page),
    "lookup.get": (200, rest.NumberInfo),
}
PAIRS = [("core", "asyncio"), ("sync", "trio"), ("asyncio", "asyncio"), ("trio", "trio")]
ONCE = RetryPolicy(max_retries=0)
THE_AGENT = "550e8400-e29b-41d4-a716-446655440000"


def an_account_for(vector: dict[str, Any]) -> PlatformApi:
    """One in which what the vector names is there, under the very same identifier."""
    op, args = vector["op"], vector["args"]
    planned: dict[str, deque[str]] = defaultdict(deque)
    count = counting_ids()
    account = Account(ids=lambda kind: planned[kind].popleft() if planned[kind] else count(kind))
    resource = op.partition(".")[0]
    if resource in ("agents", "agent_numbers", "calls", "sessions", "account_sessions"):
        agent = args.get("agent_uuid") or THE_AGENT
        planned["agent"].append(agent)
        account.an_agent()
        if op in ("calls.connect", "calls.dial", "sessions.get", "account_sessions.get"):
            planned["call"].append(args.get("call_uuid", "c"))
            planned["session"].append(args.get("session_id", "s"))
            account.a_call(agent)
    if resource == "messages" and "message_uuid" in args:
        planned["message"].append(args["message_uuid"])
        account.a_message()
    if resource == "agent_numbers" and "number" in args:
        account.a_number(args["number"])
        if op == "agent_numbers.unassign":
            account.post(f"Agent/{args['agent_uuid']}/Number", {"number": args["number"]})
    if op in ("numbers.get", "numbers.update", "numbers.delete"):
        account.a_number(args["number"])
    account.effects()
    return account.api


@pytest.fixture(scope="module", params=BACKENDS)
def portal(request: pytest.FixtureRequest) -> Iterator[BlockingPortal]:
    """An event loop for the account."""
    with start_blocking_portal(request.param) as made:
        yield made


@pytest.fixture(scope="module", params=PAIRS, ids="-on-".join)
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Any, BlockingPortal]]:
    """The core by hand and each client, and the event loop of the account it asks."""
    name, backend = request.param
    kinds: dict[str, Any] = {"core": CoreDriver, "sync": SyncDriver}
    made = kinds.get(name, lambda: AsyncDriver(name))()
    with made as driver, start_blocking_portal(backend) as portal:
        yield driver, portal


def sends(base: str, request: dict[str, Any]) -> tuple[int, Any]:
    """Exactly this request, by hand: status and JSON."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=10)
    with contextlib.closing(connection):
        target = request["path"] + ("?" + urlencode(request["query"]) if request["query"] else "")
        body = None if request["body"] is None else json.dumps(request["body"])
        headers = {**dict(basic()), "Content-Type": "application/json"}
        connection.request(request["method"], target, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def has_shape(found: Any, example: Any) -> bool:
    """Whether all members of the vector's answer are there, of the same JSON kinds."""
    if isinstance(example, dict):
        unknown = {"mobile_country_code", "mobile_network_code"}  # the simulator makes up none
        return all(
            name in found and (name in unknown or has_shape(found[name], part))
            for name, part in example.items()
        )
    return type(found) is type(example)


def test_every_operation_has_vectors_and_a_documented_status() -> None:
    assert {vector["op"] for vector in VECTORS} == set(OPERATIONS)
    assert REFUSED.keys() <= set(IDS)


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_a_request_gets_the_documented_status(
    portal: BlockingPortal, vector: dict[str, Any]
) -> None:
    with served(portal, an_account_for(vector)) as base:
        status, body = sends(base, vector["request"])
    if vector["id"] in REFUSED:
        assert status == 400
        assert REFUSED[vector["id"]] in body["error"]
    else:
        assert status == OPERATIONS[vector["op"]][0]
        assert (body is None) == (status == 204)


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_an_answer_becomes_the_operations_type(
    both: tuple[Any, BlockingPortal], vector: dict[str, Any]
) -> None:
    client_driver, portal = both
    with served(portal, an_account_for(vector)) as base:
        client = client_driver.client(base, auth_id=vector["auth_id"], retry=ONCE)
        call = method(client, vector["op"])
        if vector["id"] in REFUSED:
            with pytest.raises(ValidationError, match=REFUSED[vector["id"]]):
                client_driver.run(lambda: call(**vector["args"]))
            return
        result = client_driver.run(lambda: call(**vector["args"]))
    assert type(result) is OPERATIONS[vector["op"]][1]
    if result is None:
        return
    if isinstance(result, Page):
        assert len(result.objects) == len(result.raw["objects"])  # type: ignore[arg-type]
        return
    if vector["id"] not in ("rest-096", "rest-097"):  # an empty answer, and a partial success
        assert has_shape(result.raw, vector.get("result", {}))
    # Every member of a known name was read: an odd kind would have left its field at the default.
    known = type(result)._members
    for name, value in result.raw.items():
        if name in known and value is not None:
            assert getattr(result, known[name][0]) is not None, name


def test_a_stored_thing_is_found_again(both: tuple[Any, BlockingPortal]) -> None:
    client_driver, portal = both
    api = PlatformApi(AUTH_ID, TOKENS[AUTH_ID], ids=counting_ids())
    with served(portal, api) as base:
        client, run = client_driver.client(base), client_driver.run
        for number in run(lambda: client.numbers.search("US", limit=3)).objects:
            run(lambda: client.numbers.buy(number.number))  # noqa: B023 - called at once
        rented = run(lambda: client.numbers.list(limit=2))
        assert (len(rented.objects), rented.meta.total_count) == (2, 3)
        agent = run(
            lambda: client.agent.agents.create(agent_name="A", websocket_url="ws://127.0.0.1:1")
        )
        number = rented.objects[0].number
        run(lambda: client.agent.numbers.assign(agent.agent_uuid, number=number))
        assert run(lambda: client.agent.numbers.list(agent.agent_uuid)).numbers == [number]
        run(lambda: client.agent.agents.delete(agent.agent_uuid))
        with pytest.raises(NotFoundError, match="agent not found"):
            run(lambda: client.agent.agents.get(agent.agent_uuid))


def test_clients_live_through_the_fault_plan(
    both: tuple[Any, BlockingPortal], monkeypatch: pytest.MonkeyPatch
) -> None:
    client_driver, portal = both
    sleeps = client_driver.without_waiting(monkeypatch)
    sleeps.clear()  # the core's driver has one list
    plan = (
        Fault(status=429, operation="messages.get", retry_after="3"),
        Fault(status=503, operation="messages.get", skip=1),
        Fault(status=429, operation="messages.list", times=None, retry_after="61"),
        Fault(status=500, operation="messages.create", done=True),
    )
    account = Account(faults=plan)
    with served(portal, account.api) as base:
        client, run = client_driver.client(base), client_driver.run
        with pytest.raises(ServerError) as caught:
            run(lambda: client.messages.create(dst="+1", src="+2", text="x"))
        assert caught.value.attempts == 1
        uuid = run(lambda: client.messages.create(dst="+1", src="+2", text="x")).message_uuid[0]
        assert run(lambda: client.messages.get(uuid)).message_uuid == uuid
        assert sleeps == [pytest.approx(3.0), pytest.approx(1.0)]
        with pytest.raises(RateLimitError) as limited:
            run(client.messages.list)
        assert limited.value.retry_after == 61.0


def test_the_embedded_example_reads_a_message(portal: BlockingPortal) -> None:
    account = Account()
    uuid = account.a_message()
    with served(portal, account.api) as base:
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "embed_rest_urllib.py"), uuid],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "PLIVO_AUTH_ID": AUTH_ID,
                "PLIVO_AUTH_TOKEN": TOKENS[AUTH_ID],
                "PLIVO_API_URL": base,
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert uuid in done.stdout
