"""One suite, three drivers: AsyncClient on asyncio and on trio, Client on a plain thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rest._drivers import AsyncDriver, CoreDriver, Driver, SyncDriver
from tests.rest._server import Server


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients know nothing but what the test gives them."""
    for name in ("PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN", "PLIVO_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["asyncio", "trio", "sync"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Each client in turn."""
    with SyncDriver() if request.param == "sync" else AsyncDriver(request.param) as made:
        yield made


@pytest.fixture(params=["asyncio", "trio", "sync", "core"])
def any_driver(request: pytest.FixtureRequest) -> Iterator[Driver | CoreDriver]:
    """Each client, and the core without one."""
    with {"core": CoreDriver, "sync": SyncDriver}.get(
        request.param, lambda: AsyncDriver(request.param)
    )() as made:
        yield made


@pytest.fixture
def server() -> Iterator[Server]:
    """Script it with ``server.will(...)``."""
    with Server() as made:
        yield made
