"""Webhooks on VoiceApp and in other frameworks as users type them. For type checkers; never run."""

from __future__ import annotations

from typing_extensions import assert_type

from plivo_anyio import VoiceApp, WebhookMiddleware
from plivo_core import Request, Response, SignatureError
from plivo_core.webhooks import (
    AnswerCallback,
    AnswerXml,
    Callback,
    HangupCallback,
    ReplayGuard,
    Settled,
    StreamTokens,
    Verified,
    WebhookEndpoint,
    WebhookVerifier,
    answer_webhook,
    check_origin,
    request_from_asgi,
    request_from_wsgi,
)

verifier = WebhookVerifier("token", public_url="https://h.example")
app = VoiceApp(webhooks=verifier, replay_guard=ReplayGuard(), allowed_origins=["https://a"])
app.require_stream_token(StreamTokens(["k" * 16], bytes), parameter="t")
app.require_upgrade_signature(verifier)
assert_type(app.stream_url("wss://h.example/call"), str)


@app.webhook("/answer", AnswerCallback)
async def answered(call: AnswerCallback) -> AnswerXml:
    return AnswerXml()


@app.webhook("/hangup", "hangup", methods=("GET", "POST"), json=True, explain=True)
def over(call: HangupCallback) -> None:
    return None


@app.webhook("/any", unsigned=True, verifier=verifier, replace=True)
async def anything(hook: Verified) -> Response | str:
    return hook.method


@app.webhook("/answer", AnswerCallback)  # type: ignore[arg-type]
async def other_class(call: HangupCallback) -> None:
    """A handler of another callback's class is refused by the type checker."""


@app.webhook("/answer", AnswerCallback)  # type: ignore[type-var]
async def no_answer(call: AnswerCallback) -> int:
    """A handler that returns what no answer can be made of is refused by the type checker."""
    return 7


WebhookMiddleware(app=None, verifier=verifier)  # type: ignore[arg-type]


def embed(request: Request, endpoint: WebhookEndpoint, now: float) -> Response:
    step = endpoint.begin(request, peer="10.0.0.7", wall_now=now)
    if isinstance(step, Settled):
        assert_type(step.error, SignatureError | None)
        return step.response
    assert_type(endpoint.callback(step), Callback | Verified)
    answer = endpoint.answer("<Response/>")
    endpoint.finish(step, answer, wall_now=now)
    return answer


def greet(call: AnswerCallback) -> AnswerXml:
    return AnswerXml()


made = WebhookEndpoint(verifier, AnswerCallback, methods=["POST"])
answer = answer_webhook(
    made, greet, request_from_wsgi({}, b""), wall_now=1.0, on_refused=lambda error: error.reason
)
assert_type(answer, Response)
check_origin(request_from_asgi({"headers": []}).headers, {"https://a"})
