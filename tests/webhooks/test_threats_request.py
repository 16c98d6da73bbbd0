"""SECURITY.md 3, threats 9 to 14: requests of a form that could mean two things, or too much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plivo_core import Limits, RepeatedParameterError, SignatureError
from tests.webhooks._hooks import FORM, Hook, a_hook, a_verifier, refused

SIG = "X-Plivo-Signature-V3"


@pytest.mark.parametrize(
    "target",
    ["https://hooks.example.com/voice", "*", "", "voice", "/v#f", "/v w", "/v\\w", "/v\0", "/v\r\n",
     "/\u00e9", b"/\xc3\xa9", "/" + "a" * 16384, None],
    ids=lambda target: ascii(target)[:12],
)  # fmt: skip
def test_threat_09_an_odd_target_is_a_bad_request(target: Any) -> None:
    assert refused(replace(a_hook(), target=target)) == (400, "target")


def test_threat_09_the_target_is_neither_normalised_nor_decoded() -> None:
    for target in ("//voice/../x/./%2e", "/a%20b", "/%E4"):
        assert a_hook(target=target).verified_by(a_verifier()).target == target


@pytest.mark.parametrize("sent", ["/v?b=1&a=&c=x+y", "/v?b=1&a&c=x%20y", "/v?&c=x%20y&&a=&b=1&"])
def test_threat_10_the_query_is_used_as_received(sent: str) -> None:
    hook = replace(a_hook(target="/v?b=1&a=&c=x+y"), target=sent)
    assert dict(hook.verified_by(a_verifier()).query) == {"a": "", "b": "1", "c": "x y"}
    assert refused(replace(hook, target="/v?b=1&c=x+y")) == (403, "mismatch")


def test_threat_11_repeated_parameters_are_all_signed_and_none_is_chosen() -> None:
    hook = a_hook([("From", "2"), ("From", "1")], target="/v?From=3")
    verified = hook.verified_by(a_verifier())
    assert (verified.form.get_all("From"), verified.query.get_all("From")) == (("2", "1"), ("3",))
    with pytest.raises(RepeatedParameterError):
        verified.params["From"]
    assert refused(replace(hook, body=b"From=2")) == (403, "mismatch")


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        pytest.param("a=\u00e9".encode(), FORM, (400, "body_not_ascii"), id="raw-utf8"),
        pytest.param(b"a=%e9", FORM, (400, "form_not_utf8"), id="latin-1"),
        pytest.param(b"a=%ed%a0%80", FORM, (400, "form_not_utf8"), id="surrogate"),
        pytest.param(b"a=100%", FORM, (400, "form_percent"), id="percent"),
        pytest.param(b"a=b", FORM + "; charset=utf-7", (415, "charset"), id="utf-7"),
        pytest.param(b"a=b", FORM + ";charset=" + "x" * 9999, (415, "charset"), id="long"),
        pytest.param(b"a=b", FORM + '; Charset="UTF-8"; x', (403, "mismatch"), id="utf-8"),
    ],
)
def test_threat_12_only_utf8_in_ascii_is_read(
    body: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    hook = replace(a_hook(), body=body).with_header("Content-Type", content_type)
    assert refused(hook) == expected


def test_threat_12_holds_for_the_query() -> None:
    assert refused(replace(a_hook(), target="/v?a=%ff")) == (400, "query_not_utf8")


@pytest.mark.parametrize(
    "content_types",
    [(), ("multipart/form-data; boundary=x",), ("text/plain",), ("application/json",), ("",),
     ("application/x-www-form-urlencoded-x",), (FORM, FORM), (f"{FORM},{FORM}",)],
    ids=lambda types: ",".join(types)[:30] or "none",
)  # fmt: skip
def test_threat_13_any_other_content_type_is_unsupported(content_types: tuple[str, ...]) -> None:
    hook = a_hook().with_header("Content-Type", *content_types)
    assert refused(hook) == (415, "content_type")


def test_threat_13_json_needs_a_route_that_asks_and_a_signature() -> None:
    hook = a_hook(members={"a": "b"})
    assert hook.verified_by(a_verifier()).json == {"a": "b"}
    assert refused(replace(hook, more={})) == (415, "content_type")
    assert refused(hook.with_header(SIG)) == (403, "signature_missing")
    for body in (
        b"[1]",
        b"{",
        b"\xff",
        b'{"a":NaN}',
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b'{"a":' + b"9" * 310 + b"}",
    ):
        assert refused(replace(hook, body=body)) == (400, "body_not_json")


def check_head(hook: Hook) -> tuple[int, str]:
    head = {name: value for name, value in hook.arguments.items() if name != "body"}
    with pytest.raises(SignatureError) as caught:
        a_verifier().check_head(**head)
    return caught.value.status, caught.value.reason


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        pytest.param("Content-Length", ["65537"], (413, "body_too_large"), id="length"),
        pytest.param("Content-Length", ["9" * 18], (413, "body_too_large"), id="huge"),
        pytest.param("Content-Length", ["9" * 5000], (400, "content_length"), id="digits"),
        pytest.param("Content-Length", ["+1"], (400, "content_length"), id="sign"),
        pytest.param("Content-Length", ["1", "2"], (400, "content_length"), id="two"),
        pytest.param("Content-Encoding", ["gzip"], (415, "content_encoding"), id="gzip"),
    ],
)
def test_threat_14_a_body_is_refused_by_its_head(
    name: str, values: list[str], expected: tuple[int, str]
) -> None:
    hook = a_hook().with_header(name, *values)
    assert check_head(hook) == refused(hook) == expected
    assert a_hook().with_header("Content-Encoding", "identity").verified_by(a_verifier())


def test_threat_14_bodies_and_fields_are_counted() -> None:
    assert Limits().max_fields == 1000
    assert refused(replace(a_hook(), body=b"a" * 65537)) == (413, "body_too_large")
    assert refused(replace(a_hook(), body=b"a&" * 1000)) == (413, "too_many_fields")
    assert refused(a_hook(target="/v?" + "a&" * 1000)) == (413, "too_many_fields")
    members = a_hook(members={str(number): "" for number in range(1001)})
    assert refused(members) == (413, "too_many_fields")
    items = a_hook(members={"a": [0] * 2000})
    assert refused(items) == (413, "too_many_fields")
    assert a_hook(members={"a": [0] * 1999}).verified_by(a_verifier())
    assert items.verified_by(a_verifier(limits=Limits(max_json_items=2001)))
