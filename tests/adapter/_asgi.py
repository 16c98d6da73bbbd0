"""An ASGI server made of two queues, on either backend: it says and raises what a test wants."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Ended, Limits, Timings
from plivo_core.events import Dtmf
from tests.adapter._caller import PATIENCE

Message = dict[str, Any]
CONNECT: Message = {"type": "websocket.connect"}


class Inbox:
    """Messages that wait for whoever takes them."""

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()
        self._changed = anyio.Event()

    def put(self, message: Any) -> None:
        self._messages.append(message)
        self._changed.set()

    def __bool__(self) -> bool:
        return bool(self._messages)

    async def take(self) -> Any:
        while not self._messages:
            self._changed = anyio.Event()
            await self._changed.wait()
        return self._messages.popleft()


class Connection:
    """One connection as the server sees it: what the client sends, what the application does."""

    def __init__(self, **scope: Any) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "path": "/",
            "raw_path": scope.get("path", "/").encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"x"), (b"x-two", b"caf\xe9"), (b"x-two", b"2")],
            "extensions": {"websocket.http.response": {}},
            **scope,
        }
        self.to_app = Inbox()
        self.from_app = Inbox()
        self.failure: BaseException | None = None  # what send raises from now on
        self.code_after: int | None = None  # of the disconnect that then follows
        self.disconnected = self.asked_again = False
        self.deaf = False  # whether send blocks for ever
        self.over = anyio.Event()
        self.raised: BaseException | None = None

    # -- what the application is given ---------------------------------------------------------

    async def receive(self) -> Message:
        if self.disconnected:  # servers may raise then, or never return
            self.asked_again = True
        message = await self.to_app.take()
        if isinstance(message, BaseException):
            raise message
        assert isinstance(message, dict)
        self.disconnected |= message["type"] == "websocket.disconnect"
        return message

    async def send(self, message: Message) -> None:
        if self.deaf:
            await anyio.sleep_forever()
        if self.failure is not None:
            if self.code_after is not None:
                self.leaves(self.code_after)
            raise self.failure
        self.from_app.put(message)

    # -- what a test does ----------------------------------------------------------------------

    def says(self, *messages: str | bytes) -> None:
        for message in messages:
            key = "text" if isinstance(message, str) else "bytes"
            self.to_app.put({"type": "websocket.receive", key: message})

    def leaves(self, code: int | None = 1000, **more: Any) -> None:
        self.to_app.put({"type": "websocket.disconnect", "code": code, **more})

    async def gets(self) -> Message:
        """The next message of the application."""
        with anyio.fail_after(PATIENCE):
            message: Message = await self.from_app.take()
            return message

    @property
    def silent(self) -> bool:
        """Whether the application has said nothing that was not taken."""
        return not self.from_app

    async def accepted(self) -> None:
        self.to_app.put(CONNECT)
        assert (await self.gets())["type"] == "websocket.accept"

    async def ends(self) -> None:
        """Wait until the application returned; it raised nothing."""
        with anyio.fail_after(PATIENCE):
            await self.over.wait()
        assert self.raised is None
        assert not self.asked_again, "receive was called after the disconnect"


@asynccontextmanager
async def connected(
    application: Callable[..., Awaitable[None]], **scope: Any
) -> AsyncIterator[Connection]:
    """Run an ASGI application for one connection, which must be over at the end of the block."""
    connection = Connection(**scope)

    async def run() -> None:
        try:
            await application(connection.scope, connection.receive, connection.send)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            connection.raised = error
        finally:
            connection.over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        yield connection
        await connection.ends()


class Recorder:
    """An app that says which key was pressed, and what was seen of its calls."""

    def __init__(
        self, *, limits: Limits | None = None, timings: Timings | None = None, **options: Any
    ) -> None:
        self.app = VoiceApp(limits=limits, timings=timings, **options)
        self.sessions: list[CallSession] = []
        self.ends: list[Ended | None] = []
        self.keys = ""

        @self.app.on_connect
        async def came(session: CallSession) -> None:
            self.sessions.append(session)

        @self.app.on(Dtmf)
        async def pressed(session: CallSession, event: Dtmf) -> None:
            self.keys += event.digit
            session.speak(event.digit)

        @self.app.on_disconnect
        async def went(session: CallSession) -> None:
            for _ in range(10):  # turns of the loop in which somebody might go on without us
                await anyio.lowlevel.checkpoint()
            self.ends.append(session.ended)

    def told(self) -> tuple[str, str, int]:
        """How the one call ended: told once, and nothing is left of it."""
        assert len(self.ends) == 1
        end = self.ends[0]
        assert end is not None
        assert self.app.stats.calls == self.app.stats.connections == 0
        return end.cause, end.initiator, end.code
