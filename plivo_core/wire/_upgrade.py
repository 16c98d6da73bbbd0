"""The opening handshake of RFC 6455 section 4, checked and written by our own code.

wsproto's handshake answers 101 to HTTP/1.0, to keys that are no keys and to upgrades with a body,
and raises UnicodeDecodeError on hostile headers; so it never sees one.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

from plivo_core.wire._messages import Headers, Response, get_header

__all__ = ["accept_token", "client_key", "is_upgrade", "refusal", "unacceptable"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3


def accept_token(key: str) -> str:
    """``Sec-WebSocket-Accept`` for a ``Sec-WebSocket-Key`` (RFC 6455 4.2.2)."""
    # The RFC's handshake demands SHA-1; nothing secret depends on it.
    return b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def client_key(random: bytes) -> str:
    """``Sec-WebSocket-Key`` from 16 random bytes."""
    return b64encode(random).decode()


def _tokens(headers: Headers, name: str) -> set[str]:
    """The comma-separated words of every header ``name``, in lower case."""
    return {
        word.strip().lower() for key, value in headers if key == name for word in value.split(",")
    }


def is_upgrade(headers: Headers) -> bool:
    """Whether the request asks for WebSocket at all, well or badly."""
    return "websocket" in _tokens(headers, "upgrade")


def refusal(method: str, version: bytes, headers: Headers) -> Response | None:
    """The answer to an upgrade request that breaks a MUST of RFC 6455 4.2.1; None if it is fine."""
    names = [name for name, _ in headers]
    if method != "GET":
        return Response(status=405, headers=(("allow", "GET"),), body=b"an upgrade must be a GET\n")
    if version != b"1.1":
        return Response(status=400, body=b"an upgrade needs HTTP/1.1\n")
    if "upgrade" not in _tokens(headers, "connection"):
        return Response(status=400, body=b"an upgrade needs 'Connection: Upgrade'\n")
    if "transfer-encoding" in names or get_header(headers, "content-length") not in (None, "0"):
        return Response(status=400, body=b"an upgrade must not have a body\n")
    versions = [value.strip() for name, value in headers if name == "sec-websocket-version"]
    if versions != ["13"]:
        return Response(
            status=426,
            headers=(("sec-websocket-version", "13"), ("upgrade", "websocket")),
            body=b"an upgrade needs 'Sec-WebSocket-Version: 13'\n",
        )
    keys = [value.strip() for name, value in headers if name == "sec-websocket-key"]
    if len(keys) != 1 or not _is_key(keys[0]):
        return Response(
            status=400, body=b"an upgrade needs one Sec-WebSocket-Key of 16 bytes in base64\n"
        )
    return None


def _is_key(key: str) -> bool:
    try:
        return len(key) == 24 and len(b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def unacceptable(response: Response, key: str) -> str | None:
    """Client role: why a 101 must fail the connection (RFC 6455 4.1); None if it is fine."""
    headers = response.headers
    if not is_upgrade(headers) or "upgrade" not in _tokens(headers, "connection"):
        return "the 101 has no 'Upgrade: websocket' and 'Connection: Upgrade'"
    if get_header(headers, "sec-websocket-accept") != accept_token(key):
        return "the 101 has a wrong Sec-WebSocket-Accept"
    if _tokens(headers, "sec-websocket-extensions") or _tokens(headers, "sec-websocket-protocol"):
        return "the 101 names an extension or subprotocol that was not offered"
    return None
