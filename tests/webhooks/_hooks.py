"""Requests as Plivo would send them: from the vectors, and signed here with tokens of our own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from plivo_core import SignatureError
from plivo_core.webhooks import Verified, WebhookVerifier, refusal, sign_v2, sign_v3

FOLDER = Path(__file__).parents[1] / "vectors"
FORM = "application/x-www-form-urlencoded"


def load(version: int) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(
        (FOLDER / f"signatures_v{version}.json").read_text("utf-8")
    )["vectors"]
    return vectors


TOKEN = "T0ken-of-the-account-000001"
MAIN_TOKEN = "T0ken-of-the-main-account-2"
OLD_TOKEN = "T0ken-before-its-rotation-3"
PUBLIC = "https://hooks.example.com"
NONCE = "05429567804466091622"
CALL = [("CallUUID", "c-1"), ("From", "+14155550101"), ("Text", "a b&c=d"), ("Digits", "")]

V3 = load(3)
V2 = load(2)


@dataclass(frozen=True, kw_only=True)
class Hook:
    """Arguments of ``verify``: a request, to be bent by the tests with ``dataclasses.replace``."""

    method: str = "POST"
    target: Any = "/voice"
    headers: Any = ()
    body: Any = b""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
            "body": self.body,
            **self.more,
        }

    def verified_by(self, verifier: WebhookVerifier) -> Verified:
        return verifier.verify(**self.arguments)

    def with_header(self, name: str, *values: Any) -> Hook:
        """The request with exactly these headers of that name."""
        kept = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        return replace(self, headers=[*kept, *((name, value) for value in values)])

    def header(self, name: str) -> str:
        return next(str(value) for key, value in self.headers if key.lower() == name.lower())


def pairs_of(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Parameters as a form has them: lists one by one, everything else as text."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        values: Iterable[Any] = value if isinstance(value, list) else [value]
        pairs += [(name, str(one)) for one in values]
    return pairs


def request_of(vector: dict[str, Any]) -> tuple[str, Hook]:
    """The public URL to configure for a vector, and the request that arrives."""
    address = vector["uri"].partition("#")[0]
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/") if "/" in rest else (rest, "", "")
    target = slash + path if slash else "/"
    method = vector.get("method", "POST").upper()
    params = vector.get("params", {})
    version = "V2" if "V2" in vector["header_name"] else "V3"
    headers = [
        (vector["header_name"], vector["header"]),
        (f"X-Plivo-Signature-{version}-Nonce", vector["nonce"]),
    ]
    body = b""
    more: dict[str, Any] = {}
    if method == "GET":
        sent = {part.partition("=")[0] for part in target.partition("?")[2].split("&")}
        extra = urlencode(pairs_of({k: v for k, v in params.items() if k not in sent}))
        if extra:
            target += ("&" if "?" in target else "?") + extra
    elif "raw_body" in vector:
        body = vector["raw_body"].encode()
        headers.append(("Content-Type", vector["content_type"]))
    elif any(isinstance(value, dict) for value in params.values()):
        body, more = json.dumps(params).encode(), {"json": True}
        headers.append(("Content-Type", "application/json"))
    else:
        body = urlencode(pairs_of(params)).encode()
        headers.append(("Content-Type", FORM))
    return f"{scheme}://{host}", Hook(
        method=method, target=target, headers=headers, body=body, more=more
    )


def verifier_for(vector: dict[str, Any], public_url: str) -> WebhookVerifier:
    tokens = vector.get("auth_tokens") or [vector["auth_token"]]
    main = "-Ma-" in vector["header_name"]
    return WebhookVerifier(
        [] if main else tokens, tokens if main else None, public_url=public_url, allow_v2=True
    )


def a_verifier(**options: Any) -> WebhookVerifier:
    tokens = options.pop("tokens", TOKEN)
    return WebhookVerifier(tokens, **{"public_url": PUBLIC, **options})


def a_hook(
    form: Iterable[tuple[str, str]] | None = None,
    *,
    method: str = "POST",
    target: str = "/voice",
    signed_url: str | None = None,
    members: Mapping[str, Any] | None = None,
    token: str = TOKEN,
    nonce: str = NONCE,
    header: str = "X-Plivo-Signature-V3",
) -> Hook:
    """A signed request: a form (CALL by default), or JSON if ``members`` are given."""
    url = signed_url or PUBLIC + target
    pairs = (CALL if method == "POST" else []) if form is None else list(form)
    version = "V2" if "V2" in header else "V3"
    if version == "V2":
        made = sign_v2(url, nonce, token)
    else:
        made = sign_v3(method, url, nonce, token, pairs if members is None else members)
    headers = [(header, made), (f"X-Plivo-Signature-{version}-Nonce", nonce)]
    body = urlencode(pairs).encode() if members is None else json.dumps(members).encode()
    if method == "POST":
        headers.append(("Content-Type", FORM if members is None else "application/json"))
    more = {} if members is None else {"json": True}
    return Hook(method=method, target=target, headers=headers, body=body, more=more)


def refused(hook: Hook, **options: Any) -> tuple[int, str]:
    """Status and reason; the answer's body is empty whatever happened."""
    with pytest.raises(SignatureError) as caught:
        hook.verified_by(a_verifier(**options))
    assert refusal(caught.value).body == b""
    return caught.value.status, caught.value.reason
