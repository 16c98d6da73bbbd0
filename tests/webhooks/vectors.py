"""The signature vectors, and each of them as the HTTP request that would carry it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from plivo_core.webhooks import Verified, WebhookVerifier

FOLDER = Path(__file__).parents[1] / "vectors"
FORM = "application/x-www-form-urlencoded"


def load(version: int) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(
        (FOLDER / f"signatures_v{version}.json").read_text("utf-8")
    )["vectors"]
    return vectors


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
