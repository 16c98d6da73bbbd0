"""The fixture `serve`: a server per driver, and the two things that hold after every scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from plivo_core import UnknownEvent
from tests.scenarios._drivers import (
    ASGI_DRIVERS,
    DRIVERS,
    FOR_MESSAGES,
    WITHOUT_HALF_CLOSE,
    React,
    Server,
    agent,
    run_server,
)
from tests.scenarios._peer import a_call

Serve = Callable[..., Server]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A server per driver that can run the scenario.

    Those about messages run over every driver. `bytes` scenarios leave out what differs above the
    bytes only; with `half_close=True` those drivers, too, whose peer cannot do that.
    """
    if "driver" in metafunc.fixturenames:
        drivers = [*DRIVERS]
        if metafunc.definition.get_closest_marker("message") is not None:
            drivers += ASGI_DRIVERS
        if (mark := metafunc.definition.get_closest_marker("bytes")) is not None:
            left_out = FOR_MESSAGES
            if mark.kwargs.get("half_close"):
                left_out = left_out | WITHOUT_HALF_CLOSE
            drivers = [name for name in drivers if name not in left_out]
        metafunc.parametrize("driver", drivers)


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
