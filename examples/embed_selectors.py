"""The core in a bare selectors loop: one thread, no framework, no adapter, any number of calls.

python examples/embed_selectors.py --port 9000

Every input (bytes, end of file, broken transport, clock) is followed by the same three steps: hand
out the events, write what the socket takes, then wait for the socket or for the deadline.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import selectors
import signal
import socket
import time
from collections.abc import Callable

from plivo_core import Event, Limits, RequestReceived, Response, ServerConnection, Session, Timings
from plivo_core.events import Dtmf, StreamMedia, ToolCall

React = Callable[[Session, Event], None]
Input = Callable[..., None]
FOREVER = float("inf")
logger = logging.getLogger("embed_selectors")


def react(session: Session, event: Event) -> None:
    """The application: gets every event of every call; Ended comes last, once."""
    if isinstance(event, StreamMedia):
        session.send_media(event.payload)
    elif isinstance(event, Dtmf):
        session.speak(f"You pressed {event.digit}.")
    elif isinstance(event, ToolCall):
        session.send_tool_result(event.id, {"echo": event.arguments})


class Call:
    """One connection: a socket, a core object, and the bytes the socket has not taken yet."""

    def __init__(self, sock: socket.socket, react: React, conn: ServerConnection) -> None:
        self.sock, self.react, self.conn = sock, react, conn
        self.unsent = memoryview(b"")
        self.wrote_at = time.monotonic()
        self.at_eof = self.over = False

    def read(self, *, now: float) -> None:
        try:
            data = self.sock.recv(self.conn.limits.read_size)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a reset is an end, too
        if data:
            self.conn.receive_data(data, now=now)
        else:
            self.at_eof = True
            self.conn.receive_eof(now=now)

    def step(self, now: float) -> None:
        """After each input: events out, bytes out, and the end, if it has come."""
        self.hand_out(now)
        try:
            # Take bytes only to write them: what the socket holds, no clearAudio overtakes.
            while chunk := self.unsent or memoryview(self.conn.data_to_send()):
                self.unsent = chunk
                self.unsent = chunk[self.sock.send(chunk) :]
                self.wrote_at = now
        except BlockingIOError:
            pass  # EVENT_WRITE will tell when it takes more
        except OSError:
            self.unsent = memoryview(b"")
            self.conn.send_failed(now=now)
            self.hand_out(now)
        if self.conn.should_close_transport:
            self.over = now >= self.due()
            if not self.unsent:  # half-close and read on for `linger`: closing would send a RST
                with contextlib.suppress(OSError):
                    self.sock.shutdown(socket.SHUT_WR)

    def hand_out(self, now: float) -> None:
        while (event := self.conn.next_event()) is not None:
            if not isinstance(event, RequestReceived):
                try:
                    self.react(self.conn.session, event)
                except Exception:  # the application's bug does not end the call
                    logger.exception("react() failed")
            elif event.upgrade:
                self.conn.accept(now=now)
            else:
                answer = Response(status=426, headers=(("upgrade", "websocket"),))
                self.conn.respond(answer, now=now)

    def due(self) -> float:
        if self.conn.should_close_transport:
            return self.wrote_at + (self.conn.timings.write if self.unsent else self.conn.linger)
        deadline = self.conn.deadline()
        return FOREVER if deadline is None else deadline

    def close(self, now: float) -> None:
        """The server stops: one attempt at a Close frame, then Ended."""
        self.conn.close(1001, "server shutting down", now=now)
        self.step(now)
        self.conn.send_failed(now=now)
        self.hand_out(now)


class Server:
    """The loop: all calls of one listening socket, one thread."""

    def __init__(
        self, react: React = react, limits: Limits | None = None, timings: Timings | None = None
    ) -> None:
        self.react, self.limits, self.timings = react, limits or Limits(), timings
        self.selector = selectors.DefaultSelector()
        self.calls: set[Call] = set()
        self.wake_at = FOREVER  # not later than the earliest deadline of all calls

    def serve(self, listener: socket.socket, stop: socket.socket | None = None) -> None:
        """Serve until ``stop``, if given, is readable."""
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ)
        if stop is not None:
            self.selector.register(stop, selectors.EVENT_READ)
        try:
            while True:
                wait = self.wake_at - time.monotonic()
                ready = self.selector.select(None if wait == FOREVER else max(wait, 0))
                now = time.monotonic()
                for key, events in ready:
                    if key.fileobj is stop:
                        return
                    if key.fileobj is listener:
                        self.accept(listener, now)
                    elif events & selectors.EVENT_READ:
                        self.step(key.data, now, key.data.read)
                    else:
                        self.step(key.data, now)
                if now >= self.wake_at:  # seldom: while frames come, deadlines only move away
                    self.wake_at = FOREVER
                    for call in tuple(self.calls):
                        self.step(call, now, call.conn.handle_timeout)  # harmless if early
        finally:
            for call in self.calls:
                with call.sock:
                    call.close(time.monotonic())
            self.selector.close()

    def accept(self, listener: socket.socket, now: float) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # it has gone again, or no file descriptor is left
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # or the kernel would hoard minutes of audio
            size = self.limits.transport_buffer
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)
        conn = ServerConnection(now=now, limits=self.limits, timings=self.timings)
        if len(self.calls) >= self.limits.max_connections:
            conn.reject(503, now=now)
        call = Call(sock, self.react, conn)
        self.calls.add(call)
        self.selector.register(sock, selectors.EVENT_READ, call)
        self.step(call, now)

    def step(self, call: Call, now: float, given: Input | None = None) -> None:
        try:
            if given is not None:
                given(now=now)
            call.step(now)
        except Exception:  # the barrier: the other calls go on
            logger.exception("a connection failed")
            call.over = True
        if call.over:
            self.selector.unregister(call.sock)
            self.calls.remove(call)
            call.sock.close()
            return
        wanted = 0 if call.at_eof else selectors.EVENT_READ  # an ended socket is always readable
        wanted |= selectors.EVENT_WRITE if call.unsent else 0
        if wanted != self.selector.get_key(call.sock).events:
            self.selector.modify(call.sock, wanted, call)
        self.wake_at = min(self.wake_at, call.due())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    address = ("127.0.0.1", parser.parse_args().port)
    # A KeyboardInterrupt between send() and the next line would send a piece twice: signals wake
    # the selector instead.
    signalled, stop = socket.socketpair()
    signalled.setblocking(False)
    signal.set_wakeup_fd(signalled.fileno())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with socket.create_server(address, backlog=Limits().backlog) as listener, signalled, stop:
        Server().serve(listener, stop)  # create_server() has set SO_REUSEADDR
        signal.set_wakeup_fd(-1)
