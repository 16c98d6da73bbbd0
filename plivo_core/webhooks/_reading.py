"""The head of a webhook request taken apart, before any signature is computed.

Everything is read once, strictly, from the raw head and body: what is odd is refused here, so that
signing and the handler see the same request. Every size is checked before work is done on it. The
peer can cause nothing but a SignatureError.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from plivo_core.errors import MalformedSignature, MissingSignature, UnacceptableRequest
from plivo_core.limits import Limits
from plivo_core.webhooks._params import Params
from plivo_core.webhooks._settings import Origin, Settings, is_authority
from plivo_core.webhooks._signatures import decode_pairs, split_signatures

__all__ = [
    "MA_V3",
    "V2_NONCE",
    "V3",
    "Head",
    "HeaderPairs",
    "Signatures",
    "read_head",
    "read_pairs",
    "read_signatures",
    "read_signatures_v2",
    "shown",
    "too_many",
]

HeaderPairs: TypeAlias = "Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]"
"""Headers as any framework has them: a mapping, or (name, value) pairs of text or bytes. Names in
any case. Pairs are better: a mapping has already lost what came twice."""

V3 = "x-plivo-signature-v3"
MA_V3 = "x-plivo-signature-ma-v3"
V3_NONCE = "x-plivo-signature-v3-nonce"
V2 = "x-plivo-signature-v2"
MA_V2 = "x-plivo-signature-ma-v2"
V2_NONCE = "x-plivo-signature-v2-nonce"
_READ = frozenset(
    {
        V3, MA_V3, V3_NONCE, V2, MA_V2, V2_NONCE, "content-encoding", "content-length",
        "content-type", "host", "origin", "x-forwarded-host", "x-forwarded-proto",
    }
)  # fmt: skip

# No dot, so that no byte can move between the signed text and the nonce (SECURITY.md 3, threat 6).
# Plivo's are 20 digits. For V3 nothing else will do: "/answer.xml", signed by V2 with the nonce 7,
# would otherwise be "/answer" signed by V3 with the nonce xml7.
_NONCE = {V3_NONCE: re.compile(r"[0-9]{1,64}"), V2_NONCE: re.compile(r"[0-9A-Za-z_-]{1,64}")}
_TARGET = re.compile(r"/[!-~]*")  # ASCII, neither blank nor control
_METHODS = ("GET", "POST")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request's head, found sound. ``headers`` holds those that are read here, lower case."""

    method: str
    target: str = field(repr=False)
    path: str = field(repr=False)
    query: Params
    headers: Mapping[str, list[str]] = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class Signatures:
    """Candidates of a request: made with one of the own tokens, with one of the main account's."""

    version: str
    own: list[bytes] = field(repr=False)
    main: list[bytes] = field(repr=False)
    nonce: str = field(repr=False)


# --- head -----------------------------------------------------------------------------------------


def read_head(
    settings: Settings,
    *,
    method: object,
    target: object,
    headers: object,
    peer: str | None,
    methods: Collection[str],
) -> Head:
    """Raises UnacceptableRequest, or MalformedSignature for a proxy's headers that are no use."""
    verb = method.upper() if isinstance(method, str) else ""
    allow = tuple(name for name in _METHODS if name in methods)
    if verb not in allow:
        raise UnacceptableRequest(
            f"the method {shown(method)} is not one of {', '.join(allow)}",
            reason="method",
            status=405,
            allow=allow,
        )
    text = _target(target, settings.limits)
    path, _, query = text.partition("?")
    values = _headers(headers)
    return Head(
        method=verb,
        target=text,
        path=path,
        query=read_pairs(query, settings.limits, "query"),
        headers=values,
        origin=_forwarded(settings.origin, values) if settings.trusts(peer) else settings.origin,
    )


def _target(target: object, limits: Limits) -> str:
    text = target.decode("latin-1") if isinstance(target, (bytes, bytearray)) else target
    if not isinstance(text, str) or len(text) > limits.max_head:
        raise UnacceptableRequest(
            f"the target must be text of at most {limits.max_head} characters",
            reason="target",
            status=400,
        )
    if not _TARGET.fullmatch(text) or "#" in text or "\\" in text:
        raise UnacceptableRequest(
            "the target is not a path and query as sent",  # it may hold a number or a password
            reason="target",
            status=400,
            hint="pass the raw request target: not decoded, not normalised, without the host",
        )
    return text


def _headers(headers: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if headers is None:
        return found
    try:
        pairs = (
            cast("Mapping[object, object]", headers).items()
            if isinstance(headers, Mapping)
            else cast("Iterable[tuple[object, object]]", headers)
        )
        for name, value in pairs:
            key = _header_text(name).lower()
            if key in _READ:
                found.setdefault(key, []).append(_header_text(value).strip(" \t"))
    except (TypeError, ValueError):
        raise UnacceptableRequest(
            "the headers must be a mapping, or pairs, of text or bytes",
            reason="headers",
            status=400,
        ) from None
    return found


def _header_text(part: object) -> str:
    if isinstance(part, bytes):
        return part.decode("latin-1")
    if isinstance(part, str):
        return part
    raise TypeError


def _forwarded(origin: Origin, headers: Mapping[str, list[str]]) -> Origin:
    """What the trusted proxy says of the public address; one value each, or the request is refused.

    ``Forwarded`` (RFC 7239) is not read.
    """
    scheme, authority = origin.scheme, origin.authority
    if protos := headers.get("x-forwarded-proto"):
        scheme = protos[0].lower()
        if len(protos) > 1 or scheme not in ("http", "https"):
            raise MalformedSignature(
                "X-Forwarded-Proto must be http or https, once", reason="forwarded"
            )
    if hosts := headers.get("x-forwarded-host"):
        authority = hosts[0]
        if len(hosts) > 1 or not is_authority(authority):
            raise MalformedSignature(
                "X-Forwarded-Host must be one host, with or without port", reason="forwarded"
            )
    return Origin(scheme, authority, origin.prefix)


def read_pairs(text: str, limits: Limits, part: str) -> Params:
    """The parameters of a query or form; ``part`` is its name. Raises UnacceptableRequest."""
    if text.count("&") >= limits.max_fields:
        raise too_many(limits, part)
    try:
        return Params(decode_pairs(text))
    except ValueError:
        raise UnacceptableRequest(
            f"the {part} does not decode as UTF-8", reason=f"{part}_not_utf8", status=400
        ) from None


def too_many(limits: Limits, part: str) -> UnacceptableRequest:
    """The refusal of more parameters than are read."""
    return UnacceptableRequest(
        f"the {part} has more than {limits.max_fields} parameters",
        reason="too_many_fields",
        status=413,
    )


def shown(value: object) -> str:
    """A word of the peer's as messages may hold it: quoted, escaped, cut."""
    return repr(value[:64]) if isinstance(value, str) else "(not text)"


# --- signatures -----------------------------------------------------------------------------------


def read_signatures(settings: Settings, headers: Mapping[str, list[str]]) -> Signatures:
    """The candidates that this verifier may accept. Raises MissingSignature, MalformedSignature.

    V2 counts only where it was opted in and no V3 header is there at all: otherwise whoever holds
    one V2 pair could strip the V3 headers and send any body.
    """
    limits = settings.limits
    v3, ma_v3 = _candidates(headers, V3, limits), _candidates(headers, MA_V3, limits)
    if v3 or ma_v3:
        return _acceptable(settings, "v3", v3, ma_v3, _nonce(headers, V3_NONCE))
    return read_signatures_v2(settings, headers)


def read_signatures_v2(settings: Settings, headers: Mapping[str, list[str]]) -> Signatures:
    """The same, of the V2 headers alone."""
    limits = settings.limits
    v2, ma_v2 = _candidates(headers, V2, limits), _candidates(headers, MA_V2, limits)
    if not v2 and not ma_v2:
        raise MissingSignature(
            "there is no signature header",
            reason="signature_missing",
            hint="Plivo sends X-Plivo-Signature-V3 or -Ma-V3; does a proxy drop them?",
        )
    if not settings.allow_v2:
        raise MissingSignature(
            "there is a V2 signature only, which covers neither query nor body",
            reason="v2_only",
            hint="allow_v2=True accepts it",
        )
    return _acceptable(settings, "v2", v2, ma_v2, _nonce(headers, V2_NONCE))


def _candidates(headers: Mapping[str, list[str]], name: str, limits: Limits) -> list[bytes]:
    values = headers.get(name, [])
    if len(values) > 1:
        raise MalformedSignature("a signature header came twice", reason="signature_repeated")
    value = values[0] if values else ""
    if len(value) > limits.max_signature_header:
        raise MalformedSignature(
            f"a signature header is over {limits.max_signature_header} characters",
            reason="signature_too_long",
        )
    if not value.isascii():
        raise MalformedSignature("a signature header is not ASCII", reason="signature_not_ascii")
    found = split_signatures(value)
    if len(found) > limits.max_signatures:
        raise MalformedSignature(
            f"a header holds more than {limits.max_signatures} signatures",
            reason="too_many_signatures",
        )
    return found


def _acceptable(
    settings: Settings, version: str, own: list[bytes], main: list[bytes], nonce: str
) -> Signatures:
    usable = Signatures(
        version, own if settings.tokens else [], main if settings.main_tokens else [], nonce
    )
    if not usable.own and not usable.main:
        if main:
            raise MissingSignature(
                "only the main account's signature is there, and no main_tokens to check it",
                reason="main_account_only",
                hint="give main_tokens=, the main account's auth token",
            )
        raise MissingSignature(
            "only the account's own signature is there, and no tokens to check it",
            reason="own_account_only",
            hint="give tokens=, the auth token of the account or subaccount",
        )
    return usable


def _nonce(headers: Mapping[str, list[str]], name: str) -> str:
    values = headers.get(name, [])
    if len(values) > 1:
        raise MalformedSignature("the nonce header came twice", reason="nonce_repeated")
    if not values or not values[0]:
        raise MissingSignature(
            "there is no nonce header",
            reason="nonce_missing",
            hint=f"does a proxy drop {name}?",
        )
    if _NONCE[name].fullmatch(values[0]):
        return values[0]
    if "." in values[0]:
        raise MalformedSignature(
            "the nonce holds a dot, by which a part of the signed text could pass for it",
            reason="nonce_dot",
        )
    raise MalformedSignature(
        "the nonce is not 1 to 64 digits (for V2: of 0-9 A-Z a-z _ -)", reason="nonce_syntax"
    )
