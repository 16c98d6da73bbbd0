"""SECURITY.md 3, threat by threat: what the core does about each.

9 to 14, about the form of a request, are in test_threats_request.py; what needs a socket is in
tests/adapter/test_webhook_threats.py: 15 (framing) and 23 (no fetching) among them.
"""

from __future__ import annotations

import hmac
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plivo_core import ConfigError, Limits, ReplayedNonce, SignatureError
from plivo_core.webhooks import (
    FirstSeen,
    InProgress,
    ReplayGuard,
    _texts,
    refusal,
    sign_v3,
    validate_signature_v3,
)
from plivo_core.wire import Response
from tests.webhooks._hooks import (
    FORM,
    MAIN_TOKEN,
    NONCE,
    OLD_TOKEN,
    PUBLIC,
    TOKEN,
    Hook,
    a_hook,
    a_verifier,
    refused,
)

SIG = "X-Plivo-Signature-V3"
SIG_NONCE = "X-Plivo-Signature-V3-Nonce"
NOW = 1_700_000_000.0


def test_threat_01_a_forged_callback_is_refused_and_no_token_is_no_verifier() -> None:
    assert refused(a_hook(token="guess")) == (403, "mismatch")
    assert refused(a_hook().with_header(SIG)) == (403, "signature_missing")
    for tokens in ("", [], [""]):
        with pytest.raises(ConfigError):
            a_verifier(tokens=tokens)


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """Every pair that ``compare_digest`` is given from here on."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    return compared


@pytest.mark.parametrize("place", [0, 1, 2, None], ids=str)
@pytest.mark.parametrize("token", [TOKEN, OLD_TOKEN], ids=["first", "second"])
def test_threat_02_every_candidate_is_compared_with_every_token_in_constant_time(
    comparisons: list[tuple[bytes, bytes]], place: int | None, token: str
) -> None:
    entries = ["AAAA", "BBBB", "CCCC"]
    hook = a_hook(token=token)
    if place is not None:
        entries[place] = hook.header(SIG)
    hook = hook.with_header(SIG, ",".join(entries)).with_header("X-Plivo-Signature-Ma-V3", "D,E")
    verifier = a_verifier(tokens=[TOKEN, OLD_TOKEN], main_tokens=MAIN_TOKEN)
    if place is None:
        with pytest.raises(SignatureError):
            hook.verified_by(verifier)
    else:
        hook.verified_by(verifier)
    assert len(comparisons) == 3 * 2 + 2 * 1
    assert all(type(one) is type(other) is bytes for one, other in comparisons)
    assert len({expected for _, expected in comparisons}) == 3


def test_threat_02_holds_for_the_functions_and_for_text_that_is_not_ascii(
    comparisons: list[tuple[bytes, bytes]],
) -> None:
    header = sign_v3("POST", PUBLIC, "1", TOKEN) + ",s\u00efg,x"
    assert validate_signature_v3("POST", PUBLIC, "1", [TOKEN, OLD_TOKEN], header)
    assert len(comparisons) == 6


def test_threat_03_any_of_sixteen_signatures_accepts() -> None:
    good = a_hook().header(SIG)
    for padding in (0, 15):
        header = " , ".join(["AAAA"] * padding + [good, ""])
        assert a_hook().with_header(SIG, header).verified_by(a_verifier())
    header = ",".join(["AAAA"] * 16 + [good])
    assert refused(a_hook().with_header(SIG, header)) == (403, "too_many_signatures")
    rotated = a_hook(token=OLD_TOKEN)
    assert rotated.verified_by(a_verifier(tokens=[TOKEN, OLD_TOKEN]))
    assert refused(a_hook(token=MAIN_TOKEN), main_tokens=MAIN_TOKEN) == (403, "mismatch")


def test_threat_04_a_signature_is_compared_whole() -> None:
    good = a_hook().header(SIG)
    variants = [
        good[:-1],
        good[:20],
        good.lower(),
        good.upper(),
        good + "=",
        good + "AA",
        f"'{good}'",
    ]
    # The last character holds two spare bits: decoders take three more spellings.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    variants += [good[:42] + alphabet[alphabet.index(good[42]) ^ bits] + "=" for bits in (1, 2, 3)]
    for variant in variants:
        assert refused(a_hook().with_header(SIG, variant)) == (403, "mismatch")


def test_threat_05_a_replay_gets_the_first_answer_or_none() -> None:
    verifier, guard = a_verifier(), ReplayGuard()
    hook = a_hook().verified_by(verifier)
    guard.begin(hook, wall_now=NOW)
    guard.finish(hook, Response(body=b"<Response/>"), wall_now=NOW)
    again: Any = guard.begin(a_hook().verified_by(verifier), wall_now=NOW + 899)
    assert again.response.body == b"<Response/>"
    with pytest.raises(ReplayedNonce):
        guard.begin(a_hook(target="/voice?x=1").verified_by(verifier), wall_now=NOW + 899)
    assert (guard.ttl, guard.max_answer) == (900, 16 * 1024)


COLLISIONS = [
    pytest.param(([("a", "bc")], "/v", "7"), ([("ab", "c")], "/v", "7"), "guard", id="name-value"),
    pytest.param(
        ([("a", "1"), ("b", "2")], "/v", "7"), ([("a", "1b2")], "/v", "7"), "guard", id="merge"
    ),
    pytest.param(([("z", "1")], "/v?a=1", "7"), ([], "/v?a=1.z1", "7"), "guard", id="to-query"),
    pytest.param(([], "/v?a=1%26b%3D2", "7"), ([], "/v?a=1&b=2", "7"), "guard", id="ampersand"),
    pytest.param(([("a", "b.7")], "/v", "8"), ([("a", "b")], "/v", "7.8"), "nonce", id="to-nonce"),
    pytest.param(([], "/v", "7"), ([], "/v", "7"), "guard", id="get-as-post"),
]


@pytest.mark.parametrize(("one", "other", "stopped_by"), COLLISIONS)
def test_threat_06_what_signs_the_same_text_is_stopped_by_nonce_or_guard(
    one: Any, other: Any, stopped_by: str
) -> None:
    methods = ("POST", "GET") if one == other else ("POST", "POST")
    hooks = [
        a_hook(form, method=method, target=target, nonce=nonce)
        for method, (form, target, nonce) in zip(methods, (one, other), strict=True)
    ]
    assert hooks[0].header(SIG) == hooks[1].header(SIG)  # the collision is real
    for hook, (form, target, nonce), method in zip(hooks, (one, other), methods, strict=True):
        header = hook.header(SIG)
        assert validate_signature_v3(method, PUBLIC + target, nonce, TOKEN, header, form)
    guard = ReplayGuard()
    guard.begin(hooks[0].verified_by(a_verifier()), wall_now=NOW)
    if stopped_by == "nonce":
        assert refused(hooks[1]) == (403, "nonce_dot")
    else:
        with pytest.raises(ReplayedNonce):
            guard.begin(hooks[1].verified_by(a_verifier()), wall_now=NOW)


def a_v2_hook(target: str, nonce: str, form: Any = (), beside: Hook | None = None) -> Hook:
    """Signed by V2, which covers no body; ``beside``'s V3 headers as well."""
    hook = a_hook(form, target=target, nonce=nonce, header="X-Plivo-Signature-V2")
    return replace(hook, headers=[*hook.headers, *(beside.headers[:2] if beside else ())])


def as_v3(hook: Hook, target: str, nonce: str) -> Hook:
    """The V2 signature of ``hook`` under the headers of V3."""
    headers = [(SIG, hook.header("X-Plivo-Signature-V2")), (SIG_NONCE, nonce)]
    return replace(hook, target=target, headers=[*headers, ("Content-Type", FORM)], body=b"")


def as_v2(hook: Hook, target: str, nonce: str, body: bytes = b"From=evil") -> Hook:
    """The first signature of ``hook`` under the headers of V2, with a body of anybody's."""
    found = [value for name, value in hook.headers if name.endswith(("-V3", "-V2"))]
    headers = [("X-Plivo-Signature-V2", found[0]), ("X-Plivo-Signature-V2-Nonce", nonce)]
    return replace(hook, target=target, headers=[*headers, ("Content-Type", FORM)], body=body)


V2_COLLISIONS = [
    pytest.param(a_v2_hook("/cb/7", "123"), ("/cb/7", "123"), as_v2, id="body"),
    pytest.param(a_v2_hook("/cb/7", "123"), ("/cb/71", "23"), as_v2, id="nonce-to-path"),
    pytest.param(a_v2_hook("/cb/7", "123"), ("/cb/", "7123"), as_v2, id="path-to-nonce"),
    pytest.param(a_v2_hook("/cb", "123"), ("/cb?From=evil", "123"), as_v2, id="query"),
    pytest.param(
        a_v2_hook("/cb", "222", beside=a_hook([], target="/cb", nonce="111")),
        ("/cb", "222"), as_v2, id="v3-stripped",
    ),
    pytest.param(a_hook([], target="/cb", nonce="777"), ("/cb.7", "77"), as_v2, id="v3-as-v2"),
    pytest.param(a_v2_hook("/cb.5", "777"), ("/cb", "5777"), as_v3, id="v2-as-v3"),
]  # fmt: skip


@pytest.mark.parametrize(("hook", "shifted", "turned"), V2_COLLISIONS)
def test_threat_06_what_v2_signs_is_used_once_wherever_its_bytes_are_moved(
    hook: Hook, shifted: tuple[str, str], turned: Any
) -> None:
    verifier, guard = a_verifier(allow_v2=True), ReplayGuard()
    other = hook
    if "222" in shifted:  # its V2 signature is not the first one
        kept = [pair for pair in hook.headers if "V3" not in pair[0]]
        other = replace(hook, headers=kept)
    again = turned(other, *shifted).verified_by(verifier)  # the collision is real
    assert guard.begin(hook.verified_by(verifier), wall_now=NOW) == FirstSeen()
    with pytest.raises(ReplayedNonce) as caught:
        guard.begin(again, wall_now=NOW)
    assert caught.value.reason == "other_request"


def test_threat_06_a_dot_in_the_path_does_not_make_a_v2_signature_one_of_v3() -> None:
    signed = a_v2_hook("/answer.xml", "777")
    assert refused(as_v3(signed, "/answer", "xml777")) == (403, "nonce_syntax")


def test_threat_06_v2_headers_that_vouch_for_nothing_do_not_matter_beside_v3() -> None:
    hook = a_hook().with_header("X-Plivo-Signature-V2", "forged")
    for nonces in ((), ("1",)):
        with_v2 = hook.with_header("X-Plivo-Signature-V2-Nonce", *nonces)
        assert len(with_v2.verified_by(a_verifier(allow_v2=True)).replay_keys) == 2
        assert len(with_v2.verified_by(a_verifier()).replay_keys) == 1


def test_threat_06_a_request_that_shares_one_of_its_keys_takes_none() -> None:
    verifier, guard = a_verifier(allow_v2=True), ReplayGuard()
    guard.begin(a_v2_hook("/cb", "222").verified_by(verifier), wall_now=NOW)
    v3 = a_hook([], target="/cb", nonce="111")
    both = a_v2_hook("/cb", "222", beside=v3)
    assert guard.begin(both.verified_by(verifier), wall_now=NOW) == InProgress()
    assert guard.begin(v3.verified_by(verifier), wall_now=NOW) == FirstSeen()


@pytest.mark.parametrize(
    "nonce",
    ["x7", "7-", "7.8", "", " ", "a b", "n\u00f6", "7" * 65, "7\n", "7,8", "../x"],
    ids=ascii,
)
def test_threat_06_a_nonce_is_one_word_without_a_dot(nonce: str) -> None:
    status, reason = refused(a_hook().with_header(SIG_NONCE, nonce))
    assert status == 403
    assert reason.startswith("nonce_")


def test_threat_07_an_old_request_is_new_once_its_nonce_is_forgotten() -> None:
    guard = ReplayGuard()  # the documented limit: nothing signed carries a time
    hook = a_hook().verified_by(a_verifier())
    guard.begin(hook, wall_now=NOW)
    assert guard.begin(hook, wall_now=NOW + 900) == guard.begin(
        a_hook(nonce="8").verified_by(a_verifier()), wall_now=NOW
    )


FORWARDED = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "evil.example:81")]


@pytest.mark.parametrize(
    ("peer", "trusted", "believed"),
    [
        pytest.param(None, [], False, id="default"),
        pytest.param("10.0.0.7", [], False, id="none-trusted"),
        pytest.param("10.0.0.7", ["10.0.0.0/8"], True, id="network"),
        pytest.param("10.0.0.7", ["10.0.0.7"], True, id="address"),
        pytest.param("::ffff:10.0.0.7", ["10.0.0.7"], True, id="mapped"),
        pytest.param("fd00::1", ["fd00::/8", "10.0.0.7"], True, id="ipv6"),
        pytest.param("10.0.0.8", ["10.0.0.7"], False, id="other"),
        pytest.param(None, ["10.0.0.7"], False, id="unknown"),
        pytest.param("unix:", ["10.0.0.7"], False, id="no-address"),
    ],
)
def test_threat_08_host_and_forwarded_headers_count_only_from_a_trusted_proxy(
    peer: str | None, trusted: list[str], believed: bool
) -> None:
    hook = a_hook(signed_url="http://evil.example:81/voice")
    headers = [*hook.headers, ("Host", "evil.example:81"), *FORWARDED, ("Forwarded", "host=h")]
    hook = replace(hook, headers=headers, more={"peer": peer})
    if believed:
        assert hook.verified_by(a_verifier(trusted_proxies=trusted))
    else:
        assert refused(hook, trusted_proxies=trusted) == (403, "mismatch")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("X-Forwarded-Proto", ["https, http"], id="proto-list"),
        pytest.param("X-Forwarded-Proto", ["https", "https"], id="proto-twice"),
        pytest.param("X-Forwarded-Proto", ["ws"], id="proto-ws"),
        pytest.param("X-Forwarded-Host", ["a.example, b.example"], id="host-list"),
        pytest.param("X-Forwarded-Host", ["a.example", "a.example"], id="host-twice"),
        pytest.param("X-Forwarded-Host", ["a.example/x"], id="host-path"),
        pytest.param("X-Forwarded-Host", ["u@a.example"], id="host-user"),
        pytest.param("X-Forwarded-Host", [""], id="host-blank"),
    ],
)
def test_threat_08_a_trusted_proxy_says_one_thing_in_strict_syntax(
    name: str, values: list[str]
) -> None:
    hook = replace(a_hook().with_header(name, *values), more={"peer": "10.0.0.7"})
    assert refused(hook, trusted_proxies=["10.0.0.7"]) == (403, "forwarded")


METHODS = ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "", None]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_threat_16_a_route_takes_its_methods_only(method: Any) -> None:
    hook = replace(a_hook(), method=method).with_header("X-HTTP-Method-Override", "POST")
    with pytest.raises(SignatureError) as caught:
        hook.verified_by(a_verifier())
    answer = refusal(caught.value)
    assert (answer.status, answer.header("Allow")) == (405, "GET, POST")


def test_threat_16_the_method_of_the_route_is_not_the_senders_choice() -> None:
    hook = a_hook([], method="GET")
    same = replace(hook, method="POST")
    assert same.verified_by(a_verifier())  # GET and an empty POST sign the same text ...
    assert refused(replace(same, more={"methods": ("GET",)})) == (405, "method")  # ... so:
    assert refused(replace(hook, body=b"a=b")) == (400, "body_of_get")
    unsigned_method = replace(hook, method="PUT", more={"methods": ("PUT", "POST")})
    assert refused(unsigned_method) == (405, "method")


def test_threat_17_sizes_are_checked_before_any_signature_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(*_: object) -> bytes:
        raise AssertionError("a signature was computed")

    monkeypatch.setattr(hmac, "digest", unreachable)
    plain = Hook(headers=[(SIG, "x"), (SIG_NONCE, NONCE), ("Content-Type", FORM)], body=b"a=b")
    for bent, reason in (
        (plain.with_header(SIG, "x" * 4097), "signature_too_long"),
        (plain.with_header(SIG, "x\u00ef"), "signature_not_ascii"),
        (plain.with_header(SIG_NONCE, "7" * 65), "nonce_syntax"),
        (replace(plain, body=b"a" * 65537), "body_too_large"),
        (replace(plain, body=b"a&" * 1000), "too_many_fields"),
    ):
        assert refused(bent)[1] == reason
    with pytest.raises(AssertionError):
        plain.verified_by(a_verifier())


def test_threat_17_work_is_linear_in_the_body() -> None:
    def seconds(size: int) -> float:
        hook = replace(a_hook(), body=b"&".join(b"%26=%41" * 10 for _ in range(size)))
        rounds = []
        for _ in range(5):
            begin = time.process_time()
            refused(hook)
            rounds.append(time.process_time() - begin)
        return min(rounds)

    assert seconds(960) < 60 * seconds(60)  # 16 for linear, 256 for quadratic work


def _filled(unit: bytes, *, before: bytes = b"a=", after: bytes = b"") -> bytes:
    room = Limits().max_webhook_body - len(before) - len(after)
    return before + (unit * (room // len(unit))).rstrip(b",") + after


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param(FORM, _filled(b"%"), id="stray-percents"),
        pytest.param(FORM, _filled(b"%41"), id="percents"),
        pytest.param(FORM, _filled(b"%41" * 20 + b"&"), id="fields"),
        pytest.param(
            "application/json", _filled(b"[0],", before=b'{"a":[', after=b"]}"), id="lists"
        ),
        pytest.param("application/json", _filled(b"1,", before=b'{"a":[', after=b"]}"), id="items"),
        pytest.param("application/json", _filled(b'"":{', before=b"{"), id="deep"),
    ],
)
def test_threat_17_the_largest_body_does_not_hold_the_loop(content_type: str, body: bytes) -> None:
    hook = replace(a_hook(), body=body, more={"json": True})
    hook = hook.with_header("Content-Type", content_type)
    rounds = []
    for _ in range(5):
        begin = time.process_time()
        assert refused(hook)[0] in (400, 403, 413)
        rounds.append(time.process_time() - begin)
    assert min(rounds) < 0.05  # 1 to 5 ms; a second and more with 1 MiB and no other bound


def test_threat_17_a_query_of_stray_percents_is_cheap_and_kept() -> None:
    hook = a_hook(target="/v?a=" + "%" * 16000)
    begin = time.process_time()
    assert hook.verified_by(a_verifier()).query["a"] == "%" * 16000
    assert time.process_time() - begin < 0.05


def test_threat_17_the_parameters_are_put_into_one_text_for_all_urls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = list[object]()
    real = _texts.canonical_v3

    def counted(*arguments: Any) -> str:
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(_texts, "canonical_v3", counted)
    refused(a_hook(target="/", token="guess"), public_url="https://u:p@hooks.example.com/in")
    assert len(calls) == 1


def test_threat_18_errors_quote_little_and_escape_it() -> None:
    hook = replace(a_hook(), method="X\r\n" + "A" * 200 + TOKEN)
    with pytest.raises(SignatureError) as caught:
        hook.verified_by(a_verifier())
    text = str(caught.value)
    assert "\n" not in text
    assert "X\\r\\n" in text
    assert len(text) < 200
    assert TOKEN not in repr(vars(caught.value))
    for bent in (
        replace(a_hook(), target=" /v?secret"),
        replace(a_hook(), target="/n/s3cret/+14155550101#x"),
        replace(a_hook(), target="https://user:s3cret@hooks.example.com/voice"),
        a_hook(token="x"),
        a_hook(nonce="s3.cret"),
    ):
        with pytest.raises(SignatureError) as caught:
            bent.verified_by(a_verifier())
        shown = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
        assert "cret" not in shown
        assert bent.header(SIG) not in shown


@pytest.mark.parametrize(
    "bent",
    [
        pytest.param({"target": "/v?%ff"}, id="ff"),
        pytest.param({"target": "/\ud800"}, id="surrogate"),
        pytest.param({"body": 7}, id="body"),
        pytest.param({"body": "a=\ud800"}, id="body-surrogate"),
        pytest.param({"headers": None}, id="no-headers"),
        pytest.param({"headers": 7}, id="headers-int"),
        pytest.param({"headers": "ab"}, id="headers-text"),
        pytest.param({"headers": [("a",)]}, id="headers-short"),
        pytest.param({"headers": [(None, "b")]}, id="headers-none"),
        pytest.param({"headers": {SIG: None}}, id="value-none"),
        pytest.param({"headers": {SIG: b"\xff", SIG_NONCE: b"1"}}, id="value-ff"),
    ],
)
def test_threat_19_odd_input_is_refused_never_a_crash(bent: dict[str, Any]) -> None:
    status, reason = refused(replace(a_hook(), **bent))
    assert status in (400, 403, 415)
    assert reason


def test_threat_21_an_upgrade_without_a_signature_is_refused() -> None:
    with pytest.raises(SignatureError) as caught:
        a_verifier().verify_upgrade(target="/ws", headers=[])
    assert caught.value.reason == "signature_missing"


def test_threat_22_an_upgrade_from_a_browser_is_refused_unless_allowed() -> None:
    hook = a_hook(method="GET", target="/ws").with_header("Origin", "https://app.example")
    request = {"target": "/ws", "headers": hook.headers}
    with pytest.raises(SignatureError) as caught:
        a_verifier().verify_upgrade(**request)
    assert (caught.value.status, caught.value.reason) == (403, "origin")
    assert a_verifier().verify_upgrade(**request, allowed_origins=["https://app.example"])


@pytest.mark.parametrize("name", [SIG, SIG_NONCE, "X-Plivo-Signature-Ma-V3"])
def test_threat_24_a_header_given_twice_is_refused_in_any_case(name: str) -> None:
    hook = a_hook().with_header("X-Plivo-Signature-Ma-V3", "x")
    value = hook.header(name)
    twice = replace(hook, headers=[*hook.headers, (name.upper(), value)])
    status, reason = refused(twice)
    assert status == 403
    assert reason in ("signature_repeated", "nonce_repeated")


def test_every_threat_of_the_table_has_a_test() -> None:
    tests = Path(__file__).parents[1]
    names = " ".join(path.read_text("utf-8") for path in tests.glob("*/test_*threats*.py"))
    tested = re.findall(r"def test_threat_(\d\d)(?:_and_(\d\d))?", names)
    assert {int(number) for pair in tested for number in pair if number} == set(range(1, 25))
