"""Requests as ASGI, WSGI and Lambda hand them over, put back into what was sent.

Signatures cover the target and the body byte for byte; frameworks decode both. Each function says
where its framework keeps the raw ones. Values in, one Request out; nothing is verified here.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote

from plivo_core.wire import Request

__all__ = ["request_from_asgi", "request_from_lambda", "request_from_wsgi"]

# What may stand in a path as it is (RFC 3986 3.3); everything else was percent-encoded.
_IN_PATH = "/:@!$&'()*+,;=-._~"


def request_from_asgi(scope: Mapping[str, Any], body: bytes = b"") -> Request:
    """An ``http`` or ``websocket`` scope. Servers that keep no ``raw_path`` lose odd spellings."""
    raw_path = cast("bytes | None", scope.get("raw_path"))
    path = raw_path.decode("latin-1") if raw_path else quote(scope["path"], safe=_IN_PATH)
    path = path.partition("?")[0]  # some servers leave the query in it
    pairs = cast("Iterable[tuple[bytes, bytes]]", scope["headers"])
    return _request(
        str(scope.get("method", "GET")),
        path,
        cast("bytes", scope.get("query_string", b"")).decode("latin-1"),
        tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs),
        body,
    )


def request_from_wsgi(environ: Mapping[str, Any], body: bytes) -> Request:
    """The environ of Flask (``request.environ``) or Django (``request.META``), and the raw body.

    The target is ``RAW_URI`` (gunicorn, Werkzeug) or ``REQUEST_URI`` (uWSGI, mod_wsgi); without
    them it is put together from the decoded path, in which an encoded slash is lost. Servers join
    what came twice with a comma.
    """
    headers = [
        (name[5:].replace("_", "-").lower(), str(value))
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    headers += [
        (name.replace("_", "-").lower(), str(environ[name]))
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        if environ.get(name)
    ]
    method = str(environ.get("REQUEST_METHOD", ""))
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if target:
        return Request(method=method, target=str(target), headers=tuple(headers), body=body)
    # PEP 3333: bytes in the disguise of Latin-1 text. What is none cannot verify.
    path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
    return _request(
        method,
        quote(path.encode("latin-1", "replace"), safe=_IN_PATH),
        str(environ.get("QUERY_STRING", "")),
        tuple(headers),
        body,
    )


def request_from_lambda(event: Mapping[str, Any]) -> Request:
    """The event of an AWS Lambda function URL or HTTP API, payload format 2.0.

    Format 1.0 has no raw query and is refused with a ValueError.
    """
    if event.get("version") != "2.0":
        raise ValueError("the event has no payload format 2.0; set it at the integration")
    body = event.get("body") or ""
    return _request(
        str(event["requestContext"]["http"]["method"]),
        str(event["rawPath"]),
        str(event.get("rawQueryString", "")),
        tuple((str(name), str(value)) for name, value in event["headers"].items()),
        b64decode(body) if event.get("isBase64Encoded") else body.encode(),
    )


def _request(
    method: str, path: str, query: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> Request:
    target = f"{path}?{query}" if query else path
    return Request(method=method, target=target, headers=headers, body=body)
