"""The server examples as programs: TLS of one's own, two workers on one port, behind uvicorn."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[2]
HANG = 20.0  # seconds: far beyond what any of this takes
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def program(name: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run an example with warnings as errors; killed at the end, with all that it started."""
    path = os.environ.get("PYTHONPATH")
    child = subprocess.Popen(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *options],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "PLIVO_LOG": "info",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{path}" if path else str(ROOT),
        },
    )

    def end_all() -> None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    guard = threading.Timer(HANG, end_all)  # then every read below ends
    guard.start()
    log: list[str] = []
    try:
        yield child, log
    finally:
        guard.cancel()
        end_all()
        child.communicate()


def reads(child: subprocess.Popen[str], log: list[str], text: str) -> str:
    assert child.stderr is not None
    for line in child.stderr:
        log.append(line)
        if text in line:
            return line
    raise AssertionError(f"{text!r} never came: {log}")


def ends_cleanly(child: subprocess.Popen[str], log: list[str]) -> None:
    assert child.stderr is not None
    log += child.stderr
    assert child.wait(HANG) == 0, log
    assert not re.search("Traceback|ERROR", "".join(log)), log


def presses_a_key(call: ClientConnection) -> str:
    call.send('{"type": "user.dtmf", "digit": "5"}')
    text: str = json.loads(call.recv(timeout=HANG))["text"]
    return text


@BACKENDS
def test_tls_server_serves_calls_pages_and_health_over_tls(backend: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(tmp_path / "cert.pem"), append=number > 0)
    trusting = ssl.create_default_context()
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2  # see tests/adapter/_tls.py
    authority.configure_trust(trusting)
    files = ("--certfile", str(tmp_path / "cert.pem"), "--keyfile", str(tmp_path / "key.pem"))
    with program("tls_server", "--port", "0", "--backend", backend, *files) as (child, log):
        found = re.search(r"port (\d+)", reads(child, log, "listening on"))
        assert found is not None
        with connect(f"wss://localhost:{found[1]}/call", ssl=trusting, compression=None) as call:
            assert presses_a_key(call) == "You pressed 5."
            for path, body in (("", b"1 calls at the moment\n"), ("healthz", b'{"status":"ok"}')):
                url = f"https://localhost:{found[1]}/{path}"
                with urllib.request.urlopen(url, timeout=HANG, context=trusting) as answer:
                    assert answer.read() == body
        child.send_signal(signal.SIGTERM)
        ends_cleanly(child, log)


@BACKENDS
def test_two_workers_share_a_port_and_drain_together(backend: str) -> None:
    port = free_port()
    options = ("--port", str(port), "--backend", backend)
    with program("two_workers", *options) as (child, log), ExitStack() as stack:
        for _ in range(2):
            reads(child, log, "listening on")
        calls: dict[str, ClientConnection] = {}
        deadline = time.monotonic() + HANG
        while len(calls) < 2:  # until each worker holds one
            assert time.monotonic() < deadline
            call = stack.enter_context(connect(f"ws://127.0.0.1:{port}", compression=None))
            worker = presses_a_key(call)
            if calls.setdefault(worker, call) is not call:
                call.close()
        child.send_signal(signal.SIGTERM)
        for _ in range(2):
            reads(child, log, "SIGTERM: draining")
        for worker, call in calls.items():
            assert presses_a_key(call) == worker
            call.send('{"type": "session.ended"}')
            assert list(call) == []
            assert call.protocol.close_code == 1000
        ends_cleanly(child, log)


def page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=HANG) as answer:
        body: bytes = answer.read()
        return body.decode()


@contextmanager
def behind_uvicorn(name: str) -> Iterator[int]:
    """The port of an example behind uvicorn, which is interrupted at the end of the block."""
    with program(name, "--port", str(port := free_port())) as (child, log):
        reads(child, log, "Uvicorn running on")
        yield port
        child.send_signal(signal.SIGINT)
        ends_cleanly(child, log)


def test_starlette_mount_serves_calls_and_pages_below_its_mount() -> None:
    with ExitStack() as stack:
        with behind_uvicorn("starlette_mount") as port:
            address = f"ws://127.0.0.1:{port}/voice/call"
            with connect(address, compression=None) as call:
                assert presses_a_key(call) == "You pressed 5."
                assert page(port, "/voice/status") == "1 calls at the moment\n"
            assert page(port, "/voice/healthz") == '{"status":"ok"}'
            assert page(port, "/") == "This is the shop.\n"
            with pytest.raises(InvalidStatus, match="404"):
                connect(f"ws://127.0.0.1:{port}/voice/other", compression=None)
            with pytest.raises(urllib.error.HTTPError, match="426"):
                page(port, "/voice/call")
            unfinished = stack.enter_context(connect(address, compression=None))
            assert presses_a_key(unfinished) == "You pressed 5."
        with pytest.raises(ConnectionClosed):
            unfinished.recv(timeout=HANG)
        assert unfinished.protocol.close_code == 1012  # the server's own, before it tells the app


def test_fastapi_app_gives_calls_to_the_agent_that_its_route_names() -> None:
    with behind_uvicorn("fastapi_app") as port:
        address = f"ws://127.0.0.1:{port}/agents"
        with (
            connect(f"{address}/echo/call", compression=None) as echo,
            connect(f"{address}/orders/call", compression=None) as orders,
        ):
            assert presses_a_key(echo) == "You pressed 5."
            asked = {"type": "tool.called", "id": "t-1", "name": "check_order"}
            orders.send(json.dumps({**asked, "arguments": {"order_id": "A-1"}}))
            answer = json.loads(orders.recv(timeout=HANG))
            assert answer["result"] == {"order": "A-1", "status": "shipped"}
            assert json.loads(page(port, "/agents")) == {"orders": 1, "echo": 1}
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"{address}/nobody/call", compression=None)
