"""Requests put back together from ASGI, WSGI and Lambda: what verifies is what was sent."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from plivo_core import Request, SignatureError
from plivo_core.webhooks import (
    Verified,
    request_from_asgi,
    request_from_lambda,
    request_from_wsgi,
)
from tests.webhooks._hooks import Hook, a_hook, a_verifier

TARGETS = ["/voice", "/caf%C3%A9/a+b?x=%2B&y=&z=a+b", "/a;b=c/@:!$&'()*,~-._", "/?"]


def verified(request: Request) -> Verified:
    return a_verifier().verify(
        method=request.method, target=request.target, headers=request.headers, body=request.body
    )


def asgi(hook: Hook, *, raw_path: bool = True) -> dict[str, Any]:
    path, _, query = hook.target.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "method": hook.method,
        "path": unquote(path),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in hook.headers],
    }
    return {**scope, "raw_path": path.encode()} if raw_path else scope


def wsgi(hook: Hook, *, raw: str | None = None) -> dict[str, Any]:
    path, _, query = hook.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": hook.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),  # as PEP 3333 disguises bytes
        "QUERY_STRING": query,
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": str(len(hook.body)),
        "wsgi.version": (1, 0),
    }
    for name, value in hook.headers:
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ if raw is None else {**environ, raw: hook.target}


def lambda_event(hook: Hook, *, base64: bool) -> dict[str, Any]:
    path, _, query = hook.target.partition("?")
    body = b64encode(hook.body).decode() if base64 else hook.body.decode()
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in hook.headers},
        "requestContext": {"http": {"method": hook.method, "sourceIp": "192.0.2.7"}},
        "isBase64Encoded": base64,
        "body": body,
    }


@pytest.mark.parametrize("target", TARGETS)
def test_every_way_in_verifies(target: str) -> None:
    hook = a_hook(target=target)
    for request in (
        request_from_asgi(asgi(hook), hook.body),
        request_from_asgi(asgi(hook, raw_path=False), hook.body),
        request_from_wsgi(wsgi(hook, raw="RAW_URI"), hook.body),
        request_from_wsgi(wsgi(hook, raw="REQUEST_URI"), hook.body),
        request_from_wsgi(wsgi(hook), hook.body),
        request_from_lambda(lambda_event(hook, base64=True)),
        request_from_lambda(lambda_event(hook, base64=False)),
    ):
        assert verified(request).form["CallUUID"] == "c-1"


def test_a_get_has_no_body_in_any_of_them() -> None:
    hook = a_hook(method="GET", target="/voice?a=1")
    event = lambda_event(hook, base64=False)
    del event["body"]
    for request in (
        request_from_asgi(asgi(hook)),
        request_from_wsgi({**wsgi(hook), "CONTENT_LENGTH": ""}, b""),
        request_from_lambda(event),
    ):
        assert verified(request).query.pairs == (("a", "1"),)


def test_a_websocket_scope_is_a_get() -> None:
    request = request_from_asgi({"type": "websocket", "path": "/call", "headers": []})
    assert (request.method, request.target) == ("GET", "/call")


def test_a_header_given_twice_stays_two_or_is_refused_joined() -> None:
    hook = a_hook()
    name = "X-Plivo-Signature-V3-Nonce"
    twice = replace(hook, headers=[*hook.headers, (name, hook.header(name))])
    joined = wsgi(hook.with_header(name, f"{hook.header(name)},{hook.header(name)}"))
    for request, reason in (
        (request_from_asgi(asgi(twice), hook.body), "nonce_repeated"),
        (request_from_wsgi(joined, hook.body), "nonce_syntax"),
    ):
        with pytest.raises(SignatureError) as caught:
            verified(request)
        assert caught.value.reason == reason


def test_an_application_below_a_script_name_sees_the_whole_path() -> None:
    hook = a_hook(target="/app/voice")
    environ = {**wsgi(hook), "SCRIPT_NAME": "/app", "PATH_INFO": "/voice"}
    assert verified(request_from_wsgi(environ, hook.body))


def test_threat_19_a_path_that_is_no_bytes_does_not_verify() -> None:
    for path in ("/voice\u20ac", "/voice\ud800", "https://hooks.example.com/voice"):
        for odd in ({"PATH_INFO": path}, {"RAW_URI": path}):
            with pytest.raises(SignatureError):
                verified(request_from_wsgi({**wsgi(a_hook()), **odd}, a_hook().body))


def test_an_event_without_the_raw_query_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"payload format 2\.0"):
        request_from_lambda({"version": "1.0", "httpMethod": "POST"})
