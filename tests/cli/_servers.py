"""Servers to be called: a voice app in a thread, and some that nobody wants to meet."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal

from plivo_anyio import CallSession, VoiceApp
from plivo_core import ServerConnection
from plivo_core.events import Dtmf, Prompt, StreamDtmf, StreamMedia

__all__ = ["a_server", "an_agent", "answers_upgrade", "reads_head", "serving"]


def an_agent(**options: Any) -> VoiceApp:
    """Repeats what it hears, whatever kind of call it is in."""
    app = VoiceApp(**options)

    @app.on(Prompt)
    async def asked(session: CallSession, event: Prompt) -> None:
        session.speak(f"You said {event.text}")

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak("You pressed a key.")

    @app.on(StreamDtmf)
    async def pressed_in_stream(session: CallSession, event: StreamDtmf) -> None:
        session.clear_audio()

    @app.on(StreamMedia)
    async def heard(session: CallSession, event: StreamMedia) -> None:
        session.send_media(event.payload)

    return app


@contextmanager
def serving(app: VoiceApp, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The URL of ``app``, served in a thread."""

    async def serve(*, task_status: Any) -> None:
        await app.serve("127.0.0.1", 0, ssl=tls, task_status=task_status)

    with start_blocking_portal("asyncio") as portal:
        future, (host, port) = portal.start_task(serve)
        try:
            yield f"{'ws' if tls is None else 'wss'}://{host}:{port}/"
        finally:
            future.cancel()


@contextmanager
def a_server(behave: Callable[[socket.socket], object]) -> Iterator[str]:
    """The URL of a server that does this to each connection, then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(8) as pool:

        def take(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(10)
                try:
                    behave(connection)
                except OSError:
                    pass  # the caller went first

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                pool.submit(take, connection)

        pool.submit(accept)
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/call"
        listener.shutdown(socket.SHUT_RDWR)


def reads_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(4096)
        if not data:
            break
        head += data
    return head


def answers_upgrade(connection: socket.socket) -> ServerConnection:
    """The upgrade, well done; what follows is the test's business."""
    server = ServerConnection(now=0.0)
    server.receive_data(reads_head(connection), now=0.0)
    server.next_event()
    server.accept(now=0.0)
    connection.sendall(server.data_to_send())
    return server
