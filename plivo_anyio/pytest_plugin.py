"""Fixtures for tests of a voice agent: ``pytest_plugins = ["plivo_anyio.pytest_plugin"]``.

They need no async test and no plugin for such: the event loop of the agent runs in a thread of its
own. Nothing is loaded before a test asks for a fixture. This is no entry point of pytest: an
environment that has the distribution for its core or its REST client has no anyio to load, and
should not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from plivo_anyio.testing import ACall, Platform, Server

__all__ = ["a_call", "plivo_backend", "plivo_platform", "plivo_server"]


@pytest.fixture
def plivo_backend() -> str:
    """``"asyncio"``; override it with ``"trio"``, or parametrize it."""
    return "asyncio"


@pytest.fixture
def plivo_platform(plivo_backend: str) -> Iterator[Platform]:
    """Plivo in this process, under a clock that goes on only while the test waits for something."""
    from plivo_anyio.testing import Platform

    with Platform(plivo_backend) as platform:
        yield platform


@pytest.fixture
def plivo_server(plivo_backend: str) -> Iterator[Server]:
    """The agent on a free port of loopback, and Plivo calling it there in real time."""
    from plivo_anyio.testing import Server

    with Server(plivo_backend) as server:
        yield server


@pytest.fixture
def a_call(plivo_platform: Platform) -> ACall:
    """``a_call(app)`` calls the agent on :func:`plivo_platform`."""
    return plivo_platform.a_call
