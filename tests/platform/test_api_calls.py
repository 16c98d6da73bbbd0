"""Calls of the simulated account: placed, begun, ended; sessions and callbacks follow."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from plivo_core.platform import CallbackDue, CallDropped, CallPlaced, PlatformLimits, TargetsDialed
from plivo_core.webhooks import WebhookVerifier, parse_callback, validate_signature_v3
from tests.platform._account import AUTH_ID, NUMBER, SUB_ID, TOKENS, Account

HOOK = "https://app.example.com"
HOOKS = {
    name: {"url": f"{HOOK}/{name}", "method": "POST"}
    for name in ("hangup", "recording", "ring", "stream_status")
}


@pytest.fixture
def account() -> Account:
    return Account()


def is_genuine(due: CallbackDue, token: str = TOKENS[AUTH_ID]) -> bool:
    """Whether our own verifier, told of no more than a server knows, accepts it."""
    verifier = WebhookVerifier(token, TOKENS[AUTH_ID], public_url=HOOK)
    parts = urlsplit(due.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    verified = verifier.verify(
        method=due.method, target=target, headers=due.headers, body=due.body, json=True
    )
    return verified.scheme == "v3" and verified.covers_body


def test_a_call_is_placed_to_the_agents_address_with_a_signed_upgrade(account: Account) -> None:
    agent = account.an_agent(callbacks={"hangup": HOOKS["hangup"]}, welcome_greeting="Hi")
    call = account.a_call(agent, to=["+2", "+3"], ring_timeout=30)
    placed = account.placed()
    assert (placed.call_uuid, placed.agent_uuid) == (call, agent)
    assert (placed.url, placed.mode) == ("wss://agent.example.com/ws", "raw")
    assert (placed.from_, tuple(placed.to), placed.direction) == ("+1", ("+2", "+3"), "outbound")
    assert placed.callbacks == ("hangup",)
    assert placed.agent is not None
    assert placed.agent["welcome_greeting"] == "Hi"
    assert placed.request["ring_timeout"] == 30
    headers = dict(placed.headers)
    assert validate_signature_v3(
        "GET",
        placed.url,
        headers["x-plivo-signature-v3-nonce"],
        TOKENS[AUTH_ID],
        headers["x-plivo-signature-v3"],
    )


@pytest.mark.parametrize(
    ("parts", "mode", "session_mode"),
    [
        ({"stt": {}, "llm": {}, "tts": {}}, "agent", "pipeline"),
        ({"stt": {}, "tts": {}}, "agent", "text"),
        ({"s2s": {}}, "agent", "s2s"),
        ({}, "raw", "raw"),
    ],
)
def test_the_pipeline_decides_the_mode(
    account: Account, parts: Any, mode: str, session_mode: str
) -> None:
    account.a_call(account.an_agent(**parts))
    placed = account.placed()
    assert placed.mode == mode
    session = account.get(f"AgentSession/{placed.session_id}").body
    assert session["agent_mode"] == session_mode
    assert session["has_stt"] is ("stt" in parts)


@pytest.mark.parametrize(
    ("parts", "format"),
    [
        ({}, ("audio/x-l16", 16000)),
        ({"audio_format": "pcm_16k"}, ("audio/x-l16", 16000)),
        ({"audio_format": "mulaw_8k"}, ("audio/x-mulaw", 8000)),
        ({"s2s": {}, "audio_format": "pcm_16k"}, ("audio/x-mulaw", 8000)),  # without a stream
    ],
)
def test_a_raw_agent_says_in_which_format_its_audio_is(
    account: Account, parts: Any, format: tuple[str, int]
) -> None:
    account.a_call(account.an_agent(**parts))
    placed = account.placed()
    assert (placed.content_type, placed.sample_rate) == format


def test_a_session_follows_its_call(account: Account) -> None:
    agent = account.an_agent()
    call = account.a_call(agent)
    placed = account.placed()
    path = f"Agent/{agent}/Session/{placed.session_id}"
    assert account.get(path).body["state"] == "initiated"
    account.began(placed)
    account.began(placed)
    assert account.get(path).body["state"] == "active"
    account.now += 61.4
    said = [{"role": "user", "content": "hi"}]
    account.ended(placed, turn_count=3, transcript=said, record_url="https://r.example.com/1.mp3")
    account.ended(placed, turn_count=9)
    session = account.get(path).body
    assert (session["state"], session["duration_seconds"]) == ("ended", 61)
    assert (session["turn_count"], session["transcript"]) == (3, said)
    assert session["record_url"] == "https://r.example.com/1.mp3"
    assert session["created_at"] < session["ended_at"]
    assert session["primary_call_uuid"] == call
    assert account.delete(f"Call/{call}/").status == 404


def test_a_transcript_over_its_limit_is_left_out() -> None:
    account = Account(limits=PlatformLimits(max_transcript=30))
    account.a_call()
    placed = account.placed()
    account.ended(placed, transcript=[{"role": "user", "content": "x" * 30}])
    assert "transcript" not in account.get(f"AgentSession/{placed.session_id}").body


def test_an_agents_callbacks_are_signed_json_in_their_order(account: Account) -> None:
    call = account.a_call(account.an_agent(callbacks=HOOKS))
    ring, placed = account.effects()
    assert isinstance(ring, CallbackDue)
    assert isinstance(placed, CallPlaced)
    account.began(placed)
    account.now += 5
    account.ended(placed, record_url="https://r.example.com/1.mp3")
    dues = [ring, *account.callbacks()]
    kinds = [due.kind for due in dues]
    assert kinds == ["ring", "stream_status", "stream_status", "recording", "hangup"]
    assert all(is_genuine(due) for due in dues)
    assert json.loads(ring.body) == {
        "call_uuid": call,
        "direction": "outbound",
        "from": "+1",
        "to": "+2",
    }
    recording, hangup = (json.loads(due.body) for due in dues[3:])
    assert recording == {"call_uuid": call, "recording_url": "https://r.example.com/1.mp3"}
    assert hangup == {"call_uuid": call, "duration": 5, "hangup_cause": "Normal Hangup"}
    events = [json.loads(due.body)["Event"] for due in dues[1:3]]
    assert events == ["StartStream", "StopStream"]
    for due in dues:
        parse_callback(json.loads(due.body), due.kind)  # type: ignore[arg-type]


def test_a_managed_agent_has_no_stream_to_tell_of(account: Account) -> None:
    account.a_call(account.an_agent(callbacks=HOOKS, s2s={}))
    placed = account.placed()
    account.began(placed)
    assert account.effects() == []


def test_a_callback_by_get_has_its_parameters_in_the_query(account: Account) -> None:
    hooks = {"hangup": {"url": f"{HOOK}/h?tenant=1#rt=1500&ct=300", "method": "GET"}}
    account.a_call(account.an_agent(callbacks=hooks))
    account.ended(account.placed(), cause="Busy")
    (due,) = account.callbacks()
    assert (due.method, due.body) == ("GET", b"")
    assert dict(parse_qsl(urlsplit(due.url).query))["hangup_cause"] == "Busy"
    assert due.url.startswith(f"{HOOK}/h?tenant=1&")
    assert (due.connect_timeout, due.read_timeout) == (0.3, 1.5)
    assert is_genuine(due)
    assert "tenant" not in repr(due)


def test_a_subaccounts_callbacks_carry_its_signature_and_the_main_accounts() -> None:
    account = Account()
    agent = account.an_agent(callbacks={"ring": HOOKS["ring"]})
    body = {"agent_id": agent, "from": "+1", "to": ["+2"]}
    assert account.ask("POST", "AgentCall", body, user=SUB_ID).status == 201
    (due,) = account.callbacks()
    assert is_genuine(due, TOKENS[SUB_ID])
    assert due.headers[0][1] != due.headers[1][1]


@pytest.mark.parametrize(
    ("fragment", "outcome", "attempts"),
    [
        ("", {"connected": False}, 2),
        ("", {"connected": True}, 2),
        ("", {"status": 500}, 1),
        ("#rc=3&rp=5xx", {"status": 503}, 4),
        ("#rc=3&rp=4xx", {"status": 503}, 1),
        ("#rc=2&rp=all", {"status": 404}, 3),
        ("#rc=0", {"connected": True}, 1),
        ("", {"status": 200}, 1),
    ],
)
def test_a_callback_that_failed_is_repeated_with_a_new_nonce(
    account: Account, fragment: str, outcome: dict[str, Any], attempts: int
) -> None:
    account.a_call(account.an_agent(callbacks={"ring": {"url": f"{HOOK}/r{fragment}"}}))
    nonces: list[str] = []
    while dues := account.callbacks():
        (due,) = dues
        assert due.attempt == len(nonces) + 1
        nonces.append(dict(due.headers)["x-plivo-signature-v3-nonce"])
        if "status" in outcome:
            account.api.callback_answered(due.id, outcome["status"], now=account.now)
        else:
            account.api.callback_lost(due.id, connected=outcome["connected"], now=account.now)
    assert len(set(nonces)) == attempts
    account.api.callback_answered("unknown", 200, now=account.now)  # late news are no news


def test_hanging_up_drops_every_connection_once(account: Account) -> None:
    call = account.a_call()
    first = account.placed()
    account.began(first)
    other = account.an_agent()
    answer = account.post(f"AgentCall/{call}/connect", {"agent_id": other})
    assert (answer.status, answer.body["status"]) == (201, "connecting")
    second = account.placed()
    assert second.session_id == answer.body["agent_session_id"]
    assert account.delete(f"Call/{call}/").status == 204
    dropped = [drop.connection_id for drop in account.of(CallDropped)]
    assert dropped == [first.connection_id, second.connection_id]
    assert account.delete(f"Call/{call}/").status == 404
    assert account.post(f"AgentCall/{call}/connect", {"agent_id": other}).status == 404
    account.ended(second)
    account.ended(first)
    assert account.effects() == []
    ended = account.get("AgentSession", agent_id=other).body["objects"]
    assert [session["state"] for session in ended] == ["ended"]


def test_the_first_agents_end_is_the_calls_and_drops_the_rest(account: Account) -> None:
    call = account.a_call()
    first = account.placed()
    account.post(f"AgentCall/{call}/connect", {"agent_id": account.an_agent()})
    second = account.placed()
    account.ended(first)
    assert [drop.connection_id for drop in account.of(CallDropped)] == [second.connection_id]
    assert account.post(f"AgentCall/{call}/dial", {"targets": [{"number": "+1"}]}).status == 404


def test_an_application_out_of_reach_is_tried_twice_more(account: Account) -> None:
    account.a_call(account.an_agent(callbacks={"hangup": HOOKS["hangup"]}))
    seen = [account.placed()]
    for _ in range(2):
        account.unreached(seen[-1], cause="Network Error")
        seen.append(account.placed())
    assert [placed.attempt for placed in seen] == [1, 2, 3]
    assert len({placed.headers for placed in seen}) == 3  # a nonce is good for one request
    account.unreached(seen[-1], cause="Network Error")
    (hangup,) = account.callbacks()
    assert json.loads(hangup.body)["hangup_cause"] == "Network Error"
    (session,) = account.get("AgentSession").body["objects"]
    assert (session["state"], session["duration_seconds"]) == ("ended", 0)


def test_what_is_dropped_before_it_came_up_is_not_tried_again(account: Account) -> None:
    call = account.a_call()
    placed = account.placed()
    account.delete(f"Call/{call}/")
    account.effects()
    account.unreached(placed)
    assert account.effects() == []
    assert account.get("AgentSession").body["objects"][0]["state"] == "ended"


def test_dialing_tells_the_driver_whom_to_call(account: Account) -> None:
    call = account.a_call()
    account.effects()
    body = {"targets": [{"number": "+1", "send_digits": "12#"}, {"number": "sip:a@b"}]}
    answer = account.post(f"AgentCall/{call}/dial", {**body, "agent_id": account.an_agent()})
    assert (answer.status, answer.body["status"], answer.body["call_uuid"]) == (
        200,
        "dialing",
        call,
    )
    (dialed,) = account.of(TargetsDialed)
    assert (dialed.call_uuid, dialed.targets) == (call, ["+1", "sip:a@b"])
    assert account.post(f"AgentCall/{call}/dial", {"targets": [{"number": "+3"}]}).status == 200


def test_a_multi_party_agent_names_its_conference(account: Account) -> None:
    fields = {"plivo_auth_id": "a", "plivo_auth_token": "b", "plivo_number": "+1"}
    agent = account.an_agent(participant_mode="multi", **fields)
    body = {"agent_id": agent, "from": "+1", "to": ["+2"]}
    answer = account.post("AgentCall", body).body
    assert answer["participant_mode"] == "multi"
    assert answer["mpc_name"]


# --- inbound --------------------------------------------------------------------------------------


def test_a_number_of_an_agent_takes_calls(account: Account) -> None:
    agent = account.an_agent()
    account.post(f"Agent/{agent}/Number", {"number": account.a_number()})

    def calls(to: str) -> str | None:
        return account.api.receive_call(from_="+3", to=to, now=account.now, wall_now=0.0)

    uuid = calls(NUMBER.lstrip("+"))
    placed = account.placed()
    assert (placed.call_uuid, placed.direction, placed.agent_uuid) == (uuid, "inbound", agent)
    assert calls("+15550000000") is None
    assert calls("nobody") is None
    assert account.effects() == []


def test_a_call_that_finds_no_room_is_not_taken() -> None:
    account = Account(limits=PlatformLimits(max_calls=1))
    agent = account.an_agent()
    account.post(f"Agent/{agent}/Number", {"number": account.a_number()})
    account.a_call(agent)
    assert account.api.receive_call(from_="+3", to=NUMBER, now=1.0, wall_now=0.0) is None


# --- streams --------------------------------------------------------------------------------------


def test_a_stream_lives_beside_its_call(account: Account) -> None:
    call = account.a_call(account.an_agent(callbacks={"hangup": HOOKS["hangup"]}))
    agents = account.placed()
    account.began(agents)
    path = f"Call/{call}/Stream/"
    body = {
        "service_url": "wss://s.example.com/in?x=1",
        "bidirectional": True,
        "status_callback_url": f"{HOOK}/status",
        "status_callback_method": "POST",
    }
    started = account.post(path, body)
    assert started.status == 202
    stream = started.body["stream_id"]
    placed = account.placed()
    assert (placed.mode, placed.url, placed.stream_id) == ("stream", body["service_url"], stream)
    assert (placed.session_id, placed.agent) == (None, None)
    account.began(placed)
    (due,) = account.callbacks()
    assert due.kind == "stream_status"
    assert dict(parse_qsl(due.body.decode()))["StreamID"] == stream
    assert is_genuine(due)
    (listed,) = account.get(path).body["objects"]
    assert (listed["stream_id"], listed["status"]) == (stream, "in-progress")
    assert listed["status_callback_url"] == f"{HOOK}/status"
    account.now += 4
    assert account.delete(f"{path}{stream}/").status == 204
    assert account.delete(f"{path}{stream}/").status == 404
    (drop,) = account.of(CallDropped)
    assert drop.connection_id == placed.connection_id
    account.ended(placed)
    record = account.get(f"{path}{stream}/").body
    assert (record["status"], record["bill_duration"]) == ("stopped", 4)
    (due,) = account.callbacks()
    assert dict(parse_qsl(due.body.decode()))["Duration"] == "4"
    account.ended(agents)  # the call outlived its stream
    assert [due.kind for due in account.callbacks()] == ["hangup"]


def test_all_streams_stop_at_once_and_the_call_goes_on(account: Account) -> None:
    call = account.a_call()
    account.effects()
    for _ in range(2):
        account.post(f"Call/{call}/Stream/", {"service_url": "ws://s.example.com"})
    account.effects()
    assert account.delete(f"Call/{call}/Stream/").status == 204
    assert len(account.of(CallDropped)) == 2
    assert account.delete(f"Call/{call}/Stream/").status == 404
    assert account.get(f"Call/{call}/Stream/none/").status == 404
    assert account.delete(f"Call/{call}/").status == 204


@pytest.mark.parametrize(
    ("asked", "format"),
    [
        ({}, ("audio/x-mulaw", 8000)),
        ({"content_type": "audio/x-mulaw;rate=8000"}, ("audio/x-mulaw", 8000)),
        ({"content_type": "audio/x-l16"}, ("audio/x-l16", 8000)),
        ({"content_type": "audio/x-l16;rate=8000"}, ("audio/x-l16", 8000)),
        ({"content_type": "Audio/x-L16; rate=16000"}, ("audio/x-l16", 16000)),
        ({"content_type": "audio/x-l16;rate=24000"}, ("audio/x-mulaw", 8000)),
        ({"content_type": "opus"}, ("audio/x-mulaw", 8000)),
    ],
)
def test_who_starts_a_stream_says_in_which_format_it_is(
    account: Account, asked: dict[str, str], format: tuple[str, int]
) -> None:
    call = account.a_call()
    account.effects()
    account.post(f"Call/{call}/Stream/", {"service_url": "ws://s.example.com", **asked})
    placed = account.placed()
    assert (placed.content_type, placed.sample_rate) == format


def test_a_call_has_so_many_streams() -> None:
    account = Account(limits=PlatformLimits(max_streams=2))
    call = account.a_call()
    body = {"service_url": "ws://s.example.com"}
    assert account.post(f"Call/{call}/Stream/", body).status == 202
    answer = account.post(f"Call/{call}/Stream/", body)
    assert answer.status == 403
    assert "2 streams" in answer.error


# --- classic calls --------------------------------------------------------------------------------

CLASSIC = {
    "from": "+1",
    "to": "+2",
    "answer_url": f"{HOOK}/answer",
    "ring_url": f"{HOOK}/ring",
    "hangup_url": f"{HOOK}/hangup",
    "hangup_method": "GET",
}
STREAM = (
    b'<Response><Stream bidirectional="true">wss://s.example.com/?a=1&amp;b=2</Stream></Response>'
)


def a_classic_call(account: Account) -> CallbackDue:
    assert account.post("Call/", CLASSIC).status == 201
    ring, answer = account.callbacks()
    assert (ring.kind, answer.kind) == ("ring", "answer")
    assert is_genuine(ring)
    assert is_genuine(answer)
    return answer


def test_a_classic_call_is_led_to_the_stream_of_its_answer(account: Account) -> None:
    due = a_classic_call(account)
    account.api.callback_answered(due.id, 200, STREAM, now=account.now)
    placed = account.placed()
    assert (placed.mode, placed.url) == ("stream", "wss://s.example.com/?a=1&b=2")
    assert placed.request == {"bidirectional": True}
    account.began(placed)
    account.now += 2
    account.ended(placed)
    (hangup,) = account.callbacks()
    assert is_genuine(hangup)
    params = dict(parse_qsl(urlsplit(hangup.url).query))
    assert (params["Duration"], params["HangupCauseCode"]) == ("2", "4000")
    assert (params["CallStatus"], params["CallUUID"]) == ("completed", placed.call_uuid)
    assert parse_callback(params, "hangup").extra == {}


def test_the_stream_of_an_answer_has_its_attributes(account: Account) -> None:
    due = a_classic_call(account)
    xml = f"""<Response><Stream contentType='audio/x-l16;rate=16000' extraHeaders="a=&quot;1&quot;"
        statusCallbackUrl="{HOOK}/status?a=1&amp;b=2" statusCallbackMethod="GET"
        streamTimeout="60">wss://s.example.com/</Stream></Response>"""
    account.api.callback_answered(due.id, 200, xml.encode(), now=account.now)
    placed = account.placed()
    assert placed.request == {
        "content_type": "audio/x-l16;rate=16000",
        "extra_headers": 'a="1"',
        "stream_timeout": "60",
        "bidirectional": False,
    }
    assert (placed.content_type, placed.sample_rate) == ("audio/x-l16", 16000)
    account.began(placed)
    (started,) = account.callbacks()
    assert is_genuine(started)
    assert (started.method, started.params["Event"]) == ("GET", "StartStream")
    assert started.url.startswith(f"{HOOK}/status?a=1&b=2&Event=StartStream")
    account.ended(placed)
    assert [due.kind for due in account.callbacks()] == ["stream_status", "hangup"]


@pytest.mark.parametrize(
    ("status", "xml", "cause"),
    [
        (200, b"<Response><Speak>Bye</Speak></Response>", "Normal Hangup"),
        (500, STREAM, "Error Reaching Answer URL"),
        (200, b"<Stream>ws:///no-host</Stream>", "Invalid Answer XML"),
        (200, b"<Stream>ws://h/?a=%FF</Stream>", "Invalid Answer XML"),
        (200, b'<Stream statusCallbackUrl="ftp://h">ws://h</Stream>', "Invalid Answer XML"),
        (200, b"", "Error Reaching Answer URL"),
        (None, b"", "Error Reaching Answer URL"),
    ],
)
def test_a_classic_call_without_a_stream_is_over(
    account: Account, status: int | None, xml: bytes, cause: str
) -> None:
    due = a_classic_call(account)
    if status is None:
        account.api.callback_lost(due.id, now=account.now)
        (due,) = account.callbacks()
        account.api.callback_lost(due.id, now=account.now)
    else:
        account.api.callback_answered(due.id, status, xml, now=account.now)
    (hangup,) = account.callbacks()
    params = dict(parse_qsl(urlsplit(hangup.url).query))
    assert (params["HangupCause"], params["CallStatus"]) == (cause, "failed")


def test_hanging_up_before_the_answer_came_ends_the_call_once(account: Account) -> None:
    due = a_classic_call(account)
    params = due.params
    assert account.delete(f"Call/{params['CallUUID']}/").status == 204
    assert [one.kind for one in account.callbacks()] == ["hangup"]
    account.api.callback_answered(due.id, 200, STREAM, now=account.now)
    assert account.effects() == []


def test_several_numbers_are_several_classic_calls(account: Account) -> None:
    body = {"from": "+1", "to": "+2<+3", "answer_url": f"{HOOK}/answer"}
    answer = account.post("Call/", body)
    assert len(answer.body["request_uuid"]) == 2
    assert [due.params["To"] for due in account.callbacks()] == ["+2", "+3"]


def test_an_unknown_connection_is_no_news(account: Account) -> None:
    account.api.call_began("nothing", now=1.0)
    account.api.call_ended("nothing", now=1.0)
    assert account.api.next_effect() is None
