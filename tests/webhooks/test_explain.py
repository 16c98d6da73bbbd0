"""explain(): a mistake is planted in a good request, and found by its name. Nothing leaks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from plivo_core import SignatureError
from plivo_core.webhooks import Explanation, WebhookVerifier
from tests.webhooks._hooks import (
    CALL,
    FORM,
    MAIN_TOKEN,
    NONCE,
    OLD_TOKEN,
    PUBLIC,
    TOKEN,
    Hook,
    a_hook,
    a_verifier,
)

SIG = "X-Plivo-Signature-V3"
MA = "X-Plivo-Signature-Ma-V3"
SIG_NONCE = "X-Plivo-Signature-V3-Nonce"
BOTH = a_verifier(main_tokens=MAIN_TOKEN)
BEHIND_A_PREFIX = a_verifier(public_url=PUBLIC + "/in")


def with_signature(change: Callable[[str], str]) -> Hook:
    return a_hook().with_header(SIG, change(a_hook().header(SIG)))


def encoded_again(form: list[tuple[str, str]]) -> bytes:
    return urlencode([(name, quote_plus(value)) for name, value in form]).encode()


LATIN = [("Name", "Zo\u00eb")]
MOJIBAKE = [("Name", "Zo\u00eb".encode().decode("latin-1"))]
GET_CALL = a_hook(CALL, method="GET", signed_url=f"{PUBLIC}/voice?{urlencode(CALL)}")
V2_SIGNATURE = a_hook(header="X-Plivo-Signature-V2").header("X-Plivo-Signature-V2")

PLANTED: dict[str, tuple[tuple[str, ...], Hook, WebhookVerifier]] = {
    # the URL
    "scheme": (("scheme",), a_hook(signed_url="http://hooks.example.com/voice"), BOTH),
    "scheme-ws": (("scheme",), a_hook(signed_url="wss://hooks.example.com/voice"), BOTH),
    "port-added": (("port",), a_hook(signed_url=f"{PUBLIC}:443/voice"), BOTH),
    "port-lost": (("port",), a_hook(), a_verifier(public_url=PUBLIC + ":8443")),
    "port-host": (
        ("port",),
        a_hook(signed_url=f"{PUBLIC}:8443/voice").with_header("Host", "Hooks.example.com:8443",
                                                              "hooks.example.com:8443"),
        BOTH,
    ),
    "host": (
        ("host",),
        a_hook(signed_url="https://other.example/voice").with_header("Host", "other.example"),
        BOTH,
    ),
    "host-odd": (("token",), a_hook(token=OLD_TOKEN).with_header("Host", "a b"), BOTH),
    "slash-lost": (("slash",), a_hook(signed_url=f"{PUBLIC}/voice/"), BOTH),
    "slash-added": (("slash",), a_hook(target="/voice/", signed_url=f"{PUBLIC}/voice"), BOTH),
    "prefix": (("prefix",), a_hook(), BEHIND_A_PREFIX),
    "many": (
        ("scheme", "host", "slash"),
        a_hook(signed_url="http://other.example:81/voice/").with_header(
            "X-Forwarded-Host", "other.example:81"
        ),
        BOTH,
    ),
    # the query
    "query-added": (
        ("query_added",),
        a_hook(target="/voice?a=1", signed_url=f"{PUBLIC}/voice"),
        BOTH,
    ),
    "query-one": (
        ("query_added",),
        a_hook(target="/voice?a=1&utm=2", signed_url=f"{PUBLIC}/voice?a=1"),
        BOTH,
    ),
    "query-twice": (
        ("query_encoding",),
        a_hook(target="/voice?a=b%2526c", signed_url=f"{PUBLIC}/voice?a=b%26c"),
        BOTH,
    ),
    "query-plus": (
        ("query_plus",),
        a_hook(target="/voice?From=+1415", signed_url=f"{PUBLIC}/voice?From=%2B1415"),
        BOTH,
    ),
    # the body
    "body-twice": (
        ("body_encoding",), replace(a_hook(), body=encoded_again(CALL)), BOTH,
    ),
    "body-plus": (
        ("body_plus",),
        replace(a_hook([("From", "+1415")]), body=b"From=+1415"),
        BOTH,
    ),
    "body-charset": (
        ("body_charset",),
        replace(a_hook(LATIN), body=urlencode(MOJIBAKE).encode()),
        BOTH,
    ),
    "body-newline": (("body_whitespace",), replace(a_hook([("a", "b")]), body=b"a=b\r\n"), BOTH),
    "body-added": (("body_added",), replace(a_hook(), body=a_hook().body + b"&csrf=1"), BOTH),
    "body-ignored": (("body_ignored",), replace(a_hook([]), body=b"a=b"), BOTH),
    "json-unsigned": (
        ("body_ignored",), replace(a_hook(members={}), body=b'{"a": 1}'), BOTH,
    ),
    "body-lost": (
        ("body_lost",), replace(a_hook(), body=b"").with_header("Content-Length", "71"), BOTH,
    ),
    "body-parsed": (("body_parsed",), replace(a_hook(), body=dict(CALL)), BOTH),
    "body-type": (("content_type",), a_hook().with_header("Content-Type", "text/plain"), BOTH),
    # the method
    "method-get": (
        ("method",),
        replace(GET_CALL, method="POST", body=a_hook().body).with_header("Content-Type", FORM),
        BOTH,
    ),
    "method-post": (
        ("method",),
        replace(a_hook(), method="GET", target="/voice?" + urlencode(CALL), body=b""),
        BOTH,
    ),
    "method-put": (("method",), replace(a_hook(), method="PUT"), BOTH),
    # tokens
    "token": (("token",), a_hook(token=OLD_TOKEN), BOTH),
    "token-newline": (("token_blank",), a_hook(), a_verifier(tokens=[f"{TOKEN}\n", " "])),
    "token-quotes": (("token_blank",), a_hook(), a_verifier(tokens=f'"{TOKEN}"')),
    "token-main": (("account",), a_hook(token=MAIN_TOKEN), BOTH),
    "token-own": (("account",), a_hook(header=MA), BOTH),
    "no-main-token": (("main_account_only",), a_hook(header=MA, token=MAIN_TOKEN), a_verifier()),
    # headers
    "missing": (("signature_missing",), a_hook().with_header(SIG), BOTH),
    "v2-only": (("v2_only",), a_hook(header="X-Plivo-Signature-V2"), BOTH),
    "twice": (("signature_repeated",), a_hook().with_header(SIG, "a", "b"), BOTH),
    "spaces": (("signature_separator",), with_signature(lambda s: f"AAAA {s}"), BOTH),
    "padding": (("signature_encoding",), with_signature(lambda s: s.rstrip("=")), BOTH),
    "case": (("signature_encoding",), with_signature(str.swapcase), BOTH),
    "quotes": (("signature_encoding",), with_signature(lambda s: f'"{s}"'), BOTH),
    "url-safe": (
        ("signature_encoding",),
        with_signature(lambda s: s.replace("+", "-").replace("/", "_").rstrip("=")),
        BOTH,
    ),
    "nonce-missing": (("nonce_missing",), a_hook().with_header(SIG_NONCE), BOTH),
    "nonce-twice": (("nonce_repeated",), a_hook().with_header(SIG_NONCE, "1", "1"), BOTH),
    "nonce-dot": (("nonce_dot",), a_hook(nonce="7.8"), BOTH),
    "nonce-long": (("nonce_syntax",), a_hook(nonce="7" * 65), BOTH),
    "nonce-v2": (
        ("nonce_swapped",),
        a_hook().with_header(SIG_NONCE, "1").with_header("X-Plivo-Signature-V2-Nonce", NONCE),
        BOTH,
    ),
    "v2-as-v3": (
        ("version",),
        a_hook().with_header(SIG, V2_SIGNATURE),
        BOTH,
    ),
}  # fmt: skip
CASES = [pytest.param(*planted, id=name) for name, planted in PLANTED.items()]
INFERRED = {"token", "body_lost"}


def explained(hook: Hook, verifier: WebhookVerifier) -> Explanation:
    return verifier.explain(**hook.arguments)


@pytest.mark.parametrize(("parts", "hook", "verifier"), CASES)
def test_the_planted_cause_is_named(
    parts: tuple[str, ...], hook: Hook, verifier: WebhookVerifier
) -> None:
    with pytest.raises(SignatureError):
        hook.verified_by(verifier)
    explanation = explained(hook, verifier)
    assert explanation.parts == parts
    assert explanation.certain is (parts[0] not in INFERRED)
    assert str(explanation).startswith(f"{parts[0]}: ")


@pytest.mark.parametrize(("parts", "hook", "verifier"), CASES)
def test_no_explanation_error_or_log_shows_a_secret(
    parts: tuple[str, ...], hook: Hook, verifier: WebhookVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SignatureError) as caught:
        hook.verified_by(verifier)
    error = caught.value
    explanation = explained(hook, verifier)
    shown = [repr(verifier), repr(explanation), str(explanation), repr(explanation.differences)]
    shown += [repr(error), str(error), repr(vars(error)), repr(error.__cause__), caplog.text]
    secrets = [TOKEN, MAIN_TOKEN, OLD_TOKEN, NONCE, "4155550101"]
    for form, method in ((CALL, "POST"), ([], "GET")):
        good = a_hook(form, method=method, target=str(hook.target))
        secrets += [good.header(SIG), good.header(SIG).rstrip("=")]
    for text in shown:
        assert not [secret for secret in secrets if secret in text], text
    assert parts


def test_a_good_request_has_no_differences() -> None:
    explanation = explained(a_hook(), BOTH)
    assert explanation == Explanation(())
    assert str(explanation) == "the request verifies"


def test_a_difference_says_what_to_do() -> None:
    (difference,) = explained(*PLANTED["scheme"][1:]).differences
    assert str(difference) == (
        "scheme: the signature is for http://, public_url says https:// "
        "(set public_url to the scheme of the URL configured at Plivo)"
    )


def test_a_json_body_that_is_no_unicode_is_named_too() -> None:
    hook = replace(a_hook(members={"a": "b"}), body=b'{"a": "\\ud800"}')
    assert explained(hook, BOTH).parts == ("body_not_unicode",)


def test_trials_bear_what_does_not_decode_a_second_time() -> None:
    body = urlencode([("a", "%ed%a0%80"), ("b", "\u20ac")]).encode()
    assert explained(replace(a_hook(), body=body), BOTH).parts == ("token",)


def test_many_parameters_are_not_left_out_one_by_one() -> None:
    form: list[Any] = [(f"p{number}", "x") for number in range(60)]
    assert explained(replace(a_hook(form[1:]), body=urlencode(form).encode()), BOTH).parts == (
        "token",
    )
