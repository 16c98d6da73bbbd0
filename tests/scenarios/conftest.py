"""The fixture `serve`: a server per driver, and the two things that hold after every scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from plivo_core import UnknownEvent
from tests.scenarios._drivers import ASGI_DRIVERS, DRIVERS, React, Server, agent, run_server
from tests.scenarios._peer import a_call

Serve = Callable[..., Server]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Scenarios about messages run over every driver, all others where the bytes are ours."""
    if "driver" in metafunc.fixturenames:
        about_messages = metafunc.definition.get_closest_marker("message") is not None
        drivers = [*DRIVERS, *ASGI_DRIVERS] if about_messages else [*DRIVERS]
        metafunc.parametrize("driver", drivers, indirect=True)


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)


@pytest.fixture
def serve(driver: str) -> Iterator[Serve]:
    """`serve(react, limits=, timings=)` starts a server.

    Afterwards it must still take a call, and every call it had must have ended exactly once.
    """
    servers: list[Server] = []
    with ExitStack() as stack:

        def start(react: React = agent, **options: Any) -> Server:
            servers.append(stack.enter_context(run_server(driver, react, **options)))
            return servers[-1]

        yield start
        for server in servers:
            _takes_a_new_call(server)


def _takes_a_new_call(server: Server) -> None:
    def last_call() -> int | None:
        for number, call in enumerate(server.calls):
            if any(event.type == "one.more.call" for event in call.seen(UnknownEvent)):
                return number + 1
        return None

    with a_call(server.port) as client:
        client.send('{"type": "one.more.call"}')
        number = server.wait(last_call) - 1
    assert server.ended(number).code == 1000
