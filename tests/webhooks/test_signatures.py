"""The published algorithms, held to values that the platform and the vendor's SDKs made."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plivo_core.webhooks import (
    Params,
    sign_v2,
    sign_v3,
    validate_signature_v2,
    validate_signature_v3,
)
from plivo_core.webhooks._signatures import decode_pairs
from tests.webhooks._hooks import V2, V3, pairs_of

URL = "https://hooks.example.com/voice"
TOKEN = "ZmE0N2JkMTAxM2Q4NDcwZGE1OTI2ZTk3"

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
pairs = st.lists(st.tuples(text, text), max_size=6)
nonces = st.from_regex(r"[0-9A-Za-z_-]{1,64}", fullmatch=True)


@pytest.mark.parametrize("vector", V3, ids=[vector["id"] for vector in V3])
def test_every_v3_vector_validates_as_it_says(vector: dict[str, Any]) -> None:
    tokens = vector.get("auth_tokens") or vector["auth_token"]
    args = (vector["method"], vector["uri"], vector["nonce"], tokens, vector["header"])
    before = repr(vector["params"])
    assert validate_signature_v3(*args, vector["params"]) is vector["valid"]
    assert repr(vector["params"]) == before
    if not any(isinstance(value, dict) for value in vector["params"].values()):
        assert validate_signature_v3(*args, pairs_of(vector["params"])) is vector["valid"]


@pytest.mark.parametrize("vector", V3, ids=[vector["id"] for vector in V3])
def test_every_v3_vector_is_signed_as_it_says(vector: dict[str, Any]) -> None:
    token = (vector.get("auth_tokens") or [vector.get("auth_token")])[-1]
    made = sign_v3(vector["method"], vector["uri"], vector["nonce"], token, vector["params"])
    assert made == vector["signature"]


@pytest.mark.parametrize("vector", V2, ids=[vector["id"] for vector in V2])
def test_every_v2_vector_validates_and_is_signed_as_it_says(vector: dict[str, Any]) -> None:
    uri, nonce, token = vector["uri"], vector["nonce"], vector["auth_token"]
    assert validate_signature_v2(uri, nonce, vector["header"], token) is vector["valid"]
    assert sign_v2(uri, nonce, token) == vector["signature"]


def test_the_platform_captures_are_among_the_vectors() -> None:
    captures = [vector for vector in V3 if vector["group"] == "platform"]
    assert len(captures) == 4
    assert all(vector["valid"] for vector in captures)


@given(pairs, pairs, nonces, st.randoms(use_true_random=False))
def test_what_is_signed_validates_in_any_order(
    query: list[tuple[str, str]], form: list[tuple[str, str]], nonce: str, random: Any
) -> None:
    uri = URL + "?" + "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in query)
    made = sign_v3("POST", uri, nonce, TOKEN, form)
    shuffled = random.sample(form, len(form))
    assert validate_signature_v3("POST", uri, nonce, TOKEN, made, shuffled)
    assert validate_signature_v3("POST", uri, nonce, TOKEN, made, Params(shuffled))


@given(st.sampled_from(["GET", "POST"]), pairs, nonces, text, text)
def test_another_parameter_or_nonce_does_not_validate(
    method: str, form: list[tuple[str, str]], nonce: str, name: str, value: str
) -> None:
    made = sign_v3(method, URL, nonce, TOKEN, form)
    more = [*form, (name + "x", value)]  # the text is longer: no collision of SECURITY 3
    assert not validate_signature_v3(method, URL, nonce, TOKEN, made, more)
    assert not validate_signature_v3(method, URL, nonce + "0", TOKEN, made, form)
    assert not validate_signature_v3(method, URL + "/", nonce, TOKEN, made, form)
    assert not validate_signature_v3(method, URL, nonce, TOKEN + "0", made, form)


encoded = st.text(st.sampled_from("%\\x0aAF5C+&=\xe9\u20ac") | st.characters(), max_size=30)


@given(encoded)
@example("%\\x41=%5C%zz%4%")
def test_percents_are_decoded_as_the_standard_library_does(text: str) -> None:
    expected: object
    try:
        expected = [
            tuple(unquote_to_bytes(half).decode() for half in part.partition("=")[::2])
            for part in text.replace("+", " ").split("&")
            if part
        ]
    except ValueError:
        expected = ValueError
    try:
        pairs: object = decode_pairs(text)
    except ValueError:
        pairs = ValueError
    assert pairs == expected


def test_get_merges_a_mapping_without_changing_it() -> None:
    params = {"a": "argument", "b": "2"}
    made = sign_v3("GET", URL + "?a=url", "1", TOKEN, params)
    assert params == {"a": "argument", "b": "2"}
    assert made == sign_v3("GET", URL + "?a=url&b=2", "1", TOKEN)


def test_values_without_a_published_rule_have_the_spelling_of_json() -> None:
    odd = {"t": True, "f": False, "n": None, "x": 1.5, "l": [["b", "a"], {"k": 1}], "e": []}
    plain = {"t": "true", "f": "false", "n": "null", "x": "1.5", "l": ["ab", "k1"]}
    assert sign_v3("POST", URL, "1", TOKEN, odd) == sign_v3("POST", URL, "1", TOKEN, plain)


def test_an_empty_list_is_a_parameter_without_text() -> None:
    with_it = sign_v3("POST", URL, "1", TOKEN, {"e": []})
    assert with_it != sign_v3("POST", URL, "1", TOKEN, {})
    assert with_it == sign_v3("POST", URL, "1", TOKEN, {"": ""})


CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    ("uri", "nonce", "header", "params"),
    [
        pytest.param("/voice", "1", "sig", None, id="relative"),
        pytest.param("", "1", "sig", None, id="no-url"),
        pytest.param(None, "1", "sig", None, id="url-none"),
        pytest.param("https:///voice", "1", "sig", None, id="no-host"),
        pytest.param(URL + "?a=%ff", "1", "sig", None, id="no-utf8"),
        pytest.param(URL + "?a=\ud800", "1", "sig", None, id="surrogate-url"),
        pytest.param(URL, None, "sig", None, id="nonce-none"),
        pytest.param(URL, "\ud800", "sig", None, id="surrogate-nonce"),
        pytest.param(URL, "1", None, None, id="header-none"),
        pytest.param(URL, "1", "s\u00ef\ud800g", None, id="header-unicode"),
        pytest.param(URL, "1", "sig", {"a": "\ud800"}, id="surrogate-value"),
        pytest.param(URL, "1", "sig", {"a": object()}, id="no-spelling"),
        pytest.param(URL, "1", "sig", {"a": 10**5000}, id="huge-int"),
        pytest.param(URL, "1", "sig", {1: "a", "b": "c"}, id="names"),
        pytest.param(URL, "1", "sig", [("a",)], id="no-pairs"),
        pytest.param(URL, "1", "sig", 7, id="no-params"),
        pytest.param(URL, "1", "sig", CYCLE, id="cycle"),
    ],
)
def test_what_cannot_be_signed_does_not_validate(
    uri: Any, nonce: Any, header: Any, params: Any
) -> None:
    assert validate_signature_v3("POST", uri, nonce, TOKEN, header, params) is False
    assert validate_signature_v2(uri, nonce, header, TOKEN) is False


@pytest.mark.parametrize("token", ["", [], ["", ""], None, 7], ids=repr)
def test_no_token_and_an_empty_one_validate_nothing(token: Any) -> None:
    header = sign_v3("GET", URL, "1", "")
    assert validate_signature_v3("GET", URL, "1", token, header) is False
    assert validate_signature_v2(URL, "1", sign_v2(URL, "1", ""), token) is False


@pytest.mark.parametrize("method", ["PUT", "", "GET ", None], ids=repr)
def test_other_methods_are_an_error_of_the_caller(method: Any) -> None:
    for function in (
        lambda: sign_v3(method, URL, "1", TOKEN),
        lambda: validate_signature_v3(method, URL, "1", TOKEN, "sig"),
    ):
        with pytest.raises(ValueError, match="GET and POST"):
            function()


@pytest.mark.parametrize("uri", ["/voice", "", "https:///voice", "hooks.example.com/voice"])
def test_only_an_absolute_url_is_signed(uri: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        sign_v3("POST", uri, "1", TOKEN)
    with pytest.raises(ValueError, match="absolute"):
        sign_v2(uri, "1", TOKEN)
