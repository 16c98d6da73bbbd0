"""What the simulated account refuses, and how: every answer names what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import ConfigError, Request, platform
from plivo_core.platform import ApiFault as Fault
from plivo_core.platform import PlatformApi, PlatformLimits, Scenario, counting_ids
from tests.platform._account import AUTH_ID, SUB_ID, TOKENS, Account, basic

AGENT = {"agent_name": "A", "websocket_url": "wss://h"}
CALL = {"from": "+1", "to": ["+2"]}
MESSAGE = {"dst": "+1", "src": "+2", "text": "x"}
CLASSIC = {"from": "1", "to": "2", "answer_url": "https://h"}
DIAL = {"targets": [{"number": "1"}]}
STREAM = {"service_url": "ws://h"}
FULL: dict[str, Any] = {"stt": {}, "llm": {}, "tts": {}}


@pytest.fixture
def account() -> Account:
    return Account()


# --- 400 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("agent_name", {"agent_name": None}),
        ("agent_name", {"agent_name": " "}),
        ("agent_name", {"agent_name": 7}),
        ("agent_name", {"agent_name": "x" * 1001}),
        ("websocket_url", {"websocket_url": None}),
        ("websocket_url", {"websocket_url": "https://h"}),
        ("websocket_url", {"websocket_url": "ws://h h"}),
        ("websocket_url", {"websocket_url": "ws://[h"}),
        ("websocket_url", {"websocket_url": "ws://h:0"}),
        ("websocket_url", {"websocket_url": "ws://h/?a=%FF"}),  # nobody could sign it
        ("websocket_url", {"websocket_url": "wss://h/" + "x" * 2048}),
        ("llm", {"llm": {}}),
        ("s2s", {"s2s": {}, "stt": {}}),
        ("stt", {"stt": "deepgram"}),
        ("stt.provider", {"stt": {"provider": "ear"}}),
        ("stt.provider", {"stt": {}, "stt_fallback": [{"provider": 1}]}),
        ("stt_fallback", {"stt_fallback": [{}]}),
        ("stt_fallback", {"stt_fallback": {}}),
        ("llm.temperature", {**FULL, "llm": {"temperature": 2.1}}),
        ("idle_timeout.max_retries", {"idle_timeout": {"max_retries": 11}}),
        ("idle_timeout.reminder_message", {"stt": {}, "tts": {}, "idle_timeout": {}}),
        ("agent_tools", {"stt": {}, "tts": {}, "agent_tools": [{}]}),
        ("wait_for_user_timeout_s", {"wait_for_user_timeout_s": 61}),
        ("tool_call_timeout_s", {"tool_call_timeout_s": 0}),
        ("speaks_first", {"speaks_first": "nobody"}),
        ("send_on", {"send_on": "x"}),
        ("detection_method", {"detection_method": "x"}),
        ("audio_format", {"audio_format": "mp3"}),
        ("background_audio.sound", {"background_audio": {"volume": 1}}),
        ("background_audio.volume", {"background_audio": {"sound": "office", "volume": 2}}),
        ("stream.noise_cancellation_level", {"stream": {"noise_cancellation_level": 59}}),
        ("stream.extra_headers", {"stream": {"extra_headers": {"a b": "c"}}}),
        ("semantic_vad", {"semantic_vad": "fast"}),
        ("semantic_vad", {"semantic_vad": 7}),
        ("participant_mode", {"participant_mode": "three"}),
        ("plivo_auth_id", {"participant_mode": "multi"}),
        ("callbacks", {"callbacks": []}),
        ("hangup", {"callbacks": {"hangup": "https://h"}}),
        ("callback.url", {"callbacks": {"ring": {}}}),
        ("callback.method", {"callbacks": {"ring": {"url": "https://h", "method": "PUT"}}}),
        ("callbacks.ring.url", {"callbacks": {"ring": {"url": "ftp://h"}}}),
        ("callbacks.ring.url", {"callbacks": {"ring": {"url": "http://h:99999"}}}),
        ("callbacks.ring.url", {"callbacks": {"ring": {"url": "https://h#rc=99"}}}),
        ("events.vad_events", {"events": {"vad_events": 1}}),
        ("mcp_servers", {"mcp_servers": [{"type": "carrier pigeon"}]}),
        ("mcp_servers.url", {"mcp_servers": [{"type": "http"}]}),
        ("mcp_servers.command", {"mcp_servers": [{"type": "stdio"}]}),
    ],
)
def test_an_agent_that_cannot_be_is_refused_by_field(
    account: Account, field: str, change: dict[str, Any]
) -> None:
    answer = account.post("Agent", {**AGENT, **change})
    assert answer.status == 400
    assert field in answer.error
    assert account.get("Agent").body["objects"] == []
    assert account.api.next_effect() is None


TABLE: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("AgentCall", "agent_id", CALL, {"agent_id": None}),
    ("AgentCall", "from", CALL, {"from": ""}),
    ("AgentCall", "to", CALL, {"to": []}),
    ("AgentCall", "to", CALL, {"to": "+2"}),
    ("AgentCall", "to", CALL, {"to": [""]}),
    ("AgentCall", "to", CALL, {"to": ["1"] * 101}),
    ("AgentCall", "dial_mode", CALL, {"dial_mode": "random"}),
    ("AgentCall", "voicemail_detect", CALL, {"voicemail_detect": "yes"}),
    ("AgentCall", "time_limit", CALL, {"time_limit": True}),
    ("AgentCall", "ring_timeout", CALL, {"ring_timeout": 0}),
    ("AgentCall", "send_digits", CALL, {"send_digits": "12x"}),
    ("AgentCall", "caller_name", CALL, {"caller_name": []}),
    ("AgentCall/{call}/connect", "agent_id", {}, {}),
    ("AgentCall/{call}/dial", "targets", {}, {}),
    ("AgentCall/{call}/dial", "targets", {}, {"targets": ["+1"]}),
    ("AgentCall/{call}/dial", "targets", {}, {"targets": [{"number": "1"}] * 101}),
    ("AgentCall/{call}/dial", "number", {}, {"targets": [{}]}),
    ("AgentCall/{call}/dial", "timeout", {"targets": [{"number": "1"}]}, {"timeout": "9"}),
    (
        "AgentCall/{call}/dial",
        "hangup_on_star",
        {"targets": [{"number": "1"}]},
        {"hangup_on_star": 1},
    ),
    ("Agent/{agent}/Number", "number", {}, {}),
    ("Agent/{agent}/Number", "number", {}, {"number": "twelve"}),
    ("Call/", "from", CLASSIC, {"from": None}),
    ("Call/", "answer_url", CLASSIC, {"answer_url": None}),
    ("Call/", "answer_url", CLASSIC, {"answer_url": "h"}),
    ("Call/", "hangup_method", CLASSIC, {"hangup_method": "PUT"}),
    ("Call/{call}/Stream/", "service_url", STREAM, {"service_url": "http://h"}),
    ("Call/{call}/Stream/", "bidirectional", STREAM, {"bidirectional": "true"}),
    ("Call/{call}/Stream/", "stream_timeout", STREAM, {"stream_timeout": 0}),
    ("Call/{call}/Stream/", "noise_cancellation_level", STREAM, {"noise_cancellation_level": 59}),
    ("Message/", "dst", MESSAGE, {"dst": None}),
    ("Message/", "src", MESSAGE, {"src": None}),
    ("Message/", "src", MESSAGE, {"powerpack_uuid": "pp"}),
    ("Message/", "src", MESSAGE, {"src": "TOOLONGSENDER"}),
    ("Message/", "src", MESSAGE, {"src": "1"}),
    ("Message/", "src", MESSAGE, {"src": None, "powerpack_uuid": "p", "type": "whatsapp"}),
    ("Message/", "type", MESSAGE, {"type": "fax"}),
    ("Message/", "text", MESSAGE, {"text": "x" * 1601}),
    ("Message/", "text", MESSAGE, {"text": "\u4e2d" * 738}),
    ("Message/", "text", MESSAGE, {"text": 1}),
    ("Message/", "template", MESSAGE, {"template": {"name": "x"}}),
    ("Message/", "location", MESSAGE, {"location": [], "type": "whatsapp"}),
    ("Message/", "media_urls", MESSAGE, {"media_urls": ["x"]}),
    ("Message/", "media_urls", MESSAGE, {"media_urls": "https://h"}),
    ("Message/", "media_ids", MESSAGE, {"media_ids": ["1", "2"], "type": "whatsapp"}),
    ("Message/", "log", MESSAGE, {"log": "some"}),
    ("Message/", "trackable", MESSAGE, {"trackable": 0}),
    ("Message/", "message_expiry", MESSAGE, {"message_expiry": -1}),
    ("Message/", "url", MESSAGE, {"url": "ws://h"}),
    ("Message/", "method", MESSAGE, {"method": "get"}),
    ("Number/{number}/", "subaccount", {}, {"subaccount": "SA?"}),
    ("Number/{number}/", "alias", {}, {"alias": 1}),
    ("PhoneNumber/1/", "ha_enable", {}, {"ha_enable": "yes"}),
    ("PhoneNumber/1/", "verification_info", {}, {"verification_info": "me"}),
    ("PhoneNumber/{number}/", "number", {}, {}),
]


@pytest.mark.parametrize(
    ("path", "field", "body", "change"), TABLE, ids=[f"{row[0]}-{row[1]}" for row in TABLE]
)
def test_a_body_that_breaks_a_rule_is_refused_by_field(
    account: Account, path: str, field: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    agent = account.an_agent()
    known = {"agent": agent, "call": account.a_call(agent), "number": account.a_number()}
    account.effects()
    sent = {"agent_id": agent, **body, **change} if path == "AgentCall" else {**body, **change}
    answer = account.post(path.format(**known), sent)
    assert answer.status == 400
    assert answer.error.startswith(f"{field}: ")
    assert account.effects() == []


@pytest.mark.parametrize(
    ("path", "field", "query"),
    [
        ("Agent", "limit", {"limit": 0}),
        ("Agent", "limit", {"limit": 21}),
        ("Agent", "limit", {"limit": "9" * 5000}),
        ("Agent", "offset", {"offset": -1}),
        ("Agent", "sort_by", {"sort_by": "stt"}),
        ("Agent", "sort_order", {"sort_order": "up"}),
        ("AgentSession", "created_at__gte", {"created_at__gte": "yesterday"}),
        ("AgentSession", "ended_at__lte", {"ended_at__lte": "2026-13-01"}),
        ("AgentSession", "duration__gte", {"duration__gte": "1e9"}),
        ("Message/", "message_time", {"message_time": ""}),
        ("Number/", "services", {"services": "fax"}),
        ("Number/", "type", {"type": "red"}),
        ("PhoneNumber/", "country_iso", {}),
        ("PhoneNumber/", "country_iso", {"country_iso": "USA"}),
        ("PhoneNumber/", "lata", {"country_iso": "US", "lata": "x"}),
        ("PhoneNumber/", "type", {"country_iso": "US", "type": "red"}),
    ],
)
def test_a_query_that_breaks_a_rule_is_refused_by_field(
    account: Account, path: str, field: str, query: dict[str, Any]
) -> None:
    answer = account.get(path, **query)
    assert answer.status == 400
    assert answer.error.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "body: not JSON"),
        (b"[1]", "body: JSON, but no object"),
        (b'{"agent_name": "\\ud800"}', "body: not Unicode"),
        (b"\xff", "body: not JSON"),
        (b"[" * 100_000, "body: not JSON"),
    ],
)
def test_a_body_that_is_no_object_is_refused(account: Account, body: bytes, text: str) -> None:
    response = account.raw("POST", f"/v1/Account/{AUTH_ID}/Agent", body)
    assert (response.status, json.loads(response.body)["error"]) == (400, text)


def test_a_request_has_a_size() -> None:
    account = Account(limits=PlatformLimits(max_body=100, max_query=20))
    target = f"/v1/Account/{AUTH_ID}/Agent"
    assert account.raw("POST", target, b" " * 101).status == 413
    assert account.raw("GET", f"{target}?{'x' * 21}").status == 400


def test_updates_do_not_make_an_agent_larger_than_a_request() -> None:
    account = Account(limits=PlatformLimits(max_body=1000))
    path = f"Agent/{account.an_agent()}"
    before = account.get(path).body
    assert account.ask("PATCH", path, {"a": "x" * 700}).status == 200
    answer = account.ask("PATCH", path, {"b": "x" * 700})
    assert (answer.status, answer.error) == (400, "body: the agent would take more than 1000 bytes")
    after = account.get(path).body
    assert after.keys() - before.keys() == {"a"}


def test_several_calls_are_placed_or_none() -> None:
    account = Account(limits=PlatformLimits(max_calls=2))
    assert account.post("Call/", {**CLASSIC, "to": "2<3<4"}).status == 403
    assert account.effects() == []
    assert account.post("Call/", {**CLASSIC, "to": "2<3"}).status == 201


def test_calls_that_are_over_make_room_for_several() -> None:
    account = Account(limits=PlatformLimits(max_calls=2))
    account.post("Call/", {**CLASSIC, "to": "2<3"})
    first, second = account.callbacks()
    account.api.callback_answered(first.id, 500, now=account.now)
    assert account.post("Call/", {**CLASSIC, "to": "4<5"}).status == 403
    account.api.callback_answered(second.id, 500, now=account.now)
    assert account.post("Call/", {**CLASSIC, "to": "4<5"}).status == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Call/", {**CLASSIC, "answer_url": "http://h/?a=%FF"}),
        ("Call/", {**CLASSIC, "hangup_url": "http://h/?a=%FF"}),
        ("Message/", {**MESSAGE, "url": "http://h/?a=%FF"}),
    ],
)
def test_an_address_that_cannot_be_signed_is_refused(
    account: Account, path: str, body: dict[str, Any]
) -> None:
    answer = account.post(path, body)
    assert answer.status == 400
    assert answer.error.split(":")[0] in body
    assert account.effects() == []


@pytest.mark.parametrize("target", ["Agent?x=%ff", "Agent/%ff"])
def test_what_is_not_utf_8_is_refused(account: Account, target: str) -> None:
    response = account.raw("GET", f"/v1/Account/{AUTH_ID}/{target}")
    assert (response.status, b"not UTF-8" in response.body) == (400, True)


# --- 401, 403, 404, 405 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        (),
        basic(token="wrong"),
        basic("MA?", "secret-token"),
        basic("", ""),
        (("authorization", "Bearer x"),),
        (("authorization", "Basic %%%"),),
        (("authorization", "Basic //8="),),
        (("authorization", "Basic"),),
    ],
)
@pytest.mark.parametrize("target", [f"/v1/Account/{AUTH_ID}/Agent", "/v1/Number/1"])
def test_bad_credentials_are_a_401(account: Account, headers: Any, target: str) -> None:
    response = account.raw("GET", target, headers=headers)
    assert response.status == 401
    assert response.header("www-authenticate") == 'Basic realm="Plivo"'


def test_an_account_acts_for_itself_and_its_subaccounts(account: Account) -> None:
    assert account.ask("GET", "Agent", user=SUB_ID).status == 200
    assert account.ask("GET", "Agent", account=SUB_ID).status == 200
    assert account.ask("GET", "Agent", user=SUB_ID, account=AUTH_ID).status == 403
    assert account.ask("GET", "Agent", account="MAOTHER").status == 403
    assert account.raw("GET", "/v1/Number/1", headers=basic(SUB_ID)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "Agent/none"),
        ("PATCH", "Agent/none"),
        ("GET", "Agent/none/Number"),
        ("GET", "Agent/none/Session"),
        ("POST", "AgentCall/none/dial"),
        ("DELETE", "Call/none/"),
        ("GET", "Call/none/Stream/"),
        ("GET", "Message/none/"),
        ("GET", "Number/1/"),
        ("POST", "PhoneNumber/none/"),
        ("GET", "Agent/"),
        ("GET", "Message"),
        ("GET", "Nothing"),
        ("GET", ""),
    ],
)
def test_what_is_not_there_is_a_404(account: Account, method: str, path: str) -> None:
    answer = account.ask(method, path, {"targets": [{"number": "1"}]})
    assert answer.status == 404
    assert "not found" in answer.error


@pytest.mark.parametrize("target", ["/", "/v1/Account", "/v2/Account/x/Agent", "/v1/Number/"])
def test_an_address_of_no_service_is_a_404(account: Account, target: str) -> None:
    assert account.raw("GET", target).status == 404


def test_an_agent_that_does_not_exist_leads_no_call(account: Account) -> None:
    assert account.post("AgentCall", {**CALL, "agent_id": "none"}).error == "agent not found"
    call = account.a_call()
    assert account.post(f"AgentCall/{call}/connect", {"agent_id": "none"}).status == 404
    body = {"targets": [{"number": "1"}], "agent_id": "none"}
    assert account.post(f"AgentCall/{call}/dial", body).status == 404


def test_a_lookup_fails_in_its_own_words(account: Account) -> None:
    response = account.raw("GET", "/v1/Number/nobody")
    assert response.status == 404
    failure = json.loads(response.body)
    assert (failure["error_code"], failure["message"]) == (404, "number not found")


def test_a_method_that_a_path_does_not_have_is_a_405(account: Account) -> None:
    answer = account.ask("PUT", "Agent/x")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, PATCH")


@pytest.mark.parametrize("tokens", [("", "t"), ("u", ""), ("u:x", "t")])
def test_credentials_that_nobody_can_send_are_refused(tokens: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="auth id"):
        PlatformApi(*tokens, ids=counting_ids())


# --- faults ---------------------------------------------------------------------------------------


def test_a_fault_comes_at_its_turn_and_so_often() -> None:
    plan = (
        Fault(status=429, operation="agents.list", skip=1, times=2, retry_after="7"),
        Fault(status=503, operation="messages.list", times=None, body=b"<html>"),
    )
    account = Account(faults=plan)
    assert [account.get("Agent").status for _ in range(4)] == [200, 429, 429, 200]
    response = account.raw("GET", f"/v1/Account/{AUTH_ID}/Message/", headers=())
    assert (response.status, response.body) == (503, b"<html>")


def test_a_scenario_brings_its_faults() -> None:
    text = """
        [[rest]]
        status = 429
        times = 2
        method = "POST"
        path = "/Call/"
        retry_after = 1.5
        [[rest]]
        status = 503
        [[steps]]
        pause = 1"""
    account = Account(faults=Scenario.parse(text).rest)
    assert account.get("Agent").status == 503
    answers = [account.post("Call/", CLASSIC) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 201]
    assert answers[0].headers["retry-after"] == "1.5"
    assert account.get("Number/").status == 200


def test_a_fault_may_lose_the_answer_of_what_was_done() -> None:
    account = Account(faults=(Fault(status=500, operation="messages.create", done=True),))
    answer = account.post("Message/", MESSAGE)
    assert (answer.status, "fault" in answer.error) == (500, True)
    assert account.get("Message/").body["meta"]["total_count"] == 1
    assert account.post("Message/", MESSAGE).status == 202


def test_a_fault_for_all_counts_every_request_and_the_first_decides() -> None:
    plan = (Fault(status=429, skip=1, retry_after="0"), Fault(status=500, skip=1, times=2))
    account = Account(faults=plan)
    statuses = [account.get(path).status for path in ("Agent", "Message/", "Number/", "Agent")]
    assert statuses == [200, 429, 500, 200]
    assert account.raw("GET", "/v1/Number/1").header("retry-after") is None


def test_a_fault_says_its_retry_after() -> None:
    account = Account(faults=(Fault(status=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),))
    assert account.get("Agent").headers["retry-after"].startswith("Wed")


@pytest.mark.parametrize("wrong", [{"status": 200}, {"status": 429, "operation": "agents.fly"}])
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Fault(**wrong)


# --- whatever comes -------------------------------------------------------------------------------

PARTS = """v1 Account Number Agent AgentCall Call Message PhoneNumber Media Stream Session
    AgentSession connect dial 1 %00 %C3 AGENT CALL"""
NAMES = """semantic_vad idle_timeout mcp_servers stream s2s log url app_id media_urls stt_fallback
    number alias self unknown participant_mode callbacks agent_id targets"""
FILTERS = """limit offset sort_by created_at__gte duration__lte country_iso pattern message_time
    renewal_date__gt type services phone_number"""

words = st.sampled_from([AUTH_ID, "", *PARTS.split()])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars | st.sampled_from(["wss://h", "https://h", "+1", "POST", "mms", "AGENT"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "number", "provider", "type"]), inner, max_size=3)
    ),
    max_leaves=6,
)
fields = st.sampled_from(
    sorted({*AGENT, *CALL, *MESSAGE, *CLASSIC, *STREAM, *FULL, *NAMES.split()})
)
queries = st.sampled_from(FILTERS.split())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "get", ""]),
            st.lists(words, max_size=5).map("/".join),
            st.dictionaries(queries, st.text(max_size=8) | st.just("10"), max_size=2),
            st.dictionaries(fields, values, max_size=6) | st.binary(max_size=20),
        ),
        max_size=6,
    )
)
def test_whatever_a_client_sends_gets_an_answer(requests: list[Any]) -> None:
    account = Account()
    agent = account.an_agent(callbacks={"ring": {"url": "https://h"}})
    call = account.a_call(agent)
    for method, path, query, body in requests:
        named = path.replace("AGENT", agent).replace("CALL", call)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        raw = raw.replace(b"AGENT", agent.encode())
        base = f"/v1/Account/{AUTH_ID}/"
        target = (base + named).encode("ascii", "ignore").decode()
        if query:
            target += "?" + "&".join(f"{k}={v}" for k, v in query.items())
        response = account.raw(method, target, raw)
        assert 200 <= response.status < 500
        if response.status != 204:
            assert isinstance(json.loads(response.body), dict)
        assert response.status < 400 or response.body
    account.passes(1)
    account.effects()


@given(st.text(), st.text(), st.binary(max_size=50), st.lists(st.tuples(st.text(), st.text())))
def test_whatever_is_no_request_gets_an_answer(
    method: str, target: str, body: bytes, headers: list[tuple[str, str]]
) -> None:
    api = PlatformApi("u", "t", ids=counting_ids())
    request = Request(method=method, target=target, headers=tuple(headers), body=body)
    response = api.handle(request, now=1.0, wall_now=2.0)
    assert 400 <= response.status < 500
    json.loads(response.body)


@given(st.text(max_size=40))
def test_whatever_stands_in_the_authorization_gets_an_answer(text: str) -> None:
    account = Account()
    response = account.raw("GET", "/v1/Number/1", headers=(("authorization", f"Basic {text}"),))
    assert response.status == 401


# --- the package ----------------------------------------------------------------------------------


def test_the_account_loads_on_first_use() -> None:
    program = (
        "import sys, plivo_core.platform as platform\n"
        "assert 'plivo_core.platform._api' not in sys.modules\n"
        "assert 'plivo_core.rest' not in sys.modules\n"
        "assert platform.PlatformApi is sys.modules['plivo_core.platform._api'].PlatformApi\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    with pytest.raises(AttributeError, match="nothing"):
        platform.nothing  # type: ignore[attr-defined] # noqa: B018


def test_the_same_requests_get_the_same_answers() -> None:
    def told() -> list[Any]:
        account = Account()
        uuid = account.a_message(url="https://h")
        account.passes(1)
        return [account.get(f"Message/{uuid}/"), account.effects()]

    assert told() == told()
    assert TOKENS[AUTH_ID] not in repr(told())
