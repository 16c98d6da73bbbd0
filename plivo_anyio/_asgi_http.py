"""Plain HTTP behind an ASGI server: the scope as a Request, an answer as messages.

The server reads heads and frames bodies. What it leaves open is bounded here: how large a body may
be, how long it may take to come, how long an answer may take to leave.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

import anyio

from plivo_anyio._asgi_connection import Receive, Scope, Send, raw_headers
from plivo_anyio._barrier import stopped
from plivo_anyio._logging import logger
from plivo_anyio._routes import plain, show_path
from plivo_core import Limits, Request, Response, Timings
from plivo_core.webhooks import request_from_asgi

__all__ = ["answer_request", "path_below"]


def path_below(scope: Scope, request: Request) -> str:
    """The path that apps and routes are compared with: without the one this app is mounted on."""
    root: str = scope.get("root_path") or ""
    root = root.rstrip("/")
    path = request.path
    if not root:
        return path
    # The root is text, the path still percent-encoded: find the part of it that says the same.
    end = path.find("/", 1)
    while True:
        part = path if end < 0 else path[:end]
        if unquote_to_bytes(part) == root.encode():
            return path[len(part) :] or "/"
        if end < 0:
            return path  # a server that leaves the root out, as old ones do
        end = path.find("/", end + 1)


async def answer_request(
    scope: Scope,
    receive: Receive,
    send: Send,
    answer: Callable[[Request], Awaitable[Response]],
    *,
    limits: Limits,
    timings: Timings,
) -> None:
    """Read one request, send its answer. Raises nothing but cancellation."""
    body: bytes | Response | None = plain(408, "the body took too long")
    try:
        with anyio.move_on_after(timings.body):
            body = await _body(scope, receive, limits.max_body)
    except BaseException as error:
        if stopped(error) is None:
            raise
        return  # there is nobody left to answer
    if body is None:
        return
    if isinstance(body, Response):
        request, response = request_from_asgi(scope), body
    else:
        request = request_from_asgi(scope, body)
        response = await answer(request)
    try:
        with anyio.move_on_after(timings.write):
            await _send(scope, send, response)
    except BaseException as error:
        if (told := stopped(error)) is None:
            raise
        logger.info("%s: its answer was not taken: %s", show_path(request), type(told).__name__)


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes | Response | None:
    """The whole body, or why there is none; None: the client left."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit() and int(value[:20]) > limit:
            return _too_large(limit)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            return _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(limit: int) -> Response:
    return plain(413, f"the body is over {limit} bytes")


async def _send(scope: Scope, send: Send, response: Response) -> None:
    headers, body = response.headers, response.body
    if not scope.get("http_version", "1.1").startswith("1"):  # which has no upgrades
        headers = tuple(pair for pair in headers if pair[0].lower() != "upgrade")
    if response.status in (204, 304):
        body = b""
    else:
        headers = (*headers, ("content-length", str(len(body))))
    if scope.get("method") == "HEAD":
        body = b""
    head = raw_headers(headers)
    await send({"type": "http.response.start", "status": response.status, "headers": head})
    await send({"type": "http.response.body", "body": body})
