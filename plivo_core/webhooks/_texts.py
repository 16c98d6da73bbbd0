"""The texts a request may have been signed as: one per URL that Plivo may have had for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plivo_core.webhooks._body import Body
from plivo_core.webhooks._params import Params
from plivo_core.webhooks._reading import Signatures
from plivo_core.webhooks._settings import Origin
from plivo_core.webhooks._signatures import canonical_v3, grouped

__all__ = ["members_of", "signed_texts", "urls_of"]


def urls_of(origin: Origin, path: str, schemes: Sequence[str]) -> list[str]:
    """URLs without query. More than one per scheme in two cases where a request cannot tell:

    a target of ``/`` also stands for an empty path, which no client can send; user and password in
    the public URL may or may not be part of what is signed (PROTOCOL.md 7.5).
    """
    authorities = [origin.authority]
    if "@" in origin.authority:
        authorities.append(origin.authority.rpartition("@")[2])
    paths = [origin.prefix + path]
    if path == "/":
        paths.append(origin.prefix)
    return [
        f"{scheme}://{authority}{whole}"
        for scheme in schemes
        for authority in authorities
        for whole in paths
    ]


def members_of(body: Body) -> Mapping[str, object]:
    """What of a body is signed: its parameters, or the top-level members of its JSON object."""
    return grouped(body.form.pairs) if body.json is None else body.json


def signed_texts(
    found: Signatures,
    method: str,
    urls: Sequence[str],
    query: Params,
    members: Mapping[str, object],
) -> list[bytes]:
    """What each of ``urls`` would be signed as. Raises ValueError for text that is not Unicode."""
    if found.version == "v2":
        return [f"{url}{found.nonce}".encode() for url in urls]
    # The URL only stands in front, so the costly part is made once for all of them.
    rest = f"{canonical_v3(method, '', grouped(query.pairs), members)}.{found.nonce}".encode()
    return [url.encode() + rest for url in urls]
