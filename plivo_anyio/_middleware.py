"""The same verifier in front of any ASGI application, on asyncio and trio.

Reads the body once, up to the verifier's limit, lets through what Plivo signed, and hands the body
on as if nothing had been read. Knows no framework, and nothing of paths: a list of paths to guard
could be passed by with another spelling, so wrap the application that holds nothing but webhooks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, cast

import anyio

from plivo_anyio._asgi_connection import Message, Receive, Scope, Send
from plivo_anyio._logging import logger
from plivo_anyio._webhooks import abandon, begin, finish, log_refusal, verifier_from_environment
from plivo_core import Request, Response, Timings
from plivo_core.webhooks import (
    ReplayGuard,
    Settled,
    Verified,
    WebhookEndpoint,
    WebhookVerifier,
    request_from_asgi,
)

__all__ = ["WebhookMiddleware"]

ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_TIMINGS = Timings()
# Extensions by which no part of an answer passes: of the others (http.response.pathsend,
# zerocopysend, trailers ...) the answer would not be known, and not be repeated.
_HARMLESS = frozenset({"http.response.debug", "http.response.early_hint", "http.response.push"})


class WebhookMiddleware:
    """``app`` behind a verifier: what reaches it by HTTP is Plivo's, and reaches it once.

    The Verified hook is in ``scope["plivo.hook"]``. Other scopes (lifespan, websocket) pass as they
    are. ``verifier`` is by default made of PLIVO_AUTH_TOKEN and PLIVO_PUBLIC_URL; the other options
    are those of :class:`~plivo_core.webhooks.WebhookEndpoint`. ``explain`` logs which input differs
    from what was signed, for development; ``body_timeout`` is in seconds. Raises ConfigError.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: WebhookVerifier | None = None,
        *,
        replay_guard: ReplayGuard | None = None,
        methods: Sequence[str] = ("POST",),
        json: bool = False,
        unsigned: bool = False,
        explain: bool = False,
        body_timeout: float = _TIMINGS.body,
    ) -> None:
        self._app = app
        known = verifier or verifier_from_environment()
        self._endpoint = WebhookEndpoint(
            known, replay_guard=replay_guard, methods=methods, json=json, unsigned=unsigned
        )
        self._max_body = known.limits.max_webhook_body
        self._explain = explain
        self._body_timeout = body_timeout
        if unsigned:
            logger.warning("webhooks behind the middleware may be unsigned: anybody's")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = cast("Sequence[Any] | None", scope.get("client"))
        peer = str(client[0]) if client else None
        head = request_from_asgi(scope)
        if (refused := self._endpoint.refusal_of_head(head, peer=peer)) is not None:
            await self._settle(head, peer, refused, send)
            return
        body = await self._body(receive)
        if body is None:
            return  # nobody is there to be answered
        if isinstance(body, Response):
            await _send(body, send)
            return
        request = request_from_asgi(scope, body)
        step = await begin(self._endpoint, request, peer)
        if isinstance(step, Settled):
            await self._settle(request, peer, step, send)
            return
        answer = _Answer(self._endpoint, step, send)
        try:
            inner = {**scope, "plivo.hook": step}
            if extensions := scope.get("extensions"):
                inner["extensions"] = {
                    name: value
                    for name, value in extensions.items()
                    if name in _HARMLESS or not name.startswith("http.response.")
                }
            await self._app(inner, _replayed(body, receive), answer.send)
        finally:
            await answer.end()

    async def _settle(
        self, request: Request, peer: str | None, settled: Settled, send: Send
    ) -> None:
        if settled.error is not None:
            endpoint = self._endpoint if self._explain else None
            log_refusal(request, settled.error, endpoint, peer)
        await _send(settled.response, send)

    async def _body(self, receive: Receive) -> bytes | Response | None:
        """The whole body, the refusal of it, or None if the client went away."""
        body, more = bytearray(), True
        with anyio.move_on_after(self._body_timeout) as patience:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > self._max_body:
                    return Response(status=413)
        return Response(status=408) if patience.cancelled_caught else bytes(body)


class _Answer:
    """Passes on what the application answers, and remembers it when it is complete."""

    def __init__(self, endpoint: WebhookEndpoint, hook: Verified, send: Send) -> None:
        self._endpoint = endpoint
        self._hook = hook
        self._send = send
        self._status = 500
        self._headers: tuple[tuple[str, str], ...] = ()
        self._body = bytearray()
        self._complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in message.get("headers", ())
            )
        elif message["type"] == "http.response.body" and not self._complete:
            if len(self._body) <= self._endpoint.replay_guard.max_answer:  # more is not kept
                self._body += message.get("body", b"")
            if not message.get("more_body", False):
                # Before it leaves: background tasks of the application may go on for long.
                self._complete = True
                response = Response(
                    status=self._status, headers=self._headers, body=bytes(self._body)
                )
                await finish(self._endpoint, self._hook, response)
        await self._send(message)

    async def end(self) -> None:
        """The application returned, or raised."""
        if not self._complete:
            await abandon(self._endpoint, self._hook)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` as it was before the body was read."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


async def _send(response: Response, send: Send) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
        if name.lower() not in ("content-length", "transfer-encoding")  # of the first sending
    ]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
