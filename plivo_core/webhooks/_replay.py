"""What was answered to which nonce: a request that comes twice is handled once.

Pure memory behind a :class:`~plivo_core.webhooks.Store`; the adapter brings the wall clock. Nothing
that Plivo signs carries a time, so a request older than ``ttl`` is new again: TLS is what keeps
others from having it.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hmac import compare_digest
from typing import TypeAlias, cast

from plivo_core.errors import ConfigError, ReplayedNonce
from plivo_core.webhooks._store import MemoryStore, Store
from plivo_core.webhooks._verifier import Verified
from plivo_core.wire import Response

__all__ = ["Answered", "FirstSeen", "InProgress", "Outcome", "ReplayGuard"]

_FINGERPRINT = 32
_PENDING, _ANSWERED, _NOT_KEPT, _SPENT = b"p", b"a", b"x", b"s"


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """Call the handler; then ``finish``, or ``abandon`` if there is no answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The same request was answered before: send ``response`` again, without the handler."""

    response: Response


@dataclass(frozen=True, slots=True)
class InProgress:
    """The same request is being handled: answer 503 with ``Retry-After``, or wait for its end."""


Outcome: TypeAlias = FirstSeen | Answered | InProgress


class ReplayGuard:
    """Remembers nonces for ``ttl`` seconds, ``capacity`` of them, with the answers given.

    ``begin`` and ``finish`` enclose the handler of a verified request. The key is the nonce alone,
    not nonce and body: the text that V3 signs can be shifted about (SECURITY.md 3), and every shift
    keeps the nonce. (V2's can be shifted into the nonce: there the key is the whole text.)

    A request without an answer is remembered for ``pending_ttl`` seconds, more than a handler
    takes: a worker that dies leaves one behind. Answers over ``max_answer`` bytes are not kept.
    ``store`` replaces the memory of this process, and ``capacity`` with it.

    Defaults: 10,000 nonces, 15 minutes, 1 minute, 16 KiB. Raises ConfigError for bounds that are
    none.
    """

    __slots__ = ("_store", "max_answer", "pending_ttl", "ttl")

    def __init__(
        self,
        capacity: int = 10_000,
        ttl: float = 900.0,
        *,
        pending_ttl: float = 60.0,
        max_answer: int = 16 * 1024,
        store: Store | None = None,
    ) -> None:
        if not ttl > 0 or not pending_ttl > 0 or max_answer < 0:
            raise ConfigError(
                "ttl and pending_ttl must be over 0 seconds, max_answer not under 0 bytes"
            )
        self.ttl = ttl
        self.pending_ttl = pending_ttl
        self.max_answer = max_answer
        self._store: Store = MemoryStore(capacity) if store is None else store

    @property
    def store(self) -> Store:
        """Where the nonces are."""
        return self._store

    def begin(self, hook: Verified, *, wall_now: float) -> Outcome:
        """What to do with ``hook``. ``wall_now`` is Unix seconds.

        Raises :class:`ReplayedNonce`: ``other_request`` if its nonce came with another method,
        URL or body, ``answer_not_kept`` if the answer was too large to keep, ``spent`` if it opened
        a WebSocket, ``record`` if the store holds something else there. An unsigned hook has no
        nonce and is always new.
        """
        known = self._add(hook, _PENDING, ttl=self.pending_ttl, wall_now=wall_now)
        return FirstSeen() if known is None else _judge(known, hook.fingerprint)

    def spend(self, hook: Verified, *, wall_now: float) -> None:
        """Take the nonce of a request that has no answer to repeat: a WebSocket's upgrade.

        Raises :class:`ReplayedNonce`, reason ``spent``, if it came before, with whatever request.
        """
        if self._add(hook, _SPENT, ttl=self.ttl, wall_now=wall_now) is not None:
            raise _spent()

    def finish(self, hook: Verified, response: Response, *, wall_now: float) -> None:
        """Remember ``response`` as the answer to ``hook``; its ``ttl`` starts anew."""
        state = _encode(response) if len(response.body) <= self.max_answer else _NOT_KEPT
        for key in hook.replay_keys:
            self._store.replace(
                key, hook.fingerprint + state, expires_at=wall_now + self.ttl, wall_now=wall_now
            )

    def abandon(self, hook: Verified) -> None:
        """Forget ``hook``: no answer came of it, and Plivo's repetition shall be handled.

        What another request, or an answer, has put in its place stays.
        """
        for key in hook.replay_keys:
            self._store.discard(key, hook.fingerprint + _PENDING)

    def _add(self, hook: Verified, state: bytes, *, ttl: float, wall_now: float) -> bytes | None:
        """All keys of ``hook``, or none and what was there."""
        record = hook.fingerprint + state
        added: list[str] = []
        for key in hook.replay_keys:
            known = self._store.add(key, record, expires_at=wall_now + ttl, wall_now=wall_now)
            if known is not None:
                for other in added:
                    self._store.discard(other, record)
                return known
            added.append(key)
        return None


def _judge(record: bytes, fingerprint: bytes) -> Outcome:
    if not compare_digest(record[:_FINGERPRINT], fingerprint):
        raise ReplayedNonce(
            "the nonce was used before, for another request", reason="other_request"
        )
    state = record[_FINGERPRINT:]
    if state == _PENDING:
        return InProgress()
    if state == _SPENT:
        raise _spent()
    if state == _NOT_KEPT:
        raise ReplayedNonce(
            "the request was answered before, with more than was kept",
            reason="answer_not_kept",
            hint="max_answer= keeps larger answers",
        )
    try:
        return Answered(_decode(state))
    except (ValueError, TypeError, KeyError):
        raise ReplayedNonce("the store's record of the nonce is no use", reason="record") from None


def _spent() -> ReplayedNonce:
    return ReplayedNonce("the nonce was used before, a WebSocket opens once", reason="spent")


def _encode(response: Response) -> bytes:
    fields = [response.status, response.headers, b64encode(response.body).decode()]
    return _ANSWERED + json.dumps(fields).encode()


def _decode(state: bytes) -> Response:
    if state[:1] != _ANSWERED:
        raise ValueError
    fields = cast("tuple[int, list[tuple[str, str]], str]", json.loads(state[1:]))
    status, headers, body = fields
    return Response(
        status=int(status),
        headers=tuple((str(name), str(value)) for name, value in headers),
        body=b64decode(body, validate=True),
    )
