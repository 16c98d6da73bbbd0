"""The server examples as programs: TLS of one's own, and two workers on one port."""

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
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme
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
