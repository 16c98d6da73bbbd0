"""The verifier: what it accepts, what it hands on, what it shows."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plivo_core import ConfigError, Limits, RepeatedParameterError, SignatureError
from plivo_core.errors import (
    MalformedSignature,
    MissingSignature,
    SignatureMismatch,
    UnacceptableRequest,
)
from plivo_core.webhooks import Params, WebhookVerifier, refusal, sign_v3
from tests.webhooks._hooks import (
    CALL,
    FORM,
    MAIN_TOKEN,
    NONCE,
    OLD_TOKEN,
    PUBLIC,
    TOKEN,
    V2,
    V3,
    Hook,
    a_hook,
    a_verifier,
    request_of,
    verifier_for,
)

# Valid by the published algorithm, refused by the rule for nonces.
NONCE_RULE = {"v3-076": "nonce_dot", "v2-013": "nonce_missing", "v2-014": "nonce_dot"}
MA = "X-Plivo-Signature-Ma-V3"

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
forms = st.lists(st.tuples(text, text), max_size=6)


def reason_for(hook: Hook, verifier: WebhookVerifier | None = None) -> str:
    with pytest.raises(SignatureError) as caught:
        hook.verified_by(verifier or a_verifier())
    return caught.value.reason


@pytest.mark.parametrize("vector", V3 + V2, ids=[vector["id"] for vector in V3 + V2])
def test_every_vector_arrives_as_a_request(vector: dict[str, Any]) -> None:
    public_url, hook = request_of(vector)
    if public_url.startswith("wss"):
        verifier = verifier_for(vector, public_url.replace("wss", "https"))
        assert verifier.verify_upgrade(target=hook.target, headers=hook.headers).scheme == "v3"
        return
    verifier = verifier_for(vector, public_url)
    if vector["id"] in NONCE_RULE:
        assert vector["valid"]
        assert reason_for(hook, verifier) == NONCE_RULE[vector["id"]]
    elif vector["valid"]:
        assert hook.verified_by(verifier).nonce == vector["nonce"]
    else:
        assert reason_for(hook, verifier) in ("mismatch", "signature_missing")


@given(forms, forms, st.sampled_from(["GET", "POST"]))
def test_what_was_signed_verifies(
    query: list[tuple[str, str]], form: list[tuple[str, str]], method: str
) -> None:
    target = "/voice?" + a_hook(query).body.decode()
    hook = a_hook(form if method == "POST" else [], method=method, target=target)
    verified = hook.verified_by(a_verifier())
    assert verified.query.pairs == tuple(query)
    assert verified.form.pairs == (tuple(form) if method == "POST" else ())


@given(st.data())
def test_a_changed_byte_does_not_verify_unless_the_parameters_are_the_same(data: Any) -> None:
    hook = a_hook()
    at = data.draw(st.integers(0, len(hook.body) - 1))
    body = hook.body[:at] + bytes([data.draw(st.integers(0, 255))]) + hook.body[at + 1 :]
    try:
        verified = replace(hook, body=body).verified_by(a_verifier())
    except SignatureError:
        return
    signed = "".join(name + value for name, value in sorted(CALL))
    assert "".join(name + value for name, value in sorted(verified.form.pairs)) == signed


junk = st.none() | st.binary(max_size=40) | st.text(max_size=40) | st.integers()
names = st.sampled_from(
    ["X-Plivo-Signature-V3", MA, "X-Plivo-Signature-V3-Nonce", "X-Plivo-Signature-V2", "Origin",
     "X-Plivo-Signature-V2-Nonce", "Content-Type", "Content-Length", "X-Forwarded-Host"]
)  # fmt: skip
values = junk | st.sampled_from(["1", "sig", FORM, "application/json", "h:1", b"\xff", "\ud800"])
json_body = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(), lambda v: st.dictionaries(st.text(), v)
).map(lambda value: json.dumps(value).encode())


@given(
    st.sampled_from(["GET", "POST", "post", "PUT", None, 7]),
    junk | st.sampled_from(["/", "/a?b=%ff", "/a?%", b"/v\xff", "/\ud800"]),
    junk | st.lists(st.tuples(names | junk, values)) | st.dictionaries(names, values),
    junk | json_body | st.binary(),
    st.booleans(),
)
@example(
    "POST",
    "/v",
    [
        ("X-Plivo-Signature-V3", "s"),
        ("X-Plivo-Signature-V3-Nonce", "1"),
        ("Content-Type", "application/json"),
    ],
    b'{"a": "\\ud800"}',
    False,
)
def test_nothing_but_a_signature_error_comes_of_arbitrary_input(
    method: Any, target: Any, headers: Any, body: Any, unsigned: bool
) -> None:
    verifier = a_verifier(main_tokens=MAIN_TOKEN, allow_v2=True, trusted_proxies=["10.0.0.0/8"])
    request = {"method": method, "target": target, "headers": headers, "peer": "10.0.0.1"}
    calls = [
        lambda: verifier.verify(**request, body=body, json=True, unsigned=unsigned),
        lambda: verifier.check_head(**request, json=True, unsigned=unsigned),
        lambda: verifier.verify_upgrade(target=target, headers=headers),
    ]
    for call in calls:
        with suppress(SignatureError):
            call()
    assert str(verifier.explain(**request, body=body, json=True))


# --- which token ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "token", "scheme"),
    [
        pytest.param("X-Plivo-Signature-V3", TOKEN, "v3", id="v3"),
        pytest.param("x-plivo-signature-v3", OLD_TOKEN, "v3", id="rotated"),
        pytest.param(MA, MAIN_TOKEN, "ma-v3", id="ma-v3"),
        pytest.param("X-Plivo-Signature-MA-V3", MAIN_TOKEN, "ma-v3", id="ma-capitals"),
        pytest.param("X-Plivo-Signature-V2", TOKEN, "v2", id="v2"),
        pytest.param("X-Plivo-Signature-Ma-V2", MAIN_TOKEN, "ma-v2", id="ma-v2"),
        pytest.param("X-Plivo-Signature-V3", MAIN_TOKEN, None, id="v3-of-main"),
        pytest.param(MA, TOKEN, None, id="ma-of-own"),
    ],
)
def test_each_header_is_tried_with_its_own_tokens(
    header: str, token: str, scheme: str | None
) -> None:
    verifier = a_verifier(tokens=[TOKEN, OLD_TOKEN], main_tokens=MAIN_TOKEN, allow_v2=True)
    hook = a_hook(header=header, token=token)
    if scheme is None:
        assert reason_for(hook, verifier) == "mismatch"
    else:
        verified = hook.verified_by(verifier)
        assert (verified.scheme, verified.covers_body) == (scheme, "v3" in scheme)


def test_the_main_account_can_vouch_where_the_own_signature_fails() -> None:
    hook = a_hook(token="of a subaccount we do not know")
    ma = a_hook(header=MA, token=MAIN_TOKEN).header(MA)
    verified = hook.with_header(MA, ma).verified_by(a_verifier(main_tokens=MAIN_TOKEN))
    assert verified.scheme == "ma-v3"


@pytest.mark.parametrize(
    ("header", "options", "reason"),
    [
        pytest.param("X-Plivo-Signature-V2", {}, "v2_only", id="v2"),
        pytest.param(MA, {}, "main_account_only", id="no-main"),
        pytest.param(
            "X-Plivo-Signature-V3",
            {"tokens": (), "main_tokens": MAIN_TOKEN},
            "own_account_only",
            id="no-own",
        ),
    ],
)
def test_a_signature_that_may_not_count_is_missing(
    header: str, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(MissingSignature) as caught:
        a_hook(header=header).verified_by(a_verifier(**options))
    assert caught.value.reason == reason


def test_v2_does_not_count_beside_v3() -> None:
    hook = a_hook(header="X-Plivo-Signature-V2").with_header("X-Plivo-Signature-V3", "forged")
    hook = hook.with_header("X-Plivo-Signature-V3-Nonce", NONCE)
    assert reason_for(hook, a_verifier(allow_v2=True)) == "mismatch"


# --- which URL ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("public_url", "target", "signed_url"),
    [
        pytest.param("https://h.example", "/v", "https://h.example/v", id="host"),
        pytest.param("https://h.example/", "/v", "https://h.example/v", id="slash"),
        pytest.param("https://h.example:443", "/v", "https://h.example:443/v", id="port"),
        pytest.param("https://h.example/in", "/v", "https://h.example/in/v", id="prefix"),
        pytest.param("https://h.example", "/", "https://h.example/", id="root"),
        pytest.param("https://h.example", "/?a=1", "https://h.example?a=1", id="no-path"),
        pytest.param("https://h.example/in", "/", "https://h.example/in", id="prefix-only"),
        pytest.param("https://u:p@h.example", "/v", "https://u:p@h.example/v", id="user"),
        pytest.param("https://u:p@h.example", "/v", "https://h.example/v", id="user-dropped"),
        pytest.param("http://[::1]:8000", "/v", "http://[::1]:8000/v", id="ipv6"),
        pytest.param(
            "https://h.example", "/a%20b/c%2F;x=1", "https://h.example/a%20b/c%2F;x=1", id="raw"
        ),
    ],
)
def test_the_url_is_the_configured_one_and_the_target_as_sent(
    public_url: str, target: str, signed_url: str
) -> None:
    hook = a_hook(target=target, signed_url=signed_url).with_header("Host", "evil.example")
    assert hook.verified_by(a_verifier(public_url=public_url)).target == target
    hook.with_header("Host").verified_by(a_verifier(public_url=public_url))


@pytest.mark.parametrize("scheme", ["wss", "https", "ws", "http"])
def test_an_upgrade_may_be_signed_with_any_of_four_schemes(scheme: str) -> None:
    url = f"{scheme}://hooks.example.com/ws?call=1"
    hook = a_hook(method="GET", target="/ws?call=1", signed_url=url)
    verified = a_verifier().verify_upgrade(target=b"/ws?call=1", headers=hook.headers)
    assert (verified.method, verified.params["call"]) == ("GET", "1")
    with pytest.raises(SignatureMismatch):
        a_verifier().verify_upgrade(target="/ws?call=2", headers=hook.headers)


# --- what is handed on ----------------------------------------------------------------------------


def test_headers_and_target_may_be_bytes_and_the_body_text() -> None:
    hook = a_hook(target="/voice?x=1")
    pairs = [(name.lower().encode(), value.encode()) for name, value in hook.headers]
    same = replace(hook, headers=pairs, target=b"/voice?x=1", body=hook.body.decode())
    assert same.verified_by(a_verifier()) == hook.verified_by(a_verifier())
    mapping = replace(hook, headers=dict(hook.headers), body=bytearray(hook.body))
    assert mapping.verified_by(a_verifier()) == hook.verified_by(a_verifier())
    assert replace(a_hook([]), body=None).verified_by(a_verifier()).form == Params()


def test_json_is_signed_over_its_top_level_members() -> None:
    members = {"call_uuid": "c", "duration": 7, "ok": True, "more": {"b": 1, "a": [2, 1]}}
    verified = a_hook(members=members).verified_by(a_verifier())
    assert verified.json == members
    assert verified.fields == members
    assert not verified.form
    assert reason_for(replace(a_hook(members=members), body=b'{"call_uuid": "d"}')) == "mismatch"


@pytest.mark.parametrize("signature", ["none", "bad", "repeated", "good"])
def test_an_unsigned_route_takes_json_without_a_valid_signature(signature: str) -> None:
    hook = replace(a_hook(members={"a": "b"}), more={"json": True, "unsigned": True})
    changes = {"none": (), "bad": ("x",), "repeated": ("x", "y")}
    if signature in changes:
        hook = hook.with_header("X-Plivo-Signature-V3", *changes[signature])
    verified = hook.verified_by(a_verifier())
    assert verified.scheme == ("v3" if signature == "good" else "unsigned")
    assert (verified.nonce is None) is (signature != "good")
    assert verified.json == {"a": "b"}
    a_verifier().check_head(method="POST", target="/voice", headers=[], unsigned=True)


def test_params_are_those_of_the_method_and_refuse_to_choose() -> None:
    hook = a_hook([("From", "1"), ("From", "2"), ("To", "3")], target="/voice?From=4")
    verified = hook.verified_by(a_verifier())
    assert verified.params is verified.form
    assert verified.params["To"] == "3"
    assert verified.params.get("nothing") is None
    assert verified.params.get_all("From") == ("1", "2")
    assert verified.params.get_all("nothing") == ()
    assert verified.query["From"] == "4"
    assert verified.fields == (("From", "1"), ("From", "2"), ("To", "3"))
    assert list(verified.params) == ["From", "To"]
    assert len(verified.params) == 2
    assert "From" in verified.params
    with pytest.raises(RepeatedParameterError) as caught:
        verified.params.get("From")
    assert caught.value.name == "From"


def test_params_compare_by_their_pairs_and_show_names_alone() -> None:
    params = Params([("From", "+14155550101"), ("To", "x")])
    assert params == Params(params.pairs)
    assert params != Params(reversed(params.pairs))
    assert hash(params) == hash(Params(params.pairs))
    assert params != dict(params)
    assert repr(params) == "<Params 'From', 'To'>"
    assert repr(Params()) == "<Params>"
    assert repr(Params((f"n{i}", "") for i in range(30))).endswith("'n19', ...>")


def test_reprs_show_neither_tokens_nor_values() -> None:
    verifier = a_verifier(main_tokens=MAIN_TOKEN, public_url="https://u:p4ss@h.example/in")
    assert repr(verifier) == "<WebhookVerifier https://h.example/in, 1 tokens, 1 main tokens>"
    hook = a_hook(
        target="/n/14155550101?k=s3cret", signed_url="https://h.example/in/n/14155550101?k=s3cret"
    )
    assert repr(hook.verified_by(verifier)) == "<Verified v3 POST /n/***0101, 4 parameters>"


def test_a_refusal_has_a_status_and_no_body() -> None:
    with pytest.raises(UnacceptableRequest) as caught:
        replace(a_hook(), method="DELETE", more={"methods": ["POST"]}).verified_by(a_verifier())
    answer = refusal(caught.value)
    assert (answer.status, answer.headers, answer.body) == (405, (("allow", "POST"),), b"")
    mismatch = refusal(MalformedSignature("no", reason="nonce_dot"))
    assert (mismatch.status, mismatch.headers, mismatch.body) == (403, (), b"")


# --- configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"tokens": ""}, id="empty"),
        pytest.param({"tokens": [], "main_tokens": []}, id="none"),
        pytest.param({"tokens": [TOKEN, ""]}, id="one-empty"),
        pytest.param({"tokens": TOKEN.encode()}, id="bytes"),
        pytest.param({"main_tokens": ["\ud800" + TOKEN]}, id="surrogate"),
        pytest.param({"public_url": ""}, id="no-url"),
        pytest.param({"public_url": None}, id="url-none"),
        pytest.param({"public_url": "hooks.example.com"}, id="no-scheme"),
        pytest.param({"public_url": "wss://h.example"}, id="wss"),
        pytest.param({"public_url": "https://h.example/a?b=1"}, id="query"),
        pytest.param({"public_url": "https://h.example/a#b"}, id="fragment"),
        pytest.param({"public_url": "https://h\u00f6.example"}, id="idn"),
        pytest.param({"public_url": "https://h_.example"}, id="host"),
        pytest.param({"public_url": "https://h.example\n"}, id="newline"),
        pytest.param({"trusted_proxies": "10.0.0.1"}, id="proxies-text"),
        pytest.param({"trusted_proxies": ["proxy"]}, id="proxy-name"),
    ],
)
def test_a_verifier_that_could_not_verify_is_a_config_error(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        a_verifier(**options)
    assert TOKEN not in str(caught.value)


def test_one_proxy_as_text_is_told_to_be_a_list() -> None:
    with pytest.raises(ConfigError, match="must be a list"):
        a_verifier(trusted_proxies="10.0.0.1")


def test_limits_are_those_given() -> None:
    tight = a_verifier(limits=Limits(max_webhook_body=10, max_json_depth=1))
    assert tight.limits.max_webhook_body == 10
    assert reason_for(a_hook(), tight) == "body_too_large"
    assert reason_for(a_hook(members={"a": {}}), tight) == "body_not_json"
    assert sign_v3("GET", PUBLIC, "1", TOKEN)
