"""Plivo's published signature algorithms, V3 and V2 (PROTOCOL.md 7.2 and 7.3), and nothing more.

Text in, signature or bool out, from what the application holds: an URL, decoded parameters, a
token. What a server must add (which headers, which URL, which body, how big, how often) is in
:class:`~plivo_core.webhooks.WebhookVerifier`. The text that V3 signs is malleable (SECURITY.md 3);
these functions sign and check it as published, with any nonce.
"""

from __future__ import annotations

import hmac
import re
from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, cast

from plivo_core.webhooks._params import Params

__all__ = [
    "Parameters",
    "canonical_v3",
    "concatenated",
    "decode_pairs",
    "grouped",
    "matches",
    "sign_v2",
    "sign_v3",
    "signature",
    "split_signatures",
    "unfold",
    "validate_signature_v2",
    "validate_signature_v3",
]

Parameters: TypeAlias = "Mapping[str, object] | Iterable[tuple[str, object]]"
"""Decoded parameters: a mapping whose values are text, numbers, mappings or lists of them, or
(name, value) pairs in any order, in which a name may come several times."""

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]")


def sign_v3(
    method: str, uri: str, nonce: str, auth_token: str, params: Parameters | None = None
) -> str:
    """The V3 signature, 44 characters of base64.

    ``uri`` is the full public URL, as configured at Plivo; its fragment is not signed. ``params``
    are those of the body for POST; for GET they join the URL's, which win. Raises ValueError for a
    method other than GET and POST (in any case), an URL without scheme and host, and text that is
    not Unicode.
    """
    text = _text_v3(method, uri, nonce, params)
    return signature(auth_token.encode(), text).decode()


def sign_v2(uri: str, nonce: str, auth_token: str) -> str:
    """The V2 signature, 44 characters of base64. It covers neither query nor body.

    Raises ValueError as :func:`sign_v3` does.
    """
    return signature(auth_token.encode(), _text_v2(uri, nonce)).decode()


def validate_signature_v3(
    method: str,
    uri: str,
    nonce: str,
    auth_token: str | Sequence[str],
    v3_signature: str,
    params: Parameters | None = None,
) -> bool:
    """Whether ``v3_signature``, a header with one or more signatures, holds that of the request.

    ``auth_token`` may be several: any may match. Arguments as for :func:`sign_v3`; what cannot be
    signed (a missing header, an URL without host, text that is not Unicode) gives False. Raises
    ValueError only for a method other than GET and POST. It accepts any nonce and remembers none:
    a server should use :class:`~plivo_core.webhooks.WebhookVerifier`.
    """
    _verb(method)
    try:
        text = _text_v3(method, uri, nonce, params)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False
    return matches([text], _tokens(auth_token), split_signatures(v3_signature))


def validate_signature_v2(
    uri: str, nonce: str, v2_signature: str, auth_token: str | Sequence[str]
) -> bool:
    """Whether ``v2_signature``, a header with one or more signatures, holds that of the URL.

    Never raises. V2 signs neither query nor body: whoever holds one signed request can send any
    body with it.
    """
    try:
        text = _text_v2(uri, nonce)
    except (ValueError, TypeError, AttributeError):
        return False
    return matches([text], _tokens(auth_token), split_signatures(v2_signature))


# --- shared with the verifier ---------------------------------------------------------------------


def signature(token: bytes, text: bytes) -> bytes:
    """base64 of the HMAC-SHA256, with padding."""
    return b2a_base64(hmac.digest(token, text, "sha256"), newline=False)


def matches(texts: Sequence[bytes], tokens: Sequence[bytes], candidates: Sequence[bytes]) -> bool:
    """Whether any candidate is the signature of any text with any token.

    Every combination is compared, in constant time each, so that neither a position nor a prefix
    can be learnt from the time it took.
    """
    found = False
    for token in tokens:
        for text in texts:
            expected = signature(token, text)
            for candidate in candidates:
                found |= hmac.compare_digest(candidate, expected)
    return found


def split_signatures(header: object) -> list[bytes]:
    """The entries of a signature header, blanks around them removed; empty ones are dropped.

    Bytes, for ``compare_digest`` refuses text that is not ASCII.
    """
    if not isinstance(header, str):
        return []
    entries = [entry.strip(" \t") for entry in header.split(",")]
    return [entry.encode("utf-8", "surrogatepass") for entry in entries if entry]


def decode_pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a query or form: ``+`` is a space, blanks are kept, a stray ``%`` is literal.

    Split at ``&`` alone. Raises ValueError where the decoded bytes are not UTF-8.
    """
    pairs: list[tuple[str, str]] = []
    text = _STRAY_PERCENT.sub("%25", text)
    for part in text.split("&"):
        if part:
            name, _, value = part.replace("+", " ").partition("=")
            pairs.append((_unquoted(name), _unquoted(value)))
    return pairs


def unfold(params: Parameters | None) -> Mapping[str, object]:
    """``params`` as a mapping; pairs of one name become a list."""
    if params is None:
        return {}
    if isinstance(params, Params):
        return grouped(params.pairs)
    if isinstance(params, Mapping):
        return cast("Mapping[str, object]", params)
    return grouped(params)


def grouped(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Name to the list of its values, in the order given."""
    groups: dict[str, list[object]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return cast("dict[str, object]", groups)


def canonical_v3(
    method: str, base: str, query: Mapping[str, object], params: Mapping[str, object]
) -> str:
    """The text that V3 signs, up to the dot before the nonce.

    ``method`` is GET or POST, ``base`` scheme, authority and path. Raises ValueError for values
    that have no spelling.
    """
    if method == "GET":
        merged = {**params, **query}
        return f"{base}?{_query_text(merged)}" if merged else base
    text = f"{base}?{_query_text(query)}" if query else base
    if params:
        text += f"{'.' if query else '?'}{concatenated(params)}"
    return text


def concatenated(members: Mapping[str, object]) -> str:
    """Names and values in the order of names, nothing between them; a list's values are sorted."""
    return "".join(name + value for name, value in _sorted_pairs(members))


# --- the rest -------------------------------------------------------------------------------------


def _text_v3(method: str, uri: str, nonce: str, params: Parameters | None) -> bytes:
    base, query = _split(uri)
    text = canonical_v3(_verb(method), base, grouped(decode_pairs(query)), unfold(params))
    return f"{text}.{_nonce(nonce)}".encode()


def _text_v2(uri: str, nonce: str) -> bytes:
    return (_split(uri)[0] + _nonce(nonce)).encode()


def _verb(method: object) -> str:
    verb = method.upper() if isinstance(method, str) else ""
    if verb not in ("GET", "POST"):
        raise ValueError("Plivo signs GET and POST requests; the method is neither")
    return verb


def _nonce(nonce: object) -> str:
    if not isinstance(nonce, str):
        raise ValueError("the nonce must be text")
    return nonce


def _split(uri: str) -> tuple[str, str]:
    """Scheme, authority and path; the query. Neither is decoded or normalised."""
    base, _, query = uri.partition("#")[0].partition("?")
    if not _ORIGIN.match(base):
        raise ValueError("the URL must be absolute: scheme://host/path")
    return base, query


def _tokens(given: object) -> list[bytes]:
    """Tokens as bytes. An empty one is dropped: anybody can sign with it."""
    tokens: Iterable[object] = ()
    if isinstance(given, str):
        tokens = (given,)
    elif isinstance(given, Iterable):
        tokens = cast("Iterable[object]", given)
    return [
        token.encode("utf-8", "surrogatepass")
        for token in tokens
        if isinstance(token, str) and token
    ]


def _unquoted(text: str) -> str:
    """Every ``%`` in ``text`` has its two digits; see :func:`decode_pairs`."""
    raw = text.encode()
    if b"%" not in raw:
        return text
    # The decoder of escapes is one C loop; urllib's is one of Python's, ten times as slow, and
    # whoever knows the URL can have it run.
    escaped = raw.replace(b"\\", b"%5C").replace(b"%", b"\\x")
    return escaped.decode("unicode_escape").encode("latin-1").decode()


def _query_text(members: Mapping[str, object]) -> str:
    return "&".join(f"{name}={value}" for name, value in _sorted_pairs(members))


def _sorted_pairs(members: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name in sorted(members):
        value = members[name]
        if isinstance(value, (list, tuple)):
            values = cast("Sequence[object]", value)
            for text in sorted(_spelled(item) for item in values):
                yield name, text
        else:
            yield name, _spelled(value)


def _spelled(value: object) -> str:
    """A value as text. JSON's own words for what the published algorithm has no rule for."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)  # ValueError above 4300 digits
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return concatenated(cast("Mapping[str, object]", value))
    if isinstance(value, (list, tuple)):
        return "".join(sorted(_spelled(item) for item in cast("Sequence[object]", value)))
    raise ValueError(f"a {type(value).__name__} cannot be signed")
