"""A caller for adapter tests: Plivo's end of a call over loopback TCP, on either backend."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio
from anyio.abc import SocketStream

from plivo_anyio import VoiceApp
from plivo_core import ClientConnection, Command, Ended, InvalidMessage, Rejected, Upgraded
from plivo_core.events import AgentEvent, StreamEvent, UnknownEvent
from plivo_core.wire import Headers

PATIENCE = 10.0  # seconds: a hang is a failure


class Caller:
    """Sends events, receives commands; every wait is bounded."""

    def __init__(self, stream: SocketStream, target: str, headers: Headers = ()) -> None:
        self._stream = stream
        self._conn = ClientConnection(
            host="test",
            target=target,
            headers=headers,
            random_bytes=secrets.token_bytes,
            now=anyio.current_time(),
        )

    async def flush(self) -> None:
        while data := self._conn.data_to_send():
            await self._stream.send(data)

    async def says(self, *events: AgentEvent | StreamEvent | UnknownEvent | str) -> None:
        """Send events (or raw texts) in one write, so that they arrive together."""
        for event in events:
            if isinstance(event, str):
                self._conn.send_text(event, now=anyio.current_time())
            else:
                self._conn.send(event, now=anyio.current_time())
        await self.flush()

    async def receives(self) -> Command | InvalidMessage | Upgraded | Rejected | Ended:
        """The next thing the agent sends, or how the call ended."""
        with anyio.fail_after(PATIENCE):
            while (event := self._conn.next_event()) is None:
                await self.flush()
                try:
                    data = await self._stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    self._conn.receive_eof(now=anyio.current_time())
                else:
                    self._conn.receive_data(data, now=anyio.current_time())
            await self.flush()
            return event

    async def ends(self) -> tuple[list[Command | InvalidMessage], Ended]:
        """Everything the agent still sends, and how the call ended."""
        commands: list[Command | InvalidMessage] = []
        while not isinstance(event := await self.receives(), Ended):
            assert not isinstance(event, (Upgraded, Rejected))
            commands.append(event)
        return commands, event

    async def closes(self, code: int = 1000) -> Ended:
        self._conn.close(code, now=anyio.current_time())
        return (await self.ends())[1]


@asynccontextmanager
async def serving(app: VoiceApp) -> AsyncIterator[int]:
    """Serve the app on a loopback port while the block runs."""
    async with anyio.create_task_group() as tasks:
        _, port = await tasks.start(app.serve, "127.0.0.1", 0)
        yield port
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def calling(
    port: int, *, target: str = "/", upgraded: bool = True, headers: Headers = ()
) -> AsyncIterator[Caller]:
    """A call to the app on ``port``."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        caller = Caller(stream, target, headers)
        if upgraded:
            assert isinstance(await caller.receives(), Upgraded)
        yield caller


@asynccontextmanager
async def a_call(app: VoiceApp) -> AsyncIterator[Caller]:
    """Serve the app and call it."""
    async with serving(app) as port, calling(port) as caller:
        yield caller


def fail_to_accept(monkeypatch: pytest.MonkeyPatch, failures: list[OSError]) -> None:
    """Let accept(2) fail with each of ``failures``, as asyncio and trio call it."""
    real_accept = socket.socket.accept

    def accept(self: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return real_accept(self)

    async def trio_accept(self: Any) -> Any:
        if failures:
            raise failures.pop()
        while True:
            try:
                accepted, address = real_accept(self._sock)
            except BlockingIOError:
                await anyio.wait_readable(self)
            else:
                return trio.socket.from_stdlib_socket(accepted), address

    monkeypatch.setattr(socket.socket, "accept", accept)
    with socket.socket() as any_socket:
        kind = type(trio.socket.from_stdlib_socket(any_socket))
    monkeypatch.setattr(kind, "accept", trio_accept)


def all_texts(error: BaseException) -> str:
    """What an exception, its cause, and all in it if it is a group, say."""
    members: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    if error.__cause__ is not None:
        members = (*members, error.__cause__)
    return "; ".join([str(error), *(all_texts(member) for member in members)])
