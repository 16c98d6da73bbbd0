"""The examples without plivo_anyio, as programs: warnings are errors, one exchange, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.scenarios._peer import (
    BINARY,
    PATIENCE,
    Peer,
    a_call,
    dtmf,
    frame,
    heard,
    media,
    payload_of,
    start,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def running(name: str, *options: str, stop_by: signal.Signals = signal.SIGINT) -> Iterator[int]:
    """The port of an example that has been started; it must end by itself when asked to."""
    port = free_port()
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), "--port", str(port), *options]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    with process:
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, process.communicate()[1]
                    assert time.monotonic() < deadline, f"{name} does not listen"
                    time.sleep(0.02)
            yield port
            process.send_signal(stop_by)
            _, errors = process.communicate(timeout=PATIENCE)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


@pytest.mark.parametrize("example", ["embed_selectors.py", "embed_asyncio_protocol.py"])
def test_an_embedding_serves_calls_and_ends_them_when_stopped(example: str) -> None:
    with contextlib.ExitStack() as calls:
        with running(example) as port:
            with a_call(port) as client:
                client.send(start())
                client.send(media("AAAA"))
                assert payload_of(heard(client)) == "AAAA"
                client.send(dtmf("5"))
                assert "You pressed 5." in str(heard(client))
            unfinished = calls.enter_context(a_call(port))
            unfinished.send(media("BBBB"))
            assert payload_of(heard(unfinished)) == "BBBB"
        with pytest.raises(ConnectionClosed):
            heard(unfinished)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ws_echo_sends_every_message_back(backend: str) -> None:
    with running("ws_echo.py", "--backend", backend, stop_by=signal.SIGTERM) as port:
        with a_call(port) as client:
            for message in ("", "text ☎", b"", b"\x00\xff", "x" * 200_000, b"y" * 1_000_000):
                client.send(message)
                assert heard(client) == message
            client.send(["in ", "three ", "parts"])
            assert heard(client) == "in three parts"
            assert client.ping().wait(PATIENCE)
        assert client.protocol.close_code == 1000


def echo(client: ClientConnection, message: str | list[str]) -> None:
    client.send(message)  # of many frames the last ones may come too late already
    heard(client)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ws_echo_keeps_its_limits(backend: str) -> None:
    limits = ("--max-message", "2000000", "--max-fragments", "10")
    with running("ws_echo.py", "--backend", backend, *limits) as port:
        with a_call(port) as client:
            client.send("x" * 2_000_000)
            with pytest.raises(ConnectionClosed):  # the client's own limit is 1 MiB
                heard(client)
            assert client.protocol.close_sent is not None
        for too_much in ("x" * 2_000_001, ["x"] * 11):
            with a_call(port) as client:
                with pytest.raises(ConnectionClosed):
                    echo(client, too_much)
                assert client.protocol.close_code == 1009


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ws_echo_does_not_read_from_a_peer_that_does_not_read(backend: str) -> None:
    message = frame(BINARY, bytes(60_000), masked=False)
    message = message[:1] + b"\xfe" + message[2:4] + bytes(4) + message[4:]  # masked with zeros
    with (
        running("ws_echo.py", "--backend", backend) as port,
        Peer(port) as deaf,
        a_call(port) as other,
    ):
        deaf.upgrade()
        deaf.sock.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                deaf.send(message)
                sent += len(message)
        assert sent < 50_000_000, "somebody queues without bound"
        other.send("still there?")
        assert heard(other) == "still there?"
