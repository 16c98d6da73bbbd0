"""Webhooks of a voice app: what stands between a route and its handler.

:class:`WebhookEndpoint` of the core decides; this runs it against the clock of the world, keeps a
store that blocks off the event loop, logs what was refused, and calls the handler.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio
import anyio.to_thread

from plivo_anyio._logging import logger
from plivo_anyio._routes import CallHandler, Routes, check_response, show_path
from plivo_core import Limits, Request, Response, SignatureError, SignatureMismatch, Timings
from plivo_core.webhooks import (
    Callback,
    CallbackKind,
    MemoryStore,
    ReplayGuard,
    Settled,
    Store,
    Verified,
    WebhookEndpoint,
    WebhookVerifier,
)

__all__ = [
    "WebhookGate",
    "Webhooks",
    "abandon",
    "begin",
    "finish",
    "log_refusal",
    "start_gates",
    "verifier_from_environment",
    "with_store",
]

T = TypeVar("T")

_MARGIN = 30.0  # seconds, for threads and a store that are slow, after the time of a handler


class Webhooks:
    """The webhooks of one app, and what they have in common.

    Nothing is read from the environment before the app starts: it may be built without.
    """

    def __init__(
        self,
        verifier: WebhookVerifier | None,
        replay_guard: ReplayGuard | None,
        limits: Limits,
        timings: Timings,
    ) -> None:
        self._given = verifier
        self._limits = limits
        self.replay_guard = replay_guard or ReplayGuard(pending_ttl=timings.handler + _MARGIN)

    @functools.cached_property
    def verifier(self) -> WebhookVerifier:
        """The app's. Raises ConfigError if none was given and the environment makes none."""
        return self._given or verifier_from_environment(self._limits)

    def gate(
        self,
        path: str,
        kind: CallbackKind | type[Callback] | None,
        *,
        verifier: WebhookVerifier | None,
        methods: Sequence[str],
        json: bool,
        unsigned: bool,
        explain: bool,
    ) -> WebhookGate:
        def endpoint(verifier: WebhookVerifier) -> WebhookEndpoint:
            return WebhookEndpoint(
                verifier,
                kind,
                replay_guard=self.replay_guard,
                methods=methods,
                json=json,
                unsigned=unsigned,
            )

        # With a stand-in at first, so that wrong options show where they are written.
        endpoint(verifier or WebhookVerifier("-", public_url="https://localhost"))
        return WebhookGate(
            path,
            lambda: endpoint(verifier or self.verifier),
            unsigned=unsigned,
            explain=explain,
        )


class WebhookGate:
    """Stands before the handler of one route, as :data:`plivo_anyio._routes.Gate` asks."""

    def __init__(
        self, path: str, make: Callable[[], WebhookEndpoint], *, unsigned: bool, explain: bool
    ) -> None:
        self._path = path
        self._make = make
        self._unsigned = unsigned
        self._explain = explain

    @functools.cached_property
    def _endpoint(self) -> WebhookEndpoint:
        return self._make()

    def start(self) -> None:
        """Before the first request: make the endpoint, and warn if anybody may call it.

        Raises ConfigError where there is nothing to verify with.
        """
        _ = self._endpoint
        if self._unsigned:
            logger.warning("the webhook %s takes unsigned requests: anybody's", self._path)

    async def __call__(self, request: Request, peer: str | None, call: CallHandler) -> Response:
        endpoint = self._endpoint
        step = await begin(endpoint, request, peer)
        if isinstance(step, Settled):
            if step.error is not None:
                log_refusal(request, step.error, endpoint if self._explain else None, peer)
            return step.response
        try:
            response = endpoint.answer(await call(endpoint.callback(step)))
            check_response(response)
        except BaseException:
            await abandon(endpoint, step)
            raise
        await finish(endpoint, step, response)
        return response


async def begin(
    endpoint: WebhookEndpoint, request: Request, peer: str | None
) -> Verified | Settled:
    """:meth:`WebhookEndpoint.begin`, now."""
    ask = functools.partial(endpoint.begin, request, peer=peer, wall_now=time.time())
    return await with_store(endpoint.replay_guard.store, ask)


async def finish(endpoint: WebhookEndpoint, hook: Verified, response: Response) -> None:
    """Remember the answer. Where the store fails, the call goes on with the answer all the same."""
    end = functools.partial(endpoint.finish, hook, response, wall_now=time.time())
    try:
        with anyio.CancelScope(shield=True):  # an open nonce would lock Plivo's repetition out
            await with_store(endpoint.replay_guard.store, end)
    except Exception:  # noqa: BLE001 - the store is the application's
        logger.exception("the answer to a webhook is sent, but could not be remembered")


async def abandon(endpoint: WebhookEndpoint, hook: Verified) -> None:
    """No answer came of it. Where the store fails, what ended the handler stands."""
    try:
        with anyio.CancelScope(shield=True):
            await with_store(endpoint.replay_guard.store, functools.partial(endpoint.abandon, hook))
    except Exception:  # noqa: BLE001 - the store is the application's
        logger.exception("a webhook without an answer could not be forgotten")


def start_gates(routes: Routes) -> None:
    """Before the first request. Raises ConfigError where there is nothing to verify with."""
    gates = [route.gate for methods in routes.by_path.values() for route in methods.values()]
    for gate in dict.fromkeys(gates):  # once, though it serves two methods
        if isinstance(gate, WebhookGate):
            gate.start()


def verifier_from_environment(limits: Limits | None = None) -> WebhookVerifier:
    """Of PLIVO_AUTH_TOKEN and PLIVO_PUBLIC_URL; empty equals unset. Raises ConfigError."""
    token = os.environ.get("PLIVO_AUTH_TOKEN")
    return WebhookVerifier(
        token or (),
        public_url=os.environ.get("PLIVO_PUBLIC_URL", ""),
        limits=limits or Limits(),
    )


def log_refusal(
    request: Request,
    error: SignatureError,
    endpoint: WebhookEndpoint | None = None,
    peer: str | None = None,
) -> None:
    """Say why a request was refused; with ``endpoint``, which input differs."""
    logger.warning("refused %s with %d: %s", show_path(request), error.status, error)
    if endpoint is not None and isinstance(error, SignatureMismatch):
        explanation = endpoint.explain(request, peer=peer)
        logger.warning("%s: %s", "because" if explanation.certain else "perhaps", explanation)


async def with_store(store: Store, function: Callable[[], T]) -> T:
    """Call what asks ``store``: the memory of this process at once, any other in a thread.

    Not abandoned when cancelled: what was begun in the store must be known here.
    """
    if isinstance(store, MemoryStore):
        return function()
    return await anyio.to_thread.run_sync(function)
