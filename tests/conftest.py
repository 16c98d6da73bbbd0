"""What every test runs under: no network beyond loopback, both backends, a hypothesis profile."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# CI must not depend on luck: the same examples in each run, more of them, and no judgement of
# speed on a machine that runs two suites at once. At home each run looks somewhere new.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=200,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("default", deadline=None, max_examples=100)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def _first_example() -> None:
    """With it hypothesis asks who refers to its generator of randomness: nobody who is frozen."""

    @given(st.none())
    def nothing(_: None) -> None: ...

    nothing()


@pytest.fixture(scope="module", autouse=True)
def _nothing_old_to_collect(_first_example: None) -> None:
    """Keep the collector from walking all that pytest and earlier modules hold.

    With eleven thousand tests that took up to a second, in the midst of calls in real time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every test marked ``anyio`` runs on both backends."""
    backend: str = request.param
    return backend


class NetworkBlockedError(Exception):
    """A test reached for a host beyond loopback.

    Not an OSError, which the code under test might take for an ordinary failure and swallow.
    """


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refuse_beyond_loopback(address: object) -> None:
    if not isinstance(address, tuple):
        return  # a UNIX socket's path
    host = str(address[0])
    if host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        return
    raise NetworkBlockedError(f"tests talk to loopback only, not to {address!r}")


def _refuse_resolving(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    # A literal address asks nobody; connecting to it is another matter, judged above.
    if name in (None, "", "localhost") or _is_address(str(name)):
        return
    raise NetworkBlockedError(f"tests resolve no names but localhost, not {name!r}")


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Guard the process's own sockets; examples run in child processes are not guarded."""

    def guarded(method: Callable[..., Any], argument: int) -> Callable[..., Any]:
        def call(sock: socket.socket, *args: Any) -> Any:
            _refuse_beyond_loopback(args[argument])
            return method(sock, *args)

        return call

    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_resolving(host)
        return resolve(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect, 0))
        patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex, 0))
        patch.setattr(socket.socket, "sendto", guarded(socket.socket.sendto, -1))
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield
