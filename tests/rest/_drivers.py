"""Drive any of the clients from a plain test: ``driver.run(lambda: client.messages.get("x"))``.

The async clients live in an event loop of their own thread, so that a test reads the same for all
of them and keeps one client, with its connections, over several calls. CoreDriver is what someone
who embeds the core would write.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from plivo_core.rest import (
    Account,
    Done,
    Operation,
    Page,
    Request,
    Response,
    RetryPolicy,
    Send,
    SleepUntil,
)
from plivo_httpx_adapter import AsyncClient, Client, _async, _base, _sync

AUTH_ID = "MAEXAMPLE0000000000A"
AUTH_TOKEN = "secret-token"
PATIENCE = 10.0  # seconds: a hang is a failure

AnyClient: TypeAlias = "Any"  # Client | AsyncClient: a call gives T or an awaitable of it


class Clock:
    """A clock that only sleeping moves, and the sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def sleep_until(self, at: float) -> None:
        self.sleep(at - self.now)


class CoreDriver:
    """No client at all: operations of an Account, driven by hand over http.client."""

    name = "core"

    def __init__(self) -> None:
        self._clock = Clock()
        self._wall = time.time
        self._retry: RetryPolicy | None = None

    def __enter__(self) -> CoreDriver:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def without_waiting(self, patch: pytest.MonkeyPatch) -> list[float]:
        return self._clock.sleeps  # it never waits

    def at_wall_time(self, patch: pytest.MonkeyPatch, wall_now: float) -> None:
        self._wall = lambda: wall_now

    def client(self, base_url: str, *, retry: RetryPolicy | None = None, **options: Any) -> Account:
        self._retry = retry
        return Account(
            **{"auth_id": AUTH_ID, "auth_token": AUTH_TOKEN, "base_url": base_url, **options}
        )

    def run(self, call: Callable[[], Operation[Any]]) -> Any:
        op = call()
        clock = self._clock
        step = op.begin(now=clock.now, retry=self._retry)
        while True:
            if isinstance(step, Send):
                response = self._exchange(step.request)
                step = op.responded(response, now=clock.now, wall_now=self._wall())
            elif isinstance(step, SleepUntil):
                clock.sleep_until(step.at)
                step = op.wake(now=clock.now)
            elif isinstance(step, Done):
                return step.value
            else:
                raise step.error

    def collect(self, op: Callable[[], Operation[Page[Any]]]) -> list[Any]:
        items: list[Any] = []
        following: Operation[Page[Any]] | None = op()
        while following is not None:
            page = self.run(lambda: following)  # noqa: B023 - called at once
            items += page.objects
            following = page.next_page()
        return items

    def _exchange(self, request: Request) -> Response:
        url = urlsplit(request.url)
        assert url.hostname is not None
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            target = request.url[request.url.index("/", len("http://")) :]
            connection.request(request.method, target, request.body, dict(request.headers))
            with connection.getresponse() as answer:
                return Response(answer.status, answer.getheaders(), answer.read())


class SyncDriver:
    """Client on this thread."""

    name = "sync"

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> SyncDriver:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def client(self, base_url: str | None = None, **options: Any) -> AnyClient:
        """An open client with test credentials; closed when the test is over."""
        options = {"auth_id": AUTH_ID, "auth_token": AUTH_TOKEN, **options}
        return self._stack.enter_context(Client(base_url=base_url, **options))

    def without_waiting(self, patch: pytest.MonkeyPatch) -> list[float]:
        """From now on waits take no time and have no jitter; they are added to the list."""
        clock = Clock()
        patch.setattr(_sync, "monotonic", clock.read)
        patch.setattr(_sync, "sleep", clock.sleep)
        patch.setattr(_base, "_full_jitter", None)
        return clock.sleeps

    def at_wall_time(self, patch: pytest.MonkeyPatch, wall_now: float) -> None:
        patch.setattr(_base, "time", lambda: wall_now)

    def run(self, call: Callable[[], Any]) -> Any:
        return call()

    def collect(self, iterate: Callable[[], Any]) -> list[Any]:
        """All items of ``client.iterate(...)``."""
        return list(cast("Iterator[Any]", iterate()))


class AsyncDriver:
    """AsyncClient in an event loop of its own thread."""

    def __init__(self, backend: str) -> None:
        self.name = backend
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal

    def __enter__(self) -> AsyncDriver:
        self._portal = self._stack.enter_context(start_blocking_portal(self.name))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def client(self, base_url: str | None = None, **options: Any) -> AnyClient:
        """An open client with test credentials; closed when the test is over."""
        options = {"auth_id": AUTH_ID, "auth_token": AUTH_TOKEN, **options}
        made = AsyncClient(base_url=base_url, **options)
        return self._stack.enter_context(self._portal.wrap_async_context_manager(made))

    def without_waiting(self, patch: pytest.MonkeyPatch) -> list[float]:
        """From now on waits take no time and have no jitter; they are added to the list."""
        clock = Clock()

        async def sleep_until(at: float) -> None:
            clock.sleep_until(at)

        fake = SimpleNamespace(
            current_time=clock.read, sleep_until=sleep_until, move_on_after=anyio.move_on_after
        )
        patch.setattr(_async, "anyio", fake)
        patch.setattr(_base, "_full_jitter", None)
        return clock.sleeps

    def at_wall_time(self, patch: pytest.MonkeyPatch, wall_now: float) -> None:
        patch.setattr(_base, "time", lambda: wall_now)

    def run(self, call: Callable[[], Any]) -> Any:
        async def patiently() -> Any:
            with anyio.fail_after(PATIENCE):
                return await cast("Awaitable[Any]", call())

        return self._portal.call(patiently)

    def collect(self, iterate: Callable[[], Any]) -> list[Any]:
        async def gather() -> list[Any]:
            with anyio.fail_after(PATIENCE):
                return [item async for item in cast("AsyncIterator[Any]", iterate())]

        return self._portal.call(gather)


Driver: TypeAlias = "SyncDriver | AsyncDriver"
