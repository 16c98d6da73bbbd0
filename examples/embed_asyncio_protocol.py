"""The core in an asyncio.Protocol: python examples/embed_asyncio_protocol.py --port 9000"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

from plivo_core import Ended, Event, RequestReceived, Response, ServerConnection, Session
from plivo_core.events import Dtmf, StreamMedia, ToolCall


def react(session: Session, event: Event) -> None:
    """The application: gets every event of every call; Ended comes last, once."""
    if isinstance(event, StreamMedia):
        session.send_media(event.payload)
    elif isinstance(event, Dtmf):
        session.speak(f"You pressed {event.digit}.")
    elif isinstance(event, ToolCall):
        session.send_tool_result(event.id, {"echo": event.arguments})


class Call(asyncio.Protocol):
    """One connection. Every callback is an input to the core, followed by one step()."""

    def __init__(self, calls: set[Call], react: Callable[[Session, Event], None], **bounds: Any):
        self.loop = asyncio.get_running_loop()
        self.conn = ServerConnection(now=self.loop.time(), **bounds)
        self.calls, self.react, self.paused, self.closing = calls, react, False, False
        self.timer = self.loop.call_later(0, self.timed_out)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # One piece at a time: what transport or kernel hold, no clearAudio can overtake.
        self.transport.set_write_buffer_limits(high=0)
        lowat, size = getattr(socket, "TCP_NOTSENT_LOWAT", None), self.conn.limits.transport_buffer
        if lowat is not None:
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, lowat, size)
        self.calls.add(self)

    def data_received(self, data: bytes) -> None:
        self.conn.receive_data(data, now=self.loop.time())
        self.step()

    def eof_received(self) -> bool:
        self.conn.receive_eof(now=self.loop.time())
        self.step()
        return True  # keep the transport: the core may have something to say

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.discard(self)
        self.conn.send_failed(now=self.loop.time())  # harmless after the end
        self.step()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.timed_out()  # harmless if early, and tells the time: what leaves plays from now on

    def timed_out(self) -> None:
        self.conn.handle_timeout(now=self.loop.time())
        self.step()

    def step(self) -> None:
        """Events out, bytes out as the transport takes them, then the end or the next deadline."""
        conn, now = self.conn, self.loop.time()
        while (event := conn.next_event()) is not None:
            if isinstance(event, Ended):  # no deadline any more: the last bytes have this long
                self.loop.call_later(conn.timings.write, self.transport.abort)
            if not isinstance(event, RequestReceived):
                try:
                    self.react(conn.session, event)
                except Exception as error:  # noqa: BLE001 - the call survives its application
                    self.loop.call_exception_handler({"message": "react()", "exception": error})
            elif event.upgrade:
                conn.accept(now=now)
            else:
                conn.respond(Response(status=426, headers=(("upgrade", "websocket"),)), now=now)
        while not self.paused and (data := conn.data_to_send()):
            self.transport.write(data)
        if conn.should_close_transport and not self.paused and not self.closing:
            self.closing = True  # half-close and read on: closing at once could send a RST
            with contextlib.suppress(OSError):
                self.transport.write_eof()
            self.loop.call_later(conn.linger, self.transport.abort)
        due = conn.deadline()
        # A timer is only set anew when it would ring late (or is spent): early is harmless.
        if due is not None and not now < self.timer.when() <= due:
            self.timer.cancel()
            self.timer = self.loop.call_at(due, self.timed_out)


async def serve(
    listener: socket.socket, react: Callable[[Session, Event], None] = react, **bounds: Any
) -> None:
    """Serve until cancelled; ``bounds`` are the core's limits and timings."""
    calls: set[Call] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Call(calls, react, **bounds), sock=listener)
    try:
        await loop.create_future()
    finally:
        server.close()
        for call in tuple(calls):
            call.conn.close(1001, "server shutting down", now=loop.time())
            call.step()
            call.transport.abort()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(socket.create_server(("127.0.0.1", parser.parse_args().port))))
