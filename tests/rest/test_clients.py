"""What the clients add to the core: settings, the tree, options, iteration, cancellation."""

from __future__ import annotations

import base64
import inspect
import logging
import pydoc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest
import trio.testing

from plivo_core import ConfigError, LocalProtocolError
from plivo_core.errors import (
    AmbiguousOutcomeError,
    RequestTimeoutError,
    ServerError,
    ValidationError,
)
from plivo_core.rest import Account, RetryPolicy
from plivo_httpx_adapter import AsyncClient, Client
from plivo_httpx_adapter._resources import Messages
from tests.rest._drivers import AUTH_ID, AUTH_TOKEN, PATIENCE, Driver
from tests.rest._server import RESET, SILENCE, Answer, Server

ACCOUNT = Account(AUTH_ID, AUTH_TOKEN)
FOUND = Answer(200, {"message_uuid": "m1"})
QUEUED = Answer(202, {"message_uuid": ["m1"]})
ONCE = RetryPolicy(max_retries=0)
AT_ONCE = RetryPolicy(backoff_factor=0.0)
NUMBER = "+14155550101"


def page(*uuids: str, offset: int = 0, more: bool = False) -> Answer:
    meta = {"limit": 2, "offset": offset, "next": "x" if more else None}
    return Answer(200, {"meta": meta, "objects": [{"message_uuid": uuid} for uuid in uuids]})


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("missing", ["auth_id", "auth_token"])
@pytest.mark.parametrize("empty", [None, ""])
def test_a_missing_credential_names_the_argument_and_the_variable(
    kind: type[Any], missing: str, empty: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PLIVO_{missing.upper()}", "")
    arguments = {"auth_id": AUTH_ID, "auth_token": AUTH_TOKEN, missing: empty}
    with pytest.raises(ConfigError) as caught:
        kind(**arguments)
    assert missing in str(caught.value)
    assert f"PLIVO_{missing.upper()}" in str(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_argument_leaves_it_to_the_environment(
    kind: type[Any], empty: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIVO_AUTH_ID", "MAENV")
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "from-env")
    expected = Account("MAENV", "from-env").messages.get("m1").request
    assert kind(empty, empty).account.messages.get("m1").request == expected


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_address_comes_from_the_argument_then_the_variable_then_plivo(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def address(**options: Any) -> tuple[str, str]:
        account = kind(AUTH_ID, AUTH_TOKEN, **options).account
        return account.base_url, account.lookup_url

    assert address() == ("https://api.plivo.com", "https://lookup.plivo.com")
    monkeypatch.setenv("PLIVO_API_URL", "")
    assert address(base_url="") == ("https://api.plivo.com", "https://lookup.plivo.com")
    monkeypatch.setenv("PLIVO_API_URL", "http://127.0.0.1:1/")
    assert address() == ("http://127.0.0.1:1", "http://127.0.0.1:1")
    assert address(base_url="http://127.0.0.1:2")[0] == "http://127.0.0.1:2"
    assert address(lookup_url="http://127.0.0.1:3")[1] == "http://127.0.0.1:3"


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf")])
def test_a_time_out_that_is_none_is_a_config_error(driver: Driver, timeout: float) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        driver.client("http://127.0.0.1:1", timeout=timeout)
    client = driver.client("http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="timeout"):
        client.with_options(timeout=timeout)
    with pytest.raises(ConfigError, match="timeout"):
        driver.run(lambda: client.send(ACCOUNT.messages.get("m1"), timeout=timeout))


# --- the tree -------------------------------------------------------------------------------------


def methods_of(node: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in dir(type(node)):
        found = getattr(node, name)
        if name.startswith("_"):
            continue
        if inspect.isroutine(found):
            yield prefix + name, found
        elif type(found).__module__.startswith("plivo_"):
            yield from methods_of(found, f"{prefix}{name}.")


def tree_of(client: Client | AsyncClient) -> dict[str, Any]:
    return {
        name: method
        for resource in ("agent", "calls", "messages", "numbers")
        for name, method in methods_of(getattr(client, resource), f"{resource}.")
    }


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_every_method_of_the_account_hangs_on_the_client_with_its_signature(
    kind: type[Any],
) -> None:
    core, derived = dict(methods_of(ACCOUNT)), tree_of(kind(AUTH_ID, AUTH_TOKEN))
    assert derived.keys() == core.keys()
    assert len(core) == 30
    for name, method in derived.items():
        expected, found = inspect.signature(core[name]), inspect.signature(method)
        assert found.parameters == expected.parameters, name
        assert f"Operation[{found.return_annotation}]" == expected.return_annotation
        assert method.__doc__ == core[name].__doc__
        assert inspect.iscoroutinefunction(method) is (kind is AsyncClient)


def test_help_shows_the_arguments_and_what_comes_back() -> None:
    text = pydoc.render_doc(Client(AUTH_ID, AUTH_TOKEN).messages.get, renderer=pydoc.plaintext)
    assert "get(message_uuid: 'str') -> 'Message'" in text
    assert "One message." in text
    assert "dst: 'str | Sequence[str]'" in pydoc.render_doc(Messages, renderer=pydoc.plaintext)


def test_an_argument_error_is_raised_before_any_request(driver: Driver, server: Server) -> None:
    client = driver.client(server.url)
    with pytest.raises(ValueError, match="message_uuid is empty"):
        driver.run(lambda: client.messages.get(""))
    with pytest.raises(TypeError, match="no_such"):
        driver.run(lambda: client.messages.get("m1", no_such=1))
    assert server.requests == []


# --- options --------------------------------------------------------------------------------------


def test_options_make_a_cheap_client_over_the_same_connections(
    driver: Driver, server: Server
) -> None:
    server.will(Answer(503), Answer(503), FOUND, FOUND)
    client = driver.client(server.url, retry=ONCE)
    with pytest.raises(ServerError):
        driver.run(lambda: client.messages.get("m1"))
    patient = client.with_options(retry=AT_ONCE)
    assert driver.run(lambda: patient.messages.get("m1")).message_uuid == "m1"
    driver.run(lambda: patient.close() if driver.name == "sync" else patient.aclose())
    driver.run(lambda: client.messages.get("m1"))
    assert server.connections == 1


def test_options_that_are_not_given_stay(driver: Driver, server: Server) -> None:
    server.will(Answer(503), SILENCE)
    client = driver.client(server.url, retry=ONCE).with_options(timeout=0.1).with_options()
    with pytest.raises(ServerError):
        driver.run(lambda: client.messages.get("m1"))
    with pytest.raises(RequestTimeoutError):
        driver.run(lambda: client.messages.get("m1"))


def test_one_send_can_have_options_of_its_own(driver: Driver, server: Server) -> None:
    server.will(Answer(503), Answer(200, {"message_uuid": "m1"}), SILENCE)
    client = driver.client(server.url, retry=ONCE)
    get = client.account.messages.get
    assert driver.run(lambda: client.send(get("m1"), retry=AT_ONCE)).message_uuid == "m1"
    with pytest.raises(RequestTimeoutError):
        driver.run(lambda: client.send(get("m1"), timeout=0.1))


def test_an_operation_is_good_for_one_run(driver: Driver, server: Server) -> None:
    server.will(QUEUED, QUEUED)
    client = driver.client(server.url)
    op = client.account.messages.create(dst=NUMBER, text="hi")
    assert driver.run(lambda: client.send(op)).message_uuid == ["m1"]
    with pytest.raises(LocalProtocolError, match="one run"):
        driver.run(lambda: client.send(op))
    assert len(server.requests) == 1


# --- an httpx client of the application's own -----------------------------------------------------


def httpx_client(driver: Driver, **options: Any) -> Any:
    return (httpx.Client if driver.name == "sync" else httpx.AsyncClient)(**options)


def test_a_given_httpx_client_is_used_and_stays_open(driver: Driver, server: Server) -> None:
    server.will(FOUND)
    given = httpx_client(driver, headers={"X-Tenant": "42"}, auth=("someone", "else"))
    client = driver.client(server.url, http_client=given)
    driver.run(lambda: client.messages.get("m1"))
    driver.run(lambda: client.close() if driver.name == "sync" else client.aclose())
    assert not given.is_closed
    assert server.last.headers["x-tenant"] == "42"
    # The account's credentials, not those of the httpx client.
    token = base64.b64encode(f"{AUTH_ID}:{AUTH_TOKEN}".encode()).decode()
    assert server.last.headers["authorization"] == f"Basic {token}"
    driver.run(lambda: given.close() if driver.name == "sync" else given.aclose())


def test_its_own_time_out_counts_unless_another_is_given(driver: Driver, server: Server) -> None:
    server.will(SILENCE, SILENCE)
    given = httpx_client(driver, timeout=0.1)
    client = driver.client(server.url, http_client=given, retry=ONCE)
    with pytest.raises(RequestTimeoutError):
        driver.run(lambda: client.messages.get("m1"))
    given.timeout = None
    with pytest.raises(RequestTimeoutError):
        driver.run(lambda: client.with_options(timeout=0.1).messages.get("m1"))
    driver.run(lambda: given.close() if driver.name == "sync" else given.aclose())


def test_hooks_that_read_the_answer_do_no_harm(driver: Driver, server: Server) -> None:
    seen: list[bytes] = []

    def read(response: httpx.Response) -> None:
        seen.append(response.read())

    async def aread(response: httpx.Response) -> None:
        seen.append(await response.aread())

    server.will(FOUND)
    hooks = {"response": [read if driver.name == "sync" else aread]}
    given = httpx_client(driver, event_hooks=hooks)
    client = driver.client(server.url, http_client=given)
    assert driver.run(lambda: client.messages.get("m1")).message_uuid == "m1"
    assert seen == [FOUND.payload]
    driver.run(lambda: given.close() if driver.name == "sync" else given.aclose())


def test_our_own_httpx_client_is_closed(driver: Driver, server: Server) -> None:
    server.will(FOUND)
    client = driver.client(server.url)
    driver.run(lambda: client.messages.get("m1"))
    driver.run(lambda: client.close() if driver.name == "sync" else client.aclose())
    with pytest.raises(RuntimeError, match="closed"):
        driver.run(lambda: client.messages.get("m1"))


# --- iteration ------------------------------------------------------------------------------------


def test_iterate_walks_all_pages_with_the_same_filters(driver: Driver, server: Server) -> None:
    server.will(page("a", "b", more=True), page("c", "d", offset=2, more=True), page("e", offset=4))
    client = driver.client(server.url)
    op = client.account.messages.list(limit=2, message_state="failed")
    messages = driver.collect(lambda: client.iterate(op))
    assert [message.message_uuid for message in messages] == ["a", "b", "c", "d", "e"]
    assert [request.query["offset"] for request in server.requests] == ["0", "2", "4"]
    assert {request.query["message_state"] for request in server.requests} == {"failed"}


def test_iterate_fetches_no_page_before_it_is_needed(driver: Driver, server: Server) -> None:
    server.will(page("a", "b", more=True))
    client = driver.client(server.url)
    op = client.account.messages.list(limit=2)

    def first_two() -> Any:
        if driver.name == "sync":
            items = client.iterate(op)
            return [next(items), next(items)]
        return two_of(client)

    async def two_of(client: Any) -> list[Any]:
        found: list[Any] = []
        async for item in client.iterate(op):
            found.append(item)
            if len(found) == 2:
                break  # nothing may be left behind for trio to complain about
        return found

    assert [item.message_uuid for item in driver.run(first_two)] == ["a", "b"]
    assert len(server.requests) == 1


def test_iterate_raises_what_a_page_fails_with(driver: Driver, server: Server) -> None:
    server.will(page("a", more=True), Answer(500))
    client = driver.client(server.url, retry=ONCE)
    with pytest.raises(ServerError):
        driver.collect(lambda: client.iterate(client.account.messages.list()))


def test_a_page_that_failed_is_asked_for_again(driver: Driver, server: Server) -> None:
    server.will(Answer(500), page("a", more=True), Answer(500), page("b", offset=2))
    client = driver.client(server.url, retry=ONCE)
    items = client.iterate(client.account.messages.list())
    found: list[str] = []

    def following() -> Any:
        return next(items) if driver.name == "sync" else items.__anext__()

    for _ in range(2):
        with pytest.raises(ServerError):
            driver.run(following)
        found.append(driver.run(following).message_uuid)
    assert found == ["a", "b"]
    assert [request.query["offset"] for request in server.requests] == ["0", "0", "2", "2"]


@pytest.mark.anyio
async def test_a_page_that_was_cancelled_is_asked_for_again(server: Server) -> None:
    server.will(SILENCE, page("a"))
    async with AsyncClient(AUTH_ID, AUTH_TOKEN, base_url=server.url) as client:
        items = client.iterate(client.account.messages.list())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(items.__anext__)
            assert await anyio.to_thread.run_sync(server.received.wait, PATIENCE)
            tasks.cancel_scope.cancel()
        assert [item.message_uuid async for item in items] == ["a"]


def test_iterate_takes_the_options_of_its_pages(driver: Driver, server: Server) -> None:
    server.will(Answer(503), page("a", more=True), SILENCE)
    client = driver.client(server.url, retry=ONCE)
    op = client.account.messages.list()
    policy = RetryPolicy(max_retries=1, backoff_factor=0.0)
    server.otherwise = SILENCE
    with pytest.raises(RequestTimeoutError) as caught:
        driver.collect(lambda: client.iterate(op, timeout=0.1, retry=policy))
    assert caught.value.attempts == 2
    with pytest.raises(ConfigError, match="timeout"):
        driver.collect(lambda: client.iterate(op, timeout=0))


# --- several at once, and broken off --------------------------------------------------------------


@pytest.mark.anyio
async def test_cancelling_a_request_leaves_the_client_usable(server: Server) -> None:
    server.will(SILENCE, FOUND)
    pool = httpx.Limits(max_connections=1)  # a connection that leaked would block the second
    async with (
        httpx.AsyncClient(limits=pool, timeout=PATIENCE) as given,
        AsyncClient(AUTH_ID, AUTH_TOKEN, base_url=server.url, http_client=given) as client,
    ):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.messages.get, "m1")
                assert await anyio.to_thread.run_sync(server.received.wait, PATIENCE)
                scope.cancel()
        with anyio.fail_after(PATIENCE):
            assert (await client.messages.get("m1")).message_uuid == "m1"
    assert len(server.requests) == 2


@pytest.mark.anyio
async def test_cancelling_a_wait_ends_the_operation(server: Server) -> None:
    server.will(Answer(503, {}, {"Retry-After": "30"}), FOUND)
    async with AsyncClient(AUTH_ID, AUTH_TOKEN, base_url=server.url) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.messages.get, "m1")
            assert await anyio.to_thread.run_sync(server.received.wait, PATIENCE)
            tasks.cancel_scope.cancel()
        assert (await client.messages.get("m1")).message_uuid == "m1"


@pytest.mark.anyio
async def test_many_tasks_share_one_client() -> None:
    with Server(otherwise=FOUND) as server:
        async with (
            AsyncClient(AUTH_ID, AUTH_TOKEN, base_url=server.url) as client,
            anyio.create_task_group() as tasks,
        ):
            for number in range(50):
                tasks.start_soon(client.messages.get, f"m{number}")
        assert len({request.path for request in server.requests}) == 50


def test_many_threads_share_one_client() -> None:
    barrier = threading.Barrier(8)

    def get(number: int) -> str:
        if number < 8:
            barrier.wait(PATIENCE)  # the first eight meet while the tree is still unbuilt
        return client.messages.get(f"m{number}").message_uuid

    with (
        Server(otherwise=FOUND) as server,
        Client(AUTH_ID, AUTH_TOKEN, base_url=server.url) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        assert list(threads.map(get, range(80))) == ["m1"] * 80
        assert len({request.path for request in server.requests}) == 80


def test_waits_run_on_the_clock_of_the_event_loop() -> None:
    answers = [httpx.Response(429, headers={"Retry-After": "60"}), httpx.Response(200, json={})]
    transport = httpx.MockTransport(lambda request: answers.pop(0))

    async def wait_a_minute() -> float:
        async with httpx.AsyncClient(transport=transport) as given:
            client = AsyncClient(AUTH_ID, AUTH_TOKEN, http_client=given)
            began = trio.current_time()
            await client.messages.get("m1")
            return trio.current_time() - began

    assert trio.run(wait_a_minute, clock=trio.testing.MockClock(autojump_threshold=0)) >= 60.0


def test_clients_that_failed_together_do_not_come_back_together(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plivo_httpx_adapter import _base

    jitter = _base._full_jitter  # pyright: ignore[reportPrivateUsage]
    sleeps = driver.without_waiting(monkeypatch)
    monkeypatch.setattr(_base, "_full_jitter", jitter)
    with Server(*[Answer(503)] * 40, otherwise=Answer(503)) as server:
        client = driver.client(server.url, retry=RetryPolicy(max_retries=3))
        for _ in range(10):
            with pytest.raises(ServerError):
                driver.run(lambda: client.messages.get("m1"))
    assert len(set(sleeps)) > 25
    assert all(0.0 <= wait <= cap for wait, cap in zip(sleeps, [0.5, 1.0, 2.0] * 10, strict=True))


# --- secrets --------------------------------------------------------------------------------------


def test_no_repr_and_no_log_line_of_ours_holds_a_secret(
    driver: Driver, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "plivo_httpx_adapter")
    server.will(FOUND, Answer(503), FOUND, RESET, Answer(400, {"error": "the token leaked"}))
    client = driver.client(server.url, retry=AT_ONCE)
    driver.run(lambda: client.numbers.get(NUMBER))
    driver.run(lambda: client.numbers.lookup.get(NUMBER))
    with pytest.raises(AmbiguousOutcomeError):
        driver.run(lambda: client.messages.create(dst=NUMBER, text="my password"))
    with pytest.raises(ValidationError):
        driver.run(lambda: client.messages.create(dst=NUMBER, text="my password"))
    lines = [r.getMessage() for r in caplog.records if r.name == "plivo_httpx_adapter"]
    assert len(lines) == 5
    assert any("HTTP 503" in line for line in lines)
    assert any("trying again" in line for line in lines)
    reprs = [repr(client), repr(client.messages), repr(client.messages.create), repr(vars(client))]
    secret = base64.b64encode(f"{AUTH_ID}:{AUTH_TOKEN}".encode()).decode()
    for text in [*lines, *reprs]:
        for planted in (AUTH_TOKEN, secret, NUMBER[1:], "password", "leaked"):
            assert planted not in text
