"""The core in a bare selectors loop: python examples/embed_selectors.py --port 9000"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import socket
import time
import traceback
from collections.abc import Callable
from typing import Any

from plivo_core import Ended, Event, RequestReceived, Response, ServerConnection, Session
from plivo_core.events import Dtmf, StreamMedia, ToolCall

FOREVER = float("inf")


def react(session: Session, event: Event) -> None:
    """The application: gets every event of every call; Ended comes last, once."""
    if isinstance(event, StreamMedia):
        session.send_media(event.payload)
    elif isinstance(event, Dtmf):
        session.speak(f"You pressed {event.digit}.")
    elif isinstance(event, ToolCall):
        session.send_tool_result(event.id, {"echo": event.arguments})


class Call:
    """One connection: its socket, its core object, and the bytes the socket did not take yet."""

    def __init__(
        self, sock: socket.socket, react: Callable[[Session, Event], None], **bounds: Any
    ) -> None:
        self.conn = ServerConnection(now=time.monotonic(), **bounds)
        self.sock, self.react, self.unsent, self.at_eof = sock, react, memoryview(b""), False
        self.close_at, self.half_closed = FOREVER, False
        if (lowat := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
            # What the kernel holds, no clearAudio can overtake.
            sock.setsockopt(socket.IPPROTO_TCP, lowat, self.conn.limits.transport_buffer)

    def read(self, now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                data = self.sock.recv(self.conn.limits.read_size)
            except ConnectionError:
                data = b""  # a reset is an end, too
            if data:
                self.conn.receive_data(data, now=now)
            else:
                self.at_eof = True
                self.conn.receive_eof(now=now)

    def step(self, now: float) -> None:
        """After each input: events out, bytes out as the socket takes them, then the end."""
        conn = self.conn
        while (event := conn.next_event()) is not None:
            if isinstance(event, Ended):  # no deadline any more: the last bytes have this long
                self.close_at = now + conn.timings.write
            if not isinstance(event, RequestReceived):
                try:
                    self.react(conn.session, event)
                except Exception:  # noqa: BLE001 - the call survives its application
                    traceback.print_exc()
            elif event.upgrade:
                conn.accept(now=now)
            else:
                conn.respond(Response(status=426, headers=(("upgrade", "websocket"),)), now=now)
        try:
            while chunk := self.unsent or memoryview(conn.data_to_send()):
                self.unsent = chunk
                self.unsent = chunk[self.sock.send(chunk) :]
        except BlockingIOError:
            pass  # take no more from the core until the socket is writable
        except OSError:
            self.unsent = memoryview(b"")
            conn.send_failed(now=now)
            self.step(now)
        if conn.should_close_transport and not self.unsent and not self.half_closed:
            self.half_closed = True
            self.close_at = now + conn.linger
            with contextlib.suppress(OSError):  # half-close and read on: closing could send a RST
                self.sock.shutdown(socket.SHUT_WR)

    def due(self) -> float:
        deadline = self.conn.deadline()
        return self.close_at if deadline is None else deadline


def serve(
    listener: socket.socket,
    react: Callable[[Session, Event], None] = react,
    stop: socket.socket | None = None,
    **bounds: Any,
) -> None:
    """Serve until ``stop`` is readable; ``bounds`` are the core's limits and timings."""
    calls: set[Call] = set()
    with selectors.DefaultSelector() as selector:
        listener.setblocking(False)
        for sock in filter(None, (listener, stop)):
            selector.register(sock, selectors.EVENT_READ)
        try:
            while turn(selector, calls, listener, react, stop, bounds):
                pass
            for call in calls:
                call.conn.close(1001, "server shutting down", now=time.monotonic())
                call.step(time.monotonic())
                call.conn.send_failed(now=time.monotonic())  # nobody waits for an answer
                call.step(time.monotonic())
        finally:  # a KeyboardInterrupt may strike between any two lines: no goodbye then
            for call in calls:
                call.sock.close()


def turn(
    selector: selectors.BaseSelector,
    calls: set[Call],
    listener: socket.socket,
    react: Callable[[Session, Event], None],
    stop: socket.socket | None,
    bounds: dict[str, Any],
) -> bool:
    """Wait for sockets or the next deadline, give every call its input, then one step each."""
    wait = min((call.due() for call in calls), default=FOREVER) - time.monotonic()
    ready = selector.select(None if wait == FOREVER else max(wait, 0))
    now = time.monotonic()
    touched = {call for call in calls if now >= call.due()}
    for call in touched:
        call.conn.handle_timeout(now=now)
    for key, events in ready:
        if key.fileobj is stop:
            return False
        if key.fileobj is listener:
            with contextlib.suppress(OSError):
                sock, _ = listener.accept()
                sock.setblocking(False)
                calls.add(call := Call(sock, react, **bounds))
                selector.register(sock, selectors.EVENT_READ, call)
            continue
        touched.add(key.data)
        if events & selectors.EVENT_READ:
            key.data.read(now)
        else:  # harmless if early, and tells the time: what leaves plays from now on
            key.data.conn.handle_timeout(now=now)
    for call in touched:
        call.step(now)
        if now >= call.close_at or (call.at_eof and call.conn.should_close_transport):
            selector.unregister(call.sock)
            call.sock.close()
            calls.remove(call)
        else:
            wanted = 0 if call.at_eof else selectors.EVENT_READ
            wanted |= selectors.EVENT_WRITE if call.unsent else 0
            selector.modify(call.sock, wanted, call)
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    address = ("127.0.0.1", parser.parse_args().port)
    with contextlib.suppress(KeyboardInterrupt), socket.create_server(address) as listener:
        serve(listener)
