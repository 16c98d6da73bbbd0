"""The other end of a call, independent of plivo_core: messages, the `websockets` client, raw bytes.

Frames are written and read by hand here, so that a mistake of ours cannot cancel itself out.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import socket
import ssl
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from websockets.sync.client import ClientConnection, connect

from tests.adapter._tls import client_context

PATIENCE = 10.0  # seconds that anything may take before it counts as a hang

TLS = set[int]()  # ports where a server of this process speaks it

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

# --- what the platform says -----------------------------------------------------------------------


def session_started(id: str = "agent-1") -> str:
    return json.dumps({"type": "session.started", "agent_session_id": id, "call_id": "call-1"})


def session_ended() -> str:
    return json.dumps({"type": "session.ended", "duration_seconds": 7})


def start(stream: str = "stream-1") -> str:
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000}
    body = {"streamId": stream, "callId": "call-1", "mediaFormat": media_format}
    return json.dumps({"event": "start", "streamId": stream, "start": body})


def media(payload: str | bytes) -> str:
    if isinstance(payload, bytes):
        payload = base64.b64encode(payload).decode()
    return json.dumps({"event": "media", "media": {"payload": payload, "track": "inbound"}})


def dtmf(digit: object) -> str:
    return json.dumps({"type": "user.dtmf", "digit": digit})


def tool_called(id: str, name: str = "look_up", **arguments: object) -> str:
    return json.dumps({"type": "tool.called", "id": id, "name": name, "arguments": arguments})


def stop() -> str:
    return json.dumps({"event": "stop", "streamId": "stream-1"})


def payload_of(message: str | bytes) -> str:
    """The payload of a playAudio, which `message` must be."""
    command = json.loads(message)
    assert command["event"] == "playAudio"
    payload: str = command["media"]["payload"]
    return payload


# --- the `websockets` library as a client ---------------------------------------------------------


@contextmanager
def a_call(port: int, target: str = "/") -> Iterator[ClientConnection]:
    """A call by an independent WebSocket implementation (its offer of deflate included)."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    url = f"{'wss' if port in TLS else 'ws'}://127.0.0.1:{port}{target}"
    context = client_context(for_threads=True) if port in TLS else None
    with connect(url, sock=sock, ssl=context, close_timeout=PATIENCE) as client:
        yield client


def heard(client: ClientConnection) -> str | bytes:
    """The next message from the server."""
    return client.recv(timeout=PATIENCE)


# --- raw bytes ------------------------------------------------------------------------------------


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE
        return int.from_bytes(self.payload[:2], "big")

    @property
    def json(self) -> Any:
        assert self.opcode == TEXT
        return json.loads(self.payload)


def frame(
    opcode: int, payload: bytes | str = b"", *, fin: bool = True, masked: bool = True, rsv: int = 0
) -> bytes:
    """One frame as a client writes it (RFC 6455 5.2)."""
    if isinstance(payload, str):
        payload = payload.encode()
    first, bit, size = (0x80 if fin else 0) | rsv << 4 | opcode, 0x80 if masked else 0, len(payload)
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


_UPGRADE = {
    b"Host": b"127.0.0.1",
    b"Connection": b"Upgrade",
    b"Upgrade": b"websocket",
    b"Sec-WebSocket-Version": b"13",
    b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
}


def upgrade_head(
    request_line: bytes = b"GET /call HTTP/1.1", **changed: bytes | list[bytes] | None
) -> bytes:
    """An upgrade request. Keywords change headers (`sec_websocket_key=None` leaves one out)."""
    headers: dict[bytes, bytes | list[bytes] | None] = dict(_UPGRADE)
    names = {name.lower(): name for name in headers}
    for keyword, value in changed.items():
        name = keyword.replace("_", "-").lower().encode()
        headers[names.get(name, name)] = value
    lines = [request_line]
    for name, values in headers.items():
        each = values if isinstance(values, list) else [values]
        lines += [name + b": " + value for value in each if value is not None]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """A TCP connection of our own, for what no well-behaved library would send."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(PATIENCE)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if port in TLS:
            self.sock = client_context().wrap_socket(self.sock, server_hostname="127.0.0.1")
        self.received = bytearray()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def drip(self, data: bytes) -> None:
        """One segment per byte (Nagle is off)."""
        for i in range(len(data)):
            self.sock.sendall(data[i : i + 1])

    def half_close(self) -> None:
        """End our direction only. Not over TLS, where Python's client cannot go on reading."""
        assert not isinstance(self.sock, ssl.SSLSocket), "mark it: bytes(half_close=True)"
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Tear the connection down: the server's next read or write fails with ECONNRESET."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except ConnectionError as error:
            raise AssertionError(f"a RST; until then {bytes(self.received)!r}") from error
        self.received += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        while len(self.received) < size:
            assert self._more(), f"the end of file after {bytes(self.received)!r}"
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def read_answer(self) -> Answer:
        """An HTTP answer, its body by Content-Length."""
        while b"\r\n\r\n" not in self.received:
            assert self._more(), f"no answer: the end of file after {bytes(self.received)!r}"
        head = self._take(self.received.index(b"\r\n\r\n") + 4).decode("latin-1")
        status_line, *lines = head[:-4].split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines)}
        body = self._take(int(headers.get("content-length", 0)))
        return Answer(int(status), headers, body)

    def upgrade(self, head: bytes | None = None) -> Answer:
        self.send(head or upgrade_head())
        return self.expect_101()

    def expect_101(self) -> Answer:
        answer = self.read_answer()
        assert answer.status == 101
        assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert "sec-websocket-extensions" not in answer.headers
        return answer

    def read_frame(self) -> Frame:
        first, second = self._take(2)
        assert not second & 0x80, "servers must not mask (RFC 6455 5.1)"
        assert first & 0x80, "the server sends no fragments"
        size = second
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(self._take(8), "big")
        return Frame(first & 0x0F, self._take(size))

    def expect_end(self) -> None:
        """Nothing more but the end of the stream, and no RST."""
        while self._more():
            pass
        assert not self.received, f"{bytes(self.received)!r} after the end"

    def expect_close(self, code: int) -> None:
        """A Close frame with `code`, and then the end of the stream."""
        got = self.read_frame()
        assert got.opcode == CLOSE
        assert got.close_code == code, f"{got.close_code}: {got.payload[2:]!r}"
        self.expect_end()

    def wait_until_full(self) -> None:
        """Wait, reading nothing, until nothing more arrives for 0.1 s."""
        arrived = -1
        while (now := self._unread()) != arrived:
            arrived = now
            time.sleep(0.1)

    def _unread(self) -> int:
        """Bytes that wait in the kernel."""
        return int.from_bytes(fcntl.ioctl(self.sock, termios.FIONREAD, bytes(4)), sys.byteorder)

    def swallow(self) -> bytes:
        """All that comes until the connection is gone, in whatever way."""
        data = bytes(self.received)
        try:
            while more := self.sock.recv(65536):
                data += more
        except (ConnectionError, ssl.SSLEOFError):
            pass
        return data
