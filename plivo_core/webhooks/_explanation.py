"""What ``WebhookVerifier.explain`` says: the inputs that differ, in words.

Texts are fixed, apart from schemes, methods and the names of parameters: no token, signature, nonce
or value gets into them.
"""

from __future__ import annotations

from dataclasses import dataclass

from plivo_core.errors import SignatureError

__all__ = ["Difference", "Explanation", "difference", "explanation_of"]

_TEXTS = {
    "scheme": (
        "the signature is for {0}://, public_url says {1}://",
        "set public_url to the scheme of the URL configured at Plivo",
    ),
    "host": (
        "the signature is for the request's own host, not for public_url's",
        "set public_url to the host of the URL configured at Plivo",
    ),
    "port": (
        "the signature is for another port, or an explicit default port was added or lost",
        "give public_url the port exactly as in the URL configured at Plivo",
    ),
    "slash": (
        "the signature is for the path {0} a slash at its end",
        "does a proxy or framework redirect or rewrite the path?",
    ),
    "prefix": (
        "the signature is for the path without public_url's prefix",
        "the proxy does not strip the prefix: leave it out of public_url",
    ),
    "query_added": (
        "the query holds what was not signed: {0}",
        "does a proxy or framework add parameters?",
    ),
    "query_encoding": (
        "the query was encoded once more after it was signed",
        "does a proxy rewrite the URL? pass the target as it was sent",
    ),
    "query_plus": (
        "the query's %2B became + on the way",
        "does a proxy decode and rebuild the query? pass the target as it was sent",
    ),
    "body_added": (
        "the body holds what was not signed: {0}",
        "pass the raw body, before any middleware changed it",
    ),
    "body_ignored": (
        "the signature covers the URL alone, not this body",
        "was the URL fetched with another method or body, or is this JSON unsigned?",
    ),
    "body_encoding": (
        "the body was parsed and encoded again: it is percent-encoded twice",
        "pass the raw body, before the framework parsed it",
    ),
    "body_plus": (
        "the body was parsed and encoded again: its %2B became +",
        "pass the raw body, before the framework parsed it",
    ),
    "body_charset": (
        "the body was parsed as Latin-1 and encoded again as UTF-8",
        "pass the raw body, before the framework parsed it",
    ),
    "body_whitespace": (
        "white space was added to the end of the body",
        "pass the raw body, byte for byte",
    ),
    "body_lost": (
        "Content-Length names a body, but none was passed",
        "the framework has read it already: take it before, or from its cache",
    ),
    "method": (
        "the signature is for {0}",
        "configure this method at Plivo, or name the other one for the route",
    ),
    "token_blank": (
        "the token fits without the white space or quotes around it",
        "strip the token where it is read from the environment or a file",
    ),
    "account": (
        "the {0} signature is made with a token given as {1}",
        "tokens= are of the account that owns the callback, main_tokens= of the main account",
    ),
    "signature_separator": (
        "the signatures in the header are not separated by commas",
        "pass the header as it was sent",
    ),
    "signature_encoding": (
        "the signature's base64 was changed: its case, alphabet, padding or quotes",
        "pass the header as it was sent",
    ),
    "nonce_swapped": (
        "the signature fits the nonce of the V2 header",
        "does a proxy rename headers? pass them as they were sent",
    ),
    "version": (
        "the V3 header holds a V2 signature",
        "does a proxy rename headers? pass them as they were sent",
    ),
    "token": (
        "no mistake known here explains the signature: an old token or another account's is likely",
        "compare the account of the callback with that of tokens=",
    ),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One input that is not what was signed.

    ``part`` is a word for it: one of the reasons that ``WebhookVerifier.verify`` lists, or scheme,
    host, port, slash, prefix, query_added, query_encoding, query_plus, body_added, body_ignored,
    body_encoding, body_plus, body_charset, body_whitespace, body_lost, method, token_blank,
    account, signature_separator, signature_encoding, nonce_swapped, version, token.
    """

    part: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.part}: {self.message}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a request is refused: every difference; none if it is not refused.

    ``certain`` is False for what was inferred because nothing else fits.
    """

    differences: tuple[Difference, ...]
    certain: bool = True

    @property
    def parts(self) -> tuple[str, ...]:
        """The words for the differences."""
        return tuple(difference.part for difference in self.differences)

    def __str__(self) -> str:
        if not self.differences:
            return "the request verifies"
        return "\n".join(map(str, self.differences))


def explanation_of(error: SignatureError) -> Explanation:
    """For a request that was refused before any signature was computed."""
    return Explanation((Difference(error.reason, error.message, error.hint),))


def difference(part: str, *facts: str) -> Difference:
    """The difference ``part``, with ``facts`` in its message."""
    message, hint = _TEXTS[part]
    return Difference(part, message.format(*facts), hint)
