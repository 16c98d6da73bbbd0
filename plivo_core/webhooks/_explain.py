"""Which input differs: a refused request tried again as the mistakes of real deployments make it.

Each trial changes one thing (how the body was decoded, which token, which method ...), or some
parts of the URL at once, and asks whether the signature then fits. What fits is the answer. It is
for the developer's terminal: it accepts nothing, and it costs hundreds of signatures.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias
from urllib.parse import unquote_plus

from plivo_core.webhooks._body import Body
from plivo_core.webhooks._explanation import Difference, Explanation, difference
from plivo_core.webhooks._params import NO_PARAMS, Params
from plivo_core.webhooks._reading import (
    MA_V3,
    V2_NONCE,
    V3,
    Head,
    Signatures,
    read_signatures,
)
from plivo_core.webhooks._settings import Settings, is_authority
from plivo_core.webhooks._signatures import grouped, matches, signature, split_signatures
from plivo_core.webhooks._texts import members_of, signed_texts

__all__ = ["diagnose"]

_Pairs: TypeAlias = "Sequence[tuple[str, str]]"
_Options: TypeAlias = "list[tuple[str, Difference | None]]"

_DROPPED = 50  # parameters left out one at a time; callbacks have some forty
_SCHEMES = ("https", "http", "wss", "ws")


@dataclass(frozen=True, slots=True)
class _Trial:
    """What to sign, and with what; at first the request as it came."""

    url: str
    method: str
    query: Params
    members: Mapping[str, object]
    found: Signatures
    tokens: Sequence[bytes]
    main_tokens: Sequence[bytes]
    loosely: bool = False  # compare signatures without regard to how base64 was spelled


_Changes: TypeAlias = "Iterator[tuple[Difference, _Trial]]"


def diagnose(settings: Settings, head: Head, body: Body) -> Explanation:
    """For a request whose signatures do not match. Never raises."""
    origin = head.origin
    came = _Trial(
        url=f"{origin.scheme}://{origin.authority}{origin.prefix}{head.path}",
        method=head.method,
        query=head.query,
        members=members_of(body),
        found=read_signatures(settings, head.headers),
        tokens=settings.tokens,
        main_tokens=settings.main_tokens,
    )
    for changes in (_header(came, head), _query(came), _body(came, body), _method(came)):
        for changed, trial in changes:
            if _fits(trial):
                return Explanation((changed,))
    for url, changed_parts in _urls(head):
        if _fits(_with(came, url=url)):
            return Explanation(changed_parts)
    length = int(head.headers.get("content-length", ["0"])[0])
    lost = head.method == "POST" and length > 0 and not body.raw
    return Explanation((difference("body_lost" if lost else "token"),), certain=False)


def _with(
    trial: _Trial,
    *,
    url: str | None = None,
    method: str | None = None,
    query: Params | None = None,
    members: Mapping[str, object] | None = None,
    found: Signatures | None = None,
    tokens: Sequence[bytes] | None = None,
    main_tokens: Sequence[bytes] | None = None,
    loosely: bool = False,
) -> _Trial:
    """``dataclasses.replace`` with types."""
    return _Trial(
        url=trial.url if url is None else url,
        method=trial.method if method is None else method,
        query=trial.query if query is None else query,
        members=trial.members if members is None else members,
        found=trial.found if found is None else found,
        tokens=trial.tokens if tokens is None else tokens,
        main_tokens=trial.main_tokens if main_tokens is None else main_tokens,
        loosely=loosely,
    )


def _fits(trial: _Trial) -> bool:
    found = trial.found
    texts = signed_texts(found, trial.method, [trial.url], trial.query, trial.members)
    compare = _matches_loosely if trial.loosely else matches
    return compare(texts, trial.tokens, found.own) or compare(texts, trial.main_tokens, found.main)


def _matches_loosely(
    texts: Sequence[bytes], tokens: Sequence[bytes], candidates: Sequence[bytes]
) -> bool:
    expected = [_squashed(signature(token, text)) for token in tokens for text in texts]
    given = [_squashed(candidate) for candidate in candidates]
    return any(hmac.compare_digest(one, other) for one in expected for other in given)


def _squashed(base64: bytes) -> bytes:
    return (
        base64.strip(b"\"'= ").replace(b"-", b"+").replace(b"_", b"/").replace(b" ", b"+").lower()
    )


# --- headers --------------------------------------------------------------------------------------


def _header(came: _Trial, head: Head) -> _Changes:
    found = came.found
    yield (
        difference("token_blank"),
        _with(came, tokens=_trimmed(came.tokens), main_tokens=_trimmed(came.main_tokens)),
    )
    own, main = (split_signatures(head.headers.get(name, [""])[0]) for name in (V3, MA_V3))
    yield (
        difference("account", "V3", "main_tokens"),
        _with(came, found=_candidates(found, own, []), tokens=came.main_tokens, main_tokens=()),
    )
    yield (
        difference("account", "Ma-V3", "tokens"),
        _with(came, found=_candidates(found, [], main), tokens=(), main_tokens=came.tokens),
    )
    yield (
        difference("signature_separator"),
        _with(came, found=_candidates(found, _split(found.own), _split(found.main))),
    )
    yield difference("signature_encoding"), _with(came, loosely=True)
    for nonce in head.headers.get(V2_NONCE, ()):
        swapped = Signatures(found.version, found.own, found.main, nonce)
        yield difference("nonce_swapped"), _with(came, found=swapped)
    v2 = Signatures("v2", found.own, found.main, found.nonce)
    yield difference("version"), _with(came, found=v2)


def _candidates(found: Signatures, own: list[bytes], main: list[bytes]) -> Signatures:
    return Signatures(found.version, own, main, found.nonce)


def _trimmed(tokens: Sequence[bytes]) -> list[bytes]:
    trimmed = [token.strip(b" \t\r\n\"'") for token in tokens]
    return [token for token in trimmed if token]


def _split(candidates: Sequence[bytes]) -> list[bytes]:
    return [part for entry in candidates for part in entry.replace(b";", b" ").split()]


# --- query and body -------------------------------------------------------------------------------


def _query(came: _Trial) -> _Changes:
    pairs = came.query.pairs
    if not pairs:
        return
    for changed, other in _rebuilt("query", pairs):
        yield changed, _with(came, query=Params(other))
    yield difference("query_added", "all of it"), _with(came, query=NO_PARAMS)


def _body(came: _Trial, body: Body) -> _Changes:
    pairs = body.form.pairs
    if pairs:
        for changed, other in _rebuilt("body", pairs):
            yield changed, _with(came, members=grouped(other))
        name, value = pairs[-1]
        ended = [*pairs[:-1], (name, value.rstrip())]
        yield difference("body_whitespace"), _with(came, members=grouped(ended))
        recoded = _each(_from_latin1, pairs)
        yield difference("body_charset"), _with(came, members=grouped(recoded))
    if body.raw:
        yield difference("body_ignored"), _with(came, members={})


def _rebuilt(part: str, pairs: _Pairs) -> Iterator[tuple[Difference, _Pairs]]:
    """What ``pairs`` may have been before something took them apart and put them together."""
    yield difference(f"{part}_plus"), _each(lambda text: text.replace(" ", "+"), pairs)
    yield difference(f"{part}_encoding"), _each(unquote_plus, pairs)
    if 1 < len(pairs) <= _DROPPED:
        for index, (name, _) in enumerate(pairs):
            rest = [*pairs[:index], *pairs[index + 1 :]]
            yield difference(f"{part}_added", repr(name[:64])), rest


def _each(change: Callable[[str], str], pairs: _Pairs) -> _Pairs:
    return [(change(name), change(value)) for name, value in pairs]


def _from_latin1(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except ValueError:
        return text


def _method(came: _Trial) -> _Changes:
    if came.method == "POST":
        yield difference("method", "GET"), _with(came, method="GET")
    else:
        moved = grouped(came.query.pairs)
        yield (
            difference("method", "POST"),
            _with(came, method="POST", query=NO_PARAMS, members=moved),
        )


# --- the URL --------------------------------------------------------------------------------------


def _urls(head: Head) -> Iterator[tuple[str, tuple[Difference, ...]]]:
    """Every URL that mistakes may have made of ours, those with the fewest first."""
    urls: list[tuple[str, tuple[Difference, ...]]] = []
    for chosen in product(_schemes(head), _authorities(head), _paths(head)):
        (scheme, _), (authority, _), (path, _) = chosen
        changed = tuple(part for _, part in chosen if part is not None)
        urls.append((f"{scheme}://{authority}{path}", changed))
    yield from sorted(urls, key=lambda entry: len(entry[1]))


def _schemes(head: Head) -> _Options:
    ours = head.origin.scheme
    others = [scheme for scheme in _SCHEMES if scheme != ours]
    return [(ours, None), *((other, difference("scheme", other, ours)) for other in others)]


def _authorities(head: Head) -> _Options:
    ours = head.origin.authority
    bare = _without_port(ours)
    options: dict[str, Difference | None] = {ours: None}
    for other in (bare, bare + ":443", bare + ":80"):
        options.setdefault(other, difference("port"))
    for name in ("host", "x-forwarded-host"):
        for other in head.headers.get(name, ()):
            if is_authority(other):
                same = _without_port(other).lower() == bare.lower()
                options.setdefault(other, difference("port" if same else "host"))
    return list(options.items())


def _without_port(authority: str) -> str:
    host, _, port = authority.rpartition(":")
    return host if host and port.isdecimal() else authority


def _paths(head: Head) -> _Options:
    path = head.origin.prefix + head.path
    options: _Options = [(path, None)]
    if path.endswith("/"):
        options.append((path[:-1], difference("slash", "without")))
    else:
        options.append((path + "/", difference("slash", "with")))
    if head.origin.prefix:
        options.append((head.path, difference("prefix")))
    return options
