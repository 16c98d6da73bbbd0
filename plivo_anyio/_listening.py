"""Where a server listens: an address, a UNIX socket, or sockets that somebody else bound."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio
from anyio.abc import SocketAttribute, SocketListener

from plivo_core import ConfigError

__all__ = ["Address", "Listener", "Where"]

Address = tuple[str, int]


class Listener(Protocol):
    """What the accept loop needs of a listener."""

    async def accept(self) -> socket.socket:
        """The next connection, non-blocking. Raises ClosedResourceError once it was closed."""
        ...

    async def aclose(self) -> None: ...

    @property
    def address(self) -> Address:
        """Host and port, or the path of a UNIX socket and 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The options of ``run`` and ``serve``; contradictions are a ConfigError before anything."""

    host: str | None = None
    port: int | None = None
    uds: str | os.PathLike[str] | None = None
    sock: socket.socket | Sequence[socket.socket] | None = None
    reuse_port: bool = False

    def __post_init__(self) -> None:
        chosen = {
            "host": self.host is not None,
            "port": self.port is not None,
            "uds": self.uds is not None,
            "sock": self.sock is not None,
            "reuse_port": self.reuse_port,
        }
        for alone in ("uds", "sock"):
            others = [name for name, given in chosen.items() if given and name != alone]
            if chosen[alone] and others:
                raise ConfigError(
                    f"{alone} was given together with {', '.join(others)}",
                    hint=f"{alone} says where to listen by itself; leave the others out",
                )
        if self.port is not None and not 0 <= self.port <= 65535:
            raise ConfigError(f"port is {self.port}", hint="0 (any that is free) to 65535")
        if self.uds is not None and not hasattr(socket, "AF_UNIX"):
            raise ConfigError("uds was given, but there are no UNIX sockets here")
        if self.reuse_port and not hasattr(socket, "SO_REUSEPORT"):
            raise ConfigError(
                "reuse_port was given, but this platform has no SO_REUSEPORT",
                hint="let one process bind and pass its socket to the workers: sock=",
            )
        if self.sock is not None and not self._sockets():
            raise ConfigError("sock is empty", hint="give a socket, or a sequence of them")
        for sock in self._sockets():
            _check_bound(sock)

    def _sockets(self) -> Sequence[socket.socket]:
        if self.sock is None:
            return ()
        return (self.sock,) if isinstance(self.sock, socket.socket) else tuple(self.sock)

    async def open(self, backlog: int) -> list[Listener]:
        """Listen. Raises OSError when the place is taken or not ours to take."""
        if self.uds is not None:
            return [_bind_unix(os.fspath(self.uds), backlog)]
        if self.sock is not None:
            for sock in self._sockets():
                sock.listen(backlog)
            return [_Listener(sock) for sock in self._sockets()]
        bound = await anyio.create_tcp_listener(
            local_host="0.0.0.0" if self.host is None else self.host,
            local_port=9000 if self.port is None else self.port,
            backlog=backlog,
            reuse_port=self.reuse_port,
        )
        return [_Listener(_taken_over(listener)) for listener in bound.listeners]  # type: ignore[arg-type]


class _Listener:
    """Accepts on a listening socket; ``file`` is to be removed at the end if it is ours.

    anyio's listeners make streams of what they accept; our transports take sockets.
    """

    def __init__(self, sock: socket.socket, file: str | None = None) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._closed = False
        self._file = file
        self._identity = None if file is None else _identity(file)

    async def accept(self) -> socket.socket:
        while not self._closed:
            try:
                await anyio.wait_readable(self._sock)
                connection, _ = self._sock.accept()
            except BlockingIOError:
                continue  # another worker took it
            except anyio.ClosedResourceError:
                break
            except OSError as error:
                if error.errno == errno.EBADF:  # closed between the wait and the accept
                    break
                raise
            connection.setblocking(False)
            return connection
        raise anyio.ClosedResourceError

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        # First the file, while it is surely ours: then the next server may bind.
        if self._file is not None and _identity(self._file) == self._identity:
            os.unlink(self._file)
        anyio.notify_closing(self._sock)
        self._sock.close()

    @property
    def address(self) -> Address:
        name = self._sock.getsockname()
        if self._sock.family in (socket.AF_INET, socket.AF_INET6):
            return str(name[0]), int(name[1])
        return (os.fsdecode(name) or "(unnamed)", 0)


def _taken_over(listener: SocketListener) -> socket.socket:
    """The socket of a listener of anyio, which is not used any more."""
    sock: socket.socket = listener.extra(SocketAttribute.raw_socket)
    return socket.socket(fileno=sock.detach())


def _bind_unix(path: str, backlog: int) -> Listener:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        sock.listen(backlog)
        return _Listener(sock, path)
    except BaseException:
        sock.close()
        raise


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that is gone; never a living server's, nor other files."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"uds is {path!r}, which is a file", hint="name a path that is free")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a living server with a full backlog would keep us waiting
        verdict = probe.connect_ex(path)
    if verdict == errno.ECONNREFUSED:
        os.unlink(path)
    elif verdict != errno.ENOENT:
        in_use = OSError(errno.EADDRINUSE, f"address already in use: somebody listens on {path!r}")
        raise in_use


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _check_bound(sock: object) -> None:
    if not isinstance(sock, socket.socket):
        raise ConfigError(
            f"sock is {type(sock).__name__}", hint="a socket.socket, or a sequence of them"
        )
    hint = "bind a stream socket: socket.create_server((host, port))"
    if sock.fileno() < 0 or sock.type != socket.SOCK_STREAM:
        raise ConfigError(f"sock is {sock!r}, which cannot listen", hint=hint)
    name = sock.getsockname()
    inet = sock.family in (socket.AF_INET, socket.AF_INET6)
    if not (name[1] if inet else name):
        raise ConfigError("sock is not bound to an address", hint=hint)
