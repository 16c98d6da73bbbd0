"""``app.run`` in this process's main thread: signals, and the log that PLIVO_LOG asks for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from plivo_anyio import VoiceApp
from tests.adapter._caller import PATIENCE

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def wait_for_message(caplog: pytest.LogCaptureFixture, message: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while message not in caplog.messages:
        assert time.monotonic() < deadline, caplog.messages
        time.sleep(0.005)


def run_beside(listener: socket.socket, backend: str, work: Callable[[str], None]) -> None:
    """Run an app until ``work(url)``, in a thread, has had it end."""
    host, port = listener.getsockname()
    with ThreadPoolExecutor(1) as pool:
        outcome: Future[None] = pool.submit(work, f"ws://{host}:{port}/")
        VoiceApp().run(sock=listener, backend=backend)
        outcome.result(PATIENCE)


@BACKENDS
def test_a_signal_drains_and_run_returns(
    listener: socket.socket, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "plivo_anyio")

    def work(url: str) -> None:
        with connect(url, close_timeout=PATIENCE):
            terminate()
            wait_for_message(caplog, "SIGTERM: draining")
        # The call has ended in peace; so does the drain.

    run_beside(listener, backend, work)
    assert "SIGTERM: closing" not in caplog.messages


@BACKENDS
def test_a_second_signal_ends_at_once(
    listener: socket.socket, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "plivo_anyio")

    def work(url: str) -> None:
        with connect(url, close_timeout=PATIENCE) as client:
            terminate()
            wait_for_message(caplog, "SIGTERM: draining")
            terminate()
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(timeout=PATIENCE)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1001

    run_beside(listener, backend, work)
    assert caplog.messages[-1] == "SIGTERM: closing"


@pytest.fixture
def log_level() -> Iterator[None]:
    """What the environment did to the logger is undone."""
    logger = logging.getLogger("plivo_anyio")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("log_level")
@pytest.mark.parametrize(("word", "level"), [("debug", logging.DEBUG), (" Error ", logging.ERROR)])
def test_the_environment_sets_the_level_of_the_log(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, word: str, level: int
) -> None:
    monkeypatch.setenv("PLIVO_LOG", word)
    run_beside(listener, "asyncio", terminate_when_it_answers)
    assert logging.getLogger("plivo_anyio").level == level


def terminate_when_it_answers(url: str) -> None:
    with connect(url, close_timeout=PATIENCE):
        pass
    terminate()
