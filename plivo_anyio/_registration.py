"""The part of VoiceApp that registers webhooks and says who may open a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar, overload

from plivo_anyio._routes import Routes, check_path
from plivo_anyio._upgrades import UpgradeChecks
from plivo_anyio._webhooks import Webhooks
from plivo_core.webhooks import (
    Callback,
    CallbackKind,
    StreamTokens,
    WebhookAnswer,
    WebhookVerifier,
)

__all__ = ["WebhookRegistration"]

_Returned: TypeAlias = "Awaitable[WebhookAnswer] | WebhookAnswer"

C = TypeVar("C", bound=Callback)
R = TypeVar("R", bound=_Returned)
W = TypeVar("W", bound="Callable[[Any], _Returned]")


class WebhookRegistration:
    """What :class:`~plivo_anyio.VoiceApp` inherits."""

    _routes: Routes
    _webhooks: Webhooks
    _upgrades: UpgradeChecks

    @overload
    def webhook(
        self,
        path: str,
        kind: type[C],
        *,
        methods: Sequence[str] = ("POST",),
        json: bool = False,
        unsigned: bool = False,
        verifier: WebhookVerifier | None = None,
        explain: bool = False,
        replace: bool = False,
    ) -> Callable[[Callable[[C], R]], Callable[[C], R]]: ...

    @overload
    def webhook(
        self,
        path: str,
        kind: CallbackKind | None = None,
        *,
        methods: Sequence[str] = ("POST",),
        json: bool = False,
        unsigned: bool = False,
        verifier: WebhookVerifier | None = None,
        explain: bool = False,
        replace: bool = False,
    ) -> Callable[[W], W]: ...

    def webhook(
        self,
        path: str,
        kind: CallbackKind | type[Callback] | None = None,
        *,
        methods: Sequence[str] = ("POST",),
        json: bool = False,
        unsigned: bool = False,
        verifier: WebhookVerifier | None = None,
        explain: bool = False,
        replace: bool = False,
    ) -> Callable[[Any], Any]:
        """Answer Plivo's callbacks: ``async def handler(callback)``, or a sync function.

        Only what Plivo signed gets there, and once: anything else is refused, a repetition gets the
        first answer again. ``callback`` is of the class ``kind`` (AnswerCallback or "answer", ...);
        without it, the Verified hook itself. The handler returns AnswerXml, a Response, XML as text
        or bytes, or None for an empty 200. One that raises gives 500, one that takes over
        ``Timings.handler`` 504; Plivo's repetition is then handled anew.

        ``verifier`` replaces the app's; ``methods``, ``json`` and ``unsigned`` are those of
        :class:`~plivo_core.webhooks.WebhookEndpoint`. ``explain`` logs which input differs from
        what was signed: for development, it is slow. ``path`` is compared as with ``http``. Raises
        ConfigError.
        """
        check_path(path, "path of a webhook")
        gate = self._webhooks.gate(
            path,
            kind,
            verifier=verifier,
            methods=methods,
            json=json,
            unsigned=unsigned,
            explain=explain,
        )

        def register(handler: Any) -> Any:
            self._routes.add(path, methods, handler, replace=replace, gate=gate)
            return handler

        return register

    def require_stream_token(self, tokens: StreamTokens, *, parameter: str = "token") -> None:
        """Take only calls whose URL carries a token of ``tokens``: fresh, and never used before.

        :meth:`stream_url` makes such URLs.
        """
        self._upgrades.require_token(tokens, parameter)

    def stream_url(self, url: str) -> str:
        """``url`` with a token that opens one call, for ``<Stream>`` or ``websocket_url``.

        Make one for every answer. Raises ConfigError before :meth:`require_stream_token`. May be
        called from any thread.
        """
        return self._upgrades.mint_url(url)

    def require_upgrade_signature(self, verifier: WebhookVerifier | None = None) -> None:
        """Take only calls whose upgrade request Plivo signed, by ``verifier`` or the app's own.

        Which URL Plivo signs is not settled, so four are tried (PROTOCOL.md D-20). A signature
        says nothing of when: a stream token does, and holds wherever the URL is not public.
        """
        self._upgrades.require_signature(verifier)
