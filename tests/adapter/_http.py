"""Plain HTTP and subprocess helpers for adapter tests."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import h11
from anyio.abc import ByteStream

from plivo_anyio import VoiceApp
from tests.adapter._caller import PATIENCE


@dataclass
class Answer:
    """What came back, whole."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    port: int | ByteStream,
    target: str = "/",
    method: str = "GET",
    *,
    body: bytes = b"",
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """One request on a connection of its own, which the server must close."""
    stream = await anyio.connect_tcp("127.0.0.1", port) if isinstance(port, int) else port
    conn = h11.Connection(h11.CLIENT)
    length = (("content-length", str(len(body))),) if body else ()
    request = h11.Request(method=method, target=target, headers=[("host", "x"), *headers, *length])
    data = (conn.send(request) or b"") + (conn.send(h11.Data(data=body)) or b"" if body else b"")
    data += conn.send(h11.EndOfMessage()) or b""
    answer = Answer(0, {}, b"")
    with anyio.fail_after(PATIENCE):
        async with stream:
            await stream.send(data)
            while not isinstance(event := conn.next_event(), (h11.ConnectionClosed, h11.PAUSED)):
                if event is h11.NEED_DATA:
                    try:
                        conn.receive_data(await stream.receive())
                    except anyio.EndOfStream:
                        conn.receive_data(b"")
                elif isinstance(event, h11.Response):
                    answer.status = event.status_code
                    answer.headers = {k.decode(): v.decode() for k, v in event.headers}
                elif isinstance(event, h11.Data):
                    answer.body += event.data
    assert answer.headers["connection"] == "close"
    return answer


@asynccontextmanager
async def serving_with(app: VoiceApp, *where: Any, **options: Any) -> AsyncIterator[Any]:
    """Serve with options; gives the address that was told."""
    async with anyio.create_task_group() as tasks:

        async def serve(*, task_status: Any) -> None:
            await app.serve(*where, **options, task_status=task_status)

        yield await tasks.start(serve)
        tasks.cancel_scope.cancel()


async def until(condition: Any) -> None:
    """Return once the condition holds; a hang is a failure."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await anyio.sleep(0.005)


@dataclass
class Child:
    """A program under test, its log line by line."""

    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)

    def reads(self, text: str) -> str:
        """The first line from here on that holds ``text``."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came: {self.log}")

    def ends(self) -> int:
        """The exit status, with the rest of the log read."""
        assert self.process.stderr is not None
        self.log += self.process.stderr
        return self.process.wait(PATIENCE)


@contextmanager
def a_program(source: str, *arguments: str) -> Iterator[Child]:
    """Run Python source with warnings as errors and the log on; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source, *arguments],
        env={
            **os.environ,
            "PLIVO_LOG": "info",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(4 * PATIENCE, process.kill)  # then every read ends
    guard.start()
    try:
        yield Child(process)
    finally:
        guard.cancel()
        process.kill()
        process.communicate()
