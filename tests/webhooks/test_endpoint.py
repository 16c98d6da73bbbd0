"""WebhookEndpoint and answer_webhook: verifier, guard and classes in their order, without I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plivo_core import ConfigError, Request, Response, SignatureError
from plivo_core.webhooks import (
    AnswerCallback,
    AnswerXml,
    Hangup,
    MemoryStore,
    MessageStatus,
    ReplayGuard,
    Settled,
    Verified,
    WebhookEndpoint,
    answer_webhook,
    check_origin,
)
from tests.webhooks._hooks import TOKEN, Hook, a_hook, a_verifier

NOW = 1_700_000_000.0


def an_endpoint(kind: Any = None, **options: Any) -> WebhookEndpoint:
    return WebhookEndpoint(a_verifier(), kind, **options)


def request_of(hook: Hook) -> Request:
    return Request(
        method=hook.method, target=hook.target, headers=tuple(hook.headers), body=hook.body
    )


GOOD = request_of(a_hook())
BAD = request_of(a_hook(token="guess"))


def test_a_new_request_is_handled_and_its_repetition_gets_the_same_answer() -> None:
    endpoint = an_endpoint()
    hook = endpoint.begin(GOOD, wall_now=NOW)
    assert isinstance(hook, Verified)
    assert endpoint.begin(GOOD, wall_now=NOW) == Settled(
        Response(status=503, headers=(("retry-after", "1"),))
    )
    answer = endpoint.answer("<Response/>")
    endpoint.finish(hook, answer, wall_now=NOW)
    assert endpoint.begin(GOOD, wall_now=NOW) == Settled(answer)


def test_a_refused_request_is_settled_with_the_reason() -> None:
    for step in (
        an_endpoint().begin(BAD, wall_now=NOW),
        an_endpoint().refusal_of_head(replace(BAD, headers=())),
    ):
        assert isinstance(step, Settled)
        assert step.response == Response(status=403)
        assert isinstance(step.error, SignatureError)
    assert an_endpoint().refusal_of_head(BAD) is None


def test_what_was_abandoned_or_failed_may_come_again() -> None:
    endpoint = an_endpoint()
    for end in (
        endpoint.abandon,
        lambda hook: endpoint.finish(hook, Response(status=500), wall_now=NOW),
    ):
        hook = endpoint.begin(GOOD, wall_now=NOW)
        assert isinstance(hook, Verified)
        end(hook)
    assert isinstance(endpoint.begin(GOOD, wall_now=NOW), Verified)


def test_endpoints_that_share_a_guard_take_a_nonce_once() -> None:
    guard = ReplayGuard()
    one, other = an_endpoint(replay_guard=guard), an_endpoint(replay_guard=guard)
    assert isinstance(one.begin(GOOD, wall_now=NOW), Verified)
    elsewhere = other.begin(request_of(a_hook(target="/other")), wall_now=NOW)
    assert isinstance(elsewhere, Settled)
    assert elsewhere.error is not None
    assert elsewhere.error.reason == "other_request"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("answer", AnswerCallback), (MessageStatus, MessageStatus), (None, Verified)],
)
def test_the_handler_gets_the_kind_of_the_url(kind: Any, expected: type[object]) -> None:
    endpoint = an_endpoint(kind)
    hook = endpoint.begin(GOOD, wall_now=NOW)
    assert isinstance(hook, Verified)
    assert type(endpoint.callback(hook)) is expected


def test_answers_are_xml_text_bytes_responses_or_nothing() -> None:
    endpoint = an_endpoint()
    xml = (("content-type", "application/xml"),)
    hang_up = AnswerXml(Hangup())
    assert endpoint.answer(hang_up) == Response(headers=xml, body=bytes(hang_up))
    assert endpoint.answer("<\u00e9/>") == Response(headers=xml, body="<\u00e9/>".encode())
    assert endpoint.answer(b"<a/>") == Response(headers=xml, body=b"<a/>")
    assert endpoint.answer(Response(status=204)) == Response(status=204)
    assert endpoint.answer(None) == Response(status=200)
    with pytest.raises(TypeError, match="the handler returned dict"):
        endpoint.answer({})


def test_methods_json_and_unsigned_are_the_routes() -> None:
    get = request_of(a_hook(method="GET"))
    for endpoint, request, status in (
        (an_endpoint(), get, 405),
        (an_endpoint(methods=("GET",)), get, None),
        (an_endpoint(), request_of(a_hook(members={"a": 1})), 415),
        (an_endpoint(json=True), request_of(a_hook(members={"a": 1})), None),
        (an_endpoint(unsigned=True), BAD, None),
    ):
        step = endpoint.begin(request, wall_now=NOW)
        assert (step.response.status if isinstance(step, Settled) else None) == status


def test_options_that_no_endpoint_can_have_are_config_errors() -> None:
    kinds = ({"kind": "x"}, {"kind": 7}, {"kind": Verified})
    for options in ({"methods": "POST"}, {"methods": ()}, {"methods": ["PUT"]}, *kinds):
        with pytest.raises(ConfigError):
            an_endpoint(**options)


def test_the_endpoint_explains_with_its_own_options() -> None:
    http = request_of(a_hook(signed_url="http://hooks.example.com/voice"))
    assert an_endpoint().explain(http).parts == ("scheme",)
    assert an_endpoint(methods=("GET",)).explain(http).parts == ("method",)


def test_the_peer_is_handed_to_the_verifier() -> None:
    endpoint = WebhookEndpoint(a_verifier(trusted_proxies=["10.0.0.7"]))
    hook = a_hook(signed_url="https://other.example/voice")
    request = request_of(hook.with_header("X-Forwarded-Host", "other.example"))
    assert isinstance(endpoint.begin(request, wall_now=NOW), Settled)
    assert isinstance(endpoint.begin(request, peer="10.0.0.7", wall_now=NOW), Verified)
    assert endpoint.explain(request, peer="10.0.0.7").parts == ()
    bad = replace(request, headers=(*request.headers, ("X-Forwarded-Proto", "x")))
    assert endpoint.refusal_of_head(bad, peer="10.0.0.7") is not None


def test_the_repr_says_what_it_takes_and_no_token() -> None:
    assert repr(an_endpoint(methods=("GET", "POST"), unsigned=True)) == (
        "<WebhookEndpoint GET/POST, unsigned, "
        "<WebhookVerifier https://hooks.example.com, 1 tokens, 0 main tokens>>"
    )
    assert TOKEN not in repr(an_endpoint())


# --- the whole order in one call ------------------------------------------------------------------


def test_answer_webhook_calls_the_handler_once_for_what_is_plivos() -> None:
    endpoint, seen, refused = an_endpoint("answer"), list[Any](), list[str]()

    def handler(call: AnswerCallback) -> str:
        seen.append(call.call_uuid)
        return "<Response/>"

    def answered(request: Request, **options: Any) -> Response:
        return answer_webhook(endpoint, handler, request, wall_now=NOW, **options)

    def log(error: SignatureError) -> None:
        refused.append(error.reason)

    assert answered(GOOD).body == answered(GOOD, on_refused=log).body == b"<Response/>"
    assert answered(BAD).status == answered(BAD, on_refused=log).status == 403
    assert (seen, refused) == (["c-1"], ["mismatch"])


@pytest.mark.parametrize("answer", [KeyError("x"), {}], ids=["raises", "no-answer"])
def test_answer_webhook_lets_a_failed_request_come_again(answer: Any) -> None:
    endpoint, answers = an_endpoint(), [answer, None]

    def handler(hook: Verified) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises((KeyError, TypeError)):
        answer_webhook(endpoint, handler, GOOD, wall_now=NOW)
    assert answer_webhook(endpoint, handler, GOOD, wall_now=NOW).status == 200


@pytest.mark.parametrize("tell", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_answer_webhook_holds_no_answer_and_no_error_back_for_a_store(
    fails: bool, tell: bool
) -> None:
    class Failing(MemoryStore):
        def replace(self, *args: Any, **options: Any) -> None:
            if self._entries:
                raise OSError("no database")
            super().replace(*args, **options)

        def discard(self, *args: Any) -> None:
            raise OSError("no database")

    def handler(hook: Verified) -> str:
        if fails:
            raise KeyError("x")
        return "<Response/>"

    endpoint, told = an_endpoint(replay_guard=ReplayGuard(store=Failing())), list[str]()
    options: Any = {"on_store_error": lambda error: told.append(str(error))} if tell else {}
    if fails:
        with pytest.raises(KeyError):
            answer_webhook(endpoint, handler, GOOD, wall_now=NOW, **options)
    else:
        answer = answer_webhook(endpoint, handler, GOOD, wall_now=NOW, **options)
        assert answer.body == b"<Response/>"
    assert told == (["no database"] if tell else [])


# --- browsers -------------------------------------------------------------------------------------


def test_threat_22_an_origin_is_refused_without_a_verifier_too() -> None:
    headers = [("host", "x"), ("ORIGIN", "https://app.example")]
    check_origin(headers[:1], ())
    check_origin(headers, ["https://app.example"])
    check_origin(headers, "https://app.example")
    for allowed in ((), ["https://other.example"], "https://app.example.org", "*"):
        with pytest.raises(SignatureError) as caught:
            check_origin(headers, allowed)
        assert (caught.value.status, caught.value.reason) == (403, "origin")
