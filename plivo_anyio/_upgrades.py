"""Who may open a WebSocket: the checks of one app between an upgrade request and the 101.

Cheap ones first, the application's ``authorize`` behind them, the nonce and the stream token last:
they are spent only by an upgrade that everything else allows.
"""

from __future__ import annotations

import functools
import ipaddress
import time
from collections.abc import Awaitable, Callable, Collection, Iterable

from plivo_anyio._logging import logger
from plivo_anyio._webhooks import Webhooks, log_refusal, with_store
from plivo_core import ConfigError, Request, SignatureError
from plivo_core.webhooks import StreamTokens, Verified, WebhookVerifier, check_origin

__all__ = ["UpgradeChecks", "warn_if_open"]


class UpgradeChecks:
    """What one app asks of an upgrade. :meth:`admit` is the question a site asks."""

    def __init__(
        self,
        authorize: Callable[[Request], Awaitable[bool]] | None,
        allowed_origins: Collection[str],
        webhooks: Webhooks,
    ) -> None:
        self._authorize = authorize
        self._allowed_origins = allowed_origins
        self._webhooks = webhooks
        self._signed = False
        self._verifier: WebhookVerifier | None = None  # None: the app's
        self._tokens: StreamTokens | None = None
        self._parameter = ""

    def require_signature(self, verifier: WebhookVerifier | None) -> None:
        self._signed = True
        self._verifier = verifier

    def require_token(self, tokens: StreamTokens, parameter: str) -> None:
        self._tokens = tokens
        self._parameter = parameter

    def mint_url(self, url: str) -> str:
        if self._tokens is None:
            raise ConfigError(
                "there are no stream tokens to put into the URL", hint="call require_stream_token"
            )
        return self._tokens.mint_url(url, wall_now=time.time(), parameter=self._parameter)

    @property
    def is_open(self) -> bool:
        """Whether anybody may open a session."""
        return self._authorize is None and self._tokens is None and not self._signed

    def start(self) -> None:
        """Before the first request. Raises ConfigError where there is nothing to verify with."""
        if self._signed and self._verifier is None:
            _ = self._webhooks.verifier

    async def admit(self, request: Request, peer: str | None) -> bool:
        """Whether the upgrade may go on. Raises what ``authorize`` and the stores raise."""
        hook: Verified | None = None
        try:
            check_origin(request.headers, self._allowed_origins)
            if self._signed:  # not "if there is a verifier": it may be required after the start
                verifier = self._verifier or self._webhooks.verifier
                hook = verifier.verify_upgrade(
                    target=request.target,
                    headers=request.headers,
                    peer=peer,
                    allowed_origins=self._allowed_origins,
                )
            if self._authorize is not None and not await self._authorize(request):
                return False
            if hook is not None:
                # In the memory of the webhooks, for a webhook's signature fits an upgrade, too.
                guard = self._webhooks.replay_guard
                spend = functools.partial(guard.spend, hook, wall_now=time.time())
                await with_store(guard.store, spend)
            if (tokens := self._tokens) is not None:
                check = functools.partial(
                    tokens.check_target,
                    request.target,
                    wall_now=time.time(),
                    parameter=self._parameter,
                )
                await with_store(tokens.store, check)
        except SignatureError as error:
            log_refusal(request, error)
            return False
        return True


def warn_if_open(apps: Iterable[tuple[str | None, UpgradeChecks]], hosts: Iterable[str]) -> None:
    """Warn of apps, given by their paths, that take anybody's calls from beyond this machine."""
    if all(_is_local(host) for host in hosts):
        return
    for path, checks in apps:
        if checks.is_open:
            logger.warning(
                "anybody who knows the address can open a call on %s: use require_stream_token, "
                "require_upgrade_signature or authorize",
                "every path" if path is None else path,
            )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True  # a UNIX socket: the directory it is in says who may connect
