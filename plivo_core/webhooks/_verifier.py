"""The verifier: which request is Plivo's. One call per request, no state, no clock.

An adapter reads method, raw target, headers and raw body, calls :meth:`WebhookVerifier.verify`, and
either has a :class:`Verified` hook or answers :func:`refusal` of the error. What was seen before is
the business of :class:`~plivo_core.webhooks.ReplayGuard`, behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, TypeAlias

from plivo_core.errors import (
    MalformedSignature,
    MissingSignature,
    SignatureError,
    SignatureMismatch,
    UnacceptableRequest,
    mask_path,
)
from plivo_core.limits import Limits
from plivo_core.webhooks._body import Body, check_body_head, read_body
from plivo_core.webhooks._explain import diagnose
from plivo_core.webhooks._explanation import Explanation, explanation_of
from plivo_core.webhooks._params import Params
from plivo_core.webhooks._reading import (
    Head,
    HeaderPairs,
    read_head,
    read_signatures,
    read_signatures_v2,
)
from plivo_core.webhooks._settings import make_settings
from plivo_core.webhooks._signatures import matches
from plivo_core.webhooks._texts import members_of, signed_texts, urls_of
from plivo_core.wire import Response

__all__ = ["Verified", "VerifiedScheme", "WebhookVerifier", "check_origin", "refusal"]

VerifiedScheme: TypeAlias = Literal["v3", "ma-v3", "v2", "ma-v2", "unsigned"]
"""What vouches for a request: the account's own V3 signature, the main account's, the same of V2
(which cover neither query nor body), or nothing."""

_METHODS = ("GET", "POST")
_UPGRADE_SCHEMES = ("wss", "https", "ws", "http")  # PROTOCOL.md D-20
_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A request that is Plivo's.

    ``query`` and ``form`` are kept apart; :attr:`params` is the one that carries the callback.
    ``json`` is the body of a JSON callback, otherwise None. ``nonce`` is None when unsigned.
    ``replay_keys`` are what may be used once: the nonce of V3, the whole signed text of V2 (from
    which bytes can move into the nonce), both where both vouch. ``fingerprint`` (32 bytes) tells
    one request from another that has such a key in common.
    """

    scheme: VerifiedScheme
    method: str
    target: str
    query: Params
    form: Params
    json: dict[str, object] | None = field(repr=False)
    nonce: str | None = field(repr=False)
    fingerprint: bytes = field(repr=False)
    replay_keys: tuple[str, ...] = field(default=(), repr=False)

    @property
    def params(self) -> Params:
        """The callback's parameters: the form of a POST, the query of a GET."""
        return self.query if self.method == "GET" else self.form

    @property
    def fields(self) -> Mapping[str, object] | tuple[tuple[str, str], ...]:
        """What ``parse_callback`` takes: the JSON object, or the pairs of :attr:`params`."""
        return self.params.pairs if self.json is None else self.json

    @property
    def covers_body(self) -> bool:
        """Whether the signature covers query and body; V2's does not."""
        return self.scheme in ("v3", "ma-v3")

    def __repr__(self) -> str:
        path = mask_path(self.target.partition("?")[0])[:64]
        return f"<Verified {self.scheme} {self.method} {path}, {len(self.params)} parameters>"


class WebhookVerifier:
    """Accepts what Plivo signed, refuses everything else with a SignatureError.

    ``tokens`` are the auth tokens of the account or subaccount that the callbacks belong to (more
    than one while a token is rotated), ``main_tokens`` those of the main account, with which
    ``X-Plivo-Signature-Ma-V3`` is made: each header is tried with its own tokens only.
    ``public_url`` is what the callback URLs configured at Plivo begin with, ``https://host`` or,
    behind a proxy that strips a prefix, ``https://host/prefix``; the request's ``Host`` is never
    believed. X-Forwarded-Proto and -Host replace scheme and host if the ``peer`` given to
    :meth:`verify` is in ``trusted_proxies`` (addresses or networks). ``allow_v2`` accepts V2
    signatures where no V3 signature is there. Raises ConfigError; without any token too.

    Immutable; its repr shows no token. One verifier serves any number of threads.
    """

    __slots__ = ("_settings",)

    def __init__(
        self,
        tokens: str | Sequence[str],
        main_tokens: str | Sequence[str] | None = None,
        *,
        public_url: str,
        allow_v2: bool = False,
        trusted_proxies: Sequence[str] = (),
        limits: Limits = _LIMITS,
    ) -> None:
        self._settings = make_settings(
            tokens,
            main_tokens,
            public_url,
            allow_v2=allow_v2,
            trusted_proxies=trusted_proxies,
            limits=limits,
        )

    def __repr__(self) -> str:
        known = self._settings
        host = known.origin.authority.rpartition("@")[2]
        return (
            f"<WebhookVerifier {known.origin.scheme}://{host}{known.origin.prefix}, "
            f"{len(known.tokens)} tokens, {len(known.main_tokens)} main tokens>"
        )

    @property
    def limits(self) -> Limits:
        """What bounds the requests that are read."""
        return self._settings.limits

    def verify(
        self,
        *,
        method: str,
        target: str | bytes,
        headers: HeaderPairs,
        body: bytes | str | None = b"",
        peer: str | None = None,
        methods: Collection[str] = _METHODS,
        json: bool = False,
        unsigned: bool = False,
    ) -> Verified:
        """The request, verified. Raises SignatureError and nothing else, whatever the input.

        ``target`` is the raw request target (path and query, as sent), ``body`` the raw body,
        before any framework parsed it. ``methods`` are those of the route. ``json`` accepts a JSON
        body beside a form; the signature covers its top-level members. ``unsigned`` accepts the
        request without a valid signature, as ``scheme="unsigned"``: for JSON callbacks, of which
        it is not documented how Plivo signs them (PROTOCOL.md D-18), on a route whose URL is
        secret. ``peer`` is the address at the other end of the socket.

        :class:`UnacceptableRequest`: ``method`` (405), ``target``, ``headers``,
        ``content_length``, ``query_not_utf8``, ``form_not_utf8``, ``body_of_get``,
        ``body_not_ascii``, ``form_percent``, ``body_not_json``, ``body_not_unicode``,
        ``body_parsed`` (400), ``body_too_large``, ``too_many_fields`` (413), ``content_encoding``,
        ``content_type``, ``charset`` (415). :class:`MissingSignature`: ``signature_missing``,
        ``nonce_missing``, ``v2_only``, ``main_account_only``,
        ``own_account_only``. :class:`MalformedSignature`:
        ``signature_repeated``, ``signature_too_long``, ``signature_not_ascii``,
        ``too_many_signatures``, ``nonce_repeated``, ``nonce_dot``, ``nonce_syntax``,
        ``forwarded``. :class:`SignatureMismatch`: ``mismatch``.
        """
        head = self._head(method, target, headers, peer, methods)
        return self._verified(head, body, (head.origin.scheme,), json=json, unsigned=unsigned)

    def check_head(
        self,
        *,
        method: str,
        target: str | bytes,
        headers: HeaderPairs,
        peer: str | None = None,
        methods: Collection[str] = _METHODS,
        json: bool = False,
        unsigned: bool = False,
    ) -> None:
        """Refuse, by the head alone, what :meth:`verify` would refuse; for before the body is read.

        Arguments and errors are those of :meth:`verify`. No signature is computed.
        """
        head = self._head(method, target, headers, peer, methods)
        check_body_head(head, self._settings.limits, json=json)
        if not unsigned:
            read_signatures(self._settings, head.headers)

    def verify_upgrade(
        self,
        *,
        target: str | bytes,
        headers: HeaderPairs,
        peer: str | None = None,
        allowed_origins: Collection[str] = (),
    ) -> Verified:
        """The WebSocket upgrade, a GET, verified. Raises SignatureError and nothing else.

        Which URL Plivo signs is not settled (PROTOCOL.md D-20), so the public URL is tried with
        wss, https, ws and http. Plivo sends no ``Origin``; a request that carries one comes from a
        browser and is refused (``origin``) unless it is in ``allowed_origins``. Errors as for
        :meth:`verify`.
        """
        head = self._head("GET", target, headers, peer, ("GET",))
        _check_origins(head.headers.get("origin", ()), allowed_origins)
        return self._verified(head, b"", _UPGRADE_SCHEMES, json=False, unsigned=False)

    def explain(
        self,
        *,
        method: str,
        target: str | bytes,
        headers: HeaderPairs,
        body: bytes | str | None = b"",
        peer: str | None = None,
        methods: Collection[str] = _METHODS,
        json: bool = False,
    ) -> Explanation:
        """Why :meth:`verify` refuses this request: which input differs from what was signed.

        For the developer's terminal, never for the peer; it computes hundreds of signatures.
        Arguments are those of :meth:`verify`. Never raises, shows no token, signature or value.
        """
        try:
            head = self._head(method, target, headers, peer, methods)
            read = read_body(head, self._settings.limits, body, json=json)
        except SignatureError as error:
            return explanation_of(error)
        try:
            self._check(head, read, (head.origin.scheme,))
        except SignatureMismatch:
            return diagnose(self._settings, head, read)
        except SignatureError as error:
            return explanation_of(error)
        return Explanation(())

    # --- the rest -------------------------------------------------------------------------------

    def _head(
        self,
        method: object,
        target: object,
        headers: object,
        peer: str | None,
        methods: Collection[str],
    ) -> Head:
        return read_head(
            self._settings,
            method=method,
            target=target,
            headers=headers,
            peer=peer,
            methods=methods,
        )

    def _verified(
        self, head: Head, body: object, schemes: Sequence[str], *, json: bool, unsigned: bool
    ) -> Verified:
        limits = self._settings.limits
        if not unsigned:
            check_body_head(head, limits, json=json)
            read_signatures(self._settings, head.headers)  # cheap: before the body is parsed
        read = read_body(head, limits, body, json=json)
        scheme: VerifiedScheme = "unsigned"
        nonce = None
        keys: tuple[str, ...] = ()
        try:
            scheme, nonce, keys = self._check(head, read, schemes)
        except (MissingSignature, MalformedSignature, SignatureMismatch):
            if not unsigned:
                raise
        return Verified(
            scheme=scheme,
            method=head.method,
            target=head.target,
            query=head.query,
            form=read.form,
            json=read.json,
            nonce=nonce,
            fingerprint=_fingerprint(head, read),
            replay_keys=keys,
        )

    def _check(
        self, head: Head, body: Body, schemes: Sequence[str]
    ) -> tuple[VerifiedScheme, str, tuple[str, ...]]:
        settings = self._settings
        found = read_signatures(settings, head.headers)
        urls = urls_of(head.origin, head.path, schemes)
        try:
            texts = signed_texts(found, head.method, urls, head.query, members_of(body))
        except ValueError:
            raise UnacceptableRequest(
                "the JSON body holds text that is not Unicode",
                reason="body_not_unicode",
                status=400,
            ) from None
        own = [text for text in texts if matches([text], settings.tokens, found.own)]
        main = [text for text in texts if matches([text], settings.main_tokens, found.main)]
        if not own and not main:
            raise SignatureMismatch(
                "no signature matches the request", reason="mismatch", hint="explain() says why"
            )
        signed = [*own, *main]
        if found.version == "v2":
            return ("v2" if own else "ma-v2"), found.nonce, _text_keys(signed)
        keys = [f"nonce:{found.nonce}"]
        if settings.allow_v2:
            # The text of V3 is one of V2, too, with the dot in the path or the nonce; and whoever
            # drops the V3 headers has what V2 signed, with any body.
            keys += _text_keys([*signed, *self._vouched_by_v2(head, urls)])
        return ("v3" if own else "ma-v3"), found.nonce, tuple(keys)

    def _vouched_by_v2(self, head: Head, urls: Sequence[str]) -> list[bytes]:
        """What the V2 signatures beside those of V3 sign."""
        settings = self._settings
        try:
            found = read_signatures_v2(settings, head.headers)
        except (MissingSignature, MalformedSignature):
            return []
        texts = signed_texts(found, head.method, urls, head.query, {})
        return [
            text
            for text in texts
            if matches([text], settings.tokens, found.own)
            or matches([text], settings.main_tokens, found.main)
        ]


def check_origin(headers: Iterable[tuple[str, str]], allowed_origins: Collection[str]) -> None:
    """Refuse a WebSocket upgrade that comes from a browser, with or without a verifier.

    Plivo sends no ``Origin``. Raises :class:`MalformedSignature` (``origin``) unless every one in
    ``headers`` is in ``allowed_origins``.
    """
    _check_origins([value for name, value in headers if name.lower() == "origin"], allowed_origins)


def _check_origins(origins: Iterable[str], allowed: Collection[str]) -> None:
    known = (allowed,) if isinstance(allowed, str) else allowed  # `in` would find parts of a text
    for origin in origins:
        if origin not in known:
            raise MalformedSignature(
                "the upgrade has an Origin: a browser sent it, not Plivo",
                reason="origin",
                hint="allowed_origins= admits the origins of your own pages",
            )


def refusal(error: SignatureError) -> Response:
    """The answer to a refused request: its status, an empty body, ``Allow`` with a 405."""
    headers: Mapping[str, str] = {}
    if isinstance(error, UnacceptableRequest) and error.allow:
        headers = {"allow": ", ".join(error.allow)}
    return Response(status=error.status, headers=tuple(headers.items()))


def _text_keys(texts: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"text:{sha256(text).hexdigest()}" for text in texts))


def _fingerprint(head: Head, body: Body) -> bytes:
    origin = f"{head.origin.scheme}://{head.origin.authority}{head.origin.prefix}"
    digest = sha256()
    for part in (head.method.encode(), origin.encode(), head.target.encode(), body.raw):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
