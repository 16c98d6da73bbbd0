"""The guard of tests/conftest.py holds."""

from __future__ import annotations

import socket

import anyio
import pytest


def test_a_connection_beyond_loopback_is_refused() -> None:
    with socket.socket() as sock, pytest.raises(Exception, match="loopback only"):
        sock.connect(("192.0.2.1", 80))


def test_a_datagram_beyond_loopback_is_refused() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(Exception, match="loopback only"),
    ):
        sock.sendto(b"", ("192.0.2.1", 53))


def test_a_name_is_not_resolved() -> None:
    with pytest.raises(Exception, match="resolve no names"):
        socket.getaddrinfo("example.invalid", 80)


@pytest.mark.anyio
async def test_neither_backend_gets_around_the_guard() -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - bare or in a group
        await anyio.connect_tcp("192.0.2.1", 80)
    assert "loopback only" in repr(caught.value)


@pytest.mark.anyio
async def test_loopback_works_on_both_backends() -> None:
    async with await anyio.create_tcp_listener(local_host="localhost") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp("localhost", port):
            pass
