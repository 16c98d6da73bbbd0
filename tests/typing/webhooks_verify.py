"""Verifier, replay guard and stream tokens as users type them. For mypy and pyright; never run."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import assert_type

from plivo_core import Request, Response, SignatureError
from plivo_core.webhooks import (
    Answered,
    Explanation,
    FirstSeen,
    InProgress,
    MemoryStore,
    Params,
    ReplayGuard,
    Store,
    StreamToken,
    StreamTokens,
    Verified,
    WebhookVerifier,
    parse_callback,
    refusal,
    sign_v3,
    validate_signature_v2,
    validate_signature_v3,
)

verifier = WebhookVerifier(["new", "old"], "main", public_url="https://h.example")
guard = ReplayGuard(1000, 60, store=MemoryStore(1000))
store: Store = MemoryStore()


def answer(request: Request, wall_now: float) -> Response:
    try:
        hook = verifier.verify(
            method=request.method,
            target=request.target,
            headers=request.headers,
            body=request.body,
        )
        assert_type(hook, Verified)
        outcome = guard.begin(hook, wall_now=wall_now)
    except SignatureError as error:
        return refusal(error)
    if isinstance(outcome, Answered):
        return outcome.response
    if isinstance(outcome, InProgress):
        return Response(status=503)
    assert_type(outcome, FirstSeen)
    assert_type(hook.params, Params)
    assert_type(hook.fields, Mapping[str, object] | tuple[tuple[str, str], ...])
    parse_callback(hook.fields, "hangup")
    guard.finish(hook, Response(), wall_now=wall_now)
    return Response()


WebhookVerifier("token", public_url="https://h.example").verify(
    method="POST", target=b"/", headers=[(b"a", b"b")], body=None
)
assert_type(verifier.explain(method="POST", target="/", headers={"a": "b"}, body=b""), Explanation)
assert_type(validate_signature_v3("POST", "u", "n", "t", "s", {"a": ["b"]}), bool)
assert_type(validate_signature_v3("POST", "u", "n", ["t"], "s", [("a", "b")]), bool)
assert_type(validate_signature_v2("u", "n", "s", "t"), bool)
assert_type(sign_v3("GET", "u", "n", "t"), str)

tokens = StreamTokens(["k" * 16, b"k" * 16], random_bytes=bytes, ttl=60, store=store)
assert_type(tokens.mint(wall_now=1.0, bound_to="/call"), str)
assert_type(tokens.check_target("/ws?token=t", wall_now=1.0), StreamToken)

WebhookVerifier("token")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
validate_signature_v3("POST", "u", "n", 7, "s", {})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
