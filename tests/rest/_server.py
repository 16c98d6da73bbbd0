"""Plivo's end of HTTP for the tests: a real server on loopback that plays a script and records.

One thread accepts, one per connection speaks HTTP/1.1 with keep-alive through h11. Each request
takes the next step of the script: an :class:`Answer`, or a fault as data.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

import h11

PATIENCE = 10.0  # seconds: a hang is a failure


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Answer:
    """A response; ``body`` that is not bytes or text goes out as JSON, None as no bytes at all."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def payload(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.encode()


@dataclass(frozen=True)
class Truncated:
    """A head that promises ``promised`` bytes, ``sent`` of them, then the end of the connection."""

    status: int
    sent: bytes
    promised: int


@dataclass(frozen=True)
class Stalled(Truncated):
    """The same, but the connection stays open and silent until the client gives up."""

    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Endless:
    """A chunked body that goes on for as long as anyone reads it."""

    status: int = 200
    chunk: bytes = b"x" * 65536


@dataclass(frozen=True)
class Drip:
    """A head, then one byte of the body now and then: each single read is fast enough."""

    status: int = 200
    interval: float = 0.02


RESET = "reset once the request was read"
HANG_UP = "close politely, without an answer"
SILENCE = "read the request and say nothing until the client gives up"

Step = Answer | Truncated | Endless | Drip | str


class Server:
    """``with Server(Answer(...), RESET) as server``; after the script ``otherwise`` is played."""

    def __init__(self, *script: Step, otherwise: Step | None = None) -> None:
        self.script = list(script)
        self.otherwise = otherwise or Answer(599, {"error": "the script is over"})
        self.requests: list[Received] = []
        self.connections = 0
        self.refuse_next = 0  # connections to reset before anything is read
        self.received = threading.Event()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        self._start(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread of the test server hangs"

    def will(self, *script: Step) -> None:
        """Append to the script."""
        with self._lock:
            self.script.extend(script)

    @property
    def last(self) -> Received:
        return self.requests[-1]

    # -- threads -------------------------------------------------------------------------------

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                refused = self.refuse_next > 0
                self.refuse_next -= refused
                self._open.add(connection)
            if refused:
                self._reset(connection)
            else:
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, h11.RemoteProtocolError):
                conn = h11.Connection(h11.SERVER)
                while (request := self._read(connection, conn)) is not None:
                    with self._lock:
                        self.requests.append(request)
                        step = self.script.pop(0) if self.script else self.otherwise
                    self.received.set()
                    if not self._play(step, connection, conn, request):
                        return
                    conn.start_next_cycle()
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _read(self, connection: socket.socket, conn: h11.Connection) -> Received | None:
        head: h11.Request | None = None
        body = b""
        while True:
            event = conn.next_event()
            if event is h11.NEED_DATA:
                conn.receive_data(connection.recv(65536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                headers = {name.decode(): value.decode() for name, value in head.headers}
                method, target = head.method.decode(), head.target.decode()
                return Received(method, target, headers, body, monotonic())
            else:
                return None  # ConnectionClosed

    def _play(
        self, step: Step, connection: socket.socket, conn: h11.Connection, request: Received
    ) -> bool:
        """Answer one request; True while the connection can take the next one."""
        if isinstance(step, Answer):
            payload = step.payload
            headers = {"content-type": "application/json", **step.headers}
            if step.status != 204:
                headers["content-length"] = str(len(payload))
            connection.sendall(
                self._head(conn, step.status, headers)
                + (conn.send(h11.Data(data=payload)) if payload else b"")
                + (conn.send(h11.EndOfMessage()) or b"")
            )
            return conn.our_state is h11.DONE
        if isinstance(step, Truncated):
            promise = {"content-length": str(step.promised)}
            if isinstance(step, Stalled):
                promise.update(step.headers)
            connection.sendall(self._head(conn, step.status, promise) + step.sent)
            if isinstance(step, Stalled):
                connection.recv(1)
        elif isinstance(step, Endless):
            connection.sendall(self._head(conn, step.status, {}))
            while not self._closing.is_set():
                connection.sendall(conn.send(h11.Data(data=step.chunk)) or b"")
        elif isinstance(step, Drip):
            connection.sendall(self._head(conn, step.status, {}))
            while not self._closing.wait(step.interval):
                connection.sendall(conn.send(h11.Data(data=b" ")) or b"")
        elif step == RESET:
            self._reset(connection)
        elif step == SILENCE:
            connection.recv(1)  # b"" when the client hangs up or the server is closed
        else:
            assert step == HANG_UP, step
        return False

    def _head(self, conn: h11.Connection, status: int, headers: Mapping[str, str]) -> bytes:
        head = h11.Response(status_code=status, headers=list(headers.items()))
        return conn.send(head) or b""

    def _reset(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
        # Lingering for no time at all makes close() send RST in place of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def a_closed_port() -> int:
    """A loopback port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
