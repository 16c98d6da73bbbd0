"""Plain HTTP routes: which handler answers which path and method, and a barrier round it.

A path is compared as the client sent it: exactly, percent-encoded, without the query. Sync handlers
run in threads of anyio's, at most ``_THREADS`` at once per server.
"""

from __future__ import annotations

import functools
import inspect
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import anyio
import anyio.to_thread

from plivo_anyio._barrier import stopped
from plivo_anyio._logging import logger
from plivo_anyio._stats import Counters
from plivo_core import ConfigError, Request, Response, ServerConnection
from plivo_core.errors import mask_path

__all__ = [
    "Answer",
    "CallHandler",
    "Gate",
    "HttpHandler",
    "Route",
    "Routes",
    "RoutesAnswer",
    "check_path",
    "check_response",
    "plain",
    "show_path",
]

Answer: TypeAlias = "Response | str | bytes | None"
HttpHandler: TypeAlias = "Callable[[Request], Awaitable[Answer] | Answer]"
CallHandler: TypeAlias = "Callable[[object], Awaitable[object]]"
Gate: TypeAlias = "Callable[[Request, str | None, CallHandler], Awaitable[object]]"
"""Decides, by the request and the peer's address, whether and with what the handler is called."""

_THREADS = 40  # anyio's own default for a process; each costs a stack
# Threads whose handler was given up and still runs. Beyond it sync routes answer 503: a peer that
# knows a slow path must not be able to fill the machine with threads.
_MAX_ABANDONED = 100
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_PATH = re.compile(r"/[!-\"$->@-\[\]-~]*")  # visible ASCII without # and ? and backslash


@dataclass(frozen=True, slots=True)
class Route:
    handler: Callable[[Any], object]
    in_thread: bool
    gate: Gate | None = None


class Routes:
    """The routes of one app, by path and method."""

    def __init__(self) -> None:
        self.by_path: dict[str, dict[str, Route]] = {}

    def add(
        self,
        path: str,
        methods: Sequence[str],
        handler: Callable[[Any], object],
        *,
        replace: bool,
        gate: Gate | None = None,
    ) -> None:
        if isinstance(methods, str) or not methods:
            raise ConfigError(
                f"methods of the route {path!r} are {methods!r}",
                hint="give a sequence of names: methods=('GET', 'POST')",
            )
        call = getattr(handler, "__call__", handler)  # noqa: B004 - a bound async __call__ counts
        is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)
        route = Route(handler, in_thread=not is_async, gate=gate)
        present = self.by_path.get(path, {})
        for method in methods:
            if not _TOKEN.fullmatch(method) or method != method.upper():
                raise ConfigError(
                    f"methods of the route {path!r} hold {method!r}", hint="say 'GET', not 'get'"
                )
            if method in present and not replace:
                raise ConfigError(
                    f"there is a route {method} {path} already: {_name(present[method].handler)}",
                    hint="pass replace=True to replace it",
                )
        self.by_path.setdefault(path, {}).update(dict.fromkeys(methods, route))


class RoutesAnswer:
    """Answers requests by the routes of a server."""

    def __init__(
        self,
        by_path: Mapping[str, Mapping[str, Route]],
        *,
        timeout: float,
        counters: Counters,
    ) -> None:
        self._by_path = by_path
        self._timeout = timeout
        self._counters = counters
        self._limiter: anyio.CapacityLimiter | None = None  # made where there is an event loop
        self._abandoned = 0  # threads, now; the total is the counters' business
        self._lock = threading.Lock()

    async def answer(self, path: str, request: Request, peer: str | None = None) -> Response | None:
        """The answer to a request on ``path``; None: there is no such path."""
        methods = self._by_path.get(path)
        if methods is None:
            return None
        get = methods.get("GET")
        if get is not None and get.gate is None:
            methods = {"HEAD": get, **methods}  # the core leaves the body out
        route = methods.get(request.method)
        if route is None:
            return plain(405, "method not allowed", ("allow", ", ".join(sorted(methods))))
        answer = plain(504, "the handler took too long")
        try:
            with anyio.move_on_after(self._timeout) as scope:
                call = functools.partial(self._call, route)
                if route.gate is None:
                    answer = _response(await call(request))
                else:
                    answer = _response(await route.gate(request, peer, call))
                check_response(answer)
        except BaseException as error:
            if isinstance(error, _TooManyHang):
                logger.error("the route %s: too many threads hang", show_path(request))
                return plain(503, "busy")
            if (told := stopped(error)) is None:
                raise
            logger.error("the route %s failed", show_path(request), exc_info=told)
            return plain(500, "internal server error")
        if scope.cancelled_caught:
            logger.error("the route %s took over %s s", show_path(request), self._timeout)
        return answer

    async def _call(self, route: Route, argument: object) -> object:
        if not route.in_thread:
            return await cast("Awaitable[object]", route.handler(argument))
        if self._abandoned >= _MAX_ABANDONED:
            raise _TooManyHang
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        run = _InThread(route.handler, argument, self)
        try:
            return await anyio.to_thread.run_sync(
                run, abandon_on_cancel=True, limiter=self._limiter
            )
        finally:
            run.left()

    def abandon(self) -> None:
        with self._lock:
            self._abandoned += 1
        self._counters.abandoned_handlers += 1

    def returned(self) -> None:
        with self._lock:
            self._abandoned -= 1


class _TooManyHang(Exception):  # noqa: N818 - a state of ours, told at once
    """No thread is left for a sync handler."""


class _InThread:
    """One run of a sync handler, which may outlive the request that asked for it."""

    def __init__(
        self, handler: Callable[[Any], object], argument: object, routes: RoutesAnswer
    ) -> None:
        self._handler = handler
        self._argument = argument
        self._routes = routes
        self._lock = threading.Lock()
        self._running = False
        self._left = False
        self._given_up = False

    def __call__(self) -> object:
        with self._lock:
            if self._left:
                return None  # nobody waits any more
            self._running = True
        try:
            return self._handler(self._argument)
        finally:
            with self._lock:
                self._running = False
                if self._given_up:
                    self._routes.returned()

    def left(self) -> None:
        """Nobody waits for it any more; called on the event loop."""
        with self._lock:
            self._left = True
            if self._running:
                self._given_up = True
                self._routes.abandon()


def check_path(path: Any, what: str) -> str:
    """Raise ConfigError unless ``path`` can be the path of a request target."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigError(
            f"{what} is {path!r}",
            hint="a path begins with '/' and is percent-encoded, without query: "
            "urllib.parse.quote('/caf\\xe9')",
        )
    return path


def plain(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """An answer of our own: one line of text."""
    return Response(
        status=status,
        headers=(("content-type", "text/plain"), *headers),
        body=f"{text}\n".encode(),
    )


def show_path(request: Request) -> str:
    """Method and path for the log: no query, no number, no control character, not long."""
    return f"{request.method} {mask_path(request.path)}"[:64]


def _response(answer: object) -> Response:
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status=204)
    if isinstance(answer, str):
        headers = (("content-type", "text/plain; charset=utf-8"),)
        return Response(headers=headers, body=answer.encode())
    if isinstance(answer, bytes):
        return Response(headers=(("content-type", "application/octet-stream"),), body=answer)
    raise TypeError(f"it returned {type(answer).__name__}; expected Response, str, bytes or None")


def check_response(answer: Response) -> None:
    """Raise for what HTTP cannot carry, here, where there is still another answer to give."""
    probe = ServerConnection(now=0.0)
    probe.reject(answer.status, headers=answer.headers, body=answer.body, now=0.0)


def _name(handler: object) -> str:
    return str(getattr(handler, "__qualname__", handler))
