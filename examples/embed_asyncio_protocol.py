"""The core in an asyncio.Protocol: no streams, no tasks, no adapter.

python examples/embed_asyncio_protocol.py --port 9000

Every callback is an input (bytes, end of file, lost transport, clock, room to write) and is
followed by the same three steps: hand out the events, write while the transport takes it, set the
timer to the deadline.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from typing import cast

from plivo_core import Event, Limits, RequestReceived, Response, ServerConnection, Session, Timings
from plivo_core.events import Dtmf, StreamMedia, ToolCall

React = Callable[[Session, Event], None]
logger = logging.getLogger("embed_asyncio_protocol")


def react(session: Session, event: Event) -> None:
    """The application: gets every event of every call; Ended comes last, once."""
    if isinstance(event, StreamMedia):
        session.send_media(event.payload)
    elif isinstance(event, Dtmf):
        session.speak(f"You pressed {event.digit}.")
    elif isinstance(event, ToolCall):
        session.send_tool_result(event.id, {"echo": event.arguments})


class Call(asyncio.Protocol):
    """One connection. ``calls`` is the set of all that are open."""

    transport: asyncio.Transport

    def __init__(
        self,
        calls: set[Call],
        react: React = react,
        limits: Limits | None = None,
        timings: Timings | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.calls, self.react = calls, react
        self.conn = ServerConnection(now=self.loop.time(), limits=limits, timings=timings)
        self.timer: asyncio.TimerHandle | None = None
        self.paused = False
        self.wrote_at = self.loop.time()

    # -- inputs --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # One piece at a time: what the transport or the kernel holds, no clearAudio overtakes.
        self.transport.set_write_buffer_limits(high=0)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            size = self.conn.limits.transport_buffer
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)
        if len(self.calls) >= self.conn.limits.max_connections:
            self.conn.reject(503, now=self.loop.time())
        self.calls.add(self)
        self.step()

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
        self.step()

    def shut_down(self) -> None:
        """The server stops: one attempt at a Close frame, then Ended."""
        self.conn.close(1001, "server shutting down", now=self.loop.time())
        self.step()
        self.transport.abort()  # what it did not take by now it never will
        self.connection_lost(None)

    # -- after each of them --------------------------------------------------------------------

    def step(self) -> None:
        try:
            self.hand_out()
            while not self.paused and (data := self.conn.data_to_send()):
                self.wrote_at = self.loop.time()
                self.transport.write(data)
            if self.conn.should_close_transport and not self.paused:
                # Half-close and read on for `linger`: closing at once could send a RST.
                with contextlib.suppress(OSError):
                    self.transport.write_eof()
            self.set_timer()
        except Exception:  # the barrier: the other calls go on
            logger.exception("a connection failed")
            self.transport.abort()

    def hand_out(self) -> None:
        while (event := self.conn.next_event()) is not None:
            if not isinstance(event, RequestReceived):
                try:
                    self.react(self.conn.session, event)
                except Exception:  # the application's bug does not end the call
                    logger.exception("react() failed")
            elif event.upgrade:
                self.conn.accept(now=self.loop.time())
            else:
                answer = Response(status=426, headers=(("upgrade", "websocket"),))
                self.conn.respond(answer, now=self.loop.time())

    # -- the clock -----------------------------------------------------------------------------

    def due(self) -> float | None:
        if not self.conn.should_close_transport:
            return self.conn.deadline()
        return self.wrote_at + (self.conn.timings.write if self.paused else self.conn.linger)

    def set_timer(self) -> None:
        """Only a timer that would be late is set anew: early is harmless."""
        due = self.due() if self in self.calls else None
        if self.timer is not None and (due is None or due < self.timer.when()):
            self.timer.cancel()
            self.timer = None
        if due is not None and self.timer is None:
            self.timer = self.loop.call_at(due, self.timed_out)

    def timed_out(self) -> None:
        self.timer = None
        due = self.due()
        if self.conn.should_close_transport and due is not None and self.loop.time() >= due:
            self.transport.abort()
            return
        self.conn.handle_timeout(now=self.loop.time())
        self.step()


async def serve(
    listener: socket.socket,
    react: React = react,
    limits: Limits | None = None,
    timings: Timings | None = None,
) -> None:
    """Serve until cancelled."""
    calls: set[Call] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Call(calls, react, limits, timings), sock=listener, backlog=Limits().backlog
    )
    try:
        await loop.create_future()  # a cancelled serve_forever() would wait for every call
    finally:
        server.close()
        for call in tuple(calls):
            call.shut_down()


async def main(port: int) -> None:
    """Serve until SIGINT or SIGTERM: a KeyboardInterrupt could strike between any two lines."""
    serving = asyncio.ensure_future(serve(socket.create_server(("127.0.0.1", port))))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(main(parser.parse_args().port))
