"""The wire layer alone: a WebSocket server that sends every text and binary message back.

python examples/ws_echo.py --port 9001 --backend trio --max-message 16777216 --max-fragments 65536

One task per connection, and each message is written before the next one is pulled: a peer that
does not read is not read from either, and nothing piles up on our side.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import signal

import anyio
from anyio.abc import ByteStream, SocketStream

from plivo_core import Limits
from plivo_core.wire import RequestReceived, Response, WebSocketServer, WireClosed

logger = logging.getLogger("ws_echo")
CHUNK = 64 * 1024  # bytes per write: each has Timings.write seconds to leave


async def echo(stream: ByteStream, ws: WebSocketServer) -> None:
    """Drive one connection until its last bytes are out."""
    while not ws.should_close_transport:
        while (item := ws.next_event()) is not None:
            if isinstance(item, RequestReceived) and item.upgrade:
                ws.accept(now=anyio.current_time())
            elif isinstance(item, RequestReceived):
                answer = Response(status=426, headers=(("upgrade", "websocket"),))
                ws.respond(answer, now=anyio.current_time())
            elif not isinstance(item, WireClosed):
                ws.send_message(item, now=anyio.current_time())
            await write(stream, ws)
        await write(stream, ws)
        if not ws.closed:
            await read(stream, ws)


async def read(stream: ByteStream, ws: WebSocketServer) -> None:
    """Wait for bytes, or for the deadline."""
    due = ws.deadline()
    data = None
    with anyio.CancelScope(deadline=float("inf") if due is None else due):
        try:
            data = await stream.receive(ws.limits.read_size)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            data = b""
    if data:
        ws.receive_data(data, now=anyio.current_time())
    elif data is not None:
        ws.receive_eof(now=anyio.current_time())
    else:
        ws.handle_timeout(now=anyio.current_time())


async def write(stream: ByteStream, ws: WebSocketServer) -> None:
    while data := ws.data_to_send():
        for start in range(0, len(data), CHUNK):
            sent = False
            with (
                anyio.move_on_after(ws.timings.write),
                contextlib.suppress(anyio.BrokenResourceError),
            ):
                await stream.send(data[start : start + CHUNK])
                sent = True
            if not sent:
                ws.send_failed(now=anyio.current_time())
                return


async def serve_connection(stream: SocketStream, limits: Limits) -> None:
    try:
        async with stream:
            ws = WebSocketServer(now=anyio.current_time(), limits=limits)
            await echo(stream, ws)
            # Half-close and read on for `linger`: closing at once could send a RST.
            with anyio.move_on_after(ws.linger):
                await stream.send_eof()
                while await stream.receive(limits.read_size):
                    pass
    except (anyio.EndOfStream, anyio.BrokenResourceError, OSError):
        pass  # the peer was faster
    except Exception:  # the barrier: the other connections go on
        logger.exception("a connection failed")


async def serve(host: str, port: int, limits: Limits) -> None:
    listener = await anyio.create_tcp_listener(
        local_host=host, local_port=port, backlog=limits.backlog
    )
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, functools.partial(serve_connection, limits=limits))
            async for _ in signals:
                tasks.cancel_scope.cancel()
                break


if __name__ == "__main__":
    defaults = Limits()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--max-message", type=int, default=defaults.max_message, help="bytes")
    parser.add_argument("--max-fragments", type=int, default=defaults.max_fragments)
    options = parser.parse_args()
    limits = Limits(max_message=options.max_message, max_fragments=options.max_fragments)
    anyio.run(serve, options.host, options.port, limits, backend=options.backend)
