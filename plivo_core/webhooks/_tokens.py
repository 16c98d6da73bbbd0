"""Secrets for the WebSocket URL: anyone who knows the bare URL could open a session (SECURITY 3).

Put a fresh token into the URL of each call (``<Stream>`` or ``websocket_url``) and check it when
the upgrade comes, before the 101. A token opens one connection, once, for a short time.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote

from plivo_core.errors import ConfigError, StreamTokenError
from plivo_core.webhooks._signatures import decode_pairs
from plivo_core.webhooks._store import LatestTime, MemoryStore, Store

__all__ = ["StreamToken", "StreamTokens"]

# id 16, expiry 6, tag 32 bytes: 72 characters without padding or spare bits, so that no second
# text means the same token.
_ID, _EXPIRY, _LAST = 16, 6, 2**48 - 1
_TOKEN = re.compile(r"[0-9A-Za-z_-]{72}")
_LABEL = b"plivo-sansio stream token 1\0"
_MIN_KEY = 16  # bytes
# Seconds for which a spent token is remembered after it has expired: the clock of another worker,
# or of the database, may be late, and a token must never outlive the memory of its use.
_MARGIN = 60


@dataclass(frozen=True, slots=True)
class StreamToken:
    """A token that was accepted, and is spent now. ``expires_at`` is Unix seconds."""

    id: str
    expires_at: int


@dataclass(frozen=True, slots=True, eq=False)
class StreamTokens:
    """Mints and checks tokens. ``keys`` are at least 16 bytes each; the first one signs.

    To rotate, put the new key in front and keep the old one for ``ttl`` seconds. A key may be the
    auth token: what it signs here begins unlike anything Plivo signs. ``random_bytes(n)`` returns n
    random bytes (``secrets.token_bytes``). ``ttl`` is in seconds, 120 by default: Plivo connects
    within seconds of the answer, and tries twice more. ``store`` remembers spent tokens, 10,000
    in this process by default; several workers must share one. Raises ConfigError.
    """

    keys: Sequence[str | bytes] = field(repr=False)
    random_bytes: Callable[[int], bytes] = field(repr=False)
    ttl: float = 120.0
    store: Store = field(default_factory=MemoryStore)
    _secrets: tuple[bytes, ...] = field(init=False, repr=False)
    _latest: LatestTime = field(init=False, repr=False, default_factory=LatestTime)

    def __post_init__(self) -> None:
        given: object = self.keys
        if isinstance(given, (str, bytes)) or not given:
            raise ConfigError("keys must be a list of at least one key")
        if not 0 < self.ttl <= _LAST:
            raise ConfigError("ttl must be over 0 seconds")
        object.__setattr__(self, "_secrets", tuple(_secret(key) for key in self.keys))

    def mint(self, *, wall_now: float, bound_to: str = "") -> str:
        """A new token: 72 characters of ``0-9 A-Z a-z _ -``, to be used in a URL as they are.

        ``bound_to`` ties it to a text that the check must repeat, such as the path or the call's
        UUID if the URL says it. ``wall_now`` is Unix seconds.
        """
        identity = self.random_bytes(_ID)
        if len(identity) != _ID:
            raise ConfigError(f"random_bytes({_ID}) must return {_ID} bytes")
        expiry = min(max(int(self._latest(wall_now) + self.ttl), 0), _LAST)
        head = identity + expiry.to_bytes(_EXPIRY, "big")
        return urlsafe_b64encode(head + _tag(self._secrets[0], head, bound_to)).decode()

    def mint_url(
        self, url: str, *, wall_now: float, bound_to: str = "", parameter: str = "token"
    ) -> str:
        """``url``, of a WebSocket, with a new token in its query; what :meth:`check_target` reads.

        Raises ConfigError for a URL that has the parameter already, or a fragment.
        """
        try:
            present = {name for name, _ in decode_pairs(url.partition("?")[2])}
        except ValueError:
            raise ConfigError("the URL's query does not decode as UTF-8") from None
        if "#" in url or parameter in present:
            raise ConfigError(f"the URL has a fragment, or a parameter {parameter!r} already")
        mark = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
        name = quote(parameter, safe="")
        return f"{url}{mark}{name}={self.mint(wall_now=wall_now, bound_to=bound_to)}"

    def check(self, token: str | None, *, wall_now: float, bound_to: str = "") -> StreamToken:
        """Accept ``token`` and spend it. ``wall_now`` is Unix seconds.

        Raises :class:`StreamTokenError` and nothing else: ``missing``, ``forged`` (no key of ours
        made it, or for another ``bound_to``), ``expired`` or ``spent``.
        """
        if not token:
            raise StreamTokenError("there is no stream token", reason="missing")
        if not isinstance(cast("object", token), str) or not _TOKEN.fullmatch(token):
            raise _forged()
        data = urlsafe_b64decode(token)
        head, tag = data[: _ID + _EXPIRY], data[_ID + _EXPIRY :]
        genuine = False
        for secret in self._secrets:
            genuine |= hmac.compare_digest(tag, _tag(secret, head, bound_to))
        if not genuine:
            raise _forged()
        accepted = StreamToken(head[:_ID].hex(), int.from_bytes(head[_ID:], "big"))
        now = self._latest(wall_now)
        if accepted.expires_at <= now:
            raise StreamTokenError(
                "the stream token has expired",
                reason="expired",
                hint=f"it lives {self.ttl:g} s; mint it when the call is answered",
            )
        spent = self.store.add(
            f"stream:{accepted.id}", b"", expires_at=accepted.expires_at + _MARGIN, wall_now=now
        )
        if spent is not None:
            raise StreamTokenError("the stream token was used before", reason="spent")
        return accepted

    def check_target(
        self, target: str, *, wall_now: float, bound_to: str = "", parameter: str = "token"
    ) -> StreamToken:
        """:meth:`check` of the token in the query of a request's target.

        Raises :class:`StreamTokenError`, also ``repeated`` if the parameter came twice.
        """
        try:
            pairs = decode_pairs(target.partition("?")[2])
        except ValueError:
            raise _forged() from None
        values = [value for name, value in pairs if name == parameter]
        if len(values) > 1:
            raise StreamTokenError("there are several stream tokens", reason="repeated")
        return self.check(values[0] if values else None, wall_now=wall_now, bound_to=bound_to)


def _secret(key: object) -> bytes:
    raw = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    if not isinstance(raw, bytes) or len(raw) < _MIN_KEY:
        raise ConfigError(f"each key must have at least {_MIN_KEY} bytes")
    return hmac.digest(raw, _LABEL, "sha256")


def _tag(secret: bytes, head: bytes, bound_to: str) -> bytes:
    return hmac.digest(secret, head + bound_to.encode("utf-8", "surrogatepass"), "sha256")


def _forged() -> StreamTokenError:
    return StreamTokenError("the stream token is not one of ours", reason="forged")
